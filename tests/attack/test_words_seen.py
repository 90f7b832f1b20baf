"""Whatever shows a citizen's word, or name, is in the audit: every route of the console × every role that may open it.

Each conversation's words, names and attachments hold a mark of its own. Wherever a mark comes back in an answer, a line of
that very moment names who asked, the conversation and the kind of page. The clock goes back by a second before each request,
so that no earlier line stands for it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.console.attachments_fetch import AttachmentRules
from bot.core.clock import FrozenClock
from bot.core.messages import Attachment
from bot.policy.rights import Capability, Role, may
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.reindex import finished
from bot.trainer.project import Project
from tests.attack.test_routes import VERDICTS, address, routes
from tests.attack.world import World, furnished
from tests.contract.test_console_crisis import ASKED, grouped, opened
from tests.contract.test_console_suggestion import Engine
from tests.fakes import talks
from tests.fakes.console import Answer, Browser, RunningConsole, running_console
from tests.fakes.media import media_server
from tests.fakes.project import copied, thin

MARK = re.compile(r"zqm(\d+)wk", re.IGNORECASE)

# Which line tells of what each route shows: of GET as a page and as the part that refreshes itself, of POST refused. A route that
# shows no citizen's word is in SILENT; a new one is in neither, and the test says so.
SHOWS: Mapping[str, str] = {
    "GET /file": "queue_viewed",
    "GET /file/alertes": "queue_viewed",
    "GET /conversations/<number:int>": "view",
    "GET /conversations/<number:int>/reponses-types": "view",
    "GET /conversations/<number:int>/suggestion": "view",
    "GET /conversations/<number:int>/pieces/<event:int>/<n:int>": "attachment_viewed",
    "POST /conversations/<number:int>/alerte": "view",
    "POST /conversations/<number:int>/annuler-cloture": "view",
    "POST /conversations/<number:int>/attribuer": "view",
    "POST /conversations/<number:int>/bloquer": "view",
    "POST /conversations/<number:int>/clore": "view",
    "POST /conversations/<number:int>/conservation": "view",
    "POST /conversations/<number:int>/danger-confirme": "view",
    "POST /conversations/<number:int>/fausse-alerte": "view",
    "POST /conversations/<number:int>/indesirable": "view",
    "POST /conversations/<number:int>/note": "view",
    "POST /conversations/<number:int>/prendre": "view",
    "POST /conversations/<number:int>/rendre": "view",
    "POST /conversations/<number:int>/repondre": "view",
    "POST /conversations/<number:int>/reporter": "view",
    "POST /conversations/<number:int>/rouvrir": "view",
    "POST /conversations/<number:int>/soumettre": "view",
    "POST /conversations/<number:int>/sujet": "view",
    "POST /conversations/<number:int>/transferer": "view",
    "GET /validation": "drafts_viewed",
    "GET /validation/<number:int>": "view",
    "POST /validation/<number:int>/amender": "view",
    "POST /validation/<number:int>/approuver": "view",
    "POST /validation/<number:int>/confirmer": "view",
    "POST /validation/<number:int>/refuser": "view",
    "POST /validation/<number:int>/reprendre": "view",
    "POST /validation/<number:int>/retirer": "view",
    "GET /crise": "groups_viewed",
    "POST /crise/message": "groups_viewed",
    "POST /crise/ouvrir": "groups_viewed",
    "POST /crise/valider": "groups_viewed",
    "GET /crise/groupes/<number:int>": "group_viewed",
    "POST /crise/groupes/<number:int>/admettre": "group_viewed",
    "POST /crise/groupes/<number:int>/envoyer": "group_viewed",
    "POST /crise/groupes/<number:int>/repondre": "group_viewed",
    "POST /crise/groupes/<number:int>/retirer": "group_viewed",
    "POST /crise/groupes/<number:int>/valider": "group_viewed",
    "GET /recherche": "search",
    "GET /atelier": "reading_viewed",
    "GET /atelier/catalogue/nouvelle": "reading_viewed",
    "GET /atelier/messages/<event:int>": "reading_viewed",
    "POST /atelier/messages/<event:int>/decider": "reading_viewed",
    "GET /atelier/conversations/<number:int>": "talk_read",
    "POST /atelier/conversations/<number:int>/ajouter": "talk_read",
    "POST /atelier/conversations/<number:int>/annuler": "talk_read",
    "POST /atelier/conversations/<number:int>/preparer": "talk_read",
    "GET /atelier/suivi": "drift_viewed",
}
SILENT = """
    GET / · GET /flux · GET /assistant/bandeau · GET /crise/bandeau · GET /file/delais · POST /file/delais
    GET /aide · GET /mon-compte · POST /mon-compte/codes · POST /mon-compte/mot-de-passe · GET /mon-compte/preferences
    POST /mon-compte/preferences · GET /mon-compte/second-facteur · POST /mon-compte/second-facteur
    POST /mon-compte/second-facteur/retirer · POST /mon-compte/sessions
    GET /connexion · POST /connexion · GET /connexion/fournisseur · GET /connexion/fournisseur/retour
    GET /connexion/invitation · POST /connexion/invitation · GET /entrer · GET /connexion/code · POST /connexion/code
    GET /connexion/mot-de-passe · POST /connexion/mot-de-passe · GET /connexion/second-facteur
    POST /connexion/second-facteur · POST /deconnexion
    GET /comptes · GET /comptes/<number:int> · POST /comptes/<number:int>/desactiver · POST /comptes/<number:int>/identite
    POST /comptes/<number:int>/modifier · POST /comptes/<number:int>/mot-de-passe · POST /comptes/<number:int>/reactiver
    POST /comptes/<number:int>/second-facteur · POST /comptes/<number:int>/sessions · GET /comptes/nouveau
    POST /comptes/nouveau · GET /equipes · POST /equipes · GET /equipes/<number:int> · POST /equipes/<number:int>/archiver
    POST /equipes/<number:int>/modifier
    GET /conservation · GET /journal · GET /journal.csv · GET /pilotage · GET /pilotage.csv
    GET /reponses-types · GET /reponses-types/<number:int> · POST /reponses-types/<number:int>
    POST /reponses-types/<number:int>/archiver · GET /reponses-types/nouvelle · POST /reponses-types/nouvelle
    GET /validation/alertes · GET /validation/regles · POST /validation/regles
    POST /crise/fermer · POST /crise/groupes/<number:int>/arreter · POST /recherche
    GET /catalogue · POST /conversations/<number:int>/catalogue
    POST /conversations/<number:int>/brouillon · POST /conversations/<number:int>/presence
    POST /conversations/<number:int>/reponses-types/<canned:int> · POST /conversations/<number:int>/suggestion
    GET /atelier/catalogue · POST /atelier/catalogue · GET /atelier/catalogue/<intent:str>/<name:str>
    POST /atelier/catalogue/<intent:str>/<name:str> · POST /atelier/catalogue/<intent:str>/<name:str>/annuler
    POST /atelier/catalogue/<intent:str>/<name:str>/apercu · POST /atelier/catalogue/<intent:str>/<name:str>/exemples
    POST /atelier/catalogue/<intent:str>/<name:str>/verifiee · GET /atelier/catalogue/<intent:str>/<name:str>/reunir
    POST /atelier/catalogue/<intent:str>/<name:str>/reunir · GET /atelier/catalogue/<intent:str>/<name:str>/separer
    POST /atelier/catalogue/<intent:str>/<name:str>/separer · POST /atelier/catalogue/nouvelle
    GET /atelier/changements · POST /atelier/changements/abandonner · POST /atelier/changements/ligne
    GET /atelier/conversations · POST /atelier/decisions/<number:int>/annuler
    GET /atelier/essais · GET /atelier/essais/<number:int> · POST /atelier/essais/<number:int>/arreter
    POST /atelier/essais/lancer · GET /atelier/essayer · POST /atelier/essayer/arreter · POST /atelier/essayer/demarrer
    POST /atelier/essayer/dire · GET /atelier/exemples · POST /atelier/exemples · GET /atelier/exemples/<intent:str>
    POST /atelier/exemples/<intent:str> · POST /atelier/exemples/annuler · POST /atelier/exemples/verifier
    GET /atelier/intentions/nouvelle · POST /atelier/intentions/nouvelle · POST /atelier/intentions/<intent:str>/retirer
    GET /atelier/modeles · POST /atelier/modeles/<name:str>/passer-outre · POST /atelier/modeles/<name:str>/publier
    POST /atelier/modeles/<name:str>/revenir · POST /atelier/modeles/relecture/approuver
    POST /atelier/modeles/relecture/refuser · POST /atelier/modeles/relecture/retirer · POST /atelier/pseudonymes
    GET /atelier/reponses · POST /atelier/reponses · GET /atelier/reponses/<name:str> · POST /atelier/reponses/<name:str>
    POST /atelier/reponses/<name:str>/annuler · POST /atelier/reponses/<name:str>/apercu
    POST /atelier/reponses/<name:str>/verifiee · GET /atelier/suivi.csv
    GET /atelier/verifications · POST /atelier/verifications/lancer
"""
_SILENT = {one.strip() for one in re.split(r"[·\n]", SILENT) if one.strip()}
# Asked by everybody before any of these, which change what is to be seen.
CHANGES = (
    "POST /crise/fermer",
    "POST /reponses-types/<number:int>/archiver",
    "POST /mon-compte/sessions",
    "POST /deconnexion",
)
# What makes a form be refused, where an empty one would not be.
WRONG: Mapping[str, Mapping[str, str]] = {
    "POST /crise/message": {"message": "é" * 600},
    "POST /crise/groupes/<number:int>/envoyer": {"jusqua": "1"},
    "POST /atelier/messages/<event:int>/decider": {
        "sens": "intention:procuration",
        "lu": "procuration",
        "vu": "ancien",
    },
    "POST /atelier/conversations/<number:int>/ajouter": {
        "message": "{reading}",
        "mots_{reading}": "zqm2wk",
        "sorte": "test",
    },
}


@dataclass
class Marked:
    """The console, its world, and who is marked how: mark → conversation."""

    console: RunningConsole
    world: World
    attached: tuple[int, int]  # conversation, event
    group: str
    conversations: Mapping[str, int]
    shown: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    untold: list[str] = field(default_factory=list)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return thin(copied(tmp_path / "project"))


@pytest.fixture
async def marked(
    database: Database,
    database_url: str,
    codec: Codec,
    frozen_clock: FrozenClock,
    wall: FrozenClock,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Marked]:
    """One console with everything that shows words, each conversation with its mark."""
    monkeypatch.setattr("bot.console.queue.LOOK_EVERY", 3600.0)
    monkeypatch.setattr("bot.console.validation.WATCH_EVERY", 3600.0)
    engine = Engine()
    engine.says = (
        "Vous parlez de zqm1wk : demandez votre procuration en ligne."  # it repeats what it found in their words
    )
    async with (
        media_server() as media,
        running_console(
            database, database_url, codec, frozen_clock, wall, project=project, engine=engine,
            attachments=AttachmentRules(origins=(media.url,), seconds=2.0),
        ) as console,
    ):  # fmt: skip
        yield await _world(console, media.url)


async def _in(console: RunningConsole, name: str, role: str) -> Browser:
    await console.user(name, role)
    if role == "validator":
        await console.execute("UPDATE users SET validation_level = 'service' WHERE name = :name", name=name)
    browser = Browser(console)
    assert (await browser.log_in(name)).status == 303
    return browser


async def _world(console: RunningConsole, media: str) -> Marked:
    people = [await _in(console, name, role) for name, role in (("Claire", "agent"), ("Denis", "validator"))]
    people.append(await _in(console, "Alix", "administrator"))
    world = await furnished(console, people[0])
    await console.execute("UPDATE canned_replies SET body = 'Bonjour {{nom}}.'")
    numbers = {"0": world.taken, "1": world.free}
    for mark, person in (("0", "p1"), ("1", "p2")):
        await console.says(person, f"zqm{mark}wk voudrait une procuration à Lyon")
    # What waits for a trainer: two who say the same, and what nobody understood.
    readings = {}
    for mark, words, intent, route in (
        ("2", "comment faire une procuration pour dimanche prochain", "procuration", "answer"),
        ("3", "ma trottinette est partie à la fourrière comment la récupérer", None, "clarify"),
        ("4", "ils ont embarqué ma trottinette en fourrière hier soir", None, "clarify"),
    ):
        numbers[mark], readings[mark] = await talks.turn(
            console, f"r{mark}", f"zqm{mark}wk {words}", intent, "Voici.", confidence=0.3, route=route
        )
    for i, mark in enumerate(("5", "6", "7")):
        numbers[mark] = await console.waiting(f"c{i}", f"{ASKED} zqm{mark}wk")
    await opened(*people)
    group = await grouped(console, "c0", "c1", "c2")
    attached = await console.says(
        "p9", "regardez", Attachment("image", f"{media}/photo.png"), Attachment("file", f"{media}/zqm8wk.pdf", "zqm8wk")
    )
    await console.hand_off(attached, "complaint", "reclamation_police")
    numbers["8"] = attached
    for mark, number in numbers.items():
        await console.named(number, f"Zqm{mark}wk Prune")
    async with console.database.begin() as connection:
        await connection.execute(
            text("INSERT INTO facts (name, value) VALUES ('search_backfill', CAST(:value AS jsonb))"),
            {"value": json.dumps(finished())},
        )
    # One that is about to be late.
    await console.execute(
        "UPDATE handoffs SET due_at = :at WHERE conversation_id = :id", at=console.clock.now(), id=world.free
    )
    event = int((await console.rows("SELECT max(id) AS id FROM events WHERE conversation_id = :id", id=attached))[0].id)
    for person in people:
        await person.__aexit__()
    world = replace(world, reading=readings["2"], talk=numbers["2"])
    return Marked(console, world, (attached, event), group, numbers)


def _addresses(marked: Marked, route: str) -> Iterator[str]:
    """Where a route is asked for: of the conversation that it can show most of."""
    pattern = route.partition(" ")[2]
    world = marked.world
    if pattern.endswith("/pieces/<event:int>/<n:int>"):
        yield "/conversations/{}/pieces/{}/0".format(*marked.attached)
    elif pattern.startswith("/crise/groupes/"):
        yield pattern.replace("/crise/groupes/<number:int>", marked.group)
    elif pattern == "/atelier/catalogue/nouvelle":
        yield f"{pattern}?message={world.reading}"
    elif pattern in ("/conversations/<number:int>/suggestion", "/conversations/<number:int>/reponses-types"):
        yield address(pattern, replace(world, taken=world.free))
    elif pattern == "/conversations/<number:int>":
        yield f"/conversations/{marked.attached[0]}"
        yield f"/conversations/{world.taken}?avant=4102444800000000"
    elif pattern == "/file":
        yield from ("/file", "/file?etat=toutes", "/file?etat=toutes&plateforme=messenger")
    elif pattern == "/validation":
        yield from ("/validation", "/validation?voir=toutes")
    else:
        yield address(pattern, world)


class Walker:
    """Somebody who asks for everything, a second earlier each time."""

    def __init__(self, marked: Marked, browser: Browser, name: str) -> None:
        self._marked = marked
        self._browser = browser
        self._user = marked.console.users[name].id
        self.name = name

    async def walk(self, wanted: Sequence[str], csrf: str) -> None:
        """Each of the routes, in every way that may show something."""
        for route in wanted:
            method = route.partition(" ")[0]
            for path in _addresses(self._marked, route):
                if method == "GET":
                    await self.ask(route, self._browser.get, path, follow=False)
                    if route in SHOWS or self._first(route + " live"):
                        await self.ask(route, self._browser.get, path, follow=False, X_Planton_Live="1")
                elif route in SHOWS or self._first(route):
                    await self.ask(route, self._browser.post, path, csrf=csrf, **self._wrong(route))

    def _first(self, way: str) -> bool:
        """What shows nothing as a page is asked in other ways too, by one of those who may: the first one."""
        new = way not in self._marked.asked
        self._marked.asked.add(way)
        return new

    def _wrong(self, route: str) -> Mapping[str, str]:
        number = str(self._marked.world.reading)
        return {
            name.replace("{reading}", number): value.replace("{reading}", number)
            for name, value in WRONG.get(route, {}).items()
        }

    async def search(self, csrf: str) -> None:
        """What the form leads to."""
        found = await self._browser.post("/recherche", csrf=csrf, mots="Prune")
        assert found.status == 303
        await self.ask("GET /recherche", self._browser.get, found.headers["Location"], follow=False)
        found = await self._browser.post("/recherche", csrf=csrf, mots="procuration", tri="proche")
        await self.ask("GET /recherche", self._browser.get, found.headers["Location"], follow=False)

    async def does(self, csrf: str) -> None:
        """What is accepted answers with a redirection, a number of parts, a fragment: with no more than it says."""
        world, get = self._marked.world, self._browser.get
        free, message = f"/conversations/{world.free}", f"/atelier/messages/{world.reading}"
        for path, action, fields in (
            (free, "prendre", {}),
            (free, "presence", {"ecrit": "1"}),
            (free, "brouillon", {"message": "Un brouillon."}),
            (free, "note", {"note": "Une note.", "cle": "n"}),
            (free, "suggestion", {}),
            (free, f"reponses-types/{world.canned}", {}),
            (free, "sujet", {"sujet": "procuration"}),
            (free, "repondre", {"message": "Voici.", "cle": "r"}),
            (free, "clore", {"motif": "repondu"}),
            (self._marked.group, "repondre", {"message": "Le préfet communique."}),
            (message, "decider", {"sens": "rien"}),
        ):
            shown = await get(path)
            held = {name: shown.hidden(name) for name in ("vu", "vu_envoi") if shown.hidden(name)}
            pattern = re.sub(r"/\d+$", "/<canned:int>", action)
            place = {free: "/conversations/<number:int>", message: "/atelier/messages/<event:int>"}.get(
                path, "/crise/groupes/<number:int>"
            )
            answer = await self.ask(
                f"POST {place}/{pattern}", self._browser.post, f"{path}/{action}", csrf=csrf, **{**held, **fields}
            )
            assert answer.status < 400, (path, action, answer.status)

    async def ask(self, route: str, send: object, path: str, **more: object) -> Answer:
        """Ask, and hold what comes back against the audit."""
        console = self._marked.console
        for clock in (console.clock, console.wall):
            assert isinstance(clock, FrozenClock)
            clock.at -= timedelta(seconds=1)
        try:
            answer: Answer = await send(path, **more)  # type: ignore[operator]
        except UnicodeDecodeError:  # a picture
            answer = Answer(200, "zqm8wk", {}, path)
        seen = {self._marked.conversations[mark] for mark in MARK.findall(answer.page + str(answer.headers))}
        if seen and route not in SHOWS:
            self._marked.untold.append(f"{self.name} {route} ({answer.status}) shows words, and is not among SHOWS")
        elif seen:
            rows = await console.rows(
                """SELECT conversation_id AS one, conversations AS many FROM audit
                   WHERE user_id = :user AND action = :action AND at = ANY(:ats)""",
                user=self._user, action=SHOWS[route], ats=[console.clock.now(), console.wall.now()],
            )  # fmt: skip
            told = {row.one for row in rows} | {one for row in rows for one in row.many or ()}
            if not seen <= told:
                self._marked.untold.append(f"{self.name} {route} ({answer.status}): no {SHOWS[route]} of {seen - told}")
            self._marked.shown.add(route)
        return answer


async def test_whatever_shows_words_is_in_the_audit(marked: Marked) -> None:
    console = marked.console
    assert {f"{method} {pattern}" for method, pattern in routes(console)} == set(SHOWS) | _SILENT
    assert not set(SHOWS) & _SILENT
    walkers = []
    for role in Role:
        browser = await _in(console, f"X {role.value}", role.value)
        csrf = (await browser.get("/mon-compte")).hidden("csrf")
        walkers.append((role, Walker(marked, browser, f"X {role.value}"), csrf, browser))
    try:
        for method in ("GET", "POST"):
            for role, walker, csrf, _ in walkers:
                mine = [
                    f"{how} {pattern}"
                    for (how, pattern), needs in VERDICTS.items()
                    if how == method and isinstance(needs, Capability) and may(role, needs) and pattern != "/flux"
                ]
                await walker.walk([route for route in mine if route not in CHANGES], csrf)
                if method == "GET" and may(role, Capability.READ):
                    await walker.search(csrf)
        for role, walker, csrf, _ in walkers:
            if role is Role.ADMINISTRATOR:
                await walker.does(csrf)
        for _, walker, csrf, _ in walkers:
            await walker.walk(CHANGES[:2], csrf)
        assert not marked.untold, "\n".join(marked.untold)
        assert marked.shown == set(SHOWS), f"never showed anything: {sorted(set(SHOWS) - marked.shown)}"
        await console.listens()
        for _, _, _, browser in walkers:
            async with asyncio.timeout(60), browser.stream("/flux") as stream:
                await stream.content.readuntil(b"pret\ndata: 1\n\n")
                await console.says("p2", "zqm1wk encore")
                told = await stream.content.readuntil(b"event: change\n")
                told += await stream.content.readuntil(b"\n\n")
                assert not MARK.search(told.decode()), "the stream tells that something changed, never what"
    finally:
        for _, _, _, browser in walkers:
            await browser.__aexit__()

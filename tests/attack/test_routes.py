"""Forced browsing: every route of every server × everybody who may stand before it, each with a verdict of its own.

NEEDS says what each route of the console asks for, by hand and apart from the decorators of the routes: whoever declares too
little, or adds a route and forgets it here, is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sanic import Sanic

from bot.app.wiring import run_role
from bot.console.door import STAGES
from bot.console.site import Open
from bot.core.errors import SetupError
from bot.gateway.app import WEBHOOK, create_gateway
from bot.policy.rights import Capability, Role, may
from bot.settings import Settings
from bot.store.codec import Codec
from bot.store.db import Database
from tests.attack.world import World, dump
from tests.contract.test_gateway import VERIFY, Setup
from tests.contract.test_sender_loops import running as running_sender
from tests.fakes.console import Answer, Browser, RunningConsole
from tests.fakes.sandbox import running_sandbox

NEEDS: Mapping[Capability | Open, str] = {
    Capability.SEE_QUEUE: """
        GET /
        GET /assistant/bandeau
        GET /crise/bandeau
        GET /file
        GET /flux
    """,
    Capability.OWN_ACCOUNT: """
        GET /aide
        GET /mon-compte
        POST /mon-compte/codes
        POST /mon-compte/mot-de-passe
        GET /mon-compte/preferences
        POST /mon-compte/preferences
        GET /mon-compte/second-facteur
        POST /mon-compte/second-facteur
        POST /mon-compte/second-facteur/retirer
        POST /mon-compte/sessions
    """,
    Capability.SEE_WORKBENCH: """
        GET /atelier
        GET /atelier/catalogue
        POST /atelier/catalogue
        GET /atelier/catalogue/<intent:str>/<name:str>
        GET /atelier/changements
        GET /atelier/conversations
        GET /atelier/conversations/<number:int>
        GET /atelier/essais
        GET /atelier/essais/<number:int>
        GET /atelier/exemples
        POST /atelier/exemples
        GET /atelier/exemples/<intent:str>
        GET /atelier/intentions/nouvelle
        GET /atelier/messages/<event:int>
        GET /atelier/modeles
        GET /atelier/reponses
        POST /atelier/reponses
        GET /atelier/reponses/<name:str>
        GET /atelier/suivi
        GET /atelier/suivi.csv
        GET /atelier/verifications
    """,
    Capability.CORRECT: """
        GET /atelier/catalogue/<intent:str>/<name:str>/reunir
        POST /atelier/catalogue/<intent:str>/<name:str>/reunir
        GET /atelier/catalogue/<intent:str>/<name:str>/separer
        POST /atelier/catalogue/<intent:str>/<name:str>/separer
        GET /atelier/catalogue/nouvelle
        POST /atelier/catalogue/nouvelle
        POST /atelier/catalogue/<intent:str>/<name:str>
        POST /atelier/catalogue/<intent:str>/<name:str>/annuler
        POST /atelier/catalogue/<intent:str>/<name:str>/apercu
        POST /atelier/catalogue/<intent:str>/<name:str>/exemples
        POST /atelier/catalogue/<intent:str>/<name:str>/verifiee
        POST /atelier/changements/abandonner
        POST /atelier/changements/ligne
        POST /atelier/conversations/<number:int>/ajouter
        POST /atelier/conversations/<number:int>/annuler
        POST /atelier/conversations/<number:int>/preparer
        POST /atelier/decisions/<number:int>/annuler
        POST /atelier/exemples/<intent:str>
        POST /atelier/exemples/annuler
        POST /atelier/exemples/verifier
        POST /atelier/intentions/<intent:str>/retirer
        POST /atelier/intentions/nouvelle
        POST /atelier/messages/<event:int>/decider
        POST /atelier/pseudonymes
        POST /atelier/reponses/<name:str>
        POST /atelier/reponses/<name:str>/annuler
        POST /atelier/reponses/<name:str>/apercu
        POST /atelier/reponses/<name:str>/verifiee
        POST /atelier/verifications/lancer
    """,
    Capability.TRAIN: """
        POST /atelier/essais/<number:int>/arreter
        POST /atelier/essais/lancer
        GET /atelier/essayer
        POST /atelier/essayer/arreter
        POST /atelier/essayer/demarrer
        POST /atelier/essayer/dire
    """,
    Capability.OVERRIDE_GATE: """
        POST /atelier/modeles/<name:str>/passer-outre
    """,
    Capability.PUBLISH: """
        POST /atelier/modeles/<name:str>/publier
        POST /atelier/modeles/<name:str>/revenir
        POST /atelier/modeles/relecture/approuver
        POST /atelier/modeles/relecture/refuser
        POST /atelier/modeles/relecture/retirer
    """,
    Capability.MANAGE_ACCOUNTS: """
        GET /comptes
        GET /comptes/<number:int>
        POST /comptes/<number:int>/desactiver
        POST /comptes/<number:int>/identite
        POST /comptes/<number:int>/modifier
        POST /comptes/<number:int>/mot-de-passe
        POST /comptes/<number:int>/reactiver
        POST /comptes/<number:int>/second-facteur
        POST /comptes/<number:int>/sessions
        GET /comptes/nouveau
        POST /comptes/nouveau
        GET /equipes
        POST /equipes
        GET /equipes/<number:int>
        POST /equipes/<number:int>/archiver
        POST /equipes/<number:int>/modifier
    """,
    Open.NOBODY: """
        GET /connexion
        POST /connexion
        GET /connexion/fournisseur
        GET /connexion/fournisseur/retour
        GET /connexion/invitation
        POST /connexion/invitation
        GET /entrer
    """,
    Open.HALF: """
        GET /connexion/code
        POST /connexion/code
        GET /connexion/mot-de-passe
        POST /connexion/mot-de-passe
        GET /connexion/second-facteur
        POST /connexion/second-facteur
        POST /deconnexion
    """,
    Capability.SEE_RETENTION: """
        GET /conservation
    """,
    Capability.READ: """
        GET /conversations/<number:int>
        GET /conversations/<number:int>/pieces/<event:int>/<n:int>
        GET /recherche
        POST /recherche
    """,
    Capability.ASSIGN: """
        POST /conversations/<number:int>/attribuer
    """,
    Capability.BLOCK: """
        POST /conversations/<number:int>/bloquer
    """,
    Capability.WORK: """
        POST /conversations/<number:int>/alerte
        GET /catalogue
        POST /conversations/<number:int>/annuler-cloture
        POST /conversations/<number:int>/brouillon
        POST /conversations/<number:int>/catalogue
        POST /conversations/<number:int>/clore
        POST /conversations/<number:int>/danger-confirme
        POST /conversations/<number:int>/fausse-alerte
        POST /conversations/<number:int>/indesirable
        POST /conversations/<number:int>/note
        POST /conversations/<number:int>/prendre
        POST /conversations/<number:int>/presence
        POST /conversations/<number:int>/rendre
        POST /conversations/<number:int>/repondre
        GET /conversations/<number:int>/reponses-types
        POST /conversations/<number:int>/reponses-types/<canned:int>
        POST /conversations/<number:int>/reporter
        POST /conversations/<number:int>/rouvrir
        POST /conversations/<number:int>/soumettre
        GET /conversations/<number:int>/suggestion
        POST /conversations/<number:int>/suggestion
        POST /conversations/<number:int>/sujet
        POST /conversations/<number:int>/transferer
        GET /file/alertes
        POST /validation/<number:int>/confirmer
        POST /validation/<number:int>/reprendre
        POST /validation/<number:int>/retirer
    """,
    Capability.HOLD: """
        POST /conversations/<number:int>/conservation
    """,
    Capability.SEE_CRISIS: """
        GET /crise
        GET /crise/groupes/<number:int>
    """,
    Capability.RUN_CRISIS: """
        POST /crise/fermer
        POST /crise/groupes/<number:int>/arreter
        POST /crise/groupes/<number:int>/envoyer
        POST /crise/ouvrir
    """,
    Capability.ANSWER_GROUP: """
        POST /crise/groupes/<number:int>/admettre
        POST /crise/groupes/<number:int>/repondre
        POST /crise/groupes/<number:int>/retirer
        POST /crise/message
    """,
    Capability.VALIDATE: """
        POST /crise/groupes/<number:int>/valider
        POST /crise/valider
        POST /validation/<number:int>/amender
        POST /validation/<number:int>/approuver
        POST /validation/<number:int>/refuser
    """,
    Capability.SET_DEADLINES: """
        GET /file/delais
        POST /file/delais
    """,
    Capability.READ_AUDIT: """
        GET /journal
        GET /journal.csv
    """,
    Capability.SEE_STEERING: """
        GET /pilotage
    """,
    Capability.EXPORT: """
        GET /pilotage.csv
    """,
    Capability.EDIT_CANNED: """
        GET /reponses-types
        GET /reponses-types/<number:int>
        POST /reponses-types/<number:int>
        POST /reponses-types/<number:int>/archiver
        GET /reponses-types/nouvelle
        POST /reponses-types/nouvelle
    """,
    Capability.SEE_VALIDATION: """
        GET /validation
        GET /validation/<number:int>
        GET /validation/alertes
    """,
    Capability.SET_VALIDATION: """
        GET /validation/regles
        POST /validation/regles
    """,
}
VERDICTS = {tuple(line.split()): needs for needs, lines in NEEDS.items() for line in lines.strip().splitlines()}
NOWHERE = 987654321


def address(pattern: str, world: World | None) -> str:
    """The route's address: of what there is, or of nothing."""
    if world is None:
        return re.sub(r"<\w+:str>", "rien", re.sub(r"<\w+:int>", str(NOWHERE), pattern))
    place = pattern.partition("/<")[0].strip("/")
    one = {
        "conversations": world.taken,
        "validation": world.submission,
        "comptes": world.user,
        "equipes": world.team,
        "reponses-types": world.canned,
        "atelier/messages": world.reading,
        "atelier/conversations": world.talk,
    }.get(place, 1)
    filled = pattern.replace("<event:int>", str(world.reading if place.startswith("atelier") else world.event))
    filled = filled.replace("<n:int>", "0").replace("<canned:int>", str(world.canned))
    filled = filled.replace("<name:str>", "utter_procuration").replace("<intent:str>", "procuration")
    return re.sub(r"<\w+:int>", str(one), filled)


async def asked(browser: Browser, method: str, path: str, csrf: str) -> Answer:
    """The route as somebody asks for it who knows its address."""
    if method == "GET":
        return await browser.get(path, follow=False)
    return await browser.post(path, csrf=csrf)


def routes(console: RunningConsole) -> set[tuple[str, str]]:
    """What the console serves, files aside."""
    served = [route for route in console.app.router.routes if not route.path.startswith(("static/", "vendor/"))]
    return {(method, "/" + route.path) for route in served for method in route.methods - {"HEAD", "OPTIONS"}}


async def test_every_route_has_its_verdict(console: RunningConsole) -> None:
    assert routes(console) == set(VERDICTS)
    for route in console.app.router.routes:
        for method in route.methods - {"HEAD", "OPTIONS"}:
            declared = VERDICTS.get((method, "/" + route.path))
            assert declared is None or route.ctx.needs is declared, (method, route.path)


@pytest.mark.parametrize("role", [role.value for role in Role])
async def test_every_route_by_every_role(console: RunningConsole, world: World, someone: Browser, role: str) -> None:
    await console.user("X", role)
    await someone.log_in("X")
    csrf = (await someone.get("/file")).hidden("csrf")
    before, opened, shut = await dump(console), 0, 0
    for (method, pattern), needs in VERDICTS.items():
        if not isinstance(needs, Capability) or may(role, needs):
            continue
        shut += 1
        answer = await asked(someone, method, address(pattern, world), csrf)
        assert answer.status == 403, f"{role} {method} {pattern}: {answer.status}"
    assert await dump(console) == before, "what was refused changed something"
    for (method, pattern), needs in sorted(VERDICTS.items(), key=lambda cell: cell[0][1] == "/deconnexion"):
        path = address(pattern, None)
        if (isinstance(needs, Capability) and not may(role, needs)) or path == "/flux":
            continue
        opened += 1
        if method == "POST" and needs is not Open.NOBODY:
            assert (await someone.post(path)).status == 403, f"{path} needs no token"
        answer = await asked(someone, method, path, csrf)
        if answer.status == 503 and path.startswith("/atelier"):
            assert "n’est pas sur cette machine" in answer.page, "this console has no folder to work on, and says so"
        elif isinstance(needs, Capability):
            assert answer.status < 500, f"{role} {method} {pattern}: {answer.status}"
            assert answer.status != 403, f"{role} {method} {pattern} is shut"
            assert not answer.headers.get("Location", "").startswith("/connexion"), pattern
        else:
            assert answer.status < 500, f"{role} {method} {pattern}: {answer.status}"
    assert opened + shut == len(VERDICTS) - may(role, VERDICTS["GET", "/flux"])
    print(f"{role}: {opened} open, {shut} shut, of {len(VERDICTS)} routes")


async def test_every_route_without_a_session_and_half_way_in(
    console: RunningConsole, world: World, someone: Browser, claire: Browser
) -> None:
    csrf = (await claire.get("/file")).hidden("csrf")  # which shows words, and is in the audit
    before = await dump(console, ("sessions",))
    for (method, pattern), needs in VERDICTS.items():
        if needs is Open.NOBODY:
            continue
        answer = await asked(someone, method, address(pattern, world), "x")
        told = answer.headers.get("Location", "").startswith("/connexion")
        assert answer.status == 401 if pattern == "/flux" else told, pattern
    for stage, where in STAGES.items():
        await console.execute("UPDATE sessions SET stage = :stage", stage=stage)
        for (method, pattern), needs in VERDICTS.items():
            if isinstance(needs, Open):
                continue
            answer = await asked(claire, method, address(pattern, world), csrf)
            assert answer.status == 401 if pattern == "/flux" else answer.headers["Location"] == where, (stage, pattern)
    assert await dump(console, ("sessions",)) == before


ODD_NUMBERS = ("0", "9" * 19, "9" * 40)
ODD_NAMES = ("..%2f..%2fetc%2fpasswd", "%00", "a" * 3000, "'%20OR%201=1--", "%0d%0aSet-Cookie:%20a=b", "%ff%fe")


async def test_numbers_and_names_that_nothing_has(console: RunningConsole, world: World, alix: Browser) -> None:
    csrf = (await alix.get("/file")).hidden("csrf")
    before, tried = await dump(console), 0
    for method, pattern in VERDICTS:
        if "<" not in pattern:
            continue
        for odd in ODD_NAMES if "str>" in pattern else ODD_NUMBERS:
            path = re.sub(r"<\w+:\w+>", odd, pattern)
            answer = await asked(alix, method, path, csrf)
            absent = answer.status == 503 and "n’est pas sur cette machine" in answer.page
            assert absent or 300 <= answer.status < 500, f"{method} {path[:80]}: {answer.status}"
            assert "Set-Cookie: a=b" not in str(answer.headers)
            tried += 1
    assert tried > 150
    assert await dump(console) == before


# -- the other servers: no session opens them, a secret or the loopback does ------------------------------------------

GATEWAY = {
    ("GET", WEBHOOK): (403, f"?hub.mode=subscribe&hub.challenge=7&hub.verify_token={VERIFY}"),
    ("POST", WEBHOOK): (403, ""),
    ("GET", "/metrics"): (403, ""),  # its token comes in a header: tests/contract/test_gateway.py
    ("GET", "/healthz"): (200, ""),
    ("GET", "/readyz"): (200, ""),
}


async def test_every_route_of_the_gateway(tmp_path: Path) -> None:
    async with Setup(tmp_path).run() as gateway:
        served = create_gateway(
            replace(gateway.deps, spool_path=tmp_path / "none", registry=CollectorRegistry())
        ).router.routes
        assert {(m, "/" + r.path) for r in served for m in r.methods - {"HEAD", "OPTIONS"}} == set(GATEWAY)
        for (method, path), (status, right) in GATEWAY.items():
            async with gateway.client.request(
                method, gateway.url + path, data=b"{}" if method == "POST" else None
            ) as r:
                assert r.status == status, path
            if right:
                assert (await gateway.get(path + right))[0] == 200
                assert (await gateway.get(path + right[:-1]))[0] == 403
        assert gateway.inbox.taken == []


SENDER = {
    ("POST", "/emergency"): 403,
    ("POST", "/profile"): 403,
    ("GET", "/stamp"): 200,  # good for nothing without the key
    ("GET", "/healthz"): 200,
    ("GET", "/metrics"): 200,
}


async def test_every_route_of_the_sender() -> None:
    async with running_sender() as sender:
        assert sender.sender._runner is not None
        served = {
            (r.method, r.resource.canonical)
            for r in sender.sender._runner.app.router.routes()
            if r.method != "HEAD" and r.resource
        }
        assert served == set(SENDER)
        for (method, path), status in SENDER.items():
            async with sender.session.request(method, sender.sender.url + path) as answer:
                assert answer.status == status, path
        assert sender.graph.calls == []


async def test_every_route_of_the_sandbox_is_for_this_machine_and_its_own_pages(
    database: Database, codec: Codec
) -> None:
    async with running_sandbox(database, codec) as box:
        app = next(one for name, one in reversed(Sanic._app_registry.items()) if name.startswith("planton_sandbox"))
        served = {(m, r.path) for r in app.router.routes for m in r.methods - {"HEAD", "OPTIONS"}}
        assert len(served) >= 8
        for method, path in served:
            address = f"{box.url}/{re.sub('<.*>', 'x', path)}"
            async with box.client.request(method, address, headers={"Host": "ailleurs.example"}) as answer:
                assert answer.status == 403, path
            if method == "POST":
                headers = {"Origin": "https://ailleurs.example"}
                async with box.client.post(address, headers=headers) as answer:
                    assert answer.status == 403, path


async def test_the_sandbox_does_not_start_outside_the_demonstration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLANTON_DEMO", raising=False)
    with pytest.raises(SetupError, match="bac à sable"):
        await run_role("sandbox", Settings({"PLANTON_DATABASE_URL": "postgresql://127.0.0.1:1/none"}))

"""What is typed stays what it is: no second line in a log, no other site in an address, no SQL in a search."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest

from bot.app.logs import Line
from tests.attack.test_routes import VERDICTS, address
from tests.attack.world import World, dump
from tests.fakes.console import Browser, RunningConsole

# -- logs -------------------------------------------------------------------------------------------------------------

HOSTILE = (
    'Anne\r\n{"level": "critical", "message": "faux"}\n',
    "\x1b[2J\x1b[31mrouge\x1b]0;titre\x07",
    "un\u2028deux\u2029trois\x85quatre\x0bcinq\x0csix\x00sept\x9b31m",
    "\u202egnol\u2066 à l’envers",
    "\udcff\ud800 moitié",
)


@pytest.mark.parametrize("people", [True, False])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_an_entry_is_one_line_whatever_it_quotes(text: str, people: bool) -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(Line("console", people))
    log = logging.Logger("planton.attack")
    log.addHandler(handler)
    log.warning("GET %s refused", text, extra={"agent": text})
    (line,) = out.getvalue().splitlines()
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]", line)
    if not people:
        entry = json.loads(line)
        assert entry["level"] == "warning"
        assert entry["agent"] == text


# -- addresses of others ----------------------------------------------------------------------------------------------

ELSEWHERE = (
    "https://ailleurs.example/",
    "//ailleurs.example",
    "/\\ailleurs.example",
    "/file\r\nSet-Cookie: a=b",
    "https:ailleurs.example",
    "javascript:alert(1)",
    "/connexion@ailleurs.example",
)
NAMES = ("suite", "next", "retour", "url", "vers", "apres", "r", "fait", "Referer", "page", "redirect")


async def test_no_address_leads_to_another_site(console: RunningConsole, world: World, alix: Browser) -> None:
    csrf = (await alix.get("/file")).hidden("csrf")
    led = 0
    for turn, (method, pattern) in enumerate(VERDICTS):
        if pattern in ("/flux", "/deconnexion", "/mon-compte/sessions"):
            continue
        given = {name: ELSEWHERE[(turn + i) % len(ELSEWHERE)] for i, name in enumerate(NAMES)}
        path = address(pattern, None)
        if method == "GET":
            query = "&".join(f"{name}={quote(value)}" for name, value in given.items())
            answer = await alix.get(f"{path}?{query}", follow=False, Referer="https://ailleurs.example/")
        else:
            answer = await alix.post(path, csrf=csrf, **given)
        assert answer.status != 500, pattern
        assert "a=b" not in str(answer.headers.getall("Set-Cookie", []))
        where = answer.headers.get("Location")
        if where is not None:
            led += 1
            assert re.fullmatch(r"/[a-z][^\\]*", where), (pattern, where)
            assert "ailleurs" not in where.partition("?")[0]
    assert led >= 5


def quote(value: str) -> str:
    """For an address."""
    return "".join(f"%{byte:02x}" for byte in value.encode())


async def test_half_way_in_leads_nowhere_else_either(console: RunningConsole, someone: Browser) -> None:
    await console.user("Denis", "validator")
    for suite in ELSEWHERE:
        entered = await someone.log_in("Denis", suite=suite, second_factor=True)
        assert entered.headers["Location"] == "/connexion/second-facteur"
        page = await someone.get(f"/connexion/second-facteur?suite={quote(suite)}")
        assert page.hidden("suite") == "/file"
        await someone.post("/deconnexion", csrf=page.hidden("csrf"))


# -- SQL --------------------------------------------------------------------------------------------------------------

SQL = (
    "' OR '1'='1",
    "'; DROP TABLE events; --",
    '" OR ""="',
    "%",
    "_",
    "\\",
    "passeport') UNION SELECT password_hash FROM users --",
    "$$; SELECT pg_sleep(60); $$",
    ":id",
    "{} || [1,2]",
    "\x00passeport",
    "passeport & !introuvable:*",
)


async def test_a_search_is_words_and_nothing_else(console: RunningConsole, world: World, claire: Browser) -> None:
    csrf = (await claire.get("/file")).hidden("csrf")
    before = await dump(console, ("audit",))
    filters = ("auteur", "plateforme", "categorie", "etat", "du", "au", "tri")
    for words in SQL:
        led = await claire.post("/recherche", csrf=csrf, mots=words)
        assert led.status in (303, 422), words
        if led.status == 303:
            found = await claire.get(led.headers["Location"] + "&apres=" + quote(words))
            assert found.status == 200
            assert "$argon2id" not in found.page
            assert "on m’a mal parlé" not in found.page, "nothing was asked of that conversation"
        narrowed = await claire.post("/recherche", csrf=csrf, mots="passeport", **dict.fromkeys(filters, words))
        assert narrowed.status in (303, 422), words
    assert await dump(console, ("audit",)) == before


FILTERS = {
    "/file": ("etat", "categorie", "qui", "plateforme", "tri", "page", "q"),
    "/journal": ("personne", "action", "conversation", "du", "au", "apres"),
    "/journal.csv": ("personne", "action", "conversation", "du", "au"),
    "/pilotage": ("periode", "du", "au", "plateforme", "categorie"),
    "/comptes": ("nom", "role", "etat"),
    "/reponses-types": ("q", "archivees"),
    "/validation": ("voir", "page"),
    "/crise": ("etat", "suite", "apres"),
    "/atelier/conversations": ("voir", "sujet", "apres"),
}


async def test_filters_are_values(console: RunningConsole, alix: Browser) -> None:
    for path, names in FILTERS.items():
        for words in SQL:
            answer = await alix.get(path + "?" + "&".join(f"{name}={quote(words)}" for name in names))
            absent = answer.status == 503 and "n’est pas sur cette machine" in answer.page
            assert answer.status in (200, 422) or absent, (path, words, answer.status)
    assert (await console.rows("SELECT count(*) AS n FROM users"))[0].n == 1

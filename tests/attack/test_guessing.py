"""Guessing: passwords over accounts and addresses, codes, secrets byte by byte; and who is not locked out by it."""

from __future__ import annotations

import ast
import hmac
import re
from datetime import timedelta
from pathlib import Path

import pytest

from bot.console import entry
from bot.core.clock import FrozenClock
from bot.core.errors import BadSignature
from bot.meta import signature
from bot.store import passwords, throttle
from tests.contract.test_console_accounts import code_of, enrolled, give_code
from tests.fakes.console import PASSWORD, Browser, RunningConsole

BOT = Path(__file__).parents[2] / "bot"


async def leave(browser: Browser) -> None:
    """Log out."""
    csrf = (await browser.get("/file")).hidden("csrf")
    assert (await browser.post("/deconnexion", csrf=csrf)).status == 303


async def test_an_address_that_sprays_is_stopped_and_those_it_knew_come_in(
    console: RunningConsole, someone: Browser, wall: FrozenClock
) -> None:
    await console.user("Claire")
    await console.user("Yanis")
    assert (await someone.log_in("Claire")).status == 303
    await leave(someone)
    for i in range(throttle.PER_ADDRESS):  # one password over many accounts, from the address that all share
        assert await console.accounts.check_password(f"n{i}", "Printemps2026!", "127.0.0.1", wall.now()) is None
    async with Browser(console) as stranger:
        assert (await stranger.log_in("Yanis")).status == 429
    assert (await someone.log_in("Claire")).status == 303  # in the browser where she was before
    await leave(someone)
    assert (await someone.log_in("Yanis")).status == 429  # hers alone
    assert not isinstance(await console.accounts.check_password("Yanis", PASSWORD, "192.0.2.7", wall.now()), timedelta)


@pytest.mark.parametrize(
    ("theirs", "again"), [("2001:db8:7:1::{:x}", "2001:db8:7:1:ffff::9"), ("::ffff:192.0.2.7", "192.0.2.7")]
)
async def test_a_whole_network_is_one_address(
    console: RunningConsole, wall: FrozenClock, theirs: str, again: str
) -> None:
    """Whoever rents an IPv6 address has 2⁶⁴ of them."""
    for i in range(throttle.PER_ADDRESS):
        assert await console.accounts.check_password(f"n{i}", "Printemps2026!", theirs.format(i), wall.now()) is None
    assert isinstance(await console.accounts.check_password("n", "x", again, wall.now()), timedelta)
    assert await console.accounts.check_password("n", "x", "2001:db8:7:2::1", wall.now()) is None


async def test_no_header_makes_another_address(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    statuses = []
    for i in range(throttle.PER_PAIR + 1):
        csrf = (await someone.get("/connexion")).hidden("csrf")
        forged = {
            "X-Forwarded-For": f"198.51.100.{i}",
            "Forwarded": f"for=198.51.100.{i}",
            "X-Real-IP": f"198.51.100.{i}",
        }
        answer = await someone.post("/connexion", headers=forged, csrf=csrf, nom="Claire", mot_de_passe="faux passe")
        statuses.append(answer.status)
    assert statuses == [401] * throttle.PER_PAIR + [429]


async def test_who_guesses_codes_with_the_password_locks_nobody_out(
    console: RunningConsole, someone: Browser, wall: FrozenClock
) -> None:
    await console.user("Denis", "validator")
    secret, _ = await enrolled(console, someone, wall, "Denis")
    await leave(someone)
    wall.advance(minutes=1)
    async with Browser(console) as thief:
        await thief.log_in("Denis", second_factor=True)
        assert not any("appareil" in cookie.key for cookie in thief.cookies()), (
            "the password alone makes no known browser"
        )
        wrong = "000000" if code_of(secret, wall) != "000000" else "111111"
        for _ in range(throttle.PER_CODES):
            assert (await give_code(thief, wrong)).status == 401
        assert (await give_code(thief, code_of(secret, wall))).status == 429
    await someone.log_in("Denis", second_factor=True)
    assert (await give_code(someone, code_of(secret, wall))).headers["Location"] == "/file"


async def test_a_known_browser_guesses_no_codes_for_ever(
    console: RunningConsole, someone: Browser, wall: FrozenClock
) -> None:
    await console.user("Denis", "validator")
    secret, _ = await enrolled(console, someone, wall, "Denis")
    await leave(someone)
    wall.advance(minutes=1)
    await someone.log_in("Denis", second_factor=True)
    wrong = "000000" if code_of(secret, wall) != "000000" else "111111"
    statuses = [(await give_code(someone, wrong)).status for _ in range(2 * throttle.PER_CODES + 1)]
    assert statuses == [401] * (2 * throttle.PER_CODES) + [429]


async def test_every_answer_costs_one_hash(
    console: RunningConsole, wall: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await console.user("Claire")
    await console.user("Partie")
    await console.user("Liée", password=None)
    await console.execute("UPDATE users SET disabled_at = now() WHERE name = 'Partie'")
    hashed: list[str] = []
    verify = passwords._verify
    monkeypatch.setattr(passwords, "_verify", lambda one, given: hashed.append(one) or verify(one, given))
    for name in ("Claire", "Personne", "Partie", "Liée"):
        hashed.clear()
        assert await console.accounts.check_password(name, "faux mot de passe", "10.0.0.1", wall.now()) is None
        assert len(hashed) == 1, name
    assert len(await console.rows("SELECT 1 FROM audit WHERE action = 'login_refused'")) == 4


# -- comparisons that tell nothing by their time ----------------------------------------------------------------------

SECRET = re.compile(r"(?:^|_)(?:token|secret|signature|digest|csrf|seal|sealed|hmac|mac|jeton|password|hash|hashed)s?$")
# Equality that compares no secret with what somebody sent, each with its reason.
FINE = {
    "bot/console/workbench_models.py": {"serving.hash", "newest.hash", "model.hash"},  # names of models
    "bot/console/workbench_trial.py": {"model.hash"},
    "bot/meta/access.py": {"used.token", "self._token", "self._tokens"},  # ours with ours
}


def compared(path: Path) -> list[str]:
    """What `==` and `!=` compare in a file that is called like a secret; with `None` and literals nothing is told."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
            continue
        sides = [node.left, *node.comparators]
        if any(isinstance(side, ast.Constant) for side in sides):
            continue
        for side in sides:
            name = side.attr if isinstance(side, ast.Attribute) else side.id if isinstance(side, ast.Name) else ""
            if SECRET.search(name.lower()):
                found.append(ast.unparse(side))
    return found


def test_no_secret_is_compared_by_equality() -> None:
    odd = []
    for part in ("gateway", "console", "meta", "sender", "store", "sandbox"):
        for path in sorted((BOT / part).rglob("*.py")):
            place = path.relative_to(BOT.parent).as_posix()
            odd += [(place, one) for one in compared(path) if one not in FINE.get(place, ())]
    assert odd == []


@pytest.mark.parametrize("given", ["", "sha256=", "sha256=" + "0" * 64, "right"])
def test_every_secret_is_tried_whole_whatever_the_first_says(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    right = signature.sign("first", b"raw")
    lengths: list[tuple[int, int]] = []

    def spy(one: bytes, other: bytes) -> bool:
        lengths.append((len(one), len(other)))
        return compare(one, other)

    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", spy)
    header = right if given == "right" else given
    if given == "right":
        signature.verify(("first", "second"), b"raw", header)
    else:
        with pytest.raises(BadSignature):
            signature.verify(("first", "second"), b"raw", header)
    assert len(lengths) == (2 if header else 0)
    assert all(expected == len(right) for expected, _ in lengths)


async def test_a_forms_token_is_compared_in_constant_time(
    console: RunningConsole, claire: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: tried.append(len(one)) or compare(one, other))
    assert (await claire.post("/deconnexion", csrf="x")).status == 403
    assert tried == [32, 1]  # the session's seal, then the token
    assert timedelta(days=1) < entry.DEVICE_FOR

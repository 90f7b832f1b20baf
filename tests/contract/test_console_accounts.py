"""Accounts, teams, one's own account, second factors: over HTTP, without a script."""

from __future__ import annotations

import asyncio
import html
import re

import psycopg
import pyotp
import pytest

from bot.core.clock import FrozenClock
from bot.store import throttle
from bot.store.accounts import AccountError
from bot.store.administration import Administration, Wish
from tests.fakes.console import PASSWORD, Answer, Browser, RunningConsole

NEW = "girafe tambour lundi"


def code_of(secret: str, wall: FrozenClock, steps: int = 0) -> str:
    return pyotp.TOTP(secret.replace(" ", "")).at(wall.now(), counter_offset=steps)


def secret_in(page: str) -> str:
    found = re.search(r'data-testid="factor-secret">([A-Z2-7 ]+)<', page)
    assert found is not None
    return found[1].replace(" ", "")


def recovery_in(page: str) -> list[str]:
    return re.findall(r"<li><code>([A-Z0-9]{5}-[A-Z0-9]{5})</code></li>", page)


async def enrolled(console: RunningConsole, browser: Browser, wall: FrozenClock, name: str) -> tuple[str, list[str]]:
    """Log in, set up the second factor; (secret, recovery codes)."""
    entered = await browser.log_in(name, second_factor=True)
    assert entered.headers["Location"] == "/connexion/second-facteur"
    page = await browser.get("/connexion/second-facteur")
    secret = secret_in(page.page)
    done = await browser.post("/connexion/second-facteur", csrf=page.hidden("csrf"), code=code_of(secret, wall))
    assert done.status == 200, done.page
    return secret, recovery_in(done.page)


async def give_code(browser: Browser, code: str) -> Answer:
    page = await browser.get("/connexion/code")
    return await browser.post("/connexion/code", csrf=page.hidden("csrf"), code=code)


async def act(browser: Browser, path: str, where: str = "", **fields: str) -> Answer:
    """Open the page and press a button there."""
    page = await browser.get(where or path.rpartition("/")[0])
    return await browser.post(path, csrf=page.hidden("csrf"), **fields)


# -- the second factor ----------------------------------------------------------------------------------------------


async def test_a_validator_sets_up_a_second_factor_and_shows_it_ever_after(
    console: RunningConsole, someone: Browser, wall: FrozenClock
) -> None:
    await console.user("Denis", "validator")
    await someone.log_in("Denis", second_factor=True)
    assert (await someone.get("/file")).path == "/connexion/second-facteur"  # nothing opens before
    secret, recovery = await enrolled(console, someone, wall, "Denis")
    assert len(set(recovery)) == 10
    assert (await someone.get("/file")).path == "/file"
    stored = str(await console.rows("SELECT * FROM second_factors, recovery_codes"))
    assert secret not in stored
    assert not any(code in stored or code.replace("-", "") in stored for code in recovery)

    async with Browser(console) as again:
        assert (await again.log_in("Denis", second_factor=True)).headers["Location"] == "/connexion/code"
        assert (await again.get("/file")).path == "/connexion/code"
        assert (await again.get("/connexion/second-facteur")).path == "/connexion/code"  # no way round
        used = await give_code(again, code_of(secret, wall))
        assert (used.status, "n’est pas le bon, ou a déjà servi" in used.page) == (401, True)  # it confirmed the secret
        wall.advance(seconds=30)
        assert (await give_code(again, code_of(secret, wall))).headers["Location"] == "/file"
        assert (await again.get("/file")).path == "/file"
    async with Browser(console) as third:
        await third.log_in("Denis", second_factor=True)
        assert (await give_code(third, code_of(secret, wall))).status == 401  # taken by the other browser
        assert (await give_code(third, recovery[0].lower())).status == 303
    async with Browser(console) as fourth:
        await fourth.log_in("Denis", second_factor=True)
        assert (await give_code(fourth, recovery[0])).status == 401  # once
    kinds = [action for action, _ in await console.audit()]
    assert {"second_factor_set", "recovery_code_used", "login_refused"} <= set(kinds)


async def test_a_clock_may_be_half_a_minute_off(console: RunningConsole, someone: Browser, wall: FrozenClock) -> None:
    await console.user("Denis", "validator")
    secret, _ = await enrolled(console, someone, wall, "Denis")
    async with Browser(console) as again:
        for steps, status in ((-2, 401), (2, 401), (-1, 303), (0, 303), (1, 303)):
            wall.advance(minutes=5)
            await again.log_in("Denis", second_factor=True)
            assert (await give_code(again, code_of(secret, wall, steps))).status == status, steps


async def test_a_code_told_while_the_clock_was_ahead_shuts_no_door(
    console: RunningConsole, someone: Browser, wall: FrozenClock
) -> None:
    """The clock is put right again: the hours until then are not waited for, and no code opens twice."""
    await console.user("Denis", "validator")
    wall.advance(hours=1)
    secret, _ = await enrolled(console, someone, wall, "Denis")
    wall.advance(hours=-1)
    code = code_of(secret, wall)
    for status in (303, 401):
        async with Browser(console) as again:
            await again.log_in("Denis", second_factor=True)
            assert (await give_code(again, code)).status == status


async def test_a_code_opens_one_of_two_sessions_that_show_it_at_once(
    console: RunningConsole, someone: Browser, wall: FrozenClock
) -> None:
    await console.user("Denis", "validator")
    secret, _ = await enrolled(console, someone, wall, "Denis")
    wall.advance(minutes=1)
    async with Browser(console) as one, Browser(console) as other:
        for browser in (one, other):
            await browser.log_in("Denis", second_factor=True)
        code = code_of(secret, wall)
        answers = await asyncio.gather(give_code(one, code), give_code(other, code))
    assert sorted(answer.status for answer in answers) == [303, 401]


async def test_guessing_codes_is_stopped(console: RunningConsole, someone: Browser, wall: FrozenClock) -> None:
    await console.user("Denis", "validator")
    secret, recovery = await enrolled(console, someone, wall, "Denis")
    wall.advance(minutes=1)
    async with Browser(console) as guesser:
        await guesser.log_in("Denis", second_factor=True)
        wrong = "000000" if code_of(secret, wall) != "000000" else "111111"
        statuses = [(await give_code(guesser, wrong)).status for _ in range(throttle.PER_CODES + 1)]
        assert statuses == [401] * throttle.PER_CODES + [429]
        stopped = await give_code(guesser, recovery[0])  # even a right one
        assert (stopped.status, "Réessayez dans 15\u00a0min" in stopped.page) == (429, True)
        wall.advance(minutes=16)
        assert (await give_code(guesser, code_of(secret, wall))).status == 303


async def test_a_session_that_opens_gets_a_new_token(
    console: RunningConsole, someone: Browser, wall: FrozenClock
) -> None:
    await console.user("Denis", "validator")
    await someone.log_in("Denis", second_factor=True)
    before = next(c.value for c in someone.cookies() if c.key == "planton_session")
    page = await someone.get("/connexion/second-facteur")
    await someone.post("/connexion/second-facteur", csrf=page.hidden("csrf"), code=code_of(secret_in(page.page), wall))
    assert next(c.value for c in someone.cookies() if c.key == "planton_session") != before
    assert await console.accounts.sessions.of_token(before, wall.now()) is None


async def test_an_agent_may_have_one_replace_it_and_go_without(
    console: RunningConsole, claire: Browser, wall: FrozenClock
) -> None:
    page = await claire.get("/mon-compte/second-facteur")
    secret = secret_in(page.page)
    assert secret_in((await claire.get("/mon-compte/second-facteur")).page) == secret  # a reload shows the same
    here = {"where": "/mon-compte/second-facteur"}
    assert (await act(claire, "/mon-compte/second-facteur", **here, code="000000")).status == 422
    done = await act(claire, "/mon-compte/second-facteur", **here, code=code_of(secret, wall))
    first = recovery_in(done.page)
    assert len(first) == 10
    assert (await claire.get("/file")).status == 200
    async with Browser(console) as again:
        assert (await again.log_in("Claire", second_factor=True)).headers["Location"] == "/connexion/code"

    wall.advance(minutes=1)
    fresh = secret_in((await claire.get("/mon-compte/second-facteur")).page)
    assert fresh != secret
    new = code_of(fresh, wall)
    refused = await act(claire, "/mon-compte/second-facteur", **here, code=new)  # the present one is asked for
    assert (refused.status, "n’est pas le bon" in refused.page) == (422, True)
    done = await act(claire, "/mon-compte/second-facteur", **here, code=new, actuel=first[0])
    second = recovery_in(done.page)
    assert not set(first) & set(second)

    assert (await act(claire, "/mon-compte/codes", code=first[1])).status == 422
    third = recovery_in((await act(claire, "/mon-compte/codes", code=second[0])).page)
    assert len(third) == 10
    assert (await act(claire, "/mon-compte/second-facteur/retirer", "/mon-compte", code=second[1])).status == 422
    gone = await act(claire, "/mon-compte/second-facteur/retirer", "/mon-compte", code=third[0])
    assert gone.headers["Location"] == "/mon-compte?fait=retire"
    async with Browser(console) as again:
        assert (await again.log_in("Claire", second_factor=True)).headers["Location"] == "/file"


async def test_a_secret_that_is_set_up_ends_with_time_session_and_password(
    console: RunningConsole, alix: Browser, someone: Browser, wall: FrozenClock
) -> None:
    await console.user("Denis", "validator")

    async def shown(browser: Browser) -> Answer:
        return await browser.get("/connexion/second-facteur")

    async def given(browser: Browser, page: Answer) -> Answer:
        code = code_of(secret_in(page.page), wall)
        return await browser.post("/connexion/second-facteur", csrf=page.hidden("csrf"), code=code)

    await someone.log_in("Denis", second_factor=True)
    first = await shown(someone)
    wall.advance(minutes=9)
    assert secret_in((await shown(someone)).page) == secret_in(first.page)  # a reload changes nothing
    wall.advance(minutes=1)
    late = await given(someone, first)
    assert late.status == 422
    assert "n’est plus valable" in late.page
    assert secret_in(late.page) != secret_in(first.page)
    # Whoever had the password, and saw a secret in a session of their own, does not know the one that counts.
    async with Browser(console) as thief:
        await thief.log_in("Denis", second_factor=True)
        seen = secret_in((await shown(thief)).page)
        owner = await shown(someone)
        assert secret_in(owner.page) != seen
        assert (await given(thief, await shown(someone))).status in (403, 422)
    # A new password, and an administrator's reset, leave nothing of it.
    for reset, fields in (("mot-de-passe", {"acces": "lien"}), ("second-facteur", {})):
        await someone.log_in("Denis", second_factor=True)
        await shown(someone)
        path = f"/comptes/{console.users['Denis'].id}"
        await act(alix, f"{path}/{reset}", path, **fields)
        assert (await console.rows("SELECT 1 FROM second_factors WHERE pending IS NOT NULL")) == [], reset
        await console.execute(
            "UPDATE users SET password_hash = (SELECT password_hash FROM users WHERE name = 'Alix'), password_temporary = false"
        )
    await someone.log_in("Denis", second_factor=True)
    assert (await given(someone, await shown(someone))).status == 200


async def test_whoever_owes_a_factor_cannot_go_without(
    console: RunningConsole, someone: Browser, wall: FrozenClock
) -> None:
    await console.user("Denis", "validator")
    _, recovery = await enrolled(console, someone, wall, "Denis")
    refused = await act(someone, "/mon-compte/second-facteur/retirer", "/mon-compte", code=recovery[0])
    assert (refused.status, "Votre rôle demande" in refused.page) == (422, True)
    assert (await console.rows("SELECT confirmed_at FROM second_factors"))[0].confirmed_at is not None


# -- passwords ------------------------------------------------------------------------------------------------------


async def test_ones_own_password(console: RunningConsole, claire: Browser) -> None:
    async def change(actuel: str, nouveau: str, confirmation: str) -> Answer:
        return await act(claire, "/mon-compte/mot-de-passe", actuel=actuel, nouveau=nouveau, confirmation=confirmation)

    async with Browser(console) as elsewhere:
        await elsewhere.log_in("Claire")
        for given, words in (
            ((PASSWORD, NEW, NEW + "!"), "ne sont pas les mêmes"),
            ((PASSWORD, "court", "court"), "trop court\u00a0: 5 caractères"),
            ((PASSWORD, "a" * 20, "a" * 20), "se devine"),
            ((PASSWORD, PASSWORD, PASSWORD), "que vous avez déjà"),
            (
                (PASSWORD, "é" * 1000 + "abcdefghijklmnopqrstuvwxyz", "é" * 1000 + "abcdefghijklmnopqrstuvwxyz"),
                "trop long",
            ),
            (("faux mot de passe", NEW, NEW), "n’est pas le bon"),
        ):
            refused = await change(*given)
            assert (refused.status, words in refused.page) == (422, True), words
            assert NEW not in refused.page
        done = await change(PASSWORD, NEW, NEW)
        assert done.headers["Location"] == "/mon-compte?fait=mot-de-passe"
        assert (await claire.get("/file")).status == 200
        assert (await elsewhere.get("/file")).path.startswith("/connexion")  # its session ended
        assert (await elsewhere.log_in("Claire")).status == 401
        assert (await elsewhere.log_in("claire", NEW)).status == 303  # whatever the capitals


async def test_a_password_changed_meanwhile_is_not_hashed_back(
    console: RunningConsole, wall: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await console.user("Claire")
    monkeypatch.setattr(console.accounts.hashing, "is_old", lambda hashed: True)
    real = console.accounts.hashing.hash

    async def slow(password: str) -> str:
        await console.execute("UPDATE users SET password_hash = 'changed meanwhile' WHERE id = :id", id=user.id)
        return await real(password)

    monkeypatch.setattr(console.accounts.hashing, "hash", slow)
    assert await console.accounts.check_password("Claire", PASSWORD, "10.0.0.1", wall.now()) == user
    assert (await console.rows("SELECT password_hash FROM users"))[0].password_hash == "changed meanwhile"


# -- what administrators do -----------------------------------------------------------------------------------------


async def create(alix: Browser, **fields: str) -> Answer:
    return await act(alix, "/comptes/nouveau", "/comptes/nouveau", **{"role": "agent", "acces": "lien", **fields})


def link_in(page: str) -> str:
    found = re.search(r'value="http://[^/]+(/connexion/invitation\?jeton=[^"]+)"', page)
    assert found is not None
    return html.unescape(found[1])


async def test_an_invitation_is_followed_once(
    console: RunningConsole, alix: Browser, someone: Browser, wall: FrozenClock
) -> None:
    made = await create(alix, nom="Zoé Lefèvre", role="auditor", adresse="zoe@exemple.fr")
    link = link_in(made.page)
    assert "zoé lefèvre" not in (await alix.get("/comptes?etat=tous")).page  # the name is as given
    for _ in range(2):  # looking spends nothing
        page = await someone.get(link)
        assert (page.status, "Zoé Lefèvre" in page.page) == (200, True)
    fields = {"csrf": page.hidden("csrf"), "jeton": page.hidden("jeton")}
    assert (await someone.post("/connexion/invitation", **fields, nouveau="court", confirmation="court")).status == 422
    assert (await someone.post("/connexion/invitation", **fields, nouveau=NEW, confirmation="autre")).status == 422
    entered = await someone.post("/connexion/invitation", **fields, nouveau=NEW, confirmation=NEW)
    assert entered.headers["Location"] == "/file"
    async with Browser(console) as other:
        page = await other.get(link)
        assert (page.status, "a déjà servi" in page.page) == (403, True)
        assert (await other.log_in("Zoé Lefèvre", NEW)).status == 303
    late = link_in((await create(alix, nom="Tardif")).page)
    wall.advance(hours=73)
    assert (await someone.get(late)).status == 403


async def test_a_link_is_only_for_passwords(console: RunningConsole, someone: Browser, wall: FrozenClock) -> None:
    user = await console.user("Claire")
    token = await console.accounts.login_link(user.id, wall.now())
    assert (await someone.get(f"/connexion/invitation?jeton={token}")).status == 403


async def test_a_provisional_password_is_changed_at_once(
    console: RunningConsole, alix: Browser, someone: Browser, wall: FrozenClock
) -> None:
    made = await create(alix, nom="Zoé", role="validator", niveau="cabinet", acces="mot-de-passe")
    given = re.search(r'value="([a-z0-9]{4}(?:-[a-z0-9]{4}){3})"', made.page)
    assert given is not None
    assert (await someone.log_in("Zoé", given[1], second_factor=True)).headers["Location"] == "/connexion/mot-de-passe"
    assert (await someone.get("/file")).path == "/connexion/mot-de-passe"
    same = {"nouveau": given[1], "confirmation": given[1]}
    assert (await act(someone, "/connexion/mot-de-passe", "/connexion/mot-de-passe", **same)).status == 422
    done = await act(someone, "/connexion/mot-de-passe", "/connexion/mot-de-passe", nouveau=NEW, confirmation=NEW)
    assert done.headers["Location"] == "/connexion/second-facteur"  # a validator owes one as well
    row = (await console.rows("SELECT role, validation_level FROM users WHERE name = 'Zoé'"))[0]
    assert (row.role, row.validation_level) == ("validator", "cabinet")
    made = await create(alix, nom="Tardif", acces="mot-de-passe")
    given = re.search(r'value="([a-z0-9]{4}(?:-[a-z0-9]{4}){3})"', made.page)
    assert given is not None
    wall.advance(hours=73)
    late = await someone.log_in("Tardif", given[1])
    assert (late.status, "n’est plus valable" in late.page) == (401, True)


async def test_what_cannot_be_created_is_said_and_kept(console: RunningConsole, alix: Browser) -> None:
    await console.user("Pris")
    await console.execute("UPDATE users SET email = 'prise@exemple.fr' WHERE name = 'Pris'")
    for fields, words in (
        ({"nom": "  "}, "nom de compte ne convient pas"),
        ({"nom": "x" * 101}, "nom de compte ne convient pas"),
        ({"nom": "a\u202eb"}, "nom de compte ne convient pas"),
        ({"nom": "ALIX"}, "existe déjà"),
        ({"nom": "Zoé", "role": "roi"}, "n’existe pas"),
        ({"nom": "Zoé", "niveau": "ciel"}, "niveau de validation n’existe pas"),
        ({"nom": "Zoé", "adresse": "pas une adresse"}, "adresse électronique ne convient pas"),
        ({"nom": "Zoé", "adresse": "Prise@exemple.fr"}, "déjà cette adresse"),
    ):
        refused = await create(alix, **fields)
        assert (refused.status, words in refused.page) == (422, True), fields
        assert html.escape(fields["nom"].strip()) in refused.page
    assert len(await console.rows("SELECT 1 FROM users")) == 2


async def test_change_disable_enable(console: RunningConsole, alix: Browser, claire: Browser) -> None:
    number = console.users["Claire"].id
    team = await act(alix, "/equipes", "/equipes", nom="Nuit")
    team_id = re.search(r"/equipes/(\d+)", team.headers["Location"])
    assert team_id is not None
    one = f"/comptes/{number}"
    fields = {"nom": "Claire Martin", "role": "auditor", "niveau": "service", "adresse": "c@exemple.fr"}
    done = await act(alix, one + "/modifier", **fields, equipes=team_id[1])
    assert done.headers["Location"] == one + "?fait=modifie"
    row = (await console.rows("SELECT * FROM users WHERE id = :id", id=number))[0]
    assert (row.name, row.role, row.validation_level, row.email) == ("Claire Martin", "auditor", None, "c@exemple.fr")
    assert "Nuit" in (await alix.get(one)).page
    assert (await claire.get("/file")).status == 200  # a role that owes nothing: the session goes on
    await act(alix, one + "/modifier", **{**fields, "role": "validator"})
    assert (await claire.get("/file")).path == "/connexion/second-facteur"  # a new role, and what it asks
    assert (await act(alix, one + "/desactiver")).status == 303
    assert (await claire.get("/file")).path.startswith("/connexion")
    assert (await claire.log_in("Claire Martin")).status == 401
    assert 'data-testid="account-enable"' in (await alix.get(one)).page
    await act(alix, one + "/reactiver")
    assert (await claire.log_in("Claire Martin")).status == 303
    kinds = [action for action, _ in await console.audit()]
    assert [k for k in kinds if k.startswith(("user_", "sessions_"))] == [
        "user_changed", "user_changed", "user_disabled", "sessions_ended", "user_enabled",
    ]  # fmt: skip


async def test_nobody_is_left_with_someone_who_has_gone(
    console: RunningConsole, alix: Browser, claire: Browser
) -> None:
    held, meant = await console.waiting("p1"), await console.waiting("p2")
    await claire.act(held, "prendre")
    me = console.users["Claire"].id
    await console.execute("UPDATE handoffs SET assignee_id = :me WHERE conversation_id = :id", me=me, id=meant)
    await act(alix, f"/comptes/{me}/modifier", nom="Claire", role="validator")  # still works
    assert (await console.conversation(held)).agent_id == me
    await act(alix, f"/comptes/{me}/modifier", nom="Claire", role="auditor")  # reads only
    conversation = await console.conversation(held)
    assert (conversation.owner, conversation.agent_id) == ("waiting", None)
    await act(alix, f"/comptes/{me}/modifier", nom="Claire", role="agent")
    await claire.act(held, "prendre")
    await act(alix, f"/comptes/{me}/desactiver")
    for number in (held, meant):
        conversation = await console.conversation(number)
        assert (conversation.owner, conversation.agent_id) == ("waiting", None)
        assert (await console.handoff(number)).assignee_id is None
    page = (await alix.get("/file")).page
    assert f'href="/conversations/{held}"' in page
    assert f'href="/conversations/{meant}"' in page


async def test_resets(console: RunningConsole, alix: Browser, someone: Browser, wall: FrozenClock) -> None:
    denis = await console.user("Denis", "validator")
    await enrolled(console, someone, wall, "Denis")
    one = f"/comptes/{denis.id}"
    assert (await act(alix, one + "/second-facteur")).status == 303
    assert (await someone.get("/file")).path.startswith("/connexion")
    assert await console.rows("SELECT 1 FROM recovery_codes") == []
    assert (await someone.log_in("Denis", second_factor=True)).headers["Location"] == "/connexion/second-facteur"
    assert (await act(alix, one + "/second-facteur")).status == 409  # there is none any more
    link = link_in((await act(alix, one + "/mot-de-passe", acces="lien")).page)
    assert (await someone.log_in("Denis")).status == 401  # the old password opens nothing
    newer = link_in((await act(alix, one + "/mot-de-passe", acces="lien")).page)
    assert ((await someone.get(link)).status, (await someone.get(newer)).status) == (403, 200)


async def test_sessions_are_seen_and_ended(console: RunningConsole, alix: Browser, claire: Browser) -> None:
    async with Browser(console) as elsewhere:
        await elsewhere.log_in("Claire")
        page = await claire.get("/mon-compte")
        assert page.page.count('data-testid="session-row"') == 2
        assert "cette session" in page.page
        await act(claire, "/mon-compte/sessions")
        assert (await elsewhere.get("/file")).path.startswith("/connexion")
        assert (await claire.get("/file")).status == 200
        await elsewhere.log_in("Claire")
        one = f"/comptes/{console.users['Claire'].id}"
        page = await alix.get(one)
        sessions = re.findall(r'name="session" value="(\d+)"', page.page)
        assert len(sessions) == 2
        await act(alix, one + "/sessions", session=sessions[0])  # the newest
        assert (await elsewhere.get("/file")).path.startswith("/connexion")
        assert (await claire.get("/file")).status == 200
        await act(alix, one + "/sessions")
        assert (await claire.get("/file")).path.startswith("/connexion")


async def test_one_ends_only_ones_own_sessions(console: RunningConsole, claire: Browser, yanis: Browser) -> None:
    theirs = (await console.rows("SELECT id FROM sessions WHERE user_id = :u", u=console.users["Yanis"].id))[0].id
    await act(claire, "/mon-compte/sessions", session=str(theirs))
    assert (await yanis.get("/file")).status == 200


# -- never without an administrator -----------------------------------------------------------------------------------


async def test_the_last_administrator_stays(console: RunningConsole, alix: Browser) -> None:
    me = console.users["Alix"].id
    for path, fields in (
        ("desactiver", {}),
        ("modifier", {"nom": "Alix", "role": "agent"}),
        ("mot-de-passe", {"acces": "lien"}),
        ("second-facteur", {}),
    ):
        refused = await act(alix, f"/comptes/{me}/{path}", **fields)
        assert refused.status in (409, 422), path
        assert "Un autre administrateur peut le faire" in refused.page
    row = (await console.rows("SELECT role, disabled_at FROM users WHERE id = :id", id=me))[0]
    assert (row.role, row.disabled_at) == ("administrator", None)


async def test_an_administrator_who_cannot_log_in_yet_does_not_count(
    console: RunningConsole, alix: Browser, wall: FrozenClock
) -> None:
    store, me = Administration(console.database, console.accounts), console.users["Alix"]
    invited = (await store.create(me, Wish("Bruno", "administrator"), (), "link", wall.now())).user
    with pytest.raises(AccountError, match="dernier administrateur"):
        await store.disable(invited, me.id, wall.now())
    assert (await console.rows("SELECT disabled_at FROM users WHERE id = :i", i=me.id))[0].disabled_at is None
    second = await console.user("Chantal", "administrator")
    await store.disable(second, me.id, wall.now())
    with pytest.raises(AccountError, match="n’êtes plus administrateur"):
        await store.disable(me, second.id, wall.now())


async def test_two_administrators_cannot_remove_each_other(console: RunningConsole, wall: FrozenClock) -> None:
    one, other = await console.user("Un", "administrator"), await console.user("Deux", "administrator")
    store = Administration(console.database, console.accounts)
    done = await asyncio.gather(
        store.disable(one, other.id, wall.now()), store.disable(other, one.id, wall.now()), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in done) == ["AccountError", "NoneType"]
    assert len(await console.rows("SELECT 1 FROM users WHERE disabled_at IS NULL")) == 1


# -- lists, teams -----------------------------------------------------------------------------------------------------


async def test_the_list_and_its_filters(console: RunningConsole, alix: Browser) -> None:
    for name, role in (("Claire", "agent"), ("Odile", "auditor"), ("Parti", "agent")):
        await console.user(name, role)
    await console.execute("UPDATE users SET disabled_at = now() WHERE name = 'Parti'")

    async def names(query: str) -> list[str]:
        page = (await alix.get("/comptes" + query)).page
        return re.findall(r'<a href="/comptes/\d+"><bdi>([^<]+)</bdi>', page)

    assert await names("") == ["Alix", "Claire", "Odile"]
    assert await names("?etat=tous") == ["Alix", "Claire", "Odile", "Parti"]
    assert await names("?etat=desactives") == ["Parti"]
    assert await names("?role=auditor") == ["Odile"]
    assert await names("?nom=LAI") == ["Claire"]
    assert await names("?nom=%3Cscript%3E&role=x&etat=y") == []
    for number in ("987654321", "0", "99999999999999999999"):
        assert (await alix.get(f"/comptes/{number}")).status == 404


async def test_teams_by_their_pages(console: RunningConsole, alix: Browser, claire: Browser) -> None:
    made = await act(alix, "/equipes", "/equipes", nom="Nuit")
    where = made.headers["Location"].partition("?")[0]
    assert (await act(alix, "/equipes", "/equipes", nom="NUIT")).status == 422
    ids = {name: user.id for name, user in console.users.items()}
    done = await act(alix, where + "/modifier", nom="Équipe de nuit", membres=str(ids["Claire"]))
    assert done.headers["Location"] == "/equipes?fait=equipe"
    page = (await alix.get("/equipes")).page
    assert "Équipe de nuit" in page
    assert "<bdi>Claire</bdi>" in page
    await act(alix, where + "/archiver")
    assert (await alix.get(where)).status == 404
    assert (await act(alix, "/equipes", "/equipes", nom="Équipe de nuit")).status == 303  # the name is free again
    detail = (await console.rows("SELECT detail FROM audit WHERE action = 'team_changed'"))[0].detail
    assert detail["members"] == [ids["Claire"]]


async def test_what_no_one_else_may_see(console: RunningConsole, odile: Browser) -> None:
    for path in ("/comptes", "/comptes/nouveau", "/equipes", f"/comptes/{console.users['Odile'].id}"):
        assert (await odile.get(path)).status == 403


# -- the audit of the door ---------------------------------------------------------------------------------------------


async def test_the_door_writes_its_audit(console: RunningConsole, someone: Browser, wall: FrozenClock) -> None:
    user = await console.user("Claire")
    await someone.log_in("Claire", "faux mot de passe")
    await someone.log_in("Personne", "faux mot de passe")
    await someone.log_in("Claire")
    rows = await console.rows("SELECT action, user_id, subject_id, detail FROM audit ORDER BY id")
    assert [(r.action, r.user_id, r.subject_id, r.detail) for r in rows] == [
        ("user_added", None, user.id, {"role": "agent", "level": None}),
        ("login_refused", None, user.id, {"why": "password"}),
        ("login_refused", None, None, {"why": "unknown"}),
        ("login", user.id, None, {"method": "password"}),
    ]
    assert "Personne" not in str(rows)  # what was typed as a name may be a password


async def test_the_open_page_of_an_ended_session_hears_of_it(
    console: RunningConsole, claire: Browser, wall: FrozenClock
) -> None:
    user = console.users["Claire"]
    heard = asyncio.create_task(claire.get("/flux"))  # answers once the stream has ended
    await console.heard()
    await console.accounts.sessions.end_all(user, user.id, wall.now())
    async with asyncio.timeout(180):
        assert "event: fin" in (await heard).page


async def test_disabling_somebody_at_work_never_waits_in_a_circle(
    console: RunningConsole, alix: Browser, claire: Browser, database_url: str
) -> None:
    number = await console.waiting()
    assert (await claire.act(number, "prendre")).status == 303
    user, store = console.users["Claire"].id, Administration(console.database, console.accounts)
    async with await psycopg.AsyncConnection.connect(database_url) as at_work:  # as a reply locks: conversation, author
        await at_work.execute("SELECT 1 FROM conversations WHERE id = %s FOR UPDATE", (number,))
        disabling = asyncio.create_task(store.disable(console.users["Alix"], user, console.wall.now()))
        async with asyncio.timeout(180):
            while not await console.rows("SELECT FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
        await at_work.execute("SELECT 1 FROM users WHERE id = %s FOR KEY SHARE", (user,))
        await at_work.commit()
    await disabling
    assert (await console.conversation(number)).owner == "waiting"

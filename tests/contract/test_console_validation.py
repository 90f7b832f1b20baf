"""Validation: what the citizen gets is what was approved, by whom the rule asks, inside the window."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.console.periodic import Periodic
from bot.policy import window
from bot.store.desk.access import Desk
from bot.store.desk.submissions import DECIDE, Submissions
from bot.store.desk.validation import ValidationStore
from bot.store.outbox import OutboxStore
from tests.conftest import of_part
from tests.fakes.console import Browser, RunningConsole

WORDS = "Bonjour, nous comprenons votre colère."
BETTER = "Bonjour, votre réclamation est transmise à l’IGPN."


@pytest.fixture
async def carole(console: RunningConsole) -> AsyncIterator[Browser]:
    """A validator of the cabinet."""
    async with await validator(console, "Carole", "cabinet") as browser:
        yield browser


async def validator(console: RunningConsole, name: str, level: str) -> Browser:
    """Somebody of that level who has logged in."""
    await console.user(name, "validator")
    await console.execute("UPDATE users SET validation_level = :level WHERE name = :name", level=level, name=name)
    browser = Browser(console)
    assert (await browser.log_in(name)).status == 303
    return browser


async def rule(console: RunningConsole, *steps: str, category: str = "complaint") -> None:
    """The rule of a category."""
    await console.execute(
        "UPDATE validation_rules SET steps = :steps WHERE category = :category", steps=list(steps), category=category
    )


async def complaint(console: RunningConsole, agent: Browser, person: str = "p1", name: str = "Nadia B.") -> int:
    """A complaint that the agent has taken."""
    number = await console.says(person, "on m’a mal parlé au commissariat")
    await console.execute("UPDATE events SET disposition = 'handed_off', settled_at = now()")
    await console.named(number, name)
    await console.hand_off(number, "complaint", "reclamation_police")
    assert (await agent.act(number, "prendre")).status == 303
    return number


async def submitted(console: RunningConsole, agent: Browser, *steps: str, words: str = WORDS) -> tuple[int, int]:
    """(conversation, draft) of a complaint whose reply waits under that rule."""
    await rule(console, *steps)
    number = await complaint(console, agent)
    assert (await agent.act(number, "soumettre", message=words)).status == 303
    return number, await newest(console)


async def newest(console: RunningConsole) -> int:
    """The newest draft."""
    return int((await console.rows("SELECT max(id) AS id FROM submissions"))[0].id)


async def draft(console: RunningConsole, number: int) -> Any:
    """A draft's row."""
    return (await console.rows("SELECT * FROM submissions WHERE id = :id", id=number))[0]


async def decide(someone: Browser, number: int, how: str, **fields: str) -> Any:
    """Open a draft's page and decide there; `fields` replace what the page held."""
    page = await someone.get(f"/validation/{number}")
    held = {"csrf": page.hidden("csrf") or (await someone.get("/file")).hidden("csrf"), "etape": page.hidden("etape")}
    return await someone.post(f"/validation/{number}/{how}", **{**held, **fields})


async def sent(console: RunningConsole, conversation: int) -> list[str]:
    """What agents said there."""
    return [m[3] for m in await console.outgoing(conversation) if m[1] == "agent"]


# -- from the composer to the citizen -----------------------------------------------------------------------------


async def test_none_then_one_validation(console: RunningConsole, claire: Browser, denis: Browser) -> None:
    assert {tuple(r.steps) for r in await console.rows("SELECT steps FROM validation_rules")} == {()}
    number = await complaint(console, claire, "p0", "Paul")
    page = await claire.get(f"/conversations/{number}")
    assert f'action="/conversations/{number}/repondre"' in page.page
    refused = await claire.act(number, "soumettre", message=WORDS)
    assert refused.status == 409
    assert "part sans validation" in refused.page
    assert f"{WORDS}</textarea>" in refused.page
    assert (await claire.act(number, "repondre", message=WORDS)).status == 303
    assert await sent(console, number) == [WORDS]
    await rule(console, "service")
    number = await complaint(console, claire)
    page = await claire.get(f"/conversations/{number}")
    assert "Envoyer à la validation" in page.page
    assert "le chef de service" in page.page
    assert f'action="/conversations/{number}/soumettre"' in page.page
    directly = await claire.act(number, "repondre", message=WORDS)
    assert directly.status == 422
    assert "ne part pas sans validation" in directly.page
    assert (await claire.act(number, "soumettre", message=WORDS)).status == 303
    assert await sent(console, number) == []
    waiting = await claire.get(f"/conversations/{number}")
    assert "Attend le chef de service" in waiting.page
    assert "sur 24" in waiting.page
    listing = await denis.get("/validation")
    assert "Nadia B." in listing.page
    assert WORDS in listing.page
    one = await denis.get(f"/validation/{await newest(console)}")
    assert "on m’a mal parlé au commissariat" in one.page
    assert WORDS in one.page
    done = await decide(denis, await newest(console), "approuver")
    assert (done.status, done.headers["Location"]) == (303, "/validation?fait=approuve")
    assert await sent(console, number) == [WORDS]
    thread = await claire.get(f"/conversations/{number}")
    assert "validé par" in thread.page
    assert "Denis" in thread.page
    assert "Rien n’attend votre décision" in (await denis.get("/validation")).page
    assert [a for a, n in await console.audit() if n == number and a != "take"] == ["submit", "approve"]


async def test_two_validations_and_the_amended_text(
    console: RunningConsole, claire: Browser, denis: Browser, carole: Browser
) -> None:
    number, one = await submitted(console, claire, "service", "cabinet")
    page = await denis.get(f"/validation/{one}")
    assert "Approuver, puis transmettre au cabinet" in page.page
    amended = await decide(denis, one, "amender", message=BETTER, mot="Plus direct.")
    assert amended.headers["Location"] == "/validation?fait=amende"
    assert await sent(console, number) == []
    again = await decide(denis, one, "approuver", etape="1")
    assert again.status == 403
    assert "déjà décidé d’une étape" in again.page
    second = await carole.get(f"/validation/{one}")
    assert BETTER in second.page
    assert WORDS in second.page  # what it was before, folded away
    assert "Denis</bdi> a amendé" in second.page
    assert (await decide(carole, one, "approuver")).status == 303
    assert await sent(console, number) == [BETTER]
    author = (await claire.get(f"/conversations/{number}")).page
    assert "Plus direct." in author
    assert "validé par <bdi>Denis</bdi>, puis <bdi>Carole</bdi>" in author
    kept = await console.rows("""
        SELECT s.body || v.before || v.word AS kept, (SELECT string_agg(detail::text, ' ') FROM audit) AS audit
        FROM submissions s JOIN validations v ON v.submission_id = s.id WHERE v.step = 0
    """)
    for words in (WORDS, BETTER, "Plus direct."):  # encrypted, and never in the audit
        assert words.encode() not in bytes(kept[0].kept) + kept[0].audit.encode()
    row = (await console.rows("SELECT status, outbox_id FROM submissions"))[0]
    assert (row.status, row.outbox_id is not None) == ("approved", True)


async def test_the_cabinets_word_holds_for_both_but_not_for_its_own_amendment(
    console: RunningConsole, claire: Browser, denis: Browser, carole: Browser
) -> None:
    number, one = await submitted(console, claire, "cabinet")
    refused = await decide(denis, one, "approuver", etape="0")
    assert refused.status == 403
    assert "revient au cabinet" in refused.page
    assert 'data-testid="validation-approve"' not in (await denis.get(f"/validation/{one}")).page
    assert await sent(console, number) == []
    assert (await decide(carole, one, "approuver")).status == 303
    assert await sent(console, number) == [WORDS]
    await rule(console, "service", "cabinet")
    assert (await claire.act(number, "soumettre", message=WORDS)).status == 303
    one = await newest(console)
    assert (await decide(carole, one, "amender", message=BETTER)).status == 303
    assert await sent(console, number) == [WORDS]
    refused = await decide(carole, one, "approuver", etape="1")
    assert refused.status == 403
    async with await validator(console, "Basile", "cabinet") as other:
        assert (await decide(other, one, "approuver")).status == 303
        assert await sent(console, number) == [WORDS, BETTER]
        await claire.act(number, "soumettre", message="Encore un mot.")
        assert (await decide(other, await newest(console), "approuver")).status == 303
    assert await sent(console, number) == [WORDS, BETTER, "Encore un mot."]


async def test_nobody_validates_their_own(console: RunningConsole, denis: Browser, carole: Browser) -> None:
    number, one = await submitted(console, denis, "service")
    assert 'data-testid="validation-row"' not in (await denis.get("/validation?voir=a-decider")).page
    page = await denis.get(f"/validation/{one}")
    assert "Vous avez écrit cette réponse" in page.page
    assert 'data-testid="validation-approve"' not in page.page
    for how, fields in (("approuver", {}), ("amender", {"message": BETTER}), ("refuser", {"mot": "non"})):
        refused = await decide(denis, one, how, etape="0", **fields)
        assert refused.status == 403
        assert "vous ne pouvez pas la valider vous-même" in refused.page
    assert (await console.rows("SELECT count(*) AS n FROM validations"))[0].n == 0
    assert (await decide(carole, one, "approuver")).status == 303
    assert await sent(console, number) == [WORDS]


async def test_a_refusal_needs_a_word_and_returns_to_the_composer(
    console: RunningConsole, claire: Browser, denis: Browser
) -> None:
    number, one = await submitted(console, claire, "service")
    silent = await decide(denis, one, "refuser", mot=" \u200b ")
    assert silent.status == 422
    assert "Un refus demande un mot" in silent.page
    long = await decide(denis, one, "refuser", mot="x" * 1001)
    assert long.status == 422
    assert "1001 caractères" in long.page
    assert f"{'x' * 1001}</textarea>" in long.page
    assert (await decide(denis, one, "refuser", mot="Trop <froid>.")).status == 303
    page = await claire.get(f"/conversations/{number}")
    assert "Trop &lt;froid&gt;." in page.page
    assert f"{WORDS}</textarea>" in page.page
    assert "1 de vos réponses vous attend" in (await claire.get("/validation?voir=toutes")).page
    assert "À reprendre" in (await claire.get("/validation?voir=ecrites")).page
    assert await sent(console, number) == []
    assert (await claire.act(number, "soumettre", message=BETTER)).status == 303
    assert "À reprendre" not in (await claire.get("/validation?voir=ecrites")).page
    one = await newest(console)
    # An amendment that cannot be sent, and one that changes nothing.
    empty = await decide(denis, one, "amender", message="  ", mot="à revoir")
    assert empty.status == 422
    assert "vide" in empty.page
    assert "à revoir</textarea>" in empty.page
    long = await decide(denis, one, "amender", message="a" * 10_001)
    assert long.status == 422
    assert "10001" in long.page
    assert (await decide(denis, one, "amender", message=BETTER)).status == 303
    decision = (await console.rows("SELECT decision, before FROM validations ORDER BY id DESC"))[0]
    assert (decision.decision, decision.before) == ("approved", None)
    assert await sent(console, number) == [BETTER]


# -- at once ------------------------------------------------------------------------------------------------------


async def test_a_double_click_submits_and_approves_once(
    console: RunningConsole, claire: Browser, denis: Browser
) -> None:
    await rule(console, "service")
    number = await complaint(console, claire)
    page = await claire.get(f"/conversations/{number}")
    form = {name: page.hidden(name) for name in ("csrf", "vu", "cle")}
    path = f"/conversations/{number}/soumettre"
    answers = await asyncio.gather(*(claire.post(path, **form, message=WORDS) for _ in range(3)))
    assert [a.status for a in answers] == [303] * 3
    one = await newest(console)
    shown = await denis.get(f"/validation/{one}")
    held = {"csrf": shown.hidden("csrf"), "etape": shown.hidden("etape")}
    answers = await asyncio.gather(*(denis.post(f"/validation/{one}/approuver", **held) for _ in range(3)))
    assert [a.status for a in answers] == [303] * 3
    assert await sent(console, number) == [WORDS]
    assert [a for a, _ in await console.audit()].count("approve") == 1
    assert (await console.rows("SELECT count(*) AS n FROM submissions"))[0].n == 1


async def test_two_validators_at_once_one_decision_stands(
    console: RunningConsole, claire: Browser, denis: Browser, carole: Browser
) -> None:
    number, one = await submitted(console, claire, "service")
    forms = []
    for who in (denis, carole):
        page = await who.get(f"/validation/{one}")
        forms.append({"csrf": page.hidden("csrf"), "etape": page.hidden("etape")})
    answers = await asyncio.gather(
        denis.post(f"/validation/{one}/amender", **forms[0], message=BETTER),
        carole.post(f"/validation/{one}/refuser", **forms[1], mot="Non."),
    )
    assert sorted(a.status for a in answers) == [303, 409]
    told = next(a for a in answers if a.status == 409)
    assert "a déjà" in told.page
    assert "votre décision n’a pas été prise" in told.page
    assert ("Non." in told.page) or (BETTER in told.page)  # what the other had written is not lost
    assert len(await console.rows("SELECT FROM validations")) == 1
    assert await sent(console, number) in ([BETTER], [])


async def test_a_step_decided_meanwhile_is_not_decided_unseen(
    console: RunningConsole, claire: Browser, denis: Browser, carole: Browser
) -> None:
    number, one = await submitted(console, claire, "service", "cabinet")
    page = await carole.get(f"/validation/{one}")
    form = {"csrf": page.hidden("csrf"), "etape": page.hidden("etape")}
    await decide(denis, one, "amender", message=BETTER)
    refused = await carole.post(f"/validation/{one}/approuver", **form)
    assert refused.status == 409
    assert "Denis vient de décider de cette étape" in refused.page
    assert BETTER in refused.page
    assert await sent(console, number) == []
    assert (await decide(carole, one, "approuver")).status == 303
    # A rule that has become stricter holds for what waits.
    await rule(console, "service")
    assert (await claire.act(number, "soumettre", message=WORDS)).status == 303
    one = await newest(console)
    await rule(console, "service", "cabinet")
    assert (await decide(denis, one, "approuver")).status == 303
    assert await sent(console, number) == [BETTER]
    assert (await decide(carole, one, "approuver")).status == 303
    assert await sent(console, number) == [BETTER, WORDS]


# -- the citizen writes again ----------------------------------------------------------------------------------------


async def test_a_stale_draft_is_not_approved_until_somebody_has_looked(
    console: RunningConsole, claire: Browser, denis: Browser
) -> None:
    number, one = await submitted(console, claire, "service")
    await console.says("p1", "finalement c’est réglé, merci")
    store = ValidationStore(console_desk(console))
    assert await store.watch(console.clock.now()) == 1  # its author is told
    assert await store.watch(console.clock.now()) == 0
    listing = await denis.get("/validation")
    assert "La personne a écrit depuis" in listing.page
    page = await denis.get(f"/validation/{one}")
    assert "finalement c’est réglé, merci" in page.page
    assert 'data-testid="validation-stale"' in page.page
    for how, fields in (("approuver", {}), ("amender", {"message": BETTER})):
        refused = await decide(denis, one, how, **fields)
        assert refused.status == 409
        assert "La personne a écrit depuis" in refused.page
    assert BETTER in refused.page
    assert await sent(console, number) == []
    author = await claire.get(f"/conversations/{number}")
    assert 'data-testid="validation-alert"' in author.page
    assert 'data-testid="validation-confirm"' in author.page
    assert '"review":1' in (await claire.get("/validation/alertes")).page.replace(" ", "")
    # The validator has read it, and says so.
    last = page.page.split('name="lu" value="')[1].split('"')[0]
    assert (await decide(denis, one, "approuver", lu=last)).status == 303
    assert await sent(console, number) == [WORDS]


async def test_the_author_confirms_or_takes_back_a_stale_draft(
    console: RunningConsole, claire: Browser, denis: Browser, yanis: Browser
) -> None:
    number, one = await submitted(console, claire, "service")
    await console.says("p1", "vous êtes là ?")
    page = await claire.get(f"/conversations/{number}")
    form = {"csrf": page.hidden("csrf"), "lu": page.hidden("lu")}
    await console.says("p1", "répondez")
    late = await claire.post(f"/validation/{one}/confirmer", **form)
    assert late.status == 409
    page = await claire.get(f"/conversations/{number}")
    form["lu"] = page.hidden("lu")
    csrf = (await yanis.get("/file")).hidden("csrf")
    assert (await yanis.post(f"/validation/{one}/confirmer", csrf=csrf, lu=form["lu"])).status == 409
    assert (await claire.post(f"/validation/{one}/confirmer", **form)).status == 303
    assert (await decide(denis, one, "approuver")).status == 303
    assert await sent(console, number) == [WORDS]
    await claire.act(number, "soumettre", message="La suite.")
    await console.says("p1", "non merci")
    two = await newest(console)
    assert (await claire.post(f"/validation/{two}/retirer", csrf=form["csrf"])).status == 303
    assert (await claire.post(f"/validation/{two}/retirer", csrf=form["csrf"])).status == 303
    assert "La suite.</textarea>" in (await claire.get(f"/conversations/{number}")).page
    gone = await decide(denis, two, "approuver", etape="0")
    assert gone.status == 409
    assert "Claire a retiré cette réponse" in gone.page
    assert [a for a, _ in await console.audit()].count("withdraw") == 1


# -- the window ---------------------------------------------------------------------------------------------------


async def test_a_draft_that_would_miss_its_window_is_raised_and_comes_first(
    console: RunningConsole, claire: Browser, denis: Browser
) -> None:
    await rule(console, "service")
    await rule(console, "service", category="sensitive")
    first = await complaint(console, claire)
    await claire.act(first, "soumettre", message="la vieille")
    old = await newest(console)
    console.clock.advance(hours=21)  # type: ignore[union-attr]
    second = await console.says("p2", "on me harcèle")
    await console.hand_off(second, "sensitive", "harcelement_cyber")
    await claire.act(second, "prendre")
    await claire.act(second, "soumettre", message="la sensible")
    store = ValidationStore(console_desk(console))
    assert order(await denis.get("/validation")) == [await newest(console), old]
    assert await store.watch(console.clock.now()) == 0
    console.clock.advance(hours=1)  # type: ignore[union-attr]
    assert "drafts" in {task.get_name() for task in asyncio.all_tasks()}  # the console's own
    watch = Periodic("drafts", lambda: store.watch(console.clock.now()), 0.01)
    await watch.start(console.app)
    while (await draft(console, old)).raised_at is None:
        await asyncio.sleep(0.01)
    await watch.stop(console.app)
    assert await store.watch(console.clock.now()) == 0
    assert (await draft(console, old)).raised_at == console.clock.now()
    page = await denis.get("/validation")
    assert order(page) == [old, await newest(console)]
    assert "1 réponse va manquer son délai" in page.page
    assert '"pressing":1' in (await denis.get("/validation/alertes")).page.replace(" ", "")
    assert 'data-testid="validation-alert"' in (await claire.get(f"/conversations/{first}")).page
    # An emergency comes before everything.
    await console.hand_off(second, "emergency", "emergency_lexicon")
    assert order(await denis.get("/validation")) == [await newest(console), old]
    # Once the 24 hours are over it is a matter of days; the person writes again, and it is not pressing at all.
    console.clock.advance(hours=2)  # type: ignore[union-attr]
    assert "étiquette HUMAN_AGENT" in (await denis.get(f"/validation/{old}")).page.replace("\u2028", "")
    await console.says("p1", "et alors ?")
    assert "va manquer" not in (await denis.get("/validation")).page
    console.clock.advance(hours=22, seconds=1)  # type: ignore[union-attr]
    await store.watch(console.clock.now())
    assert (await draft(console, old)).raised_at == console.clock.now()


async def test_window_and_tag_are_asked_for_when_it_leaves(
    console: RunningConsole, claire: Browser, denis: Browser
) -> None:
    await rule(console, "service")
    waiting = {}
    for person in ("p1", "p2", "p3"):
        number = await complaint(console, claire, person)
        await claire.act(number, "soumettre", message=f"pour {person}")
        waiting[person] = (number, await newest(console))
    await console.execute("UPDATE outbox SET status = 'sent'")
    one_day, one_second = timedelta(days=1), timedelta(seconds=1)
    for person, waited, tag in (
        ("p1", one_day - one_second, None),
        ("p2", one_day, window.HUMAN_AGENT),
        ("p3", 7 * one_day - one_second, window.HUMAN_AGENT),
    ):
        number, one = waiting[person]
        console.clock.at = (await console.conversation(number)).last_person_at + waited  # type: ignore[union-attr]
        assert (await decide(denis, one, "approuver")).status == 303
        detail = (await console.rows("SELECT detail FROM audit WHERE action = 'approve' ORDER BY id DESC"))[0].detail
        assert (detail["left"], detail["tag"]) == (True, tag)
        if person != "p3":
            assert [(row.text, row.tag) for row in await claimed(console)] == [(f"pour {person}", tag)]
    console.clock.advance(seconds=1)  # type: ignore[union-attr]
    assert await claimed(console) == []
    assert (await console.outgoing(number))[-1][2:] == ("failed", "pour p3")
    assert "ne peut plus partir" in (await claire.get(f"/conversations/{number}")).page


async def test_beyond_seven_days_it_is_refused_and_its_author_told(
    console: RunningConsole, claire: Browser, denis: Browser
) -> None:
    number, one = await submitted(console, claire, "service")
    second = await complaint(console, claire, "p2", "Paul")
    assert (await claire.act(second, "soumettre", message=WORDS)).status == 303
    two = await newest(console)
    typing = await claire.get(f"/conversations/{await complaint(console, claire, 'p3', 'Zoé')}")
    late = {name: typing.hidden(name) for name in ("csrf", "vu", "cle")}
    forms = []
    for waiting in (one, two):
        shown = await denis.get(f"/validation/{waiting}")
        forms.append({"csrf": shown.hidden("csrf"), "etape": shown.hidden("etape")})
    console.clock.at = (await console.conversation(second)).last_person_at + timedelta(days=7, seconds=1)  # type: ignore[union-attr]
    refused = await denis.post(f"/validation/{one}/approuver", **forms[0])
    assert refused.status == 409
    assert (await draft(console, one)).status == "expired"
    assert await ValidationStore(console_desk(console)).watch(console.clock.now()) == 1
    again = await denis.post(f"/validation/{two}/approuver", **forms[1])
    assert again.status == 409
    for page in (refused.page, again.page):
        assert "La fenêtre de 7\u00a0jours de Meta s’est fermée" in page
    for conversation, waiting in ((number, one), (second, two)):
        assert (await draft(console, waiting)).status == "expired"
        assert await sent(console, conversation) == []
        author = await claire.get(f"/conversations/{conversation}")
        assert "la réponse n’est pas partie" in author.page
        assert "si la personne écrit" in author.page
        assert WORDS in author.page
        assert ("expire", conversation) in await console.audit()
    # Nothing more is submitted either.
    closed = await claire.post(typing.path + "/soumettre", **late, message="trop tard")
    assert closed.status == 422
    assert "La fenêtre de 7 jours" in closed.page
    assert "trop tard" in closed.page
    assert await newest(console) == two
    # The person writes: the text can be submitted again.
    await console.says("p1", "toujours là ?")
    assert f"{WORDS}</textarea>" in (await claire.get(f"/conversations/{number}")).page
    assert (await claire.act(number, "soumettre", message=WORDS)).status == 303
    assert (await decide(denis, await newest(console), "approuver")).status == 303
    assert await sent(console, number) == [WORDS]


# -- the conversation goes elsewhere ------------------------------------------------------------------------------


async def test_a_draft_of_a_conversation_that_is_over_is_withdrawn(
    console: RunningConsole, claire: Browser, denis: Browser
) -> None:
    number, one = await submitted(console, claire, "service")
    csrf = (await claire.get("/file")).hidden("csrf")
    for action, word in (("clore", "a été close"), ("rendre", "a été rendue à l’assistant")):
        assert (await claire.act(number, action)).status == 303
        gone = await decide(denis, one, "approuver", etape="0")
        assert gone.status == 409
        assert word in gone.page
        await claire.act(number, "prendre")
        assert (await claire.post(f"/validation/{one}/reprendre", csrf=csrf)).status == 303
        assert f"{WORDS}</textarea>" in (await claire.get(f"/conversations/{number}")).page
        assert (await claire.act(number, "soumettre", message=WORDS)).status == 303
        one = await newest(console)
    assert await sent(console, number) == []
    # An emergency needs no validation, and what waited gives way.
    await console.says("p1", "il me frappe")
    await console.hand_off(number, "emergency", "emergency_lexicon")
    assert f'action="/conversations/{number}/repondre"' in (await claire.get(f"/conversations/{number}")).page
    assert (await claire.act(number, "repondre", message="Appelez le 17.")).status == 303
    assert await sent(console, number) == ["Appelez le 17."]
    gone = await decide(denis, one, "approuver", etape="0")
    assert gone.status == 409
    assert "un autre message est parti" in gone.page
    assert await sent(console, number) == ["Appelez le 17."]


async def test_a_draft_follows_a_conversation_that_changes_hands(
    console: RunningConsole, claire: Browser, yanis: Browser, denis: Browser
) -> None:
    number, one = await submitted(console, claire, "service")
    to = f"u{console.users['Yanis'].id}"
    assert (await claire.act(number, "transferer", a=to)).status == 303
    page = await yanis.get(f"/conversations/{number}")
    assert "Attend le chef de service" in page.page
    assert 'data-testid="validation-withdraw"' in page.page
    blocked = await yanis.act(number, "soumettre", message="la mienne")
    assert blocked.status == 409
    assert "Une réponse de Claire attend déjà" in blocked.page
    csrf = (await yanis.get("/file")).hidden("csrf")
    assert (await yanis.post(f"/validation/{one}/retirer", csrf=csrf)).status == 303
    both = (await yanis.get(f"/conversations/{number}")).page
    assert f"{WORDS}\n\nla mienne</textarea>" in both  # what was refused him a moment ago is not lost
    assert (await yanis.act(number, "soumettre", message=WORDS)).status == 303
    two = await newest(console)
    await console.execute("INSERT INTO teams (name) VALUES ('Nuit')")
    team = (await console.rows("SELECT id FROM teams"))[0].id
    assert (await yanis.act(number, "transferer", a=f"t{team}")).status == 303
    assert (await console.conversation(number)).owner == "waiting"
    assert (await decide(denis, two, "approuver")).status == 303
    row = (await console.rows("SELECT user_id FROM outbox WHERE author = 'agent'"))[0]
    assert row.user_id == console.users["Yanis"].id


# -- lists and rules --------------------------------------------------------------------------------------------------


async def test_who_sees_and_does_what(
    console: RunningConsole, claire: Browser, yanis: Browser, odile: Browser, denis: Browser
) -> None:
    _, one = await submitted(console, claire, "service")
    assert "filter-a-decider" in (await denis.get("/validation")).page
    for who, first in ((claire, "ecrites"), (yanis, "ecrites"), (odile, "toutes")):
        page = (await who.get("/validation")).page
        assert "filter-a-decider" not in page
        assert f'data-testid="filter-{first}" aria-current="page"' in page
    assert order(await claire.get("/validation")) == [one]
    assert order(await yanis.get("/validation")) == []
    assert order(await odile.get("/validation")) == [one]
    assert order(await odile.get("/validation?voir=a-decider&page=0")) == [one]
    assert order(await odile.get("/validation?page=99999999999999999999")) == [one]
    read = await odile.get(f"/validation/{one}")
    assert WORDS in read.page
    assert "validation-withdraw" not in read.page
    for path in ("/validation/0", "/validation/999", "/validation/9223372036854775808"):
        missing = await denis.get(path)
        assert (missing.status, "n’existe pas" in missing.page) == (404, True)
    for person in ("p2", "p3"):
        number = await complaint(console, claire, person)
        await claire.act(number, "soumettre", message=WORDS)
    lists = Submissions(console_desk(console))
    user = replace(console.users["Denis"], level="service")
    pages = [await lists.listing(user, DECIDE, console.clock.now(), page, size=2) for page in (1, 2)]
    assert [[row.id for row in page.rows] for page in pages] == [[one, one + 1], [one + 2]]  # the oldest window first
    assert [page.more for page in pages] == [True, False]
    live = await denis.get("/validation", X_Planton_Live="1")
    assert live.page.lstrip().startswith('<div id="validation"')


async def test_rules_are_set_by_administrators_and_recorded(
    console: RunningConsole, alix: Browser, denis: Browser
) -> None:
    assert (await denis.get("/validation/regles")).status == 403
    page = await alix.get("/validation/regles")
    assert page.status == 200
    form = {"csrf": page.hidden("csrf")}
    for category in ("emergency", "urgent", "sensitive", "complaint", "witness", "request", "thanks", "none"):
        form[f"avant_{category}"] = form[f"regle_{category}"] = page.hidden(f"avant_{category}")
    changed = {**form, "regle_complaint": "service-cabinet", "regle_sensitive": "cabinet"}
    done = await alix.post("/validation/regles", **changed)
    assert done.headers["Location"] == "/validation/regles?fait=regles"
    rules = {r.category: tuple(r.steps) for r in await console.rows("SELECT * FROM validation_rules")}
    assert (rules["complaint"], rules["sensitive"], rules["emergency"]) == (("service", "cabinet"), ("cabinet",), ())
    detail = await console.rows("SELECT detail FROM audit WHERE action = 'rule_changed' ORDER BY detail->>'category'")
    assert detail[0].detail == {"category": "complaint", "before": [], "after": ["service", "cabinet"]}
    assert "Personne n’a le niveau «\u00a0cabinet\u00a0»" in (await alix.get("/validation/regles")).page.replace(
        "&nbsp;", "\u00a0"
    )
    # From a page that is out of date.
    late = await alix.post("/validation/regles", **{**form, "regle_complaint": "service"})
    assert late.status == 409
    assert "Quelqu’un vient de changer ces règles" in late.page
    assert (await alix.post("/validation/regles", **changed)).headers["Location"].endswith("inchange")
    for wrong in ({}, {"avant_complaint": "x", "regle_complaint": "y"}):
        assert (await alix.post("/validation/regles", csrf=form["csrf"], **wrong)).status == 422


def order(page: Any) -> list[int]:
    """The drafts of a list, in order."""
    return [int(part.split('"')[0]) for part in page.page.split('data-submission="')[1:]]


def console_desk(console: RunningConsole) -> Desk:
    """The desk of the console under test."""
    return Desk(console.database, console.codec, {})


async def claimed(console: RunningConsole) -> list[Any]:
    """What a sender would send now."""
    store = OutboxStore(of_part(console.database, "sender"), console.codec, console.listener, 100)
    return list(await store.claim(console.clock.now(), 10, ("agent", "reply"), timedelta(seconds=30)))

"""What an agent does to a conversation, over real PostgreSQL and HTTP, without a script in the browser."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.core.messages import Echo, Edit, Unsend
from bot.policy.emergency import Detection
from bot.store.conversations import STATE
from bot.store.emergencies import EmergencyPlan, carry_out
from tests.fakes.console import ARRIVES, BACK, THUMBS, Browser, RunningConsole

# -- take ---------------------------------------------------------------------------------------------------------


async def test_take_silences_the_bot_and_tells_the_person_once(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await console.says("p1", "encore une chose")  # not handled yet
    await console.bot_says(number, "le bot allait dire", "queued")
    await console.bot_says(number, "bonne nuit", "queued", author="night")
    before = await console.conversation(number)
    assert (await claire.act(number, "prendre")).status == 303
    after = await console.conversation(number)
    assert (after.owner, after.agent_id) == ("agent", console.users["Claire"].id)
    assert after.owner_version == before.owner_version + 1
    assert await console.outgoing(number) == [
        ("reply", "bot", "cancelled", "le bot allait dire"),
        ("reply", "night", "queued", "bonne nuit"),
        ("agent", "system", "queued", ARRIVES),
    ]
    pending = await console.rows("SELECT disposition, reason FROM events ORDER BY id")
    assert pending[-1] == ("to_agent", "agent")
    handoff = await console.handoff(number)
    assert (handoff.taken_at, handoff.user_id) == (console.clock.now(), console.users["Claire"].id)
    assert (await claire.act(number, "prendre")).status == 303  # again: nothing more
    assert len(await console.outgoing(number)) == 3
    assert await console.audit() == [("login", None), ("take", number)]


async def test_an_echo_keeps_waiting_for_the_worker(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await console.event("p1", Echo("du téléphone d’un chef"), "m9")
    await claire.act(number, "prendre")
    assert (await console.rows("SELECT disposition FROM events WHERE kind = 'echo'"))[0].disposition is None


async def test_no_word_to_the_person_when_the_window_is_closed(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    console.clock.advance(hours=25)  # type: ignore[union-attr]
    await claire.act(number, "prendre")
    assert await console.outgoing(number) == []
    assert (await console.conversation(number)).owner == "agent"


async def test_a_conversation_of_the_bot_can_be_taken(console: RunningConsole, claire: Browser) -> None:
    number = await console.says("p1", "bonjour")
    await claire.act(number, "prendre")
    handoff = await console.handoff(number)
    assert (handoff.reason, handoff.category) == ("agent", "request")
    assert (await console.conversation(number)).owner == "agent"


async def test_two_agents_press_take_at_once(console: RunningConsole, claire: Browser, yanis: Browser) -> None:
    number = await console.waiting()
    a, b = await asyncio.gather(claire.act(number, "prendre"), yanis.act(number, "prendre"))
    assert sorted((a.status, b.status)) == [303, 409]
    refused = a if a.status == 409 else b
    assert "vient de prendre cette conversation" in refused.page
    assert [m[1] for m in await console.outgoing(number)] == ["system"]


async def test_an_agent_takes_over_knowingly(console: RunningConsole, claire: Browser, yanis: Browser) -> None:
    number = await console.waiting()
    await claire.act(number, "prendre")
    page = await yanis.get(f"/conversations/{number}")
    assert "Prendre à la place de <bdi>Claire</bdi>" in page.page
    assert (await yanis.act(number, "prendre")).status == 409  # the form says who had it
    held = str(console.users["Claire"].id)
    assert (await yanis.act(number, "prendre", tenue_par=held)).status == 303
    assert (await console.conversation(number)).agent_id == console.users["Yanis"].id
    assert len(await console.outgoing(number)) == 1  # told once


# -- reply --------------------------------------------------------------------------------------------------------


async def test_reply_goes_out_and_is_recorded(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await claire.act(number, "prendre")
    console.clock.advance(minutes=3)  # type: ignore[union-attr]
    answer = await claire.act(number, "repondre", message="Bonjour,\r\nje m’en occupe.")
    assert answer.status == 303
    assert (await console.outgoing(number))[-1] == ("agent", "agent", "queued", "Bonjour,\nje m’en occupe.")
    row = (await console.rows("SELECT * FROM outbox ORDER BY id DESC LIMIT 1"))[0]
    assert (row.user_id, row.owner_version) == (console.users["Claire"].id, None)
    assert (await console.conversation(number)).last_agent_at == console.clock.now()
    assert (await console.handoff(number)).replied_at == console.clock.now()
    page = (await claire.get(f"/conversations/{number}")).page
    assert "je m’en occupe." in page
    assert "· en attente" in page
    assert (await console.audit())[-1] == ("reply", number)
    details = (await console.rows("SELECT detail FROM audit WHERE action = 'reply'"))[0].detail
    assert set(details) == {"outbox", "characters"}


async def test_a_reply_that_a_rule_holds_back_does_not_leave(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await claire.act(number, "prendre")
    await console.execute("UPDATE validation_rules SET steps = '{service}' WHERE category = 'request'")
    refused = await claire.act(number, "repondre", message="Bonjour, à valider.")
    assert refused.status == 422
    assert "ne part pas sans validation" in refused.page
    assert "Bonjour, à valider.</textarea>" in refused.page
    assert [m[1] for m in await console.outgoing(number)] == ["system"]
    await console.execute("UPDATE validation_rules SET steps = '{}'")
    assert (await claire.act(number, "repondre", message="Bonjour, à valider.")).status == 303


async def test_closing_and_taking_again_does_not_escape_a_rule(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await console.execute("UPDATE handoffs SET category = 'complaint'")
    await claire.act(number, "prendre")
    await claire.act(number, "clore")
    await claire.act(number, "prendre")
    assert [row.category for row in await console.rows("SELECT category FROM handoffs")] == ["complaint"] * 2


async def test_a_double_click_sends_once(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await claire.act(number, "prendre")
    page = await claire.get(f"/conversations/{number}")
    form = {name: page.hidden(name) for name in ("csrf", "vu", "cle")}
    path = f"/conversations/{number}/repondre"
    sent = await asyncio.gather(*(claire.post(path, **form, message="une fois") for _ in range(4)))
    assert [a.status for a in sent] == [303] * 4
    assert [m[3] for m in await console.outgoing(number)] == [ARRIVES, "une fois"]
    # The person answers meanwhile, and the second click arrives late: it was sent, so there is nothing to refuse.
    await console.says("p1", "merci")
    assert (await claire.post(path, **form, message="une fois")).status == 303
    # Gone back to the form and changed it: another message.
    form["vu"] = (await claire.get(f"/conversations/{number}")).hidden("vu")
    assert (await claire.post(path, **form, message="deux fois")).status == 303
    assert [m[3] for m in await console.outgoing(number)] == [ARRIVES, "une fois", "deux fois"]


async def test_a_stale_reply_is_refused_with_the_message_and_the_draft(
    console: RunningConsole, claire: Browser
) -> None:
    number = await console.waiting()
    await claire.act(number, "prendre")
    page = await claire.get(f"/conversations/{number}")
    form = {name: page.hidden(name) for name in ("csrf", "vu", "cle")}
    await console.says("p1", "attendez, c’est pire")
    path = f"/conversations/{number}/repondre"
    refused = await claire.post(path, **form, message="Bonne <journée> !")
    assert refused.status == 409
    assert "rien n’a été envoyé" in refused.page
    assert "attendez, c’est pire" in refused.page
    assert "Bonne &lt;journée&gt; !</textarea>" in refused.page
    assert [m[1] for m in await console.outgoing(number)] == ["system"]
    again = {name: refused.hidden(name) for name in ("csrf", "vu", "cle")}
    assert (await claire.post(path, **again, message="Bonne <journée> !")).status == 303
    assert (await console.outgoing(number))[-1][3] == "Bonne <journée> !"


async def test_what_was_shown_after_the_text_was_begun_is_asked_about(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting(name="Nadia B.")
    await claire.act(number, "prendre")
    page = await claire.get(f"/conversations/{number}")
    form = {name: page.hidden(name) for name in ("csrf", "vu", "vu_debut", "cle")}
    assert form["vu"] == form["vu_debut"]
    await console.says("p1", "en fait c’est <réglé>, merci")
    form["vu"] = (await claire.get(f"/conversations/{number}")).hidden("vu")  # the page has refreshed itself
    path = f"/conversations/{number}/repondre"
    asked = await claire.post(path, **form, message="Votre dossier {{service}} avance.")
    assert asked.status == 422  # something else is wrong: the question is not skipped by it
    assert 'data-testid="send-anyway"' not in asked.page
    assert asked.hidden("vu_debut") == form["vu_debut"]
    asked = await claire.post(path, **form, message="Votre dossier avance.")
    assert asked.status == 409
    question = asked.page.split('data-testid="send-anyway"')[1].split("</div>")[0]
    assert "en fait c’est &lt;réglé&gt;, merci" in question
    assert "Envoyer quand même" in question
    assert "Votre dossier avance.</textarea>" in asked.page
    assert [m[1] for m in await console.outgoing(number)] == ["system"]
    # Left without an answer, the draft still answers nothing newer.
    later = await claire.get(f"/conversations/{number}")
    assert later.hidden("vu_debut") == form["vu_debut"]
    assert 'data-testid="draft-older"' in later.page
    sent = {name: asked.hidden(name) for name in ("csrf", "vu", "vu_debut", "cle")}
    assert (await claire.post(path, **sent, message="Votre dossier avance.")).status == 303
    assert (await console.outgoing(number))[-1][3] == "Votre dossier avance."


async def test_a_reply_for_validation_is_asked_about_too(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await console.execute("UPDATE validation_rules SET steps = '{service}' WHERE category = 'request'")
    await claire.act(number, "prendre")
    page = await claire.get(f"/conversations/{number}")
    form = {name: page.hidden(name) for name in ("csrf", "vu", "vu_debut", "cle")}
    await console.says("p1", "en fait c’est réglé")
    form["vu"] = (await claire.get(f"/conversations/{number}")).hidden("vu")
    path = f"/conversations/{number}/soumettre"
    asked = await claire.post(path, **form, message="Votre dossier avance.")
    assert asked.status == 409
    assert "Envoyer à la validation quand même" in asked.page
    assert await console.rows("SELECT 1 FROM submissions") == []
    sent = {name: asked.hidden(name) for name in ("csrf", "vu", "vu_debut", "cle")}
    assert (await claire.post(path, **sent, message="Votre dossier avance.")).status == 303
    assert len(await console.rows("SELECT 1 FROM submissions")) == 1


@pytest.mark.parametrize("body", [Edit("m1", "autre", 1), Unsend("m1")])
async def test_an_edit_or_a_withdrawal_makes_a_reply_stale(
    console: RunningConsole, claire: Browser, body: Edit | Unsend
) -> None:
    number = await console.says("p1", "un", mid="m1")
    await claire.act(number, "prendre")
    seen = (await claire.get(f"/conversations/{number}")).hidden("vu")
    await console.event("p1", body, "m2")
    assert (await claire.act(number, "repondre", message="ok", vu=seen)).status == 409


async def test_only_the_holder_replies(console: RunningConsole, claire: Browser, yanis: Browser) -> None:
    number = await console.waiting()
    page = await yanis.get(f"/conversations/{number}")
    assert 'data-testid="composer"' not in page.page
    untaken = await yanis.act(number, "repondre", message="moi", cle="k")
    assert untaken.status == 409
    assert "moi\n</textarea>" in untaken.page.replace("moi</textarea>", "moi\n</textarea>")
    await claire.act(number, "prendre")
    other = await yanis.act(number, "repondre", message="moi", cle="k")
    assert other.status == 409
    assert "Claire a pris cette conversation" in other.page
    assert (await yanis.act(number, "rendre")).status == 409
    assert (await yanis.act(number, "clore")).status == 409
    assert [m[1] for m in await console.outgoing(number)] == ["system"]


async def test_window_of_seven_days(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await claire.act(number, "prendre")
    console.clock.advance(days=6, hours=23)  # type: ignore[union-attr]
    page = (await claire.get(f"/conversations/{number}")).page
    assert "seul un agent peut encore écrire" in page
    assert (await claire.act(number, "repondre", message="tard")).status == 303
    open_page = await claire.get(f"/conversations/{number}")
    form = {name: open_page.hidden(name) for name in ("csrf", "vu", "cle")}
    console.clock.advance(hours=1)  # type: ignore[union-attr]
    closed = await claire.get(f"/conversations/{number}")
    assert 'data-testid="composer"' not in closed.page
    assert "Meta n’accepte plus de message" in closed.page
    refused = await claire.post(f"/conversations/{number}/repondre", **form, message="trop tard")
    assert refused.status == 422
    assert "La fenêtre de 7 jours de Meta est fermée" in refused.page
    assert "trop tard</textarea>" in refused.page
    assert (await console.outgoing(number))[-1][3] == "tard"


@pytest.mark.parametrize(
    ("message", "what"),
    [("", "vide"), (" \n\t", "vide"), ("\u200b\u200e", "vide"), ("\x00\x01", "vide"), ("a" * 10_001, "10001")],
)
async def test_what_cannot_be_sent(console: RunningConsole, claire: Browser, message: str, what: str) -> None:
    number = await console.waiting()
    await claire.act(number, "prendre")
    refused = await claire.act(number, "repondre", message=message)
    assert refused.status == 422
    assert what in refused.page
    assert [m[1] for m in await console.outgoing(number)] == ["system"]


async def test_ten_thousand_characters_are_sent_whole(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await claire.act(number, "prendre")
    assert (await claire.act(number, "repondre", message="é" * 10_000)).status == 303
    assert (await console.outgoing(number))[-1][3] == "é" * 10_000


# -- give back, close ---------------------------------------------------------------------------------------------


async def test_give_back_starts_the_bot_afresh_and_says_so_once(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await console.execute("UPDATE conversations SET state = :s", s=console.codec.seal_json({"old": 1}, STATE))
    await claire.act(number, "prendre")
    await console.execute("UPDATE outbox SET status = 'sent'")
    version = (await console.conversation(number)).owner_version
    await console.says("p1", "autre question")  # not handled yet: the bot will answer it
    assert (await claire.act(number, "rendre")).status == 303
    after = await console.conversation(number)
    assert (after.owner, after.agent_id, after.category, after.state) == ("bot", None, "none", None)
    assert after.owner_version == version + 1
    handoff = await console.handoff(number)
    assert (handoff.closed_at, handoff.outcome) == (console.clock.now(), "given_back")
    assert (await console.outgoing(number))[-1] == ("agent", "system", "queued", BACK)
    assert (await console.rows("SELECT disposition FROM events ORDER BY id"))[-1].disposition is None
    assert (await claire.act(number, "rendre")).status == 303
    assert len(await console.outgoing(number)) == 2
    assert [a for a, _ in await console.audit()] == ["login", "take", "give_back"]


async def test_taken_and_given_back_before_anything_left(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await claire.act(number, "prendre")
    await claire.act(number, "rendre")
    assert [(m[2], m[3]) for m in await console.outgoing(number)] == [("cancelled", ARRIVES), ("queued", BACK)]
    await console.hand_off(number)
    await claire.act(number, "prendre")  # a second hand-off: the person is told of it
    assert [(m[2], m[3]) for m in await console.outgoing(number)][1:] == [("cancelled", BACK), ("queued", ARRIVES)]


async def test_an_agents_reply_leaves_even_after_it_is_given_back(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await claire.act(number, "prendre")
    await claire.act(number, "repondre", message="voilà")
    await claire.act(number, "rendre")
    assert ("agent", "agent", "queued", "voilà") in await console.outgoing(number)


async def test_metas_inbox_can_be_given_back(console: RunningConsole, claire: Browser) -> None:
    number = await console.says("p1", "bonjour")
    await console.execute("UPDATE conversations SET owner = 'inbox', owner_until = now()")
    assert (await claire.act(number, "rendre")).status == 303
    after = await console.conversation(number)
    assert (after.owner, after.owner_until) == ("bot", None)


async def test_close_ends_it_in_silence(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await claire.act(number, "prendre")
    await console.execute("UPDATE outbox SET status = 'sent'")
    await console.says("p1", "merci")
    assert (await claire.act(number, "clore")).status == 303
    after = await console.conversation(number)
    assert (after.owner, after.agent_id, after.category) == ("closed", None, "none")
    assert (await console.handoff(number)).outcome == "closed"
    assert len(await console.outgoing(number)) == 1
    assert (await console.rows("SELECT disposition, reason FROM events ORDER BY id"))[-1] == ("to_agent", "closed")
    assert (await claire.act(number, "clore")).status == 303
    assert [a for a, _ in await console.audit()] == ["login", "take", "close"]


async def test_close_is_refused_when_the_person_has_just_written(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await claire.act(number, "prendre")
    seen = (await claire.get(f"/conversations/{number}")).hidden("vu")
    await console.says("p1", "au secours")
    refused = await claire.act(number, "clore", vu=seen)
    assert refused.status == 409
    assert "la conversation n’a pas été close" in refused.page
    assert (await console.conversation(number)).owner == "agent"


async def test_an_administrator_frees_what_an_absent_agent_holds(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await claire.act(number, "prendre")
    await console.user("Chef", "administrator")
    async with Browser(console) as chief:
        await chief.log_in("Chef")
        assert (await chief.act(number, "rendre")).status == 303
    assert (await console.conversation(number)).owner == "bot"


async def test_an_emergency_reply_stands_alone(console: RunningConsole) -> None:
    number = await console.waiting()
    for author in ("bot", "night", "system"):
        await console.bot_says(number, "…", status="queued", author=author)
    await console.bot_says(number, "Je vous réponds.", status="queued", author="agent")
    plan = EmergencyPlan("Personne n’est alerté en écrivant ici.", short=False, handoff=True, old=False)
    async with console.database.begin() as connection:
        await carry_out(
            connection, console.codec, number, plan, Detection("danger", "lexicon"), console.clock.now(), {}, {}
        )
    unsent = [(author, status) for _, author, status, _ in await console.outgoing(number)]
    cancelled = [(author, "cancelled") for author in ("bot", "night", "system")]
    assert unsent == [*cancelled, ("agent", "queued"), ("emergency", "queued")]


# -- a second look at what is grave, and ten seconds to think better of it ------------------------------------------


@pytest.mark.parametrize("category", ["emergency", "urgent", "sensitive"])
async def test_a_grave_request_is_closed_by_hand_and_confirmed(
    console: RunningConsole, claire: Browser, category: str
) -> None:
    number = await console.says("p1", "on me suit")
    await console.named(number, "Nadia <B.>")
    await console.hand_off(number, category, f"{category}_x", "danger_immediat")
    await claire.act(number, "prendre")
    page = (await claire.get(f"/conversations/{number}")).page
    panel = page.split('data-testid="close-panel"')[1].split("</form>")[0]
    assert "Nadia &lt;B.&gt;" in panel
    assert 'data-testid="dangers"' in panel
    assert "selected" not in panel and '<option value="">' in panel and "required" in panel
    for fields in ({}, {"motif": "sans_suite"}, {"confirme": category}, {"motif": "repondu", "confirme": "request"}):
        refused = await claire.act(number, "clore", **fields)
        assert refused.status == 409, fields
        assert "Cette demande est grave" in refused.page
    assert (await console.conversation(number)).owner == "agent"
    assert (await claire.act(number, "clore", motif="repondu", confirme=category)).status == 303
    assert (await console.handoff(number)).close_reason == "repondu"


async def test_an_ordinary_request_that_became_an_emergency_is_not_closed_by_the_old_form(
    console: RunningConsole, claire: Browser
) -> None:
    number = await console.waiting()
    await claire.act(number, "prendre")
    await console.execute("UPDATE handoffs SET category = 'emergency', priority = 0")
    assert (await claire.act(number, "clore", motif="sans_suite")).status == 409
    assert (await console.conversation(number)).owner == "agent"


async def test_nobody_closes_an_emergency_that_nobody_took(console: RunningConsole, claire: Browser) -> None:
    number = await console.says("p1", "il a un couteau")
    await console.hand_off(number, "emergency", "emergency_lexicon", "danger_immediat")
    page = (await claire.get(f"/conversations/{number}")).page
    assert 'data-testid="close"' not in page and 'data-testid="alarm-false-close"' not in page
    for action, fields in (
        ("clore", {"motif": "sans_suite", "confirme": "emergency"}),
        ("fausse-alerte", {"alerte": "999", "clore": "1"}),
        ("indesirable", {}),
    ):
        refused = await claire.act(number, action, **fields)
        assert refused.status == 409, action
        assert "Une urgence que personne n’a prise attend ici" in refused.page
    assert (await console.conversation(number)).owner == "waiting"
    assert (await console.handoff(number)).closed_at is None


async def test_a_closing_is_taken_back_within_ten_seconds(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting(name="Nadia B.")
    await claire.act(number, "prendre")
    await claire.act(number, "repondre", message="Voilà.")
    before, stood = await console.conversation(number), await console.handoff(number)
    assert (await claire.act(number, "clore", motif="repondu")).status == 303
    queue = await claire.get("/file")
    notice = queue.page.split('data-testid="queue-done"')[1].split("</div>")[0]
    assert "Demande de" in notice and "<bdi>Nadia B.</bdi>" in notice and 'data-testid="undo"' in notice
    assert 'data-testid="undo"' not in (await claire.get("/file")).page  # said once
    (asked,) = await console.rows("SELECT * FROM outbox WHERE dedup LIKE 'satisfaction:%'")
    assert asked.due_at >= console.clock.now() + timedelta(seconds=10)  # nobody is asked how it was before
    console.clock.advance(seconds=10)  # type: ignore[union-attr]
    undone = await claire.post(f"/conversations/{number}/annuler-cloture", csrf=queue.hidden("csrf"))
    assert (undone.status, undone.headers["Location"]) == (303, f"/conversations/{number}")
    after, handoff = await console.conversation(number), await console.handoff(number)
    assert (after.owner, after.agent_id, after.category) == ("agent", before.agent_id, before.category)
    assert (handoff.id, handoff.closed_at, handoff.outcome, handoff.close_reason) == (stood.id, None, None, None)
    assert (handoff.taken_at, handoff.user_id) == (stood.taken_at, stood.user_id)
    assert next(m for m in await console.outgoing(number) if m[3] == THUMBS)[2] == "cancelled"
    assert [m[1] for m in await console.outgoing(number)].count("system") == 2  # the person hears nothing of it
    assert (await console.audit())[-2:] == [("close", number), ("reopen", number)]
    again = await claire.post(f"/conversations/{number}/annuler-cloture", csrf=queue.hidden("csrf"))
    assert again.status == 409


async def test_what_nobody_had_waits_again(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    stood = await console.handoff(number)
    await claire.act(number, "clore")
    csrf = (await claire.get("/file")).hidden("csrf")
    assert (await claire.post(f"/conversations/{number}/annuler-cloture", csrf=csrf)).status == 303
    after, handoff = await console.conversation(number), await console.handoff(number)
    assert (after.owner, after.agent_id, after.category) == ("waiting", None, "request")
    assert (handoff.taken_at, handoff.user_id, handoff.closed_at) == (None, stood.user_id, None)


async def test_what_metas_inbox_had_is_not_given_to_anybody_else(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await console.execute("UPDATE conversations SET owner = 'inbox', owner_until = now()")
    assert (await claire.act(number, "clore")).status == 303
    csrf = (await claire.get("/file")).hidden("csrf")
    refused = await claire.post(f"/conversations/{number}/annuler-cloture", csrf=csrf)
    assert refused.status == 409
    assert "messagerie de Meta" in refused.page
    assert (await console.conversation(number)).owner == "closed"


async def test_too_late_somebody_elses_or_overtaken(console: RunningConsole, claire: Browser, yanis: Browser) -> None:
    number = await console.waiting()
    await claire.act(number, "clore")
    csrf = {one: (await one.get("/file")).hidden("csrf") for one in (claire, yanis)}
    path = f"/conversations/{number}/annuler-cloture"
    assert (await yanis.post(path, csrf=csrf[yanis])).status == 409  # she did not close it
    console.clock.advance(seconds=16)  # type: ignore[union-attr]
    late = await claire.post(path, csrf=csrf[claire])
    assert late.status == 409
    assert "Il est trop tard pour annuler" in late.page and 'data-testid="reopen"' in late.page
    other = await console.waiting("p2")
    await claire.act(other, "clore")
    await console.hand_off(other)  # the person wrote again: it goes its own way
    refused = await claire.post(f"/conversations/{other}/annuler-cloture", csrf=csrf[claire])
    assert refused.status == 409
    assert (await console.conversation(other)).owner == "waiting"


async def test_a_danger_passed_on_by_a_slip_is_not_confirmed(console: RunningConsole, claire: Browser) -> None:
    number = await console.says("p1", "il a un couteau")
    handoff = await console.hand_off(number, "emergency", "emergency_lexicon", "danger_immediat")
    await console.execute(
        """INSERT INTO alarms (conversation_id, handoff_id, platform, at, kind, detector)
           SELECT conversation_id, id, platform, opened_at, 'danger', 'lexicon' FROM handoffs WHERE id = :id""",
        id=handoff,
    )
    await claire.act(number, "prendre")
    assert (await claire.act(number, "clore", motif="transmis", confirme="emergency")).status == 303
    assert (await console.rows("SELECT verdict FROM alarms"))[0].verdict == "confirmed"
    csrf = (await claire.get("/file")).hidden("csrf")
    assert (await claire.post(f"/conversations/{number}/annuler-cloture", csrf=csrf)).status == 303
    assert [tuple(row) for row in await console.rows("SELECT verdict, verdict_at, verdict_by FROM alarms")] == [
        (None, None, None)
    ]
    assert (await console.conversation(number)).category == "emergency"

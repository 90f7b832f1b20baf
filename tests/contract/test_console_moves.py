"""A conversation changes hands, is put off and set aside; drafts, notes and presence: over HTTP, without a script."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from bot.console import work_words
from bot.core.clock import FrozenClock
from bot.store.desk.moves import BLOCK_REASONS
from bot.store.desk.work import CLOSE_REASONS
from tests.fakes.console import THUMBS, Browser, RunningConsole


def _user(console: RunningConsole, name: str) -> str:
    return f"u{console.users[name].id}"


async def _team(console: RunningConsole, name: str) -> str:
    rows = await console.rows("INSERT INTO teams (name) VALUES (:name) RETURNING id", name=name)
    return f"t{rows[0].id}"


async def _taken(console: RunningConsole, by: Browser, said: str = "je veux parler à un agent") -> int:
    number = await console.waiting(said=said, name="Nadia B.")
    assert (await by.act(number, "prendre")).status == 303
    return number


# -- to a colleague or a team --------------------------------------------------------------------------------------


async def test_a_transfer_gives_it_to_the_colleague_at_once(
    console: RunningConsole, claire: Browser, yanis: Browser
) -> None:
    number = await _taken(console, claire)
    await claire.act(number, "brouillon", message="à moitié écrit")
    done = await claire.act(number, "transferer", a=_user(console, "Yanis"), mot="Elle rappelle à 15 h.")
    assert done.status == 303
    after = await console.conversation(number)
    assert (after.owner, after.agent_id) == ("agent", console.users["Yanis"].id)
    assert (await console.handoff(number)).assignee_id == console.users["Yanis"].id
    refused = await claire.act(number, "repondre", message="trop tard", cle="k")
    assert refused.status == 409
    assert "Yanis a pris cette conversation" in refused.page
    assert "trop tard</textarea>" in refused.page
    page = (await yanis.get(f"/conversations/{number}")).page
    assert "Elle rappelle à 15 h." in page
    assert "à moitié écrit" not in page  # a draft is its author's
    assert (await yanis.act(number, "repondre", message="bonjour")).status == 303
    subject = await console.rows("SELECT subject_id FROM audit WHERE action = 'transfer'")
    assert subject[0].subject_id == console.users["Yanis"].id


async def test_a_transfer_to_a_team_leaves_it_to_whoever_takes_it(
    console: RunningConsole, claire: Browser, yanis: Browser
) -> None:
    number = await _taken(console, claire)
    assert (await claire.act(number, "transferer", a=await _team(console, "Nuit"))).status == 303
    after = await console.conversation(number)
    assert (after.owner, after.agent_id) == ("waiting", None)
    assert "Confiée à l’équipe <strong><bdi>Nuit</bdi></strong>" in (await yanis.get(f"/conversations/{number}")).page
    assert (await yanis.act(number, "prendre")).status == 303


async def test_whom_it_cannot_be_given_to(
    console: RunningConsole, claire: Browser, yanis: Browser, odile: Browser
) -> None:
    number = await _taken(console, claire)
    await console.execute("UPDATE users SET disabled_at = now() WHERE name = 'Yanis'")
    people = [_user(console, name) for name in ("Claire", "Odile", "Yanis")]  # herself, an auditor, a disabled account
    for to in ("", "x", "u", "u999", "t999", "u" + "9" * 30, *people):
        refused = await claire.act(number, "transferer", a=to, mot="mot")
        assert refused.status == 422, to
        assert "Choisissez quelqu’un d’autre" in refused.page or "Choisissez-en une autre" in refused.page, to
    assert (await console.conversation(number)).agent_id == console.users["Claire"].id
    assert await console.rows("SELECT FROM notes") == []


async def test_only_the_holder_transfers_and_only_a_chief_assigns(
    console: RunningConsole, claire: Browser, yanis: Browser, denis: Browser
) -> None:
    number = await _taken(console, claire)
    assert (await yanis.act(number, "transferer", a=_user(console, "Yanis"))).status == 409
    assert (await yanis.act(number, "attribuer", a=_user(console, "Yanis"))).status == 403
    held = str(console.users["Claire"].id)
    assert (await denis.act(number, "attribuer", a=_user(console, "Yanis"))).status == 409  # the page knew of nobody
    assert (await denis.act(number, "attribuer", a=_user(console, "Yanis"), tenue_par=held)).status == 303
    assert (await console.conversation(number)).agent_id == console.users["Yanis"].id


async def test_what_nobody_has_is_assigned_and_still_waits(
    console: RunningConsole, yanis: Browser, denis: Browser
) -> None:
    number = await console.waiting()
    assert (await denis.act(number, "attribuer", a=_user(console, "Yanis"))).status == 303
    assert (await console.conversation(number)).owner == "waiting"
    assert "vous est attribuée" in (await yanis.get(f"/conversations/{number}")).page
    assert (await yanis.act(number, "prendre")).status == 303


async def test_a_transfer_and_a_reply_at_once_leave_one_voice(
    console: RunningConsole, claire: Browser, denis: Browser, yanis: Browser
) -> None:
    number = await _taken(console, claire)
    held = str(console.users["Claire"].id)
    reply, moved = await asyncio.gather(
        claire.act(number, "repondre", message="me voici", cle="k"),
        denis.act(number, "attribuer", a=_user(console, "Yanis"), tenue_par=held),
    )
    assert moved.status == 303
    sent = [m[3] for m in await console.outgoing(number) if m[1] == "agent"]
    assert (reply.status, sent) in ((303, ["me voici"]), (409, []))
    if reply.status == 409:
        assert "me voici</textarea>" in reply.page


async def test_a_colleague_s_answer_makes_a_reply_stale(
    console: RunningConsole, claire: Browser, yanis: Browser
) -> None:
    number = await _taken(console, claire)
    page = await claire.get(f"/conversations/{number}")
    form = {name: page.hidden(name) for name in ("csrf", "vu", "cle", "vu_envoi")}
    held = str(console.users["Claire"].id)
    await yanis.act(number, "prendre", tenue_par=held)
    await yanis.act(number, "repondre", message="réponse de Yanis")
    await claire.act(number, "prendre", tenue_par=str(console.users["Yanis"].id))
    refused = await claire.post(f"/conversations/{number}/repondre", **form, message="la mienne")
    assert refused.status == 409
    assert "Yanis vient d’écrire à cette personne" in refused.page
    assert "réponse de Yanis" in refused.page
    assert "la mienne</textarea>" in refused.page
    again = {name: refused.hidden(name) for name in form}
    assert (await claire.post(f"/conversations/{number}/repondre", **again, message="la mienne")).status == 303


async def test_reply_and_give_back_at_once(console: RunningConsole, claire: Browser, alix: Browser) -> None:
    number = await _taken(console, claire)
    reply, back = await asyncio.gather(
        claire.act(number, "repondre", message="un instant", cle="k"), alix.act(number, "rendre")
    )
    assert back.status == 303
    assert reply.status in (303, 409)
    assert (await console.conversation(number)).owner == "bot"
    kept = await console.rows("SELECT FROM drafts")
    assert len(kept) == (1 if reply.status == 409 else 0)  # refused: the server keeps it


# -- later ---------------------------------------------------------------------------------------------------------


async def test_put_off_and_woken_by_the_person(console: RunningConsole, claire: Browser) -> None:
    number = await _taken(console, claire)
    assert (await claire.act(number, "reporter", pour="3h")).status == 303
    handoff = await console.handoff(number)
    assert (handoff.state, handoff.snoozed_until) == ("snoozed", console.clock.now() + timedelta(hours=3))
    assert "Reportée</strong> jusqu’au" in (await claire.get(f"/conversations/{number}")).page
    await console.says("p1", "finalement…")
    assert (await console.handoff(number)).state == "open"
    detail = await console.rows("SELECT user_id, detail FROM audit WHERE action = 'wake'")
    assert [(row.user_id, row.detail["by"]) for row in detail] == [(None, "message")]


async def test_taken_up_again_before_its_time(console: RunningConsole, claire: Browser) -> None:
    number = await _taken(console, claire)
    await claire.act(number, "reporter", le="2026-01-16T09:30")
    assert (await claire.act(number, "reporter", pour="maintenant")).status == 303
    assert (await console.handoff(number)).state == "open"


async def test_when_it_cannot_be_put_off_to(console: RunningConsole, claire: Browser) -> None:
    number = await _taken(console, claire)
    for fields, what in (
        ({}, "Choisissez jusqu’à quand"),
        ({"le": "demain"}, "Choisissez jusqu’à quand"),
        ({"le": "2020-01-01T10:00"}, "déjà passé"),
        ({"le": "9999-12-31T23:59"}, "30\u00a0jours au plus"),
    ):
        refused = await claire.act(number, "reporter", **fields)
        assert refused.status == 422
        assert what in refused.page
    assert (await console.handoff(number)).state == "open"


async def test_never_beyond_the_window_nor_an_emergency(console: RunningConsole, claire: Browser) -> None:
    number = await _taken(console, claire)
    late = console.clock.now() + timedelta(days=7, hours=1)
    refused = await claire.act(number, "reporter", le=late.strftime("%Y-%m-%dT%H:%M"))
    assert "Meta n’acceptera plus de réponse" in refused.page
    assert f'value="{late.strftime("%Y-%m-%dT%H:%M")}"' in refused.page
    await console.hand_off(number, "emergency", "emergency_lexicon")
    refused = await claire.act(number, "reporter", pour="1h")
    assert refused.status == 409
    assert "Une urgence ne se met pas en attente" in refused.page


def test_the_moments_that_a_choice_stands_for(frozen_clock: FrozenClock) -> None:
    from bot.console.deps import PARIS

    now = frozen_clock.now()
    for choice in work_words.SNOOZE:
        until = work_words.snoozed_until(choice, "", now, PARIS)
        assert until is not None
        assert until > now
    monday = work_words.snoozed_until("lundi", "", now, PARIS)
    assert monday is not None
    assert (monday.weekday(), monday.hour) == (0, 8)


# -- out of the way ------------------------------------------------------------------------------------------------


async def test_spam_and_back(console: RunningConsole, claire: Browser) -> None:
    number = await _taken(console, claire)
    assert (await claire.act(number, "indesirable")).status == 303
    assert ((await console.handoff(number)).state, (await console.conversation(number)).owner) == ("spam", "closed")
    assert (await claire.act(number, "indesirable")).status == 303  # again: nothing more
    assert (await claire.act(number, "indesirable", annuler="1")).status == 303
    assert ((await console.handoff(number)).state, (await console.conversation(number)).owner) == ("open", "waiting")
    assert [a for a, _ in await console.audit()] == ["login", "take", "spam", "not_spam"]


async def test_blocked_and_lifted(console: RunningConsole, claire: Browser, odile: Browser) -> None:
    number = await _taken(console, claire)
    refused = await claire.act(number, "bloquer", motif="parce que")
    assert refused.status == 422
    assert "Choisissez un motif de blocage" in refused.page
    both = await asyncio.gather(*(claire.act(number, "bloquer", motif="menaces") for _ in range(2)))
    assert [one.status for one in both] == [303, 303]
    assert len(await console.rows("SELECT FROM blocks")) == 1
    handoff = await console.handoff(number)
    assert (handoff.state, handoff.outcome) == ("closed", "blocked")
    page = (await odile.get(f"/conversations/{number}")).page
    assert "Personne bloquée</strong> (menaces) par <bdi>Claire</bdi>" in page
    assert 'data-testid="unblock"' not in page
    assert (await claire.act(number, "bloquer", annuler="1")).status == 303
    assert "Personne bloquée" not in (await claire.get(f"/conversations/{number}")).page
    assert [a for a, _ in await console.audit()][-2:] == ["block", "unblock"]


async def test_who_is_blocked_is_not_asked_for_thumbs(console: RunningConsole, claire: Browser) -> None:
    number = await _taken(console, claire)
    assert (await claire.act(number, "repondre", message="Voici le lien.")).status == 303
    assert (await claire.act(number, "bloquer", motif="menaces")).status == 303
    assert (await claire.act(number, "rouvrir")).status == 303
    assert (await claire.act(number, "clore", motif="repondu")).status == 303
    assert THUMBS not in [words for _, _, _, words in await console.outgoing(number)]
    assert await console.rows("SELECT FROM satisfaction") == []


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("reporter", {"pour": "3h"}),
        ("reporter", {"le": "2026-01-16T09:30"}),
        ("indesirable", {}),
        ("bloquer", {"motif": "menaces"}),
        ("rendre", {}),
    ],
)
async def test_what_the_person_has_just_written_is_not_put_away_unread(
    console: RunningConsole, claire: Browser, action: str, fields: dict[str, str]
) -> None:
    number = await _taken(console, claire)
    read = (await claire.get(f"/conversations/{number}")).hidden("vu")
    await console.says("p1", "il est revenu, je me suis enfermée")  # the worker has yet to look at it
    refused = await claire.act(number, action, **fields, vu=read)
    assert refused.status == 409
    assert "La personne vient d’écrire" in refused.page
    assert ((await console.handoff(number)).state, (await console.conversation(number)).owner) == ("open", "agent")
    pending = await console.rows("SELECT disposition FROM events ORDER BY id DESC LIMIT 1")
    assert pending[0].disposition is None
    assert (await claire.act(number, action, **fields)).status == 303  # once it has been read


async def test_a_danger_that_nobody_took_is_not_set_aside(console: RunningConsole, claire: Browser) -> None:
    number = await console.says("p1", "au secours")
    await console.hand_off(number, "emergency", "emergency_lexicon")
    for action, fields in (("indesirable", {}), ("bloquer", {"motif": "autre"})):
        refused = await claire.act(number, action, **fields)
        assert refused.status == 409
        assert "Une urgence que personne n’a prise" in refused.page
    assert (await console.handoff(number)).state == "open"


async def test_closed_for_a_reason_and_reopened(console: RunningConsole, claire: Browser, yanis: Browser) -> None:
    number = await _taken(console, claire)
    refused = await claire.act(number, "clore", motif="x")
    assert refused.status == 422
    assert (await claire.act(number, "clore", motif="transmis")).status == 303
    first = await console.handoff(number)
    assert (first.close_reason, first.state) == ("transmis", "closed")
    assert (await yanis.act(number, "rouvrir")).status == 303
    again = await console.handoff(number)
    assert (again.id, again.state, again.close_reason, again.reopened_at) == (
        first.id,
        "open",
        None,
        console.clock.now(),
    )
    assert (await console.conversation(number)).agent_id == console.users["Yanis"].id
    assert (await claire.act(number, "rouvrir")).status == 409


async def test_closing_without_a_reason_says_whether_it_was_answered(console: RunningConsole, claire: Browser) -> None:
    number = await _taken(console, claire)
    await claire.act(number, "repondre", message="voilà")
    await claire.act(number, "clore")
    assert (await console.handoff(number)).close_reason == "repondu"


def test_every_reason_has_its_words() -> None:
    assert set(work_words.CLOSE) == set(CLOSE_REASONS)
    assert set(work_words.BLOCK) == set(BLOCK_REASONS)


# -- drafts, notes, presence ---------------------------------------------------------------------------------------


async def test_a_draft_is_kept_sealed_and_ends_with_the_reply(
    console: RunningConsole, claire: Browser, yanis: Browser
) -> None:
    number = await _taken(console, claire)
    kept = await claire.act(number, "brouillon", message="Bonjour <vous>,\r\n" + "Une phrase. " * 200)
    assert json.loads(kept.page) == {"kept": True, "parts": 2}
    row = (await console.rows("SELECT body FROM drafts"))[0]
    assert b"Bonjour" not in bytes(row.body)
    page = await claire.get(f"/conversations/{number}")
    assert "Bonjour &lt;vous&gt;,\n" in page.page
    assert "Bonjour" not in (await yanis.get(f"/conversations/{number}")).page
    form = {name: page.hidden(name) for name in ("csrf", "vu", "cle")}
    await claire.post(f"/conversations/{number}/repondre", **form, message="Bonjour.")
    assert await console.rows("SELECT FROM drafts") == []
    late = await claire.post(f"/conversations/{number}/brouillon", **form, message="Bonjour.")  # a save that comes late
    assert json.loads(late.page)["kept"] is False
    assert await console.rows("SELECT FROM drafts") == []
    await claire.act(number, "brouillon", message="encore")
    await claire.act(number, "brouillon", message="  ")
    assert await console.rows("SELECT FROM drafts") == []
    too_long = await claire.act(number, "brouillon", message="x" * 50_001)
    assert (too_long.status, "50000" in too_long.page) == (422, True)


async def test_a_draft_older_than_the_person_s_words_says_so(console: RunningConsole, claire: Browser) -> None:
    number = await _taken(console, claire)
    await claire.act(number, "brouillon", message="à suivre")
    assert 'data-testid="draft-older"' not in (await claire.get(f"/conversations/{number}")).page
    await console.says("p1", "autre chose")
    assert 'data-testid="draft-older"' in (await claire.get(f"/conversations/{number}")).page


async def test_notes_are_private_sealed_and_written_once(
    console: RunningConsole, claire: Browser, yanis: Browser, odile: Browser
) -> None:
    number = await console.waiting()
    page = await claire.get(f"/conversations/{number}")
    form = {name: page.hidden(name) for name in ("csrf", "cle")}
    path = f"/conversations/{number}/note"
    for _ in range(2):
        assert (await claire.post(path, **form, note="<b>prudence</b>")).status == 303
    assert len(await console.rows("SELECT FROM notes")) == 1
    assert b"prudence" not in bytes((await console.rows("SELECT body FROM notes"))[0].body)
    assert "&lt;b&gt;prudence&lt;/b&gt;" in (await odile.get(f"/conversations/{number}")).page
    refused = await yanis.act(number, "note", note="x" * 5001)
    assert refused.status == 422
    assert "x" * 5001 + "</textarea>" in refused.page
    assert (await yanis.act(number, "note", note=" \u200b")).status == 422
    assert await console.outgoing(number) == []


async def test_presence(console: RunningConsole, claire: Browser, yanis: Browser, odile: Browser) -> None:
    number = await _taken(console, claire)
    assert " hidden>" in (await claire.act(number, "presence")).page
    assert "<bdi>Claire</bdi> regarde aussi" in (await yanis.act(number, "presence")).page
    await claire.act(number, "presence", ecrit="1")
    page = (await odile.get(f"/conversations/{number}")).page
    assert "<bdi>Claire</bdi> écrit…" in page
    console.wall.advance(seconds=11)  # type: ignore[union-attr]
    assert "écrit…" not in (await yanis.act(number, "presence")).page
    console.wall.advance(seconds=20)  # type: ignore[union-attr]
    assert "Claire" not in (await yanis.act(number, "presence")).page
    await claire.act(number, "presence", part="1")
    assert "regarde aussi" not in (await yanis.act(number, "presence")).page


# -- canned and suggested replies ----------------------------------------------------------------------------------


async def test_canned_replies_are_found_filled_and_counted(console: RunningConsole, claire: Browser) -> None:
    number = await _taken(console, claire)
    path = f"/conversations/{number}/reponses-types"
    found = json.loads((await claire.get(path + "?q=RECLAMATION")).page)
    assert [one["shortcut"] for one in found] == ["igpn"]
    assert found[0]["text"].startswith("Bonjour Nadia, nous sommes désolés")
    assert json.loads((await claire.get(path + "?q=service")).page)[0]["missing"] == ["{{service}}"]
    assert json.loads((await claire.get(path + "?q=zzz")).page) == []
    assert (await claire.act(number, f"reponses-types/{found[0]['id']}")).status == 204
    assert (await claire.act(number, "reponses-types/999999")).status == 404
    assert (await console.rows("SELECT uses FROM canned_replies WHERE shortcut = 'igpn'"))[0].uses == 1


async def test_an_unfilled_variable_does_not_leave(console: RunningConsole, claire: Browser) -> None:
    number = await _taken(console, claire)
    refused = await claire.act(number, "repondre", message="Voyez {{service}}.")
    assert refused.status == 422
    assert "Il reste une partie à remplir\u00a0: {{service}}" in refused.page
    assert [m[1] for m in await console.outgoing(number)] == ["system"]
    assert (await claire.act(number, "repondre", message="Un { seul } {{\n}} n’en est pas une.")).status == 303


async def test_canned_replies_are_edited_by_those_who_may(
    console: RunningConsole, claire: Browser, denis: Browser
) -> None:
    assert (await claire.get("/reponses-types")).status == 403
    csrf = (await denis.get("/reponses-types/nouvelle")).hidden("csrf")
    new = {
        "csrf": csrf,
        "raccourci": "/accueil",
        "titre": "Accueil",
        "texte": "Bonjour {{Prenom}}.",
        "categorie": "thanks",
    }
    assert (await denis.post("/reponses-types/nouvelle", **new)).status == 303
    again = await denis.post("/reponses-types/nouvelle", **new)
    assert again.status == 422
    assert "Le raccourci /accueil est déjà pris" in again.page
    number = (await console.rows("SELECT id FROM canned_replies WHERE shortcut = 'accueil'"))[0].id
    path = f"/reponses-types/{number}"
    seen = (await denis.get(path)).hidden("vu").replace("&#43;", "+")
    change = {**new, "vu": seen, "texte": "Bonsoir."}
    console.wall.advance(seconds=1)  # type: ignore[union-attr]
    assert (await denis.post(path, **change)).status == 303
    stale = await denis.post(path, **{**change, "texte": "Bonne nuit."})
    assert stale.status == 422
    assert "Quelqu’un vient de modifier" in stale.page
    assert "Bonne nuit.</textarea>" in stale.page
    assert (await denis.post(path + "/archiver", csrf=csrf)).status == 303
    assert "Bonsoir." not in (await denis.get("/reponses-types")).page
    assert "Bonsoir." in (await denis.get("/reponses-types?archivees=1")).page
    assert (await denis.post(path, **change)).status == 422
    actions = [a for a, _ in await console.audit() if a.startswith("canned")]
    assert actions == ["canned_added", "canned_changed", "canned_archived"]


async def test_what_is_no_canned_reply(console: RunningConsole, denis: Browser) -> None:
    csrf = (await denis.get("/reponses-types/nouvelle")).hidden("csrf")
    good = {"csrf": csrf, "raccourci": "bon", "titre": "Bon", "texte": "Bonjour."}
    for field, given, what in (
        ("raccourci", "É", "raccourci ne convient pas"),
        ("raccourci", "x" * 31, "raccourci ne convient pas"),
        ("titre", " ", "titre ne convient pas"),
        ("texte", "", "Le texte est vide"),
        ("texte", "x" * 2001, "2001 caractères"),
        ("texte", "{{bureau}}", "{{bureau}} n’existe pas"),
        ("categorie", "x", "n’existe pas"),
        ("sujet", "x", "n’existe pas"),
    ):
        refused = await denis.post("/reponses-types/nouvelle", **{**good, field: given})
        assert refused.status == 422
        assert what in refused.page
    assert await console.rows("SELECT FROM canned_replies WHERE shortcut = 'bon'") == []


# -- what was done is said where one is led --------------------------------------------------------------------------


async def test_the_queue_says_once_what_was_just_done(console: RunningConsole, claire: Browser, yanis: Browser) -> None:
    number = await _taken(console, claire)
    assert (await yanis.act(number, "reporter", pour="3h")).status == 409
    for action, fields, said in (
        ("reporter", {"pour": "3h"}, "Conversation reportée."),
        ("indesirable", {}, "Demande marquée comme indésirable."),
    ):
        led = (await claire.act(number, action, **fields)).headers["Location"]
        assert said not in (await claire.get(led, X_Planton_Live="1")).page  # a page that refreshes itself keeps it
        assert said in (await claire.get(led)).page
        assert 'data-testid="queue-done"' not in (await claire.get(led)).page
    assert 'data-testid="queue-done"' not in (await yanis.get("/file")).page  # refused: nothing was done

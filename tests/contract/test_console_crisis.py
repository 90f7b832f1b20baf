"""The crisis mode over HTTP: who writes, validates, opens and closes; groups found, reviewed, answered once, stopped."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

from bot.core.messages import Attachment
from tests.fakes.console import Browser, RunningConsole

MESSAGE = "Une attaque est en cours à Paris. Restez à l’abri. En danger : 17 ou 112, SMS au 114."
ASKED = "Que se passe-t-il à Paris ? Y a-t-il des blessés ?"
ALIKE = "que se passe t il a paris, y a til des blessés"
REPLY = "Le préfet communique sur prefecturedepolice.interieur.gouv.fr. Évitez le quartier."


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what the console does by itself."""
    async with asyncio.timeout(60):
        while not await check():
            await asyncio.sleep(0.05)


async def press(browser: Browser, path: str, page: str = "/crise", **fields: str) -> int:
    """Fill a form of that page; its hidden fields are kept."""
    shown = await browser.get(page)
    held = {name: shown.hidden(name) for name in ("csrf", "crise", "ecrite", "jusqua")}
    return (await browser.post(path, **{**held, **fields})).status


async def opened(claire: Browser, denis: Browser, alix: Browser) -> None:
    """The mode is open with Claire's message."""
    assert await press(claire, "/crise/message", message=MESSAGE) == 303
    assert await press(denis, "/crise/valider") == 303
    assert await press(alix, "/crise/ouvrir") == 303


async def statuses(console: RunningConsole) -> dict[str, tuple[str, str | None]]:
    """Person → (status, why) in their last group."""
    rows = await console.rows(
        "SELECT c.person, m.status, m.why FROM group_members m JOIN conversations c ON c.id = m.conversation_id ORDER BY m.group_id"
    )
    return {row.person: (row.status, row.why) for row in rows}


async def grouped(console: RunningConsole, *people: str) -> str:
    """Wait until these are in a group; the path of its page."""

    async def there() -> bool:
        return set(people) <= set(await statuses(console))

    await eventually(there)
    number = (await console.rows("SELECT max(id) AS id FROM message_groups"))[0].id
    return f"/crise/groupes/{number}"


async def sends(console: RunningConsole, conversation: int | None = None) -> None:
    """The sender has sent what was queued."""
    await console.execute(
        "UPDATE outbox SET status = 'sent', sent_at = created_at WHERE status = 'queued' AND author = 'agent' "
        "AND (CAST(:id AS bigint) IS NULL OR conversation_id = :id)",
        id=conversation,
    )


def count(page: str, words: str) -> int:
    """What the table of counts says."""
    found = re.search(rf">{words}</th><td>(\d+)<", page)
    return int(found[1]) if found else 0


async def test_one_writes_another_validates_an_administrator_opens(
    console: RunningConsole, claire: Browser, denis: Browser, alix: Browser, odile: Browser
) -> None:
    refused = await claire.post("/crise/message", csrf=(await claire.get("/crise")).hidden("csrf"), message="é" * 501)
    assert refused.status == 422
    assert "1002 octets" in refused.page
    assert "é" * 501 in refused.page
    assert await press(alix, "/crise/message", message=MESSAGE) == 303
    assert await press(alix, "/crise/ouvrir") == 409  # nobody validated it
    assert await press(alix, "/crise/valider", crise="1") == 409  # her own
    assert await press(claire, "/crise/valider", crise="1") == 403
    assert await press(denis, "/crise/valider") == 303
    assert "Mode crise ouvert" not in (await claire.get("/file")).page
    assert await press(denis, "/crise/ouvrir", crise="1") == 403
    assert await press(alix, "/crise/ouvrir") == 303
    for someone in (claire, denis, alix, odile):
        assert "Mode crise ouvert" in (await someone.get("/file")).page
    page = (await odile.get("/crise")).page
    assert MESSAGE in page
    assert "par <bdi>Alix</bdi>" in page
    assert await press(claire, "/crise/fermer", crise="1") == 403
    assert await press(alix, "/crise/fermer", crise="1") == 303
    assert "Mode crise ouvert" not in (await claire.get("/file")).page
    assert [action for action, _ in await console.audit() if action.startswith("crisis")] == [
        "crisis_written",
        "crisis_validated",
        "crisis_opened",
        "crisis_closed",
    ]


async def test_opening_says_first_what_will_happen(
    console: RunningConsole, claire: Browser, denis: Browser, alix: Browser
) -> None:
    for person in ("p1", "p2"):
        await console.waiting(person, ASKED)
    assert await press(claire, "/crise/message", message=MESSAGE) == 303
    assert 'data-testid="crisis-confirm"' not in (await alix.get("/crise")).page
    assert await press(denis, "/crise/valider") == 303
    page = (await alix.get("/crise")).page
    confirm = page[page.index('data-testid="crisis-confirm"') :]
    confirm = confirm[: confirm.index("</form>")]
    assert "2\u00a0conversations" in confirm
    assert MESSAGE in confirm
    assert "Ce qui est retenu" in confirm
    assert "Ouvrir maintenant" in confirm
    assert await press(alix, "/crise/ouvrir") == 303
    assert await press(claire, "/crise/message", message=MESSAGE + " Suite.") == 303
    assert await press(denis, "/crise/valider") == 303
    assert "Le message en cours ne part plus" in (await alix.get("/crise")).page  # one that is open gives way


async def test_a_message_to_everybody_needs_the_level_that_the_rules_ask_for(
    console: RunningConsole, claire: Browser, denis: Browser, alix: Browser
) -> None:
    async def rule(category: str, steps: str) -> None:
        await console.execute("UPDATE validation_rules SET steps = :s WHERE category = :c", s=steps.split(), c=category)

    await rule("sensitive", "service cabinet")  # whom it never reaches
    await rule("request", "service")
    assert await press(claire, "/crise/message", message=MESSAGE) == 303
    assert "(chef de service, d’après les règles de validation)" in (await claire.get("/crise")).page
    refused = await alix.post(
        "/crise/valider", csrf=(await alix.get("/crise")).hidden("csrf"), crise="1"
    )  # of no level
    assert (refused.status, "l’accord d’un chef de service" in refused.page) == (409, True)
    assert "Votre niveau de validation ne suffit pas" in refused.page
    assert 'action="/crise/valider"' not in refused.page
    assert await press(denis, "/crise/valider") == 303
    await rule("witness", "service cabinet")  # meanwhile somebody asks for more
    assert 'action="/crise/ouvrir"' not in (await alix.get("/crise")).page
    assert await press(alix, "/crise/ouvrir", crise="1") == 409
    assert await press(denis, "/crise/valider", crise="1") == 409
    await console.execute("UPDATE users SET validation_level = 'cabinet' WHERE name = 'Alix'")
    assert await press(alix, "/crise/valider") == 303
    assert await press(alix, "/crise/ouvrir") == 303
    assert "validé par <bdi>Alix</bdi>" in (await denis.get("/crise")).page


async def test_who_says_the_same_is_grouped_and_what_is_sensitive_is_read_first(
    console: RunningConsole, claire: Browser, denis: Browser, alix: Browser
) -> None:
    for person, said in (("p1", ASKED), ("p2", ALIKE), ("p3", ASKED + " merci")):
        await console.waiting(person, said, name=f"Nom {person}")
    await console.waiting("other", "Comment passer le concours de gardien de la paix ?")
    await console.waiting("short", "au secours")
    grave = await console.waiting("grave", ALIKE)
    await console.hand_off(grave, "sensitive", "violences_conjugales", "violences_conjugales")
    alarm = await console.waiting("alarm", ASKED)
    await console.hand_off(alarm, "emergency", "emergency_lexicon", "danger_immediat")
    suspect = await console.waiting("suspect", ASKED)
    await console.execute(
        "UPDATE events SET intent = 'violences_sexuelles', confidence = 0.3 WHERE conversation_id = :id", id=suspect
    )
    await console.says("photo", ASKED, Attachment("image", "https://scontent.example/a.jpg"))
    photo = (await console.rows("SELECT id FROM conversations WHERE person = 'photo'"))[0].id
    await console.execute("UPDATE events SET disposition = 'handed_off' WHERE conversation_id = :id", id=photo)
    await console.hand_off(photo)
    await opened(claire, denis, alix)
    path = await grouped(console, "p1", "p2", "p3", "grave", "photo", "suspect")
    await asyncio.sleep(0)
    assert await statuses(console) == {
        "p1": ("waiting", None),
        "p2": ("waiting", None),
        "p3": ("waiting", None),
        "grave": ("held", "sensitive"),
        "suspect": ("held", "sensitive"),
        "photo": ("held", "attachments"),
    }
    stored = await console.rows(
        "SELECT bands::text AS b FROM likenesses UNION ALL SELECT bands::text FROM message_groups"
    )
    assert all(re.fullmatch(r"\{[\d,-]*\}", row.b) for row in stored)
    page = (await claire.get(path)).page
    assert "Nom p1" in page
    assert count(page, "À examiner avant tout envoi\u00a0: message sensible") == 2
    assert count(page, "À examiner avant tout envoi\u00a0: contient autre chose que du texte") == 1
    assert count(page, "Prêt à recevoir la réponse") == 3
    held = (await claire.get(path + "?etat=a-examiner")).page
    assert f'id="membre-{photo}"' in held
    assert "Nom p1" not in held
    assert await press(claire, path + "/admettre", path, conversation=str(photo)) == 303
    assert await press(claire, path + "/admettre", path, conversation=str(photo)) == 409
    assert await press(claire, path + "/retirer", path, conversation=str(grave)) == 303
    assert (await statuses(console))["photo"] == ("waiting", None)
    assert (await statuses(console))["grave"][0] == "removed"
    recorded = [entry for entry in await console.audit() if entry[0].startswith("group_member")]
    assert recorded == [("group_member_admitted", photo), ("group_member_removed", grave)]


async def test_one_reviewed_reply_answers_each_once_and_says_why_not(
    console: RunningConsole, claire: Browser, denis: Browser, alix: Browser, yanis: Browser
) -> None:
    people = ("kept", "taken", "late", "gone", "again", "fails", "assigned", "draft")
    numbers = {person: await console.waiting(person, ASKED) for person in people}
    await opened(claire, denis, alix)
    path = await grouped(console, *people)
    assert await press(claire, path + "/repondre", path, message="  ") == 422
    assert await press(claire, path + "/repondre", path, message=REPLY) == 303
    assert await press(alix, path + "/envoyer", path) == 409  # nobody validated it
    assert await press(claire, path + "/valider", path) == 403
    assert await press(denis, path + "/valider", path, ecrite="2026-01-01T00:00:00+00:00") == 409  # another text
    assert await press(denis, path + "/valider", path) == 303
    # Meanwhile things happen to them.
    assert (await yanis.act(numbers["taken"], "prendre")).status == 303
    await console.says("again", "allô ? toujours rien")
    await console.execute(
        "UPDATE conversations SET last_person_at = :old WHERE person = 'late'",
        old=console.clock.now() - timedelta(hours=25),
    )
    await console.execute(
        "UPDATE handoffs SET closed_at = :now WHERE conversation_id = :id", now=console.clock.now(), id=numbers["gone"]
    )
    await console.execute("UPDATE handoffs SET assignee_id = 1 WHERE conversation_id = :id", id=numbers["assigned"])
    await console.execute(
        """INSERT INTO submissions (conversation_id, user_id, body, seen, category, priority, steps, created_at, dedup)
           VALUES (:id, 1, '', 1, 'request', 4, '{service}', :now, 'k')""",
        id=numbers["draft"],
        now=console.clock.now(),
    )
    assert await press(claire, path + "/envoyer", path) == 403
    assert await press(alix, path + "/envoyer", path) == 303

    async def queued() -> bool:
        return "waiting" not in {status for status, _ in (await statuses(console)).values()}

    await eventually(queued)
    assert await statuses(console) == {
        "kept": ("queued", None),
        "fails": ("queued", None),
        "taken": ("skipped", "taken"),
        "assigned": ("skipped", "taken"),
        "draft": ("skipped", "taken"),
        "late": ("skipped", "window_closed"),
        "gone": ("skipped", "closed"),
        "again": ("skipped", "wrote_since"),
    }
    assert (await console.outgoing(numbers["kept"])) == [("agent", "agent", "queued", REPLY)]
    await sends(console, numbers["kept"])
    await console.execute(
        """UPDATE outbox SET status = 'failed', error_slug = '551', error_remedy = 'La personne a bloqué la page.'
           WHERE conversation_id = :id""",
        id=numbers["fails"],
    )

    async def done() -> bool:
        return bool(await console.rows("SELECT FROM message_groups WHERE done_at IS NOT NULL"))

    await eventually(done)
    page = (await alix.get(path)).page
    assert count(page, "A reçu la réponse") == 1
    assert count(page, "N’a pas pu recevoir la réponse\u00a0: raison technique") == 1
    assert count(page, "Laissé à la file\u00a0: suivi par un agent") == 3
    assert count(page, "Laissé à la file\u00a0: délai de 24\u00a0h dépassé") == 1
    assert count(page, "Laissé à la file\u00a0: a écrit depuis") == 1
    assert count(page, "Laissé à la file\u00a0: demande close") == 1
    assert count(page, "Total") == 8
    assert "La personne a bloqué la page." in page
    handoff = await console.handoff(numbers["kept"])
    assert (handoff.outcome, handoff.close_reason) == ("closed", "repondu")
    assert (await console.conversation(numbers["kept"])).owner == "closed"
    failed = await console.handoff(numbers["fails"])
    assert (failed.closed_at, failed.replied_at) == (None, None)  # they still wait, and nobody answered
    assert ("reply", numbers["kept"]) in await console.audit()


async def test_a_stopped_reply_is_taken_back_and_goes_on_without_doubling(
    console: RunningConsole, claire: Browser, denis: Browser, alix: Browser
) -> None:
    numbers = {f"p{i}": await console.waiting(f"p{i}", ASKED) for i in range(6)}
    await opened(claire, denis, alix)
    path = await grouped(console, *numbers)
    await press(claire, path + "/repondre", path, message=REPLY)
    await press(denis, path + "/valider", path)
    assert await press(alix, path + "/envoyer", path) == 303

    async def all_queued() -> bool:
        return {status for status, _ in (await statuses(console)).values()} == {"queued"}

    await eventually(all_queued)
    await sends(console, numbers["p0"])
    await console.execute(  # a sender holds this one
        "UPDATE outbox SET lease_until = clock_timestamp() + interval '1 minute' WHERE conversation_id = :id",
        id=numbers["p1"],
    )
    assert await press(alix, path + "/arreter", path) == 303
    assert await press(alix, path + "/arreter", path) == 303  # a double click
    rows = await console.rows("SELECT status, count(*) AS n FROM outbox WHERE author = 'agent' GROUP BY status")
    assert {row.status: row.n for row in rows} == {"sent": 1, "queued": 1, "cancelled": 4}
    replied = await console.rows("SELECT count(*) AS n FROM handoffs WHERE replied_at IS NOT NULL")
    assert replied[0].n == 2  # the four who got nothing were not answered

    async def counted() -> bool:
        return (
            sorted(status for status, _ in (await statuses(console)).values()) == ["queued", "sent"] + ["withdrawn"] * 4
        )

    await eventually(counted)
    page = (await alix.get(path)).page
    assert count(page, "Réponse retirée avant son envoi") == 4
    assert "Reprendre, pour 4\u00a0personnes" in page
    await sends(console, numbers["p1"])
    assert await press(claire, path + "/repondre", path, message=REPLY + " Merci.") == 303  # a stopped text may change
    assert await press(alix, path + "/envoyer", path) == 409  # and is validated anew
    await press(denis, path + "/valider", path)
    assert await press(alix, path + "/envoyer", path) == 303

    async def all_sent() -> bool:
        await sends(console)
        return {status for status, _ in (await statuses(console)).values()} == {"sent"}

    await eventually(all_sent)
    for person, number in numbers.items():
        sent = [words for _, _, status, words in await console.outgoing(number) if status == "sent"]
        assert sent == [REPLY if person in ("p0", "p1") else REPLY + " Merci."]


async def test_who_comes_later_waits_for_another_press(
    console: RunningConsole, claire: Browser, denis: Browser, alix: Browser
) -> None:
    for person in ("p1", "p2"):
        await console.waiting(person, ASKED)
    await opened(claire, denis, alix)
    path = await grouped(console, "p1", "p2")
    await press(claire, path + "/repondre", path, message=REPLY)
    await press(denis, path + "/valider", path)
    await press(alix, path + "/envoyer", path)

    async def done() -> bool:
        await sends(console)
        return bool(await console.rows("SELECT FROM message_groups WHERE done_at IS NOT NULL"))

    await eventually(done)
    console.clock.advance(minutes=1)
    await console.waiting("p3", ALIKE)
    await grouped(console, "p3")
    page = (await alix.get(path)).page
    assert "Envoyer aussi à 1\u00a0personne venue depuis" in page
    assert (await statuses(console))["p3"] == ("waiting", None)
    assert await press(alix, path + "/envoyer", path) == 303
    await eventually(done)

    async def answered() -> bool:
        await sends(console)
        return (await statuses(console))["p3"][0] == "sent"

    await eventually(answered)
    assert await press(alix, "/crise/fermer") == 303
    assert await press(claire, path + "/repondre", path, message="Autre") == 409
    assert "ce groupe ne change plus" in (await claire.get(path)).page


async def test_unknown_groups_and_wrong_numbers(claire: Browser, alix: Browser) -> None:
    assert (await claire.get("/crise/groupes/77")).status == 404
    assert (await claire.get("/crise/groupes/99999999999999999999")).status == 404
    assert await press(alix, "/crise/groupes/77/envoyer", jusqua="hier") == 404
    assert await press(alix, "/crise/fermer", crise="x") == 303

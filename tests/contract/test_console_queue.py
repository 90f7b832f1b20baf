"""The queue, over real PostgreSQL and HTTP, without a script in the browser."""

from __future__ import annotations

import asyncio
import html
import re
from datetime import timedelta

import pytest

from bot.console import labels, queue_words
from bot.core.messages import Attachment, Platform
from bot.policy.intents import INTENTS, PRIORITY
from bot.store.deadlines import Deadlines
from bot.store.desk import queue as queues
from bot.store.desk.access import Desk
from bot.store.teams import Teams
from tests.fakes.console import Browser, RunningConsole


def test_every_value_of_the_store_has_french_words() -> None:
    assert set(labels.INTENTS) == set(INTENTS)
    assert set(labels.CATEGORIES) == set(PRIORITY)
    assert set(labels.FILTERS) == set(queues.FILTERS) == set(labels.EMPTY)
    for slug in (*INTENTS, "emergency_lexicon", "emergency_score", "emergency_engine", "emergency_old",
                 "emergency_follow_up", "window_closed", "autre_langue", "media", "incompris", "boucle", "moteur"):  # fmt: skip
        assert "_" not in labels.reason(slug)
        assert labels.reason(slug)[0].isupper()
    assert labels.intent("armes_chasse") == "armes"
    assert labels.reason("") == "Raison inconnue"


async def test_queue_orders_by_priority_then_deadline(console: RunningConsole, claire: Browser) -> None:
    now = console.clock.now()
    for person, category, hours in (
        ("young", "request", 1),
        ("thanks", "thanks", 9),
        ("old", "request", 5),
        ("danger", "emergency", 0),
        ("grave", "sensitive", 2),
    ):
        reason = "emergency_lexicon" if person == "danger" else "parler_humain"
        number = await console.says(person, f"mots de {person}")
        await console.hand_off(number, category, reason, at=now - timedelta(hours=hours))
    page = await claire.get("/file")
    assert re.findall(r"mots de (\w+)", page.page) == ["danger", "grave", "old", "young", "thanks"]
    assert "Danger reconnu à ses mots" in page.page
    assert "5\u00a0h" in page.page


async def test_queue_says_who_where_what_and_how_long_is_left(console: RunningConsole, claire: Browser) -> None:
    now = console.clock.now()
    first = await console.says("p1", "x" * 400, at=now - timedelta(hours=23), platform=Platform.INSTAGRAM)
    await console.hand_off(first, "complaint", "reclamation_police")
    second = await console.says(
        "p2", "", Attachment("image", url="https://cdn.example/photo.jpg"), at=now - timedelta(days=3)
    )
    await console.hand_off(second, "request", "media")
    await console.named(second, "Nadia B.")
    third = await console.says("p3", "vieux", at=now - timedelta(days=8))
    await console.hand_off(third)
    page = (await claire.get("/file")).page
    assert f"Personne\u00a0{first}" in page
    assert "Instagram" in page
    assert "x" * 140 + "…" in page
    assert "x" * 150 not in page
    assert "Réclamation sur la police" in page
    assert "1\u00a0h sur 24\u00a0h" in page
    assert "Nadia B." in page
    assert "<bdi>Photo</bdi>" in page
    assert "cdn.example" not in page
    assert "4\u00a0j sur 7\u00a0j" in page
    assert "fenêtre fermée" in page


async def test_filters_counts_and_paging(console: RunningConsole, claire: Browser) -> None:
    for i in range(queues.PAGE + 2):
        await console.waiting(f"p{i}", f"mots {i:02d}.")
        console.clock.advance(seconds=1)  # type: ignore[union-attr]
    first = await claire.get("/file")
    assert first.page.count('data-testid="queue-row"') == queues.PAGE
    following = re.search(r'href="([^"]+)" id="suite"', first.page)
    assert following is not None
    second = await claire.get(html.unescape(following[1]))
    assert re.findall(r"mots (\d\d)\.", second.page) == [str(queues.PAGE), str(queues.PAGE + 1)]
    assert 'id="suite"' not in second.page
    number = (await console.rows("SELECT min(id) AS id FROM conversations"))[0].id
    await claire.act(number, "prendre")
    mine = await claire.get("/file?etat=a-moi")
    assert mine.page.count('data-testid="queue-row"') == 1
    assert re.findall(r'class="count">(\d+)', mine.page) == [str(queues.PAGE + 1), "1", str(queues.PAGE + 2)]
    await claire.act(number, "clore")
    closed = await claire.get("/file?etat=closes")
    assert "mots 00." in closed.page
    assert "mots 01." not in closed.page


async def test_closed_ones_are_paged_too(console: RunningConsole, claire: Browser) -> None:
    for i in range(queues.PAGE + 1):
        number = await console.waiting(f"p{i}", f"mots {i:02d}.")
        await claire.act(number, "clore")
        console.clock.advance(seconds=1)  # type: ignore[union-attr]
    first = await claire.get("/file?etat=closes")
    assert re.findall(r"mots (\d\d)\.", first.page)[0] == str(queues.PAGE)
    following = re.search(r'href="([^"]+)" id="suite"', first.page)
    assert following is not None
    second = await claire.get(html.unescape(following[1]))
    assert re.findall(r"mots (\d\d)\.", second.page) == ["00"]


async def test_a_strange_page_is_a_page(console: RunningConsole, claire: Browser) -> None:
    for after in ("x", "1_2", "9_9999999999999999_1", "1_1_999999999999999999", "-1_0_0", "١_1_1"):
        for which in (queues.TAKE, queues.CLOSED):
            assert (await claire.get(f"/file?etat={which}&apres={after}")).status == 200, after


async def test_an_empty_queue_says_what_to_do(claire: Browser) -> None:
    for which in queues.FILTERS:
        page = await claire.get(f"/file?etat={which}")
        assert html.escape(labels.EMPTY[which][1], quote=False) in page.page.replace("&#39;", "'")
    filtered = await claire.get("/file?categorie=urgent")
    assert "Aucune demande ne correspond." in filtered.page


async def test_the_page_asks_for_its_list_alone(console: RunningConsole, claire: Browser) -> None:
    await console.waiting()
    fragment = await claire.get("/file", X_Planton_Live="1")
    assert fragment.page.lstrip().startswith('<div id="queue"')
    assert "<html" not in fragment.page


async def test_within_a_priority_what_is_due_soonest_comes_first(console: RunningConsole, claire: Browser) -> None:
    now = console.clock.now()
    for person, hours in (("b", 3), ("a", 5), ("c", 1)):
        await console.hand_off(await console.says(person, f"mots de {person}"), at=now - timedelta(hours=hours))
    # Raised once, the youngest is due before the others.
    await console.execute(
        "UPDATE handoffs SET due_at = :due WHERE conversation_id = (SELECT id FROM conversations WHERE person = 'c')",
        due=now + timedelta(hours=2),
    )
    assert re.findall(r"mots de (\w)", (await claire.get("/file")).page) == ["c", "a", "b"]


async def test_filters_combine_in_the_address_and_survive_paging(console: RunningConsole, claire: Browser) -> None:
    now = console.clock.now()
    team = await Teams(console.database).add(console.users["Claire"], "Cyber", now)
    for i in range(queues.PAGE + 3):
        kind = "complaint" if i % 11 else "witness"
        platform = Platform.INSTAGRAM if i else Platform.MESSENGER
        number = await console.says(f"p{i}", f"mots {i:02d}.", platform=platform)
        await console.hand_off(number, kind, at=now - timedelta(minutes=200 - i))
        await console.execute(
            "UPDATE handoffs SET team_id = :team WHERE conversation_id = :id", team=team if i == 5 else None, id=number
        )

    async def found(query: str) -> list[str]:
        return re.findall(r"mots (\d\d)\.", (await claire.get(f"/file?{query}")).page)

    assert await found("reseau=messenger") == ["00"]
    assert await found("categorie=witness") == ["00", "11", "22"]
    assert await found("categorie=witness&reseau=instagram") == ["11", "22"]
    assert await found(f"qui=e{team}") == ["05"]
    assert await found(f"qui=e{team}&categorie=witness") == []
    assert await found("age=plus-1h&categorie=witness&etat=toutes") == ["00", "11", "22"]
    assert await found("age=moins-1h") == []
    first = await claire.get("/file?qui=personne&reseau=instagram&age=plus-1h")
    assert f"<strong>{queues.PAGE + 1}\u00a0demandes correspondent</strong>" in first.page
    following = html.unescape(re.search(r'href="([^"]+)" id="suite"', first.page)[1])  # type: ignore[index]
    assert "reseau=instagram&qui=personne&age=plus-1h" in following
    assert re.findall(r"mots (\d\d)\.", (await claire.get(following)).page) == [str(queues.PAGE + 2)]
    tab = re.search(r'id="filtre-toutes" href="([^"]+)"', first.page)
    assert tab is not None
    assert html.unescape(tab[1]) == "/file?etat=toutes&reseau=instagram&qui=personne&age=plus-1h"


async def test_whom_a_hand_off_is_given_to(console: RunningConsole, claire: Browser, yanis: Browser) -> None:
    mine, his, free = [await console.waiting(p, f"mots de {p}") for p in ("a", "b", "c")]
    await claire.act(mine, "prendre")
    await yanis.act(his, "prendre")
    his_id = console.users["Yanis"].id
    for query, expected in (("moi", "a"), (f"u{his_id}", "b"), ("personne", "c"), ("u999", ""), ("x", "abc")):
        page = await claire.get(f"/file?etat=toutes&qui={query}")
        assert "".join(re.findall(r"mots de (\w)", page.page)) == expected, query
    await yanis.act(his, "clore")
    closed = await claire.get(f"/file?etat=closes&qui=u{his_id}")
    assert re.findall(r"mots de (\w)", closed.page) == ["b"]
    assert "selected>Yanis</option>" in closed.page
    assert free


async def test_a_filter_that_means_nothing_is_left_out(console: RunningConsole, claire: Browser) -> None:
    await console.waiting()
    for query in ("categorie=x", "reseau='", "qui=u99999999999999999999", "age=1", "delai=-", "etat=%00", "qui=%C3%A9"):
        page = await claire.get(f"/file?{query}")
        assert 'data-testid="queue-row"' in page.page, query


async def test_snoozed_and_spam_are_hidden_until_asked_for(console: RunningConsole, claire: Browser) -> None:
    now = console.clock.now()
    later, junk, _ = [await console.waiting(p, f"mots de {p}") for p in ("later", "junk", "plain")]
    sets = "UPDATE handoffs SET {} WHERE conversation_id = :id"
    await console.execute(sets.format("snoozed_until = :at"), at=now + timedelta(hours=2), id=later)
    await console.execute(sets.format("closed_at = :at, outcome = 'spam'"), at=now, id=junk)

    async def shown(which: str) -> set[str]:
        return set(re.findall(r"mots de (\w+)", (await claire.get(f"/file?etat={which}")).page))

    assert await shown("a-prendre") == await shown("toutes") == {"plain"}
    assert await shown("reportees") == {"later"}
    assert await shown("indesirables") == {"junk"}
    assert await shown("closes") == set()
    assert "Revient le" in (await claire.get("/file?etat=reportees")).page
    console.clock.advance(hours=2)  # type: ignore[union-attr]
    assert await shown("a-prendre") == {"plain", "later"}
    assert await shown("reportees") == set()


async def test_what_is_due_is_marked_and_rises(console: RunningConsole, claire: Browser) -> None:
    now = console.clock.now()
    for person, category, minutes in (
        ("fresh", "sensitive", 10),  # two hours, alert in the last half
        ("soon", "sensitive", 100),
        ("late", "complaint", 500),
        ("answered", "complaint", 500),
    ):
        number = await console.says(person, f"mots de {person}")
        await console.hand_off(number, category, at=now - timedelta(minutes=minutes))
        if person == "answered":
            await console.execute("UPDATE handoffs SET replied_at = :at WHERE conversation_id = :id", at=now, id=number)
    page = (await claire.get("/file")).page
    assert re.findall(r'data-testid="queue-due">([^<]+)<', page) == ["Bientôt en retard", "En retard de 20\u00a0min"]
    assert "dans 20\u00a0min" in page
    rising = re.search(r'<section class="rising".*?</section>', page, re.DOTALL)
    assert rising is not None
    assert "<strong>1</strong> en retard" in rising[0]
    assert rising[0].count("<li") == 1
    for query, expected in (("bientot", "soon"), ("depassee", "late")):
        found = await claire.get(f"/file?etat=toutes&delai={query}")
        assert re.findall(r"mots de (\w+)", found.page) == [expected]


async def test_a_trainer_sees_that_somebody_waits_not_who(console: RunningConsole, someone: Browser) -> None:
    number = await console.waiting("p", "des mots secrets", "Nadia B.")
    long_ago = console.clock.now() - timedelta(minutes=25)
    await console.hand_off(number, "urgent", "disparition", at=long_ago, slots={"lieu": "Lyon"})
    await console.user("Inès", "trainer")
    await someone.log_in("Inès")
    for query in ("", "?etat=toutes", "?etat=toutes&categorie=urgent"):
        page = (await someone.get(f"/file{query}")).page
        assert 'data-testid="queue-row"' in page
        assert "Urgent" in page
        assert not any(word in page for word in ("secrets", "Nadia", f"/conversations/{number}", "data-conversation"))
    assert (await someone.get("/file/alertes", follow=False)).status == 403
    store = queues.QueueStore(Desk(console.database, console.codec, {}))
    row = (await store.page(console.users["Inès"], queues.Wanted(), console.clock.now())).rows[0]
    assert (row.conversation.name, row.words, row.handoff.slots) == (None, None, {})  # the page is not even told


async def test_counts_stop_where_counting_would_take_long(
    console: RunningConsole, claire: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "COUNTED", 3)
    monkeypatch.setattr(queue_words, "COUNTED", 3)
    for i in range(5):
        await console.waiting(f"p{i}")
    assert '<span class="count">2+</span>' in (await claire.get("/file")).page


# -- deadlines ----------------------------------------------------------------------------------------------------


async def test_a_look_tells_each_coming_breach_once_and_wakes_what_was_snoozed(
    console: RunningConsole, claire: Browser
) -> None:
    now = console.clock.now()
    deadlines = Deadlines(console.database)
    due = await console.hand_off(await console.says("due", "mots"), "urgent", at=now - timedelta(minutes=21))
    await console.hand_off(await console.says("far", "mots"), "urgent", at=now)
    asleep = await console.says("asleep", "mots")
    await console.hand_off(asleep, "urgent", at=now - timedelta(minutes=40))
    await console.execute(
        "UPDATE handoffs SET snoozed_until = :at WHERE conversation_id = :id", at=now + timedelta(hours=1), id=asleep
    )
    with console.listener.subscribe() as heard:
        assert await deadlines.look(now) == (0, 1)
        assert await deadlines.look(now) == (0, 0)
        async with asyncio.timeout(20):
            while (await heard.get())[1] != "alert":
                pass
    alerted = await console.rows("SELECT id FROM handoffs WHERE alerted_at IS NOT NULL")
    assert [row.id for row in alerted] == [due]
    assert "1\u00a0demande arrive à échéance" in (await claire.get("/file/alertes")).page
    console.clock.advance(hours=1)  # type: ignore[union-attr]
    assert await deadlines.look(console.clock.now()) == (1, 2)  # awake, and late with the one that was far
    assert (await console.handoff(asleep)).state == "open"
    assert ("wake", asleep) in await console.audit()
    assert "3\u00a0demandes sont en retard." in (await claire.get("/file/alertes")).page


async def test_a_hand_off_that_is_raised_may_alert_again(console: RunningConsole) -> None:
    number = await console.waiting()
    await console.execute("UPDATE handoffs SET alerted_at = now()")
    await console.hand_off(number, "thanks")
    assert (await console.handoff(number)).alerted_at is not None
    await console.hand_off(number, "emergency", "emergency_lexicon")
    assert (await console.handoff(number)).alerted_at is None


async def test_deadlines_alert_those_who_can_do_something(
    console: RunningConsole, claire: Browser, yanis: Browser
) -> None:
    number = await console.waiting()
    await console.hand_off(number, "urgent", at=console.clock.now() - timedelta(minutes=25))
    await claire.act(number, "prendre")
    assert "1\u00a0demande arrive à échéance" in (await claire.get("/file/alertes")).page
    assert "échéance" not in (await yanis.get("/file/alertes")).page


async def test_deadlines_are_set_on_their_page(console: RunningConsole, alix: Browser) -> None:
    await console.open_sessions("Alix")
    page = await alix.get("/file/delais")
    assert 'href="/file/delais"' in (await alix.get("/file")).page
    fields = {m[1]: m[2] for m in re.finditer(r'name="((?:delai|alerte)_\d)" value="([^"]*)"', page.page)}
    assert fields["delai_0"] == "5 min"
    assert fields["alerte_2"] == "30 min"
    wrong = await alix.post(
        "/file/delais", csrf=page.hidden("csrf"), **{**fields, "delai_4": "bientôt", "alerte_0": "2 h"}
    )
    assert wrong.status == 422
    assert 'value="bientôt"' in wrong.page
    assert "par exemple 30 min" in wrong.page
    assert (await console.rows("SELECT count(*) AS n FROM deadlines WHERE updated_by IS NOT NULL"))[0].n == 0
    longer = await alix.post("/file/delais", csrf=page.hidden("csrf"), **{**fields, "alerte_0": "5 min"})
    assert "Elle doit être plus courte que le délai." in longer.page
    done = await alix.post(
        "/file/delais", csrf=page.hidden("csrf"), **{**fields, "delai_4": "1 h 30", "alerte_4": "0 min"}
    )
    assert done.status == 303
    number = await console.waiting()
    assert (await console.handoff(number)).due_at - console.clock.now() == timedelta(minutes=90)
    detail = (await console.rows("SELECT detail FROM audit WHERE action = 'deadline_changed'"))[0].detail
    assert (detail["priority"], detail["within_was"], detail["within"]) == (4, 1440, 90)
    assert (await console.rows("SELECT count(*) AS n FROM audit WHERE action = 'deadline_changed'"))[0].n == 1


@pytest.mark.parametrize(
    ("typed", "minutes"),
    [
        ("30 min", 30), ("2h", 120), ("1 h 30", 90), ("1\u202fh\u202f30\u00a0min", 90), ("3 j 12 h", 5040), ("0 min", 0),
        ("2 jours", 2880), ("30", None), ("", None), ("h", None), ("-1 h", None), ("1 h 2 j", None), ("é", None),
    ],
)  # fmt: skip
def test_durations_as_they_are_typed(typed: str, minutes: int | None) -> None:
    read = queue_words.span(typed)
    assert read == (None if minutes is None else timedelta(minutes=minutes))
    if read is not None:
        assert queue_words.span(queue_words.typed(read)) == read

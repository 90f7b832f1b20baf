"""What the benchmarks rest on: the crisis' shape, and the count of what was lost, doubled, out of order."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.core.messages import Delivery, Echo, Event
from bot.meta import metadata
from bot.meta.payloads import parse
from bot.meta.signature import verify
from scripts.benchmark import __main__ as commands
from scripts.benchmark import crisis, drive, graph, hold, load, messages, page, stock, storm, systems
from scripts.benchmark.accounting import Account, Arrival, Fate, account, percentile, slope
from scripts.benchmark.compare import PARSE, PLANTON, REST, STOCK, UNLIKE, Comparison, Row
from scripts.benchmark.drive import Measured
from scripts.benchmark.graph import TOKEN, Book, Door
from scripts.benchmark.ledger import ordinary
from scripts.benchmark.meter import Use


@pytest.fixture(scope="module")
def hour() -> list[crisis.Written]:
    return crisis.hour()


def test_the_same_seed_gives_the_same_hour() -> None:
    assert crisis.hour(500) == crisis.hour(500)
    assert crisis.hour(500, seed=1) != crisis.hour(500)


def test_the_hour_is_quiet_then_rises_within_minutes(hour: list[crisis.Written]) -> None:
    minutes = Counter(int(one.at // 60) for one in hour)
    mean = len(hour) / 60
    quiet, risen = int(crisis.QUIET // 60), int((crisis.QUIET + crisis.STEP) // 60)
    assert len(hour) == 11_000
    assert all(minutes[minute] < 0.05 * mean for minute in range(quiet))
    assert all(minutes[minute] > 0.6 * mean for minute in range(risen, 60))
    assert [one.at for one in hour] == sorted(one.at for one in hour)


def test_bursts_are_ten_times_the_mean(hour: list[crisis.Written]) -> None:
    seconds = Counter(int(one.at) for one in hour)
    mean = len(hour) / crisis.HOUR
    loud = [second for second, count in seconds.items() if count > 8 * mean]
    assert len(loud) == pytest.approx(crisis.BURSTS * crisis.BURST, abs=crisis.BURSTS)
    assert sum(seconds[second] for second in loud) / len(loud) == pytest.approx(10 * mean, rel=0.05)


def test_people_write_several_times_and_some_are_in_danger(hour: list[crisis.Written]) -> None:
    kinds = Counter(one.kind for one in hour)
    people = Counter(one.person for one in hour)
    assert kinds[crisis.DANGER] / len(hour) == pytest.approx(0.03, abs=0.006)
    assert kinds[crisis.ALIKE] > len(hour) / 3
    assert len(hour) / len(people) > 1.8
    later = {int(one.at // 300) for one in hour if one.kind == crisis.DANGER}
    assert later >= set(range(3, 12)), "from the first minutes to the last"
    numbers: Counter[str] = Counter()
    for one in hour:
        assert one.number == numbers[one.person]
        numbers[one.person] += 1


def test_panic_changes_the_spelling_of_many(hour: list[crisis.Written]) -> None:
    questions = [one.text for one in hour if one.kind == crisis.QUESTION]
    plain = sum(text == "où peut-on donner son sang" for text in questions)
    assert 0.02 * len(questions) < plain < 0.1 * len(questions)
    assert any(text.isupper() for text in questions)


def test_pressed_together_it_is_the_same_hour() -> None:
    slow, fast = crisis.hour(500), crisis.hour(500, factor=20)
    assert [one.text for one in fast] == [one.text for one in slow]
    assert fast[-1].at == pytest.approx(slow[-1].at / 20)


def test_a_stream_is_even_and_each_person_writes_in_order() -> None:
    written = messages.stream("9001", 10, 60)
    assert len(written) == 600
    assert written == messages.stream("9001", 10, 60)
    assert written[10][0] == 1.0
    numbers: Counter[str] = Counter()
    for _, person, number, text in written:
        assert number == numbers[person]
        numbers[person] += 1
        assert text
    assert max(numbers.values()) == 3


NAMES = [("a", 0), ("a", 1), ("b", 0)]
FATES = {("a", 0): Fate(10), ("a", 1): Fate(11), ("b", 0): Fate(12)}


def counts(found: Account) -> tuple[int, int, int, int]:
    return found.lost, found.doubled, found.disordered, found.silent


def arrivals(*keys: tuple[str, int, float]) -> list[Arrival]:
    return [Arrival(person, key, 0, at) for person, key, at in keys]


def test_all_is_well_when_each_reply_came_once_and_in_order() -> None:
    found = account(NAMES, FATES, arrivals(("a", 10, 1.0), ("b", 12, 1.5), ("a", 11, 2.0)))
    assert counts(found) == (0, 0, 0, 0)
    assert found.replies == {("a", 0): 1.0, ("a", 1): 2.0, ("b", 0): 1.5}


@pytest.mark.parametrize(
    ("fates", "got", "expected"),
    [
        (FATES, [("a", 10, 1.0), ("a", 11, 2.0)], (1, 0, 0, 0)),
        (
            {name: fate for name, fate in FATES.items() if name[0] == "a"},
            [("a", 10, 1.0), ("a", 11, 2.0)],
            (1, 0, 0, 0),
        ),
        (FATES, [("a", 10, 1.0), ("a", 11, 2.0), ("a", 11, 3.0), ("b", 12, 1.0)], (0, 1, 0, 0)),
        (FATES, [("a", 10, 1.0), ("a", 11, 2.0), ("b", 12, 1.0), ("b", 13, 2.0)], (0, 1, 0, 0)),
        (FATES, [("a", 11, 1.0), ("a", 10, 2.0), ("b", 12, 1.0)], (0, 0, 1, 0)),
        ({**FATES, ("a", 1): Fate(11, urgent=True)}, [("a", 11, 1.0), ("a", 10, 2.0), ("b", 12, 1.0)], (0, 0, 0, 0)),
        ({**FATES, ("b", 0): Fate(silent=True)}, [("a", 10, 1.0), ("a", 11, 2.0)], (0, 0, 0, 1)),
        ({**FATES, ("a", 1): Fate(10)}, [("a", 10, 1.0), ("b", 12, 2.0)], (0, 0, 0, 0)),
    ],
    ids=[
        "a reply that never arrived",
        "a message that the system does not know",
        "a reply that came twice",
        "a reply to nothing",
        "the second before the first",
        "a danger may overtake",
        "silence on purpose",
        "two messages read together",
    ],
)
def test_what_went_wrong_is_counted(
    fates: dict[tuple[str, int], Fate], got: list[tuple[str, int, float]], expected: tuple[int, int, int, int]
) -> None:
    assert counts(account(NAMES, fates, arrivals(*got))) == expected


def test_two_replies_under_way_at_once_are_out_of_order() -> None:
    got = [*arrivals(("a", 10, 1.0), ("b", 12, 1.0)), Arrival("a", 11, 0, 2.0, overlapped=True)]
    assert counts(account(NAMES, FATES, got)) == (0, 0, 1, 0)


MARKS = {
    "reply": metadata.make(b"key", 12),
    "second part": metadata.make(b"key", 12, 1),
    "emergency": metadata.make(b"key", 13),
    "door": metadata.make_ref(b"key", metadata.unrowed_ref("m_a_1")),
    "unknown": "",
}


@pytest.mark.parametrize(
    ("under_way", "found"),
    [
        ([], False),
        (["emergency"], False),
        (["door"], False),
        (["emergency", "door"], False),
        (["reply"], True),
        (["second part"], True),
        (["door", "reply"], True),
        (["unknown"], True),
    ],
)
def test_what_begins_while_an_emergency_is_under_way_is_in_order(under_way: list[str], found: bool) -> None:
    assert ordinary([MARKS[name] for name in under_way], {13}) is found


class Answers(asyncio.Transport):
    """Takes what the Graph API answers."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return False


async def test_the_graph_api_knows_what_was_under_way_to_the_same_person() -> None:
    book, answers = Book(0.01), Answers()
    door = Door(book)
    door.connection_made(answers)
    for person, mark in (("1", "a"), ("1", "b"), ("2", "c")):
        body = json.dumps({"recipient": {"id": person}, "message": {"text": "oui", "metadata": mark}}).encode()
        head = (
            f"POST /v26.0/1/messages HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        door.data_received(head.encode() + body)
    async with asyncio.timeout(180):
        while len(answers.written) < 3:
            await asyncio.sleep(0.01)
    assert [(person, mark, under_way) for person, mark, _, _, under_way in book.sent] == [
        ("1", "a", []),
        ("1", "b", ["a"]),
        ("2", "c", []),
    ]
    assert not book.busy


async def test_the_graph_api_tells_the_gateway_what_became_of_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "READ", (0.0, 0.0))
    monkeypatch.setattr(graph, "AGAIN", 0.01)
    told: list[Event] = []
    posted: list[dict[str, Any]] = []
    refusals = iter([503])

    async def gateway(request: web.Request) -> web.Response:
        raw = await request.read()
        verify(("s",), raw, request.headers["X-Hub-Signature-256"])
        if status := next(refusals, None):
            return web.Response(status=status)
        told.extend(parse(raw, datetime.now(UTC)))
        posted.append(json.loads(raw)["entry"][0]["messaging"][0])
        return web.Response()

    app = web.Application()
    app.router.add_post("/webhooks/meta", gateway)
    async with TestServer(app) as server:
        book = Book(0.0)
        book.receipts = graph.Receipts(server.port or 0, "/webhooks/meta", "1", "s", book.calls)
        button = {"content_type": "text", "title": "Non", "payload": "/non"}
        message = {"text": "oui", "metadata": "pl1.7.x", "quick_replies": [button]}
        mid = book.accept("42", message, book.begin("42", message))
        async with asyncio.timeout(180):
            while len(told) < 3:
                await asyncio.sleep(0.01)
    assert [(event.kind, event.person) for event in told] == [("echo", "42"), ("delivery", "42"), ("read", "42")]
    [echo, delivery, _] = [event.body for event in told]
    assert isinstance(echo, Echo) and (echo.text, echo.metadata) == ("oui", "pl1.7.x")
    assert told[0].mid == mid
    assert posted[0]["message"] == {
        "mid": mid,
        "text": "oui",
        "is_echo": True,
        "app_id": int(graph.OWN_APP),
        "metadata": "pl1.7.x",
    }
    assert book.calls[graph.REFUSED] == 1
    assert isinstance(delivery, Delivery) and delivery.mids == (mid,)


def test_receipts_that_were_refused_count_among_the_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of this measurement, not of what came before."""

    this: Any = SimpleNamespace(pid=os.getpid())

    class Posting:
        def __init__(self, _: load.Job) -> None:
            self.process = this

        done = True

        def result(self) -> tuple[list[load.Posted], float, float]:
            return [load.Posted("1", 0, 0.0, acked=0.1, refusals=1)], 0.0, 0.0

    calls = Counter({graph.REFUSED: 5})

    def fetch(port: int, path: str) -> dict[str, Any]:
        assert (port, path.partition("?")[0]) == (7, "/bench/sent")
        return {"sent": [], "count": 0, "calls": dict(calls)}

    def settle(posted: list[load.Posted]) -> drive.Settled:
        calls[graph.REFUSED] += 2
        return drive.no_replies(posted)

    monkeypatch.setattr(drive, "Posting", Posting)
    monkeypatch.setattr(systems, "fetch", fetch)
    meta = systems.GraphProcess.__new__(systems.GraphProcess)
    meta.port, meta.process = 7, this
    found = drive.measure("x", systems.Running(), load.Job(load.META, 1, "/"), meta, settle)
    assert found.refused == 1 + 2


def test_parts_of_one_reply_are_no_doubles() -> None:
    got = [*arrivals(("a", 10, 1.0), ("a", 11, 2.0), ("b", 12, 1.0)), Arrival("b", 12, 1, 2.0)]
    assert counts(account(NAMES, FATES, got)) == (0, 0, 0, 0)


def test_replies_without_a_mark_are_told_by_their_words() -> None:
    replies = {"70": [["bonjour"], ["oui", "et non"], ["bonjour"]]}
    sent = [("70", "", text, at, []) for at, text in enumerate(["bonjour", "oui", "et non", "bonjour", "autre"])]
    fates, got = stock.attribute(replies, [*sent, ("80", "", "bonjour", 9.0, [])], "70")
    assert [(one.key, one.part) for one in got] == [(0, 0), (1, 0), (1, 1), (2, 0), (None, 0)]
    found = account(list(fates), fates, got)
    assert counts(found) == (0, 0, 0, 0)
    assert found.unclaimed == 1


def test_any_wording_of_a_response_is_the_same_reply() -> None:
    """Rasa draws one each time: the one that was learned need not be the one that comes."""
    same = stock.alike(
        {
            "utter_au_revoir": [{"text": "Au revoir."}, {"text": "À bientôt.\n"}],
            "utter_menu": [{"text": "Bonjour.\n\nQue puis-je ?"}, {"text": "Bienvenue.\n\nDites-moi."}],
            "utter_seul": [{"text": "Seul."}],
            "utter_image": [{"image": "x.png"}],
        }
    )
    replies = {"70": [["Bienvenue.", "Dites-moi."], ["Au revoir."]]}
    said = ["Bonjour.", "Que puis-je ?", "À bientôt."]
    sent = [("70", "", text, float(at), []) for at, text in enumerate(said)]
    for known, lost in ((same, 0), ({}, 2)):
        fates, got = stock.attribute(replies, sent, "70", known)
        assert account(list(fates), fates, got).lost == lost
    assert set(stock._alike()), "our own responses have several wordings"


async def test_a_webhook_of_several_messages_is_refused_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it holds: « refusals » are webhooks."""
    statuses = iter([503, 0, 200])

    class Pool:
        def __init__(self, *_: object) -> None: ...

        async def ask(self, _: bytes) -> load.wire.Response:
            return load.wire.Response(next(statuses), b"")

    async def at_once(_: float) -> None: ...

    monkeypatch.setattr(load.wire, "Pool", Pool)
    monkeypatch.setattr(load.asyncio, "sleep", at_once)
    job = load.Job(load.META, 1, "/", secret="s")
    posted = await load.Load(job)._deliver([("1", 0, "a"), ("2", 0, "b"), ("3", 0, "c")])
    assert [one.refusals for one in posted] == [2, 0, 0]
    assert all(one.acked is not None for one in posted)


def test_percentiles_and_slopes() -> None:
    assert [percentile(range(1, 101), p) for p in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert percentile([7.0], 99) == 7.0
    assert math.isnan(percentile([], 50))
    assert slope([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]) == pytest.approx(2.0)
    assert slope([(1.0, 4.0)]) == 0.0


def test_a_measurement_replaces_its_own_block_only(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(
        "avant\n<!-- mesure a -->\nvieux\n<!-- fin a -->\nentre\n<!-- mesure b -->\nreste\n<!-- fin b -->\n"
    )
    page.put("a", "neuf \\1", file)
    assert file.read_text() == (
        "avant\n<!-- mesure a -->\n\nneuf \\1\n\n<!-- fin a -->\nentre\n<!-- mesure b -->\nreste\n<!-- fin b -->\n"
    )
    with pytest.raises(SystemExit, match=r"no marks for « c ».*<!-- mesure c --> and <!-- fin c -->"):
        page.put("c", "neuf", file)


def test_the_page_has_a_place_for_each_measurement() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    crises = [f"crise {factor:g}" for factor in (10, commands.FACTOR)]
    for name in ("comparaison", *crises, "attente", *hold.SCENARIOS):
        assert text.count(f"<!-- mesure {name} -->") == text.count(f"<!-- fin {name} -->") == 1
        assert page.missing(name) == ""


# What is measured, and what is written of it


def measured(**more: object) -> Measured:
    told = Account(
        messages=100,
        silent=7,
        silences=Counter({"to_agent": 3, "handed_off": 1, "emergency": 2, "ignored": 1}),
        replies={("a", 0): 1.0},
    )
    use = {"engine": Use(2.0, 1000.0), "load": Use(0.5, 0.0)}
    return Measured("x", 100, 10.0, 10.0, [0.01], [0.1], told, refused=12, use=use, last=11.0, **more)  # type: ignore[arg-type]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is put on the page, by its block's name; nothing is measured."""
    found: dict[str, str] = {}
    monkeypatch.setattr(page, "put", lambda name, block: found.update({name: block}))
    monkeypatch.setattr(page, "circumstances", lambda command, stolen: "measured so")
    monkeypatch.setattr(page, "draw", lambda kind, figures, name: found.update({name: kind}))
    monkeypatch.setattr(hold, "run", lambda scenario, tell: hold.Held(scenario, measured(), []))

    def hour(factor: float, total: int, seed: int, tell: object) -> storm.Storm:
        return storm.Storm("x", measured(), {}, [(0.0, 5)], [], [3, 40], factor=factor)

    monkeypatch.setattr(storm, "hour", hour)
    return found


def options(*words: str) -> argparse.Namespace:
    return commands._parser().parse_args(words)


@pytest.mark.parametrize(
    ("words", "blocks"),
    [
        (["hold", "steady30"], {"steady30"}),
        (["hold", "steady30", "--page"], {"steady30"}),
        (["hold", "steady30", "--seconds", "1200"], {"steady30"}),
        (["hold", "steady30", "--no-page"], set()),
        (["hold", "steady30", "--seconds", "45"], set()),
        (["hold", "steady30", "--seconds", "45", "--page"], set()),
        (["hold", "steady30", "--quick"], set()),
        (["crisis"], {"crise 40", "bench-crise-40.svg"}),
        (["crisis", "--factor", "10", "--page"], {"crise 10", "bench-crise-10.svg"}),
        (["crisis", "--factor", "10", "--total", "500"], set()),
        (["crisis", "--quick"], set()),
        (["crisis", "--factor", "7"], set()),
    ],
    ids=lambda given: " ".join(sorted(given) if isinstance(given, set) else given),  # the same in each process
)
def test_only_a_whole_run_is_written_and_to_a_block_of_its_own(
    words: list[str], blocks: set[str], written: dict[str, str]
) -> None:
    given = options(*words)
    assert all(step(given) for step in given.steps(given))
    assert set(written) == blocks
    for name in blocks - {"steady30"}:
        if name.startswith("crise"):
            assert f"(images/bench-{name.replace(' ', '-')}.svg)" in written[name]


def test_all_keeps_the_ten_minutes_as_they_are(written: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_compare", lambda given: True)
    given = options("all")
    assert all(step(given) for step in given.steps(given))
    assert set(written) == {"hundred", "distinct", "minute", "crise 40", "bench-crise-40.svg"}


def test_a_page_without_a_place_is_told_before_anything_is_measured(
    written: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(storm, "hour", lambda *_: pytest.fail("measured for nothing"))
    given = options("crisis", "--factor", "7", "--page")
    [step] = given.steps(given)
    assert not commands._done(step, given)
    assert "<!-- mesure crise 7 --> and <!-- fin crise 7 -->" in capsys.readouterr().err
    assert not written


SILENCES = "Sans réponse à dessein : 7 (confiés à un agent : 4, couverts par une réponse d’urgence : 2, ignorés : 1)."


def test_a_scenario_says_what_was_refused_and_what_silence_is() -> None:
    said = page.held(hold.Held(hold.SCENARIOS["minute"], measured(), []))
    assert "Webhooks refusés (503, ou sans réponse), que Meta a renvoyés : 12." in said
    assert SILENCES in said
    assert page.LOST in said


def test_what_is_with_an_agent_counts_as_done_and_is_called_so() -> None:
    found = measured()
    found.replies = [0.1] * 93
    verdict = hold.VERDICTS["within"](found, hold.SCENARIOS["minute"], {})
    assert (verdict.held, verdict.what) == (True, "tous répondus ou confiés à un agent, depuis le début")
    found.replies.pop()
    assert not hold.VERDICTS["within"](found, hold.SCENARIOS["minute"], {}).held


def test_a_crisis_says_how_fast_it_came_who_was_refused_and_what_each_process_took() -> None:
    turns = {storm.FIRST: [1.0], storm.AFTER: [2.0, 4.0]}
    found = storm.Storm(
        "x",
        measured(),
        {storm.SEEN: [0.2]},
        [(0.0, 5)],
        [],
        [3, 40],
        factor=40.0,
        turns=turns,
        alarms=9,
        told=(1234, 0),
    )
    said = page.crisis(found)
    assert (
        "40 fois plus vite que novembre 2015 : 100 messages pris en 2 s, 50,0 par seconde en moyenne, 40 au plus fort"
        in said
    )
    assert "renvoyés : 12." in said
    assert SILENCES in said
    assert "Personnes averties que la réponse tarde : 1\u202f234, dont 0 deux fois." in said
    assert "messages des autres classes : 9." in said
    assert "| premier message d’une personne | 1 | 1\u202f000 ms" in said
    assert "| autre message, après une première réponse | 2 | 2\u202f000 ms | 4\u202f000 ms" in said
    assert "| engine | 2,0 s | 20,0 ms | 1\u202f000 Mo |" in said
    assert page.LOST in said
    found.factor, found.drained = 0.0, 50.0
    assert "100 messages pris ; plus rien n’attendait 50 s après le premier, soit 2,0 par seconde." in page.crisis(
        found
    )


def test_first_messages_are_told_from_later_ones() -> None:
    """« a »: two before the first answer, one after it. « b »: the second is a danger. « c » was never answered."""
    asked = {("a", 1): 0.0, ("a", 2): 1.0, ("a", 3): 6.0, ("b", 0): 0.0, ("b", 1): 1.0, ("c", 0): 0.0}
    written = [crisis.Written(at, person, number, crisis.SEEK, "") for (person, number), at in asked.items()]
    told = Account(replies={("a", 1): 5.0, ("a", 2): 5.0, ("a", 3): 8.0, ("b", 0): 9.0, ("b", 1): 1.5})
    assert storm.turns(written, asked, told, {("b", 1)}) == {
        storm.FIRST: [5.0, 9.0],
        storm.BEFORE: [4.0],
        storm.AFTER: [2.0],
    }


def test_nobody_is_told_twice_to_wait() -> None:
    assert storm.told_once((80, 0)).held
    assert storm.told_once((0, 0)).held
    assert (storm.told_once((80, 2)).held, storm.told_once((80, 2)).missed) == (False, "2 de trop")


def test_the_comparison_shows_each_latency_and_what_the_stock_channel_lost() -> None:
    told = Account(messages=10, lost=2, unclaimed=3, silent=1)
    rows = [
        Row(
            system,
            latency,
            Measured("x", 10, account=told, refused=4, use={name: Use(1.0, 100.0)}),
            Measured("y", 5, replies=[0.1], refused=1),
        )
        for system, name in ((PLANTON, "engine"), (STOCK, "rasa"))
        for latency in (0.05, 0.1, 0.2)
    ]
    rows += [
        Row(system, latency, Measured("x", rate=rate, account=Account(silent=6)), Measured("y", replies=[0.1]))
        for system, latency, rate in ((PLANTON + UNLIKE, 0.1, 60.0), (REST, None, 30.0), (PARSE + UNLIKE, None, 100.0))
    ]
    said = page.comparison(Comparison(12.0, rows, failed=2))
    for latency in ("50 ms", "100 ms", "200 ms"):
        assert f"| Planton | {latency} | engine | 100,0 ms | 100 Mo |" in said
        assert f"| {STOCK} | {latency} | rasa |" in said
    [first] = [line for line in said.splitlines() if line.startswith(f"| {STOCK} | 50 ms | 0,0")]
    assert [cell.strip() for cell in first.split("|")][6:11] == ["2", "0", "0", "1", "5"]
    assert "9 n’ont pu être attribuées à aucun message" in said
    assert "2 actions interrompues par une erreur" in said
    [rest] = [line for line in said.splitlines() if line.startswith(f"| {REST} |")]
    assert [cell.strip() for cell in rest.split("|")][6:10] == ["0", "0", "0", "—"], "an empty answer may be a failure"
    assert "Canal REST : réponses vides" in said and "comptées nulle part : 6." in said
    assert f"- 60,0 % de « {PARSE + UNLIKE} » (demandé : 70 %)." in said
    [asked] = [line for line in said.splitlines() if line.startswith("- 200,0 % de ")]
    assert "Rasa interrogé directement" in asked and "demandé" not in asked
    assert page.LOST in said

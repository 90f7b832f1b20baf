"""What the benchmarks rest on: the crisis' shape, and the count of what was lost, doubled, out of order."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest

from scripts.benchmark import crisis, messages, page, stock
from scripts.benchmark.accounting import Account, Arrival, Fate, account, percentile, slope


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


def test_parts_of_one_reply_are_no_doubles() -> None:
    got = [*arrivals(("a", 10, 1.0), ("a", 11, 2.0), ("b", 12, 1.0)), Arrival("b", 12, 1, 2.0)]
    assert counts(account(NAMES, FATES, got)) == (0, 0, 0, 0)


def test_replies_without_a_mark_are_told_by_their_words() -> None:
    replies = {"70": [["bonjour"], ["oui", "et non"], ["bonjour"]]}
    sent = [("70", "", text, at, False) for at, text in enumerate(["bonjour", "oui", "et non", "bonjour", "autre"])]
    fates, got = stock.attribute(replies, [*sent, ("80", "", "bonjour", 9.0, False)], "70")
    assert [(one.key, one.part) for one in got] == [(0, 0), (1, 0), (1, 1), (2, 0)]
    assert counts(account(list(fates), fates, got)) == (0, 0, 0, 0)


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
    with pytest.raises(SystemExit, match="no marks"):
        page.put("c", "neuf", file)


def test_the_page_has_a_place_for_each_measurement() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    for name in ("comparaison", "crise", "attente", "steady30", "hundred", "distinct", "minute", "soak"):
        assert text.count(f"<!-- mesure {name} -->") == text.count(f"<!-- fin {name} -->") == 1

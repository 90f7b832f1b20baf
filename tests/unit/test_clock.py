"""The clock that all processes share: what a machine's own clock does to it (nothing), and what a reading does."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.core.clock import SharedClock

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0


class Machine:
    """A machine whose clock is `ahead` of the true time by so many seconds. `passes`: so many seconds pass."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.true, self.ahead, self.up = NOON, ahead, 12_345.6

    def passes(self, seconds: float) -> None:
        self.true += seconds
        self.up += seconds

    def clock(self) -> SharedClock:
        return SharedClock(lambda: self.true + self.ahead, lambda: self.up)

    def reading(self, clock: SharedClock, there: float = 0.01, back: float = 0.01, database: float = 0.0) -> float:
        """One round trip. `database`: how far PostgreSQL's clock is ahead."""
        before = self.up
        self.passes(there)
        at = self.true + database
        self.passes(back)
        return clock.hear(at, before, self.up)

    def off(self, clock: SharedClock) -> float:
        """Seconds between what the clock tells and the true time."""
        return clock.now().timestamp() - self.true


@pytest.mark.parametrize("ahead", [HOUR, -HOUR, 0.0])
def test_a_reading_sets_it_whatever_the_machine_says(ahead: float) -> None:
    machine = Machine(ahead)
    clock = machine.clock()
    assert machine.off(clock) == pytest.approx(ahead), "before the first reading there is nothing better"
    assert not clock.read
    machine.reading(clock)
    assert clock.read
    assert machine.off(clock) == pytest.approx(0, abs=0.001)
    assert clock.skew == pytest.approx(ahead, abs=0.001)


def test_a_jump_of_the_machine_moves_nothing() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.reading(clock)
    for jump in (HOUR, -2 * HOUR, 86_400.0 * 400):
        before = clock.now()
        machine.ahead += jump
        assert clock.now() == before
        assert clock.skew == pytest.approx(machine.ahead, abs=0.001), "and is told"
        machine.passes(30)  # the database is away meanwhile
        assert machine.off(clock) == pytest.approx(0, abs=0.001)


def test_a_jump_of_postgresql_is_followed() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.reading(clock)
    assert machine.reading(clock, database=-HOUR) == pytest.approx(-HOUR, abs=0.05)
    assert machine.off(clock) == pytest.approx(-HOUR, abs=0.05)


def test_a_slow_answer_does_not_spoil_a_good_reading() -> None:
    machine = Machine(HOUR)
    clock = machine.clock()
    machine.reading(clock, 0.001, 0.001)
    for there, back in ((4.0, 0.001), (0.001, 4.0), (2.0, 5.0)):
        assert machine.reading(clock, there, back) == 0.0
        assert machine.off(clock) == pytest.approx(0, abs=0.001)


def test_a_first_answer_that_was_slow_is_made_good_by_the_next() -> None:
    machine = Machine(-HOUR)
    clock = machine.clock()
    machine.reading(clock, 0.001, 3.0)
    assert abs(machine.off(clock)) == pytest.approx(1.5, abs=0.01)
    machine.reading(clock, 0.001, 0.003)
    assert machine.off(clock) == pytest.approx(0, abs=0.004)


def test_who_reads_the_machine_s_clock_is_listed() -> None:
    """What several processes compare goes by PostgreSQL's: docs/decisions/clocks.md says who does not, and why that is harmless."""
    page = (ROOT / "docs" / "decisions" / "clocks.md").read_text(encoding="utf-8")
    listed = set(
        re.findall(r"`(bot/[\w/]+\.py)`", page.split("## The machine's clock is still read")[1].split("\n## ")[0])
    )
    reads = re.compile(
        r"datetime\.(now|utcnow|today)\b|\btime\.time\b(?!_ns)|\bSystemClock\(|=SystemClock\b|date\.today\("
    )
    files = [*(ROOT / "bot").rglob("*.py"), *(ROOT / "actions").rglob("*.py")]
    found = {str(file.relative_to(ROOT)) for file in files if reads.search(file.read_text(encoding="utf-8"))}
    assert found == listed

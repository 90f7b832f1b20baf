"""The arithmetic of docs/passage-a-l-echelle.md and docs/croissance.md follows from what was measured and from the code."""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path

import pytest

from bot.settings import KNOWN
from bot.store import purge
from bot.store.db import Database
from scripts import plan

ROOT = Path(__file__).resolve().parents[2]
SCALE = plan.PAGE.read_text(encoding="utf-8")
BENCHMARKS = plan.BENCHMARKS.read_text(encoding="utf-8")
GROWTH = (ROOT / "docs" / "croissance.md").read_text(encoding="utf-8")
POSTGRES = (ROOT / "deploy" / "postgresql" / "planton.conf").read_text(encoding="utf-8")


def test_the_page_has_the_tables_that_follow_from_the_benchmarks() -> None:
    assert plan.written(SCALE, BENCHMARKS) == SCALE, "python -m scripts.plan --write, then read the prose around again"


def test_another_figure_of_the_benchmarks_makes_another_plan() -> None:
    slower = re.sub(r"(?s)(<!-- mesure hundred -->.*?\| gateway \| [^|]+ \| )[\d,]+ ms", r"\g<1>9,9 ms", BENCHMARKS)
    assert "| passerelle | 9,9 |" in plan.written(SCALE, slower)
    assert "| passerelle × 17 |" in plan.written(SCALE, slower)


def test_without_the_block_it_says_so() -> None:
    with pytest.raises(SystemExit, match="hundred"):
        plan.written(SCALE, "")


@pytest.mark.parametrize(
    ("rate", "ms", "postgres", "said"),
    [
        (400, 12.0, 2.0, "1"),  # eight cores
        (401, 12.0, 2.0, "2 + 2"),  # seven beside PostgreSQL, and one to lose
        (1_000, 25.0, 5.0, "6 + 2 de 16 cœurs"),
        (3_000, 25.0, 4.0, "3 × (6 + 2)"),
    ],
)
def test_machines_by_the_rule_of_the_page(rate: float, ms: float, postgres: float, said: str) -> None:
    costs = plan.Costs(100, {plan.POSTGRES: postgres}, ms, {})
    assert plan.machines(rate, costs) == said


def most(size: int) -> int:
    """Connections that a database of that size opens at most."""
    database = Database("postgresql://nowhere/planton", size=size)
    return int(database.engine.pool.size() + database._plain._free._value + database._notices._pool._free._value)  # type: ignore[attr-defined]


def test_connections_are_those_of_the_code() -> None:
    code = "".join((ROOT / "bot" / "app" / name).read_text(encoding="utf-8") for name in ("wiring.py", "workbench.py"))
    opened = re.findall(r'store\(settings, url, "([\w-]+)", (\d+)', code)
    found = {role: 0 for role in plan.CONNECTIONS}
    for name, size in opened:
        if name in found or name == "sender-emergency":
            found[name.removesuffix("-emergency")] += most(int(size)) + 1  # and the one that listens
    [catching_up] = re.findall(r'Database\(url, size=(\d+), name="planton-catchup", clock=opened\.wall\)', code)
    found["sender"] += most(int(catching_up))
    assert found == plan.CONNECTIONS


def test_the_connections_that_the_page_asks_for_suffice() -> None:
    [now] = re.findall(r"^max_connections = (\d+)", POSTGRES, re.MULTILINE)
    [asked] = re.findall(r"`max_connections = (\d+)`", SCALE)
    [needed] = re.findall(r"\| \*\*tout\*\* \| [^|]+ Go\*\* \| \*\*(\d+)\*\* \|", SCALE)
    assert int(needed) + 50 < int(asked)
    assert f"Les {now} de `deploy/postgresql/planton.conf`" in SCALE
    a, b = plan.alike(BENCHMARKS), plan.unlike(BENCHMARKS)
    many = {name: max(2, plan.cores(300, max(a.each[name], b.each[name]))) for name in plan.NAMES} | {"trainer": 1}
    assert plan.connections(many) < int(now)


def test_how_long_the_purge_takes_is_reckoned_from_the_code_and_its_own_measure() -> None:
    rest = re.search(
        r"avec les pauses de la nuit, ([\d ]+)\s+lignes par seconde", (ROOT / "docs" / "rgpd.md").read_text("utf-8")
    )
    written = re.search(r"(\d+) lignes avec sa réponse", GROWTH)
    reading = re.search(r"avec 20 ms de repos et (\d+) ms de lecture", GROWTH)
    assert rest and written and reading
    assert purge.REST == 0.02
    assert f"{purge.PAGE} à la fois" in GROWTH
    look = (purge.REST + int(reading[1]) / 1000) / purge.PAGE
    days = int(str(KNOWN["RETENTION_EVERYDAY"][0]))
    table = re.findall(
        r"^\| ([\d ]+) \| ([\d,]+) millions? \| (\d+) min \| ([\d,]+) millions? \| (\d+) min \| (\d+) min \|$",
        GROWTH,
        re.M,
    )
    assert len(table) == 4
    for line in table:
        messages, rows, erasing, people, looking, both = (
            float(cell.replace(" ", "").replace(",", ".")) for cell in line
        )
        assert rows * 1e6 == pytest.approx(messages * int(written[1]))
        assert people * 1e6 == pytest.approx(messages * days / 2)
        seconds = rows * 1e6 / int(rest[1]), people * 1e6 * look
        assert (erasing, looking, both) == tuple(round(n / 60) for n in (*seconds, sum(seconds)))


def test_the_night_is_long_enough_where_the_page_says_so() -> None:
    def minutes(hours: str) -> int:
        start, end = (time.fromisoformat(one) for one in hours.split("-"))
        return ((end.hour - start.hour) * 60 + end.minute - start.minute) % (24 * 60)

    night = minutes(str(KNOWN["PURGE_HOURS"][0]))
    [longer] = re.findall(r"`(\d\d:\d\d-\d\d:\d\d)` suffit à un million", GROWTH)
    lasts = {line[0]: int(line[1]) for line in re.findall(r"^\| ([\d ]+) \|.* (\d+) min \|$", GROWTH, re.M)}
    assert f"La plage d’origine dure {night} minutes" in GROWTH
    assert lasts["300 000"] <= night < lasts["1 000 000"] <= minutes(longer)


def test_the_page_on_speed_has_the_figures_of_the_benchmarks() -> None:
    speed = (ROOT / "docs" / "vitesse.md").read_text(encoding="utf-8")
    lines = {
        row[0]: [plan.number(cell) for cell in row[1:]]
        for row in re.findall(r"^\| ([^|]+) \|.*?\| ([\d,]+) \| ([\d,]+) \|$", speed, re.M)
    }
    a, b = plan.alike(BENCHMARKS), plan.unlike(BENCHMARKS)
    of = {name: (a.each[key], b.each[key]) for key, name in plan.NAMES.items() if key != "console"}
    assert {name: tuple(lines[name]) for name in of} == of
    assert f"à {b.rate:.0f}/s, textes tous différents" in speed
    assert f"| **{plan.french(a.total)}** | **{plan.french(b.total)}** |" in speed

"""The arithmetic of docs/passage-a-l-echelle.md: `python -m scripts.plan [--write]`.

What a message costs each process is read from docs/benchmarks.md, where `python -m scripts.benchmark` writes it: with a score of
phrases that come again (`hundred`), and with texts of which none comes twice (`compare`). Everything else follows by one rule:
cores = messages a second × milliseconds ÷ 1000 ÷ USAGE, rounded up, a process being one core at most. `--write` puts the tables
between their marks.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.marks import around

DOCS = Path(__file__).resolve().parents[1] / "docs"
BENCHMARKS, PAGE = DOCS / "benchmarks.md", DOCS / "passage-a-l-echelle.md"
UNLIKE, GRAPH = "Planton, textes tous différents", "100 ms"

USAGE = 0.6  # of a core: one machine in three may be lost, and delays stay short
CORES = 8  # of a machine
PEAK = 1_000  # messages a second of the tables by process
CALM = 10_000  # messages a day of a hundred quiet pages
RATES = (30, 100, 300, 1_000, 3_000)
CELL = 1_000  # messages a second that one PostgreSQL is asked for; beyond, cells of so many
POSTGRES = "postgres"
NAMES = {
    "engine": "moteur",
    POSTGRES: "PostgreSQL",
    "gateway": "passerelle",
    "worker": "worker",
    "sender": "expéditeur",
    "console": "console",
}
# At most, with what listens and what tells others; a test counts them in the code.
CONNECTIONS = {"gateway": 14, "worker": 20, "sender": 29, "console": 14, "trainer": 8}


@dataclass(frozen=True)
class Costs:
    """Milliseconds of CPU a message, by process and in all, and what a process holds in MB. `rate`: messages a second."""

    rate: float
    each: Mapping[str, float]
    total: float
    memory: Mapping[str, float]

    @property
    def apart(self) -> float:
        """Of all but PostgreSQL."""
        return self.total - self.each[POSTGRES]


def number(written: str) -> float:
    """Of « 1 006 Mo » or « 3,0 ms »."""
    found = re.search(r"\d[\d\s]*(?:,\d+)?", written)
    if found is None:
        raise SystemExit(f"no number in « {written} »")
    return float(re.sub(r"\s", "", found[0]).replace(",", "."))


def rows(name: str, page: str) -> Iterator[dict[str, str]]:
    """The lines of the tables of a block, by the names of their columns. Raises SystemExit when there is no such block."""
    block = re.search(rf"(?s)<!-- mesure {name} -->(.*?)<!-- fin {name} -->", page)
    if block is None:
        raise SystemExit(f"{BENCHMARKS.name}: no block « {name} »")
    head: list[str] = []
    for line in block[1].splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")] if line.startswith("|") else []
        if not cells:
            head = []
        elif not head:
            head = cells
        elif not set(cells[0]) <= set("-:"):
            yield dict(zip(head, cells, strict=False))


def alike(page: str) -> Costs:
    """At a hundred a second, phrases that come again."""
    lines = list(rows("hundred", page))
    each = {line["processus"]: line for line in lines if line.get("mémoire")}
    [total] = [line["obtenu"] for line in lines if line.get("mesure") == "processeur par message"]
    return Costs(
        100,
        {name: number(line["par message"]) for name, line in each.items()},
        number(total),
        {name: number(line["mémoire"]) for name, line in each.items()},
    )


def unlike(page: str) -> Costs:
    """With as many as it sustains of texts that never come twice."""
    lines = [one for one in rows("comparaison", page) if one.get("système") == UNLIKE and one["Graph"] == GRAPH]
    [whole] = [line for line in lines if "messages/s soutenus" in line]
    each = {line["processus"]: line for line in lines if "processus" in line}
    return Costs(
        number(whole["messages/s soutenus"]),
        {name: number(line["processeur par message"]) for name, line in each.items()},
        number(whole["processeur par message"]),
        {name: number(line["mémoire"]) for name, line in each.items()},
    )


def cores(rate: float, ms: float) -> int:
    """To rent, by the rule."""
    return math.ceil(round(rate * ms / 1000 / USAGE, 6))


def machines(rate: float, costs: Costs) -> str:
    """How many, as the page says it."""
    if rate > CELL:
        cells = math.ceil(rate / CELL)
        return f"{cells} × ({machines(rate / cells, costs)})"
    if cores(rate, costs.total) <= CORES:
        return "1"
    large = cores(rate, costs.each[POSTGRES]) > CORES
    return f"{math.ceil(cores(rate, costs.apart) / CORES) + 1} + 2{' de 16 cœurs' if large else ''}"


def french(value: float, digits: int = 1) -> str:
    """1 234,5, with no-break spaces."""
    return f"{value:,.{digits}f}".replace(",", "\u202f").replace(".", ",")


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """In Markdown; all columns but the first are numbers."""
    whole = [head, ["---", *["---:"] * (len(head) - 1)], *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in whole)


def by_process(a: Costs, b: Costs) -> str:
    """What a message costs, and how many processes the peak asks for by the dearer of both."""
    dearer = {name: max(a.each[name], b.each[name]) for name in NAMES}
    lines = [
        [
            NAMES[name],
            french(a.each[name]),
            french(b.each[name]),
            f"{cores(PEAK, ms)} cœurs" if name == POSTGRES else str(max(2, cores(PEAK, ms))),
        ]
        for name, ms in dearer.items()
    ]
    total = [french(a.total), french(b.total), f"{cores(PEAK, max(a.total, b.total))} cœurs"]
    lines.append([f"**{cell}**" for cell in ("tout", *total)])
    head = (
        "processus",
        "ms, textes qui reviennent (100/s)",
        f"ms, textes tous différents ({french(b.rate, 0)}/s)",
        f"à lancer pour {french(PEAK, 0)}/s",
    )
    return table(head, lines)


def by_resource(a: Costs, b: Costs, page: str) -> str:
    """Memory and connections of the peak's processes, and what goes to the disk."""
    many = {name: max(2, cores(PEAK, max(a.each[name], b.each[name]))) for name in NAMES if name != POSTGRES}
    many["trainer"] = 1
    weight = {name: max(a.memory[name], b.memory[name]) / 1000 for name in many}
    names = {**NAMES, "trainer": "trainer"}
    lines = [
        [
            f"{names[name]} × {n}",
            f"{french(n * weight[name])} Go",
            str(n * CONNECTIONS[name]) if name in CONNECTIONS else "–",
        ]
        for name, n in many.items()
    ]
    memory = sum(n * weight[name] for name, n in many.items())
    lines.append(["**tout**", f"**{french(memory)} Go**", f"**{connections(many)}**"])
    size, wal = disk(page)
    beside = (
        f"Sur le disque, à {french(PEAK, 0)}/s : {french(PEAK * 3600 * size / 1e6, 0)} Go par heure pour la base, "
        f"{french(PEAK * wal / 1e3, 0)} Mo par seconde pour le journal (WAL), avant archivage.\nCent pages calmes, soit "
        f"{french(CALM, 0)} messages par jour : {french(CALM * size / 1e3, 0)} Mo par jour, "
        f"{french(CALM * size * 365 / 1e6, 0)} Go par an avant la purge."
    )
    return table((f"à {french(PEAK, 0)}/s", "mémoire", "connexions, au plus"), lines) + f"\n\n{beside}"


def connections(many: Mapping[str, int]) -> int:
    """To PostgreSQL, of so many processes."""
    return sum(n * CONNECTIONS.get(name, 0) for name, n in many.items())


def disk(page: str) -> tuple[float, float]:
    """KB that a message takes in the database and in the WAL, as `scripts.machines` measured it."""
    found = re.search(r"a message: ([\d.]+) KB of the database, ([\d.]+) KB of WAL", page)
    if found is None:
        raise SystemExit(f"{PAGE.name}: no figures of the disk")
    return float(found[1]), float(found[2])


def by_rate(a: Costs, b: Costs) -> str:
    """Cores and machines."""
    lines = [
        [
            french(rate, 0),
            str(cores(rate, a.total)),
            machines(rate, a),
            str(cores(rate, b.total)),
            machines(rate, b),
        ]
        for rate in RATES
    ]
    return table(
        ("messages/s", "cœurs, textes qui reviennent", "machines", "cœurs, textes tous différents", "machines"), lines
    )


def written(page: str, benchmarks: str) -> str:
    """The page with its tables as they follow from these benchmarks."""
    a, b = alike(benchmarks), unlike(benchmarks)
    for name, block in (
        ("cpu", by_process(a, b)),
        ("ressources", by_resource(a, b, page)),
        ("machines", by_rate(a, b)),
    ):
        try:
            before, _, after = around(page, f"<!-- {name} -->", f"<!-- fin {name} -->")
        except LookupError as error:
            raise SystemExit(f"{PAGE.name}: {error}") from None
        page = f"{before}\n{block}\n{after}"
    return page


def main() -> None:
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into docs/passage-a-l-echelle.md")
    options = parser.parse_args()
    page, benchmarks = (one.read_text(encoding="utf-8") for one in (PAGE, BENCHMARKS))
    if options.write:
        PAGE.write_text(written(page, benchmarks), encoding="utf-8")
        return
    a, b = alike(benchmarks), unlike(benchmarks)
    print(by_process(a, b), by_resource(a, b, page), by_rate(a, b), sep="\n\n")


if __name__ == "__main__":
    main()

"""docs/benchmarks.md: each measurement replaces its own block between its two marks; the prose around is written by hand."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from scripts.benchmark import storm
from scripts.benchmark.accounting import percentile
from scripts.benchmark.compare import EDGE, PARSE, PLANTON, REST, STOCK, TURN, UNLIKE, USUAL, Comparison, Row
from scripts.benchmark.drive import OURS, Measured
from scripts.benchmark.hold import Held, Verdict
from scripts.benchmark.storm import Storm
from scripts.benchmark.systems import ENGINE_PYTHON, ROOT, model
from scripts.marks import around

PAGE = ROOT / "docs" / "benchmarks.md"
IMAGES = ROOT / "docs" / "images"
PROCESSES = {
    "launcher": "lanceur",
    "load": "générateur",
    "Graph API": "API Graph",
    "action server": "serveur d’actions",
}


def put(name: str, block: str, page: Path = PAGE) -> None:
    """Replace the block of that name. Raises SystemExit when the page has no such marks."""
    if lacking := missing(name, page):
        raise SystemExit(lacking)
    before, _, after = around(page.read_text(encoding="utf-8"), *_marks(name))
    page.write_text(f"{before}\n\n{block.strip()}\n\n{after}", encoding="utf-8")


def missing(name: str, page: Path = PAGE) -> str:
    """What to do when the page has no place for the block of that name; empty when it has one."""
    start, end = _marks(name)
    try:
        around(page.read_text(encoding="utf-8"), start, end)
    except LookupError:
        return f"{page.name}: no marks for « {name} ». Under a heading of its own, add the two lines {start} and {end}"
    return ""


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- mesure {name} -->", f"<!-- fin {name} -->"


# The machine


def circumstances(command: str, stolen: float, engine: bool = True) -> str:
    """Where, when and with what a block was measured; `stolen`: the share of CPU time that the host gave to others. `engine`:
    whether Rasa took part."""
    memory = psutil.virtual_memory().total / 2**30
    played = f" et {_engine_version()}, modèle `{model().name[:8]}`" if engine else ""
    said = [
        f"`{command}`, le {time.strftime('%Y-%m-%d à %H:%M')}, version {_commit()}.",
        f"Machine : {_processor()}, {os.cpu_count()} cœurs, {memory:.0f} Go, {platform.system()} {platform.release()} ;",
        f"Python {platform.python_version()}{played}.",
    ]
    if stolen >= 0.005:
        said.append(f"Pendant la mesure, l’hôte a repris {percent(stolen)} du temps de processeur (« steal »).")
    return "\n".join(said)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    changed = git(
        "status", "--porcelain", "--untracked-files=no", "--", "bot", "actions", "data", "config.yml", "domain.yml"
    )
    return f"`{git('rev-parse', '--short', 'HEAD') or '?'}`" + (
        " (et des changements non enregistrés)" if changed else ""
    )


def _engine_version() -> str:
    code = "import platform, importlib.metadata as m; print(platform.python_version(), m.version('rasa'))"
    said = subprocess.run([str(ENGINE_PYTHON), "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return f"{said[0]} (Rasa {said[1]})"


class Stolen:
    """How much CPU time the host gave to others meanwhile: on a shared machine figures are worse than they would be."""

    def __init__(self) -> None:
        self._before = psutil.cpu_times()

    @property
    def share(self) -> float:
        """From the making until now, of all CPU time."""
        now = psutil.cpu_times()
        whole = sum(now[:8]) - sum(self._before[:8])  # guests are part of user time
        return float(now.steal - self._before.steal) / whole if whole > 0 else 0.0


# Figures as the French write them


def number(value: float, decimals: int = 0) -> str:
    """1 234,5."""
    if value != value or value in (float("inf"), float("-inf")):
        return "—"
    return f"{value:,.{decimals}f}".replace(",", "\u202f").replace(".", ",")


def percent(share: float) -> str:
    """12,3 %."""
    return f"{number(100 * share, 1)} %"


def duration(seconds: float) -> str:
    """Milliseconds below ten seconds."""
    if seconds != seconds:
        return "—"
    return f"{number(seconds * 1000)} ms" if seconds < 10 else f"{number(seconds, 1)} s"


def span(values: Sequence[float], *percents: float) -> str:
    """Percentiles of seconds."""
    return " / ".join(duration(percentile(values, one)) for one in percents) if values else "—"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# What became of the messages

LOST = (
    "« Perdus » : jamais pris, ou accusés de réception puis restés sans réponse et sans personne pour les lire. N’est pas perdu un "
    "message sans réponse à dessein : confié à un agent, couvert par une réponse d’urgence, ou ignoré (un silence voulu)."
)
SILENCES = {
    "confiés à un agent": ("to_agent", "handed_off"),
    "couverts par une réponse d’urgence": ("emergency",),
    "ignorés": ("ignored",),
}


def fates(measured: Measured) -> str:
    """How many webhooks were refused, and how many messages were left without a reply on purpose."""
    told = measured.account
    refused = f"Webhooks refusés (503, ou sans réponse), que Meta a renvoyés : {number(measured.refused)}."
    kinds = [(name, sum(told.silences[why] for why in whys)) for name, whys in SILENCES.items()]
    said = ", ".join(f"{name} : {number(count)}" for name, count in kinds if count)
    return f"{refused} Sans réponse à dessein : {number(told.silent)}{f' ({said})' if said else ''}."


# The comparison


def comparison(found: Comparison) -> str:
    """Its table, what it comes to, and each process."""
    head = (
        "système", "Graph", "messages/s soutenus", "accusé p50 / p99", "réponse p50 / p95 / p99",
        "perdus", "doublés", "désordre", "sans réponse à dessein", "refusés", "processeur par message", "mémoire",
    )  # fmt: skip
    return "\n\n".join(
        [
            table(head, [_row(row) for row in found.rows]),
            f"{LOST} « Refusés » : webhooks sans 200, renvoyés. {_of_stock(found)}".strip(),
            "\n".join(f"- {line}" for line in conclusions(found)),
            "Par processus, pendant la recherche du débit (processeur par message, mémoire à la fin) :",
            table(("système", "Graph", "processus", "processeur par message", "mémoire"), _processes(found.rows)),
            "![Messages par seconde soutenus, par système et par délai de l’API Graph](images/bench-debit.svg)",
        ]
    )


def _of_stock(found: Comparison) -> str:
    """What the losses of stock Rasa are, and its empty answers."""
    rows = [row for row in found.rows if row.system == STOCK]
    if not rows:
        return ""
    unclaimed = number(sum(row.unclaimed for row in rows))
    empty = number(sum(row.silent for row in found.rows if row.system == REST))
    return (
        "Canal Facebook de Rasa : ses réponses ne portent pas de marque et sont reconnues à leurs mots, toutes les "
        f"formulations d’une même réponse comptant pour une ; {unclaimed} n’ont pu être attribuées à aucun message. Le journal de "
        f"Rasa dit {number(found.failed)} actions interrompues par une erreur : le canal accuse alors réception, et la personne "
        "n’a pas de réponse. Canal REST : réponses vides, à dessein ou après une telle erreur, que rien ne distingue et qui "
        f"ne sont comptées nulle part : {empty}."
    )


def _row(row: Row) -> list[str]:
    answers = row.replies
    # Where the HTTP answer is the reply, nobody knows whether an empty one is meant.
    silent = "—" if row.latency is None else number(row.silent)
    return [
        row.system,
        "" if row.latency is None else f"{row.latency * 1000:.0f} ms",
        number(row.full.rate, 1),
        span(row.calm.acks, 50, 99),
        span(row.calm.replies, 50, 95, 99) if answers else "—",
        *(number(count) if answers else "—" for count in row.wrong),
        silent,
        number(row.refused),
        f"{number(row.full.cpu(), 1)} ms",
        f"{number(row.full.memory)} Mo",
    ]


def conclusions(found: Comparison) -> list[str]:
    """The sentences that the table comes to, each with what the issue asks for where it does."""
    said = []
    for row in found.rows:
        stock = found.rate(STOCK, row.latency)
        if row.system == PLANTON and stock and row.latency is not None:
            asked = " (demandé : 30)" if row.latency == 0.1 else ""
            times = number(row.full.rate / stock, 1)
            said.append(
                f"API Graph à {row.latency * 1000:.0f} ms : {times} fois le débit du canal Facebook de Rasa{asked}."
            )
    best, unlike = (found.rate(PLANTON + more, USUAL) or found.rate(PLANTON + more) for more in ("", UNLIKE))
    for name, ours, asked in (
        (REST, unlike, " : Rasa interrogé directement ; textes tous différents pour Planton"),
        (PARSE + UNLIKE, unlike, " (demandé : 70 %)"),
        (TURN + UNLIKE, unlike, ""),
        (PARSE, best, " : lui comme Planton y retrouvent des textes déjà lus"),
        (TURN, best, " : de même"),
        (EDGE, best, ""),
    ):
        if found.rate(name):
            said.append(f"{percent(ours / found.rate(name))} de « {name} »{asked}.")
    ours = [row.full for row in found.rows if row.system == PLANTON]
    if ours:
        each = [
            1000 * sum(one.use[name].cpu for name in OURS if name in one.use) / max(1, one.messages) for one in ours
        ]
        said.append(
            f"Le générateur et l’API Graph prennent en plus {number(max(each), 1)} ms de processeur par message au plus."
        )
    return said


def _processes(rows: Iterable[Row]) -> Iterable[list[str]]:
    for row in rows:
        latency = "" if row.latency is None else f"{row.latency * 1000:.0f} ms"
        for name, used in sorted(row.full.use.items(), key=lambda item: -item[1].cpu):
            if name not in OURS:
                each = 1000 * used.cpu / max(1, row.full.messages)
                yield [
                    row.system,
                    latency,
                    PROCESSES.get(name, name),
                    f"{number(each, 1)} ms",
                    f"{number(used.memory)} Mo",
                ]


# Scenarios


def verdicts(found: Iterable[Verdict]) -> str:
    """Held, or missed by how much."""
    rows = [[v.what, v.wanted, v.got, "tenu" if v.held else f"**manqué** : {v.missed}"] for v in found]
    return table(("mesure", "demandé", "obtenu", "verdict"), rows)


def held(found: Held) -> str:
    """A scenario's verdicts and figures."""
    measured, scenario = found.measured, found.scenario
    said = [
        f"{number(measured.messages)} messages, {number(scenario.rate, 1)} par seconde pendant {number(scenario.seconds)} s ; "
        f"dernière réponse après {number(measured.last, 1)} s. Accusé p50 / p99 : {span(measured.acks, 50, 99)}. "
        f"Réponse p50 / p95 / p99 : {span(measured.replies, 50, 95, 99)}. {fates(measured)}",
        verdicts(found.verdicts),
        LOST,
        table(("processus", "processeur", "par message", "mémoire"), _uses(measured)),
    ]
    if found.growth:
        rows = [
            [PROCESSES.get(n, n), f"{number(each, 1)} Mo", f"{number(end)} Mo"]
            for n, (each, end) in found.growth.items()
        ]
        said.append(table(("processus", "pente par heure", "à la fin"), rows))
    return "\n\n".join(said)


def _uses(measured: Measured) -> Iterable[list[str]]:
    for name, used in sorted(measured.use.items(), key=lambda item: -item[1].cpu):
        each = 1000 * used.cpu / max(1, measured.messages)
        memory = "" if name == "load" else f"{number(used.memory)} Mo"
        yield [PROCESSES.get(name, name), f"{number(used.cpu, 1)} s", f"{number(each, 1)} ms", memory]


# The crisis


def crisis(found: Storm) -> str:
    """What came in and what became of it; verdicts; when each class and each turn was answered; each process."""
    measured = found.measured
    people, twice = found.told
    said = [
        f"{_pace(found)} Au plus {number(max(count for _, count in found.curve))} messages en attente.",
        f"{fates(measured)} Personnes averties que la réponse tarde : {number(people)}, dont {number(twice)} deux fois. Réponses "
        f"d’urgence à des messages des autres classes : {number(found.alarms)}.",
        verdicts(found.verdicts),
        LOST,
        _waits("classe", storm.NAMES, found.classes),
        "Les réponses ordinaires, selon le rang du message (celles d’urgence n’attendent personne) :",
        _waits("message", storm.TURNS, found.turns),
        table(("processus", "processeur", "par message", "mémoire"), _uses(measured)),
    ]
    return "\n\n".join(said)


def _pace(found: Storm) -> str:
    """How many messages, how fast."""
    measured, taken = found.measured, found.measured.account.messages
    if found.factor:
        lasted, times = len(found.rates), number(found.factor, int(found.factor % 1 > 0))
        return (
            f"{times} fois plus vite que novembre 2015 : {number(taken)} messages pris en {number(lasted)} s, "
            f"{number(taken / lasted, 1)} par seconde en moyenne, {number(max(found.rates))} au plus fort ; dernière réponse après "
            f"{number(measured.last, 1)} s. Accusé p50 / p99 : {span(measured.acks, 50, 99)}."
        )
    return (
        f"{number(taken)} messages pris ; plus rien n’attendait {number(found.drained)} s après le premier, soit "
        f"{number(taken / found.drained, 1)} par seconde. Accusé des personnes en danger, p50 / p99 : "
        f"{span(measured.acks, 50, 99)}."
    )


def _waits(head: str, names: Mapping[str, str], waits: Mapping[str, Sequence[float]]) -> str:
    """A line for each of `names` that was answered."""
    rows = [
        [said, number(len(waits[kind])), *(duration(percentile(waits[kind], p)) for p in (50, 95, 99, 100))]
        for kind, said in names.items()
        if kind in waits
    ]
    return table((head, "répondus", "p50", "p95", "p99", "le dernier"), rows)


# Pictures


def draw(kind: str, figures: dict[str, Any], name: str) -> None:
    """Draw in the engine's environment, where matplotlib stands already; says so when it cannot."""
    words = [str(ENGINE_PYTHON), str(ROOT / "scripts" / "benchmark" / "draw.py"), kind, str(IMAGES / name)]
    subprocess.run(words, input=json.dumps(figures), text=True, check=True, env={**os.environ, "MPLBACKEND": "Agg"})


def draw_comparison(found: Comparison) -> None:
    """docs/images/bench-debit.svg."""
    rows = [{"system": r.system, "latency": r.latency, "rate": r.full.rate} for r in found.rows]
    draw("rates", {"rows": rows}, "bench-debit.svg")


def draw_crisis(found: Storm) -> str:
    """docs/images/bench-crise-40.svg, for forty times as fast; what shows it on the page."""
    name = f"bench-crise-{found.factor:g}.svg"
    draw("crisis", {"rates": found.rates, "waiting": found.curve, "dangers": found.dangers}, name)
    return f"![Messages reçus et en attente ; délai de réponse aux personnes en danger](images/{name})"


def said_by(command: Sequence[str] = tuple(sys.argv[1:]), program: str = "scripts.benchmark") -> str:
    """The command that is running, as it is typed."""
    return " ".join([f"python -m {program}", *command])

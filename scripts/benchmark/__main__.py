"""`python -m scripts.benchmark`: all (`make bench`), or one measurement; each prints its figures and writes them to its page.

python -m scripts.benchmark all [--quick]            # a quarter of an hour; two minutes
python -m scripts.benchmark compare                  # Planton, stock Rasa, the ceilings
python -m scripts.benchmark hold steady30|hundred|distinct|minute|soak [--seconds N]
python -m scripts.benchmark crisis [--factor 20]     # the hour, pressed together
python -m scripts.benchmark backlog [--waiting 20000] [--seconds 60]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace

from scripts.benchmark import compare, hold, page, storm
from scripts.benchmark.drive import Measured
from scripts.benchmark.hold import Verdict

LATENCIES = (0.05, 0.1, 0.2)
CURVES = "![Messages reçus et en attente ; délai de réponse aux personnes en danger](images/bench-crise.svg)"


def main() -> int:
    """Exit code 1 when something that must hold did not."""
    options = _parser().parse_args()
    print(page.circumstances(page.said_by(), 0.0), flush=True)
    return 0 if all([_done(step, options) for step in options.steps(options)]) else 1


Step = Callable[[argparse.Namespace], bool]


def _done(step: Step, options: argparse.Namespace) -> bool:
    """Whether all held; what could not be measured does not keep the rest from it."""
    try:
        return step(options)
    except SystemExit as failure:
        print(f"not measured: {failure}", file=sys.stderr, flush=True)
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    whole = commands.add_parser("all", help="the comparison, what must hold (shortened), a crisis")
    whole.set_defaults(steps=_all, latency=LATENCIES, factor=40.0, total=11_000, seed=2015, waiting=20_000)
    one = commands.add_parser("compare", help="Planton beside stock Rasa and the ceilings")
    one.add_argument("--latency", type=float, nargs="+", default=LATENCIES, help="seconds that the Graph API takes")
    one.add_argument("--seconds", type=float, default=20.0, help="of each of two jobs a line")
    one.set_defaults(steps=lambda _: [_compare])
    one = commands.add_parser("hold", help="what must hold")
    one.add_argument("scenario", choices=list(hold.SCENARIOS))
    one.add_argument("--seconds", type=float, help="shorter, or longer")
    one.set_defaults(steps=lambda options: [_hold(options.scenario, options.seconds)])
    one = commands.add_parser("crisis", help="an hour like November 2015's")
    one.add_argument("--factor", type=float, default=20.0, help="how many times as fast")
    one.add_argument("--total", type=int, default=11_000, help="messages")
    one.set_defaults(steps=lambda _: [_crisis])
    two = commands.add_parser("backlog", help="emergencies while so many messages wait")
    two.add_argument("--waiting", type=int, default=20_000)
    two.add_argument("--seconds", type=float, default=60.0, help="that emergencies come for")
    two.set_defaults(steps=lambda _: [_backlog])
    for command in (one, two):
        command.add_argument("--seed", type=int, default=2015)
    for command in commands.choices.values():
        command.add_argument(
            "--quick", action="store_true", help="two minutes: shows that it works, no figures to keep"
        )
        command.add_argument(
            "--page", action=argparse.BooleanOptionalAction, default=True, help="write docs/benchmarks.md"
        )
    return parser


def _all(options: argparse.Namespace) -> list[Step]:
    if options.quick:
        options.seconds, options.latency, options.page = 4.0, (0.1,), False
        return [_compare, _hold("steady30", 10.0)]
    options.seconds = 12.0
    return [
        _compare,
        _hold("steady30", 45.0),
        _hold("hundred", None),
        _hold("distinct", None),
        _hold("minute", None),
        _crisis,
    ]


def _compare(options: argparse.Namespace) -> bool:
    stolen = page.Stolen()
    found = compare.compare(list(options.latency), options.seconds, tell)
    print("\n" + "\n".join(page.conclusions(found)) + "\n")
    if options.page:
        page.draw_comparison(found)
        page.put("comparaison", page.circumstances(page.said_by(), stolen.share) + "\n\n" + page.comparison(found))
    print(page.comparison(found), flush=True)
    return not any(any(row.wrong) for row in found.rows if row.system == compare.PLANTON)


def _hold(name: str, seconds: float | None) -> Step:
    def step(options: argparse.Namespace) -> bool:
        scenario = hold.SCENARIOS[name]
        if options.quick:
            scenario = replace(scenario, seconds=10.0)
        if seconds is not None:
            scenario = replace(scenario, seconds=seconds)
        stolen = page.Stolen()
        found = hold.run(scenario, tell)
        show(found.verdicts)
        if options.page:
            page.put(name, page.circumstances(page.said_by(), stolen.share) + "\n\n" + page.held(found))
        return all(verdict.held for verdict in found.verdicts)

    return step


def _crisis(options: argparse.Namespace) -> bool:
    stolen = page.Stolen()
    total = 1_000 if options.quick else options.total
    found = storm.hour(options.factor * (5 if options.quick else 1), total, options.seed, tell)
    show(found.verdicts)
    if options.page:
        page.draw_crisis(found)
        block = [page.circumstances(page.said_by(), stolen.share), page.crisis(found), CURVES]
        page.put("crise", "\n\n".join(block))
    print(page.crisis(found), flush=True)
    return all(verdict.held for verdict in found.verdicts)


def _backlog(options: argparse.Namespace) -> bool:
    stolen = page.Stolen()
    waiting, seconds = (1_000, 5.0) if options.quick else (options.waiting, options.seconds)
    found = storm.backlog(waiting, seconds, options.seed, tell)
    show(found.verdicts)
    if options.page:
        page.put("attente", page.circumstances(page.said_by(), stolen.share) + "\n\n" + page.crisis(found))
    print(page.crisis(found), flush=True)
    return all(verdict.held for verdict in found.verdicts)


def tell(found: Measured) -> None:
    """A measurement, as it ends."""
    print("\n" + "\n".join(found.lines()), flush=True)


def show(verdicts: list[Verdict]) -> None:
    """What held, and what was missed by how much."""
    for verdict in verdicts:
        end = "held" if verdict.held else f"MISSED: {verdict.missed}"
        print(f"  {verdict.what}: {verdict.got} (wanted {verdict.wanted}): {end}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

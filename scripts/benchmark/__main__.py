"""`python -m scripts.benchmark`: all (`make bench`), or one measurement; each prints its figures and writes them to its page.

python -m scripts.benchmark all [--quick]            # a quarter of an hour; two minutes
python -m scripts.benchmark compare                  # Planton, stock Rasa, the ceilings
python -m scripts.benchmark hold steady30|echoed|hundred|distinct|minute|soak [--seconds N]
python -m scripts.benchmark crisis [--factor 40]     # the hour, pressed together; a block of the page for each factor
python -m scripts.benchmark backlog [--waiting 20000] [--seconds 60]

`all` leaves out the soak, the receipts, the backlog and the crisis at another factor, and shortens `steady30`. What is shorter
than what the page tells of is printed and never written there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace

from scripts.benchmark import compare, crisis, hold, page, storm
from scripts.benchmark.drive import Measured
from scripts.benchmark.hold import Verdict

# What the page's blocks tell of: less is printed only.
LATENCIES = (0.05, 0.1, 0.2)
COMPARED = 12.0  # seconds of each job
FACTOR, TOTAL, SEED = 40.0, crisis.TOTAL, 2015
WAITING, EMERGENCIES = 20_000, 30.0  # messages; seconds that emergencies come for


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


def _writes(options: argparse.Namespace, name: str, shorter: bool) -> bool:
    """Whether the block of that name is to be written; says why not. Asked first: a measurement may take an hour.

    Raises SystemExit where the page has no place for it and `--page` asked for one.
    """
    if options.quick or options.page is False:
        return False
    if shorter:
        print(f"« {name} » stays on the page as it is: this run is shorter than the one that it tells of", flush=True)
        return False
    lacking = page.missing(name)
    if lacking and options.page:
        raise SystemExit(lacking)
    if lacking:
        print(f"{lacking}; until then the figures are printed only", file=sys.stderr, flush=True)
    return not lacking


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    whole = commands.add_parser("all", help="the comparison, what must hold (steady30 shortened), a crisis; no soak")
    whole.set_defaults(steps=_all, latency=LATENCIES, factor=FACTOR, total=TOTAL, seed=SEED)
    one = commands.add_parser("compare", help="Planton beside stock Rasa and the ceilings")
    one.add_argument("--latency", type=float, nargs="+", default=LATENCIES, help="seconds that the Graph API takes")
    one.add_argument("--seconds", type=float, default=20.0, help="of each of two jobs a line")
    one.set_defaults(steps=lambda _: [_compare])
    one = commands.add_parser("hold", help="what must hold")
    one.add_argument("scenario", choices=list(hold.SCENARIOS))
    one.add_argument("--seconds", type=float, help="shorter, or longer")
    one.set_defaults(steps=lambda options: [_hold(options.scenario, options.seconds)])
    one = commands.add_parser("crisis", help="an hour like November 2015's")
    one.add_argument("--factor", type=float, default=FACTOR, help="how many times as fast: its block is named by it")
    one.add_argument("--total", type=int, default=TOTAL, help="messages")
    one.set_defaults(steps=lambda _: [_crisis])
    two = commands.add_parser("backlog", help="emergencies while so many messages wait")
    two.add_argument("--waiting", type=int, default=WAITING)
    two.add_argument("--seconds", type=float, default=60.0, help="that emergencies come for")
    two.set_defaults(steps=lambda _: [_backlog])
    for command in (one, two):
        command.add_argument("--seed", type=int, default=SEED)
    for command in commands.choices.values():
        command.add_argument(
            "--quick", action="store_true", help="two minutes: shows that it works, no figures to keep"
        )
        command.add_argument(
            "--page",
            action=argparse.BooleanOptionalAction,
            help="write docs/benchmarks.md; asked for, a page without a place for it is an error",
        )
    return parser


def _all(options: argparse.Namespace) -> list[Step]:
    if options.quick:
        options.seconds, options.latency, options.page = 4.0, (0.1,), False
        return [_compare, _hold("steady30", 10.0)]
    options.seconds = COMPARED
    return [
        _compare,
        _hold("steady30", 45.0),
        _hold("hundred", None),
        _hold("distinct", None),
        _hold("minute", None),
        _crisis,
    ]


def _compare(options: argparse.Namespace) -> bool:
    shorter = options.seconds < COMPARED or not set(LATENCIES) <= set(options.latency)
    writes, stolen = _writes(options, "comparaison", shorter), page.Stolen()
    found = compare.compare(list(options.latency), options.seconds, tell)
    print("\n" + "\n".join(page.conclusions(found)) + "\n")
    if writes:
        page.draw_comparison(found)
        page.put("comparaison", page.circumstances(page.said_by(), stolen.share) + "\n\n" + page.comparison(found))
    print(page.comparison(found), flush=True)
    return not any(any(row.wrong) for row in found.rows if row.system == compare.PLANTON)


def _hold(name: str, seconds: float | None) -> Step:
    def step(options: argparse.Namespace) -> bool:
        whole = hold.SCENARIOS[name]
        lasts = seconds if seconds is not None else 10.0 if options.quick else whole.seconds
        writes, stolen = _writes(options, name, lasts < whole.seconds), page.Stolen()
        found = hold.run(replace(whole, seconds=lasts), tell)
        show(found.verdicts)
        if writes:
            page.put(name, page.circumstances(page.said_by(), stolen.share) + "\n\n" + page.held(found))
        return all(verdict.held for verdict in found.verdicts)

    return step


def _crisis(options: argparse.Namespace) -> bool:
    name = f"crise {options.factor:g}"
    writes, stolen = _writes(options, name, options.total < TOTAL), page.Stolen()
    total = 1_000 if options.quick else options.total
    found = storm.hour(options.factor * (5 if options.quick else 1), total, options.seed, tell)
    show(found.verdicts)
    if writes:
        block = [page.circumstances(page.said_by(), stolen.share), page.crisis(found), page.draw_crisis(found)]
        page.put(name, "\n\n".join(block))
    print(page.crisis(found), flush=True)
    return all(verdict.held for verdict in found.verdicts)


def _backlog(options: argparse.Namespace) -> bool:
    waiting, seconds = (1_000, 5.0) if options.quick else (options.waiting, options.seconds)
    writes, stolen = _writes(options, "attente", waiting < WAITING or seconds < EMERGENCIES), page.Stolen()
    found = storm.backlog(waiting, seconds, options.seed, tell)
    show(found.verdicts)
    if writes:
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

"""One engine on one target, in a process of its own: `python -m tests.fuzz.child ENGINE TARGET RUNS FOLDER [INPUT]`.

Engines: atheris (coverage guided), hypothesis (bodies of Meta's contract with wrong parts), large (bodies of the longest
size), seeds (the stored inputs and changes to them, without any fuzzer), replay (one input). FOLDER takes the figures and the input
that failed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LONGEST = 4_000  # bytes of an input made by Atheris: short ones are many; `large` makes bodies of five million
SAVE_EVERY = 2_000


def main(engine: str, name: str, runs: int, folder: Path, *rest: str) -> None:
    """Run until `runs` inputs are done, or an exception ends it."""
    if engine == "atheris":
        _atheris(name, runs, folder)
        return
    from tests.fuzz.meter import Meter, bounded
    from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    for seed in target.seeds():
        target.run(seed)  # what is loaded at the first use is no input's memory
    bounded()
    meter = Meter(target)
    try:
        _ENGINES[engine](meter, target, runs, folder, *rest)
    finally:
        meter.save(folder / "figures.json")


def _kept(meter: Any, data: bytes, folder: Path) -> None:
    """One input, which stays in the folder when it fails."""
    try:
        meter.run(data)
    except BaseException:
        (folder / "failed").write_bytes(data)
        raise


def _seeds(meter: Any, target: Any, runs: int, folder: Path) -> None:
    from tests.fuzz.plain import inputs

    for data in inputs(target, runs):
        _kept(meter, data, folder)


def _large(meter: Any, target: Any, runs: int, folder: Path) -> None:
    from tests.fuzz.large import bodies

    for data in bodies():
        _kept(meter, data, folder)


def _hypothesis(meter: Any, target: Any, runs: int, folder: Path) -> None:
    from tests.fuzz.contract import search

    search(lambda data: _kept(meter, data, folder), runs)


def _replay(meter: Any, target: Any, runs: int, folder: Path, path: str) -> None:
    meter.run(Path(path).read_bytes())


_ENGINES: dict[str, Callable[..., None]] = {
    "hypothesis": _hypothesis,
    "large": _large,
    "seeds": _seeds,
    "replay": _replay,
}


def _atheris(name: str, runs: int, folder: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["bot"]):
        from tests.fuzz import targets
    from tests.fuzz.meter import Meter, bounded
    from tests.fuzz.mutate import change

    target = targets.TARGETS[name]
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number:03}").write_bytes(seed)
        target.run(seed)
    words = folder / "words"
    words.write_text("".join(_dictionary(word) for word in target.words), encoding="ascii")
    meter = Meter(target)
    figures = folder / "figures.json"

    def one(data: bytes) -> None:
        meter.run(data)
        if meter.inputs % SAVE_EVERY == 0 or meter.inputs >= runs:
            meter.save(figures)

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        told = change(data, seed, target.words, most) if seed % 4 else None
        return atheris.Mutate(data, most) if told is None else told

    flags = [f"-artifact_prefix={folder}/failed-", f"-atheris_runs={runs}", f"-max_len={LONGEST}", "-timeout=120"]
    flags += ["-rss_limit_mb=0", "-verbosity=0", *([f"-dict={words}"] if target.words else [])]
    more: dict[str, Any] = {"custom_mutator": mutated} if target.json else {}
    atheris.Setup([sys.argv[0], *flags, str(corpus)], one, **more)
    bounded()
    atheris.Fuzz()


def _dictionary(word: str) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in word.encode("utf-8", "surrogatepass")) + '"\n'


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), *sys.argv[5:])

"""`python -m bot.engine train`: a new model when its inputs changed, with the danger score beside it.

A model is `models/<hash>.tar.gz`, `models/<hash>.danger.json` and `models/<hash>.files/` (bot/core/served.py); all are written
elsewhere first and renamed, the archive last, so that whoever takes the newest archive finds it whole and with the rest.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import multiprocessing
import multiprocessing.process
import os
import shutil
import signal
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from bot.core import served
from bot.core.errors import Explained, SetupError
from bot.core.examples import blocks, without_marks
from bot.core.yaml_text import decode
from bot.engine import danger_score, light, script_learning
from bot.engine.check import BadInput, check
from bot.engine.inputs import BACKGROUND, SCRIPTS, fingerprint, training_data
from bot.engine.quiet import Aside

KEPT, KEPT_CANDIDATES = 10, 5
ABANDONED = 3600  # seconds
SIGN = "\x1e"  # begins a line for the program that reads us (ASCII's record separator), followed by a JSON object
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Order:
    """What is trained, and how. `root`: the folder of the inputs; `out`: where the model goes; `force`: although nothing changed;
    `frugal`: one thing after the other, which takes less memory and more time; `signs`: progress also for a program; `meanings`:
    the file of those that an earlier training had made (bot/engine/encoder/kept.py), beside `root`'s models otherwise."""

    root: Path
    out: Path
    force: bool = False
    frugal: bool = False
    signs: bool = False
    meanings: Optional[Path] = None

    @property
    def kept(self) -> int:
        """How many models stay in `out`."""
        return KEPT if self.out == self.root / "models" else KEPT_CANDIDATES

    def sign(self, stage: str, **more: Any) -> None:
        """Tell the program that reads us where we are."""
        if self.signs:
            print(SIGN + json.dumps({"stage": stage, **more}), flush=True)


def say(line: str) -> None:
    """One line of progress."""
    print(line, flush=True)


def train(order: Order) -> Path:
    """The model of the present inputs, trained if there is none. Raises BadInput with what trainers must correct."""
    started = time.monotonic()
    order.sign("checking")
    say("Vérification de config.yml, domain.yml et data/…")
    check(order.root)
    models = order.out
    models.mkdir(parents=True, exist_ok=True)
    archive = models / f"{fingerprint(order.root)}.tar.gz"
    score, files = danger_file(archive), served.read(order.root)
    if archive.exists() and score.exists() and not order.force and tarfile.is_tarfile(archive):
        served.mend(archive, files)  # a model of an earlier version has none
        os.utime(archive)  # the newest is the one in use, also after going back to earlier data
        say(f"Rien n’a changé : le modèle {archive.name} convient.")
        order.sign("done", archive=str(archive))
        return archive
    with tempfile.TemporaryDirectory(dir=models, prefix=f".training-{os.getpid()}-") as folder:
        order.sign("reading")
        say("Lecture des exemples et des règles…")
        made_score = Path(folder) / "danger.json"
        made = _train_all(order, Path(folder), made_score)
        os.replace(made_score, score)
        served.mend(archive, files)
        os.replace(made, archive)
    os.utime(archive)
    _forget_old(models, order.kept)
    say(f"Modèle {archive.name} prêt en {time.monotonic() - started:.0f} s.")
    order.sign("done", archive=str(archive))
    return archive


def danger_file(archive: Path) -> Path:
    """Where the danger score of a model stands."""
    return archive.with_name(archive.name[: -len(".tar.gz")] + ".danger.json")


def _train_all(order: Order, folder: Path, made_score: Path) -> Path:
    """Rasa's model; the danger score is learnt beside it, on the other core, or after it when memory is spared."""
    from rasa.core.policies.rule_policy import InvalidRule
    from rasa.shared.exceptions import RasaException

    root, aside = order.root, Aside(folder / "log")
    try:
        files = [*map(str, training_data(root)), *taught_by_scripts(root, folder)]
        with aside:
            examples = _examples(root, files)
            _check_actions(root)
        intents = len({intent for _, intent in examples})
        say(f"Apprentissage de {intents} intentions et du danger sur {len(examples)} exemples (quatre à huit minutes)…")
        order.sign("learning", intents=intents, examples=len(examples))
        with _danger_score(root, examples, made_score) as score:
            if order.frugal:
                _one_at_a_time()
            else:
                score.start()
            with aside:
                made = _run_rasa(order, files, folder)
            if made:
                order.sign("danger")
                _finish(score)
    except InvalidRule as error:
        raise BadInput(
            f"data/rules.yml et data/stories.yml se contredisent : {error}", "Corrigez l’un ou l’autre."
        ) from None
    except RasaException as error:
        raise BadInput(f"Rasa refuse les fichiers : {error}", "Corrigez le fichier qu’il nomme.") from None
    except SystemExit:
        made = None
    if not made:
        raise BadInput(f"Rasa a arrêté l’apprentissage :\n{aside.tail()}", "Corrigez ce qu’il nomme.")
    return Path(made)


def _one_at_a_time() -> None:
    from bot.engine import classifier

    classifier.AT_ONCE = 1


def _finish(score: multiprocessing.process.BaseProcess) -> None:
    if score.pid is None:
        score.start()
    score.join()
    if score.exitcode:
        raise SetupError(
            f"Le calcul du score de danger s’est arrêté (code {score.exitcode}).",
            "Vérifiez qu’il reste 4 Gio de mémoire, puis relancez.",
        )


@contextlib.contextmanager
def _danger_score(
    root: Path, examples: list[tuple[str, str]], out: Path
) -> Iterator[multiprocessing.process.BaseProcess]:
    """The danger score, to be learnt in a process of its own, which does not outlive the block."""
    lexicon, scripts = root / "data" / "danger.yml", root / SCRIPTS
    danger_score.read_lexicon(lexicon)  # what is wrong with it is said here
    script_learning.read(scripts)  # and with them
    danger_score.check_kinds(examples)
    process = multiprocessing.get_context("spawn").Process(target=_learn_danger, args=(examples, out, lexicon, scripts))
    try:
        yield process
    finally:
        if process.pid is not None:
            process.terminate()  # Rasa has failed, if it still runs: nobody waits for the score
            process.join()


def _learn_danger(examples: list[tuple[str, str]], out: Path, lexicon: Path, scripts: Path) -> None:
    """In its own process, which ends with the one that started it, also at kill -9."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == 1:  # it ended meanwhile
        os._exit(1)
    words = danger_score.read_lexicon(lexicon)
    danger_score.train(examples, out, words, script_learning.train(scripts, words))


def taught_by_scripts(root: Path, folder: Path) -> list[str]:
    """The file of examples that data/scripts.yml has for intents, made for Rasa; none where it has none."""
    files = [path for path in training_data(root) if path.parent.name == BACKGROUND or path.name == "nlu.yml"]
    found = (block for path in files for block in blocks(decode(path.read_bytes())) if block.kind == "intent")
    known = (without_marks(item) for block in found for item in block.items)
    lessons = script_learning.taught(script_learning.read(root / SCRIPTS), known)
    if not lessons:
        return []
    made = folder / "scripts.yml"
    lines = ['version: "3.1"', "nlu:"]
    for intent, texts in sorted(lessons.items()):
        lines += [f"- intent: {intent}", "  examples: |", *(f"    - {text}" for text in texts)]
    made.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [str(made)]


def _examples(root: Path, files: list[str]) -> list[tuple[str, str]]:
    from rasa.shared.importers.importer import TrainingDataImporter

    importer = TrainingDataImporter.load_from_config(str(root / "config.yml"), str(root / "domain.yml"), files)
    found = importer.get_nlu_data().intent_examples
    # The catalogue's say nothing of danger: what they ask is harmless by their place, whatever happened before it.
    return [(str(e.get("text")), str(e.get("intent"))) for e in found if not e.get("intent_response_key")]


def _run_rasa(order: Order, files: list[str], folder: Path) -> Optional[str]:
    import rasa.model_training

    from bot.engine import classifier

    root = order.root
    light.pack_quickly()
    classifier.KEPT = order.meanings or root / "models" / served.MEANINGS
    result = rasa.model_training.train(
        str(root / "domain.yml"),
        str(root / "config.yml"),
        files,
        output=str(folder),
        force_training=True,
        fixed_model_name="model",
        core_additional_arguments={"augmentation_factor": 0},
    )
    return result.model


def _check_actions(root: Path) -> None:
    """Every action that the domain lists must exist in actions/."""
    from rasa.shared.core.domain import Domain

    from bot.engine.inprocess import InProcessEndpoint

    known = InProcessEndpoint().executor.actions
    missing = [
        name for name in Domain.load(str(root / "domain.yml")).user_actions if _is_code(name) and name not in known
    ]
    if missing:
        raise BadInput(
            f"domain.yml nomme des actions absentes de actions/ : {', '.join(missing)}.", "Retirez-les ou écrivez-les."
        )


def _is_code(name: str) -> bool:
    return not name.startswith("utter_")


def _forget_old(models: Path, kept: int) -> None:
    """Keep the last ones with all that stands beside them, and nothing of trainings that were killed."""
    for folder in models.glob(".training-*"):
        if time.time() - folder.stat().st_mtime > ABANDONED:
            shutil.rmtree(folder, ignore_errors=True)
    archives = sorted(models.glob("*.tar.gz"), key=lambda path: path.stat().st_mtime, reverse=True)
    for archive in archives[kept:]:
        archive.unlink(missing_ok=True)
        danger_file(archive).unlink(missing_ok=True)
        archive.with_name(f"{archive.name[: -len('.tar.gz')]}.json").unlink(missing_ok=True)
        served.forget(archive)


def run(order: Order) -> Optional[int]:
    """The command: 0 trained or unchanged; what is wrong is raised, and told to the program that reads us."""
    try:
        train(order)
    except OSError as error:
        wrong = SetupError(
            f"Impossible d’écrire dans {order.out.name}/ ({error.strerror}).", "Vérifiez droits et place."
        )
        order.sign("failed", what=wrong.what, remedy=wrong.remedy)
        raise wrong from None
    except Explained as error:
        order.sign("failed", what=error.what, remedy=error.remedy)
        raise
    return 0

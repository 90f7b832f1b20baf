"""`planton route`: what would be understood, decided and said, without server, database or settings."""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any, BinaryIO

from bot.app import policy as policies
from bot.app.child import ROOT
from bot.app.launcher import engine_environ
from bot.app.places import MODELS, PROJECT
from bot.app.policy import Policy
from bot.app.wall import wall
from bot.core import served
from bot.core.clean import clean
from bot.core.dialogue import Reply, Turn
from bot.core.errors import SetupError
from bot.core.system_errors import reason
from bot.dialogue import answers
from bot.policy import asks_human, data_rights, night, route
from bot.policy.degree import ALONE, Context, Degree
from bot.policy.emergency import Detection
from bot.policy.intents import CLARIFY
from bot.policy.scripts import GENERAL
from bot.settings import Settings
from bot.store.emergencies import Seen
from bot.trainer.candidates import CANDIDATES, SUFFIX, Model
from bot.trainer.wall import Given

ENGINE_PYTHON = ROOT / ".venv-engine" / "bin" / "python"
_NOTHING_SEEN = Seen(None, None, None, None, False)


def main(arguments: argparse.Namespace) -> int:
    """Print one JSON object a line. Returns the exit code; raises SetupError."""
    settings = Settings({})
    model = model_of(arguments.modele)
    policy = policies.build(settings, model)
    moment = when(arguments.at, settings)
    lines = read_lines(arguments.file)
    for text, turn in zip(lines, turns(lines, model), strict=True):
        print(json.dumps({"text": text, **decide(policy, text, turn, moment)}), flush=False)
    sys.stdout.flush()
    return 0


def model_of(archive: str | None) -> Model | None:
    """The model that `--modele` names; None for the one in service. Raises SetupError."""
    if archive is None:
        return None
    model = Model(Path(archive).resolve(), PROJECT)
    if not model.archive.is_file() or not model.archive.name.endswith(SUFFIX):
        raise SetupError(
            f"--modele : {archive} n’est pas un modèle.", f"Les candidats sont dans models/{CANDIDATES}/*{SUFFIX}."
        )
    return model


def when(at: datetime | None, settings: Settings) -> datetime:
    """The moment that `--at` names: local without an offset (first occurrence; a time that does not exist moves forward)."""
    if at is None:
        return night.instant(datetime.now(settings.zone).date(), time(12, 0), settings.zone)
    try:
        if at.tzinfo is None:
            return night.instant(at.date(), at.time(), settings.zone)
        return at.astimezone(UTC)
    except OverflowError:
        raise SetupError("--at : cette date est hors limites.", "Exemple : 2026-01-15T02:30") from None


def read_lines(file: str | None) -> list[str]:
    """Lines of a file, or of standard input: UTF-8, ended by a line feed only."""
    if file is None:
        raw = sys.stdin.buffer.read() if sys.stdin is not None else b""
    else:
        try:
            raw = Path(file).read_bytes()
        except OSError as error:
            raise SetupError(f"{file} ne se lit pas ({reason(error)}).", "Vérifiez le chemin.") from None
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        number = raw.count(b"\n", 0, error.start) + 1
        print(f"ligne {number} : ce n’est pas de l’UTF-8 ; les octets illisibles sont remplacés.", file=sys.stderr)
        whole = raw.decode("utf-8", errors="replace")
    lines = whole.split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines


def turns(
    lines: Iterable[str], model: Model | None = None, started: Callable[[subprocess.Popen[bytes]], None] | None = None
) -> Iterator[Turn | None]:
    """What the engine makes of each line as a first message; None for a line without words. Raises SetupError.

    `model`: another one than that in service; `started` is given the engine's process, which it may end.
    """
    cleaned = [clean(line) for line in lines]
    asked = [text for text in cleaned if text]
    batch = _batch(asked, model, started) if asked else iter(())
    for text in cleaned:
        yield next(batch) if text else None


def opened(model: Model | None) -> subprocess.Popen[bytes]:
    """An engine that answers line by line what is written to it. `model`: another one than that in service. Raises SetupError."""
    if not ENGINE_PYTHON.exists():
        raise SetupError("Le moteur n’est pas installé.", "Faites : make install")
    # The engine leaves with us, whatever ends us.
    environment = {**engine_environ(), "PLANTON_PDEATHSIG": "1"}
    chosen = ["--model", str(model.archive if model else MODELS)]
    start = wall().start(
        [ENGINE_PYTHON, "-m", "bot.engine", "batch", *chosen],
        environment,
        Given(model.parts if model else [MODELS, *_beside()], cwd=ROOT),
    )
    return subprocess.Popen(
        start.words,
        cwd=ROOT,
        env=start.environ,
        preexec_fn=start.prepare,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _batch(
    texts: list[str], model: Model | None, started: Callable[[subprocess.Popen[bytes]], None] | None
) -> Iterator[Turn]:
    with opened(model) as engine:
        assert engine.stdin is not None
        assert engine.stdout is not None
        if started is not None:
            started(engine)
        complaints: list[bytes] = []
        feeder = threading.Thread(target=_feed, args=(engine.stdin, texts), daemon=True)
        listener = threading.Thread(target=drain, args=(engine.stderr, complaints), daemon=True)
        feeder.start()
        listener.start()
        count = 0
        for line in engine.stdout:
            answer = json.loads(line)
            if "error" in answer:
                raise SetupError("Le moteur n’a pas su répondre à une ligne.", str(answer["error"]))
            count += 1
            yield answers.turn(answer)
        engine.wait()
        listener.join()
    if count < len(texts):
        said = b"".join(complaints).decode(errors="replace").strip().splitlines()
        raise SetupError(said[-1] if said else "Le moteur s’est arrêté.", "Faites : make train")


def _beside() -> list[Path]:
    """What a model of before its own copies is read with."""
    return [PROJECT / name for name in served.names(PROJECT) if (PROJECT / name).exists()]


def drain(pipe: BinaryIO | Any, lines: list[bytes]) -> None:
    with contextlib.suppress(ValueError):  # closed under us: whoever read our output has left
        lines.extend(pipe)


def _feed(pipe: BinaryIO | Any, texts: list[str]) -> None:
    try:
        for text in texts:
            pipe.write(json.dumps({"text": text}).encode() + b"\n")
        pipe.close()
    except BrokenPipeError:
        pass


@dataclass(frozen=True)
class Decision:
    """What is decided about one message. `by`: the detector that saw a danger, if one did; `script`: whose words are said to it
    (`bot.policy.scripts`), where they are not its intent's own."""

    intent: str | None
    confidence: float
    route: str
    category: str
    priority: int
    replies: tuple[Reply, ...]
    by: str | None = None
    degree: Degree = "none"  # of danger
    script: str | None = None  # whose words go out
    question: str | None = None  # of the catalogue, that was answered
    state: dict[str, Any] | None = None  # the dialogue's after it; None: there was no turn that counts


def decide(policy: Policy, text: str, turn: Turn | None, at: datetime) -> dict[str, Any]:
    """The decision about a new person's first message: intent, confidence, route, category, priority, reply."""
    found = decision(policy, text, turn, at)
    return {
        "intent": found.intent,
        "confidence": round(found.confidence, 4),
        "route": found.route,
        "category": found.category,
        "priority": found.priority,
        "degree": found.degree,
        "reply": [reply.text for reply in found.replies],
        "question": found.question,
        "offers": [button.title for reply in found.replies for button in reply.quick_replies],
    }


def decision(
    policy: Policy,
    text: str,
    turn: Turn | None,
    at: datetime,
    introduced: bool = False,
    handoff_open: bool = False,
    answered: bool = False,
    context: Context = ALONE,
    again: Callable[[str], Turn] | None = None,
) -> Decision:
    """The decision about one message. `introduced`, `handoff_open`, `answered`: as in route.Situation, when it is not the first;
    `context`: what was said before; `again`: asks the engine for the turn as an intent (`bot.policy.route.again_as`), where one
    can be asked."""
    words = clean(text)
    at_night = policy.night.contains(at)
    is_open = policy.desk.open(at)
    wait = route.wait_sentence(is_open, night.hour_text(policy.desk.start), None, policy.texts)
    situation = route.Situation(
        introduced=introduced,
        handoff_open=handoff_open,
        wait=wait,
        answers=answered,
        wants_human=asks_human.asks(words),
    )
    if turn is None:
        outcome = route.media((), situation, policy.texts)
        outcome = route.at_night(outcome, False, policy.texts) if at_night else outcome
        return Decision(None, 0.0, CLARIFY, "none", 9, outcome.replies)
    detection = policy.detect(words, turn.understanding, context)
    if detection is not None and detection.degree == "sure":
        plan = policy.plan(detection, words, at, at, _NOTHING_SEEN)
        said = (Reply(plan.text),) if plan and plan.text else ()
        named = detection.script or GENERAL[detection.kind]
        return Decision(*_named(detection, turn), "emergency", "emergency", 0, said, detection.by, "sure", named)
    level = "none" if detection is None else detection.degree
    understanding = turn.understanding
    instead = None if turn.handoff is None else policy.instead(understanding, words)
    turn = route.with_words(turn, instead, policy.texts)
    kind, script = ("danger", None) if detection is None else (detection.kind, detection.script)
    meant = route.again_as(turn, level)
    second = again(meant) if again is not None and meant is not None else None
    turn = route.settled(turn, level, kind, script, policy.texts, second)
    if route.is_likely(turn):
        level, instead = "likely", instead or script
    understanding = turn.understanding
    spoken = route.spoken(understanding, words)
    situation = replace(situation, spoken=spoken, facts=policy.facts(spoken, words), faint=level == "faint")
    listens = policy.listens(words, understanding, detection)
    situation = replace(situation, listens=listens, rights=data_rights.asks(words))
    outcome = route.by_day(turn, situation, policy.texts)
    if at_night:
        outcome = route.at_night(outcome, False, policy.texts, spoken, instead, listens=listens)
    return Decision(
        understanding.intent,
        understanding.confidence,
        outcome.route,
        outcome.category,
        outcome.priority,
        outcome.replies,
        degree=level,
        script=instead,
        question=outcome.question,
        state=turn.state,
    )


def _named(detection: Detection, turn: Turn) -> tuple[str, float]:
    """The emergency intent with its confidence: the engine's probability of danger, or certainty for a lexicon hit."""
    return detection.intent, 1.0 if detection.by == "lexicon" else turn.understanding.danger

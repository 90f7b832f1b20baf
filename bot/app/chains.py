"""Conversations that measure (`tests/gold/chains.yml`): each is played through engine and policy as the worker plays it, its
dialogue's state, its hand-off and what was said before carried on from turn to turn; only the database is left out.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bot.app import policy as policies
from bot.app.policy import Policy
from bot.app.route import Decision, decision, drain, opened, when
from bot.core.clean import clean, for_understanding
from bot.core.dialogue import Turn, Understanding
from bot.core.errors import SetupError
from bot.dialogue import answers
from bot.dialogue.past import is_recent, topics
from bot.dialogue.questions import answers as gives_what_was_asked
from bot.dialogue.questions import asked as question
from bot.dialogue.texts import read_yaml
from bot.policy import degree, emergency, owner, route
from bot.policy.degree import Degree
from bot.policy.emergency import Detection
from bot.settings import Settings
from bot.trainer.candidates import Model

FILE = "chains.yml"
MINUTE = 60.0  # seconds between two turns of a chain
PIECES = 3  # messages of three minutes, which the gateway reads together
Ask = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Chain:
    """A conversation. `danger`: somebody in it is in danger, which is known from turn `at` (from 1) on."""

    name: str
    danger: bool
    at: int
    turns: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """What became of a turn. `numbers`: what was said gives the 17 and the 114; `by`: the detector of a sure danger; `question`:
    that of the catalogue that was answered, `offers` the payloads of the buttons, `said` the replies."""

    degree: Degree
    route: str
    category: str
    numbers: bool
    by: str | None = None
    question: str | None = None
    offers: tuple[str, ...] = ()
    said: str = ""


@dataclass(frozen=True)
class Played:
    """A chain and what became of its turns, up to the emergency reply where one went out."""

    chain: Chain
    steps: tuple[Step, ...]

    @property
    def alarmed(self) -> bool:
        """An emergency reply went out."""
        return any(step.degree == "sure" for step in self.steps)

    def recognised(self, until: int | None = None) -> bool:
        """Whether the danger was sure or likely at some turn, or up to turn `until` (from 1)."""
        return any(step.degree in ("sure", "likely") for step in self.steps[:until])

    @property
    def numbers(self) -> bool:
        """The person met the 17 and the 114."""
        return any(step.numbers for step in self.steps)


def read(path: Path) -> list[Chain]:
    """The chains of a file. Raises SetupError naming the one that is wrong."""
    data = read_yaml(path)
    rows = data.get("chains") if isinstance(data, Mapping) else None
    if not isinstance(rows, Sequence) or not rows:
        raise SetupError(f"{path} : la liste « chains » manque ou est vide.", "Rétablissez le fichier depuis git.")
    return [_chain(row, f"{path}, n° {number}") for number, row in enumerate(rows, 1)]


def _chain(row: Any, where: str) -> Chain:
    body = row if isinstance(row, Mapping) else {}
    name, danger, turns = body.get("name"), body.get("danger"), body.get("turns")
    whole = isinstance(name, str) and isinstance(danger, bool) and isinstance(turns, Sequence)
    written = list(turns) if whole and isinstance(turns, Sequence) else []
    said = tuple(turn for turn in written if isinstance(turn, str) and clean(turn))
    at = body.get("at", 0)
    if not said or len(said) != len(written) or not isinstance(at, int) or (danger and not 1 <= at <= len(said)):
        remedy = "Attendu : name, danger, turns (des textes) et, s’il y a un danger, at (le rang d’un tour)."
        raise SetupError(f"{where} ({name}) : la conversation n’est pas de la forme attendue.", remedy)
    return Chain(str(name), danger is True, at, said)


@dataclass
class _Talk:
    """A conversation as it stands."""

    state: dict[str, Any] | None = None
    category: str = "none"
    reason: str = ""
    introduced: bool = False
    said: list[str] = field(default_factory=list)


def play(
    chains: Sequence[Chain],
    model: Model | None = None,
    files: Path | None = None,
    started: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> list[Played]:
    """Play every chain, by day, with one start of the engine. `model`: another one than that in service; `files`: where replies and
    lexicon are read instead of beside it; `started` is given the engine's process. Raises SetupError."""
    settings = Settings({})
    policy, at = policies.build(settings, model, files), when(None, settings)
    with opened(model) as engine:
        if started is not None:
            started(engine)
        threading.Thread(target=drain, args=(engine.stderr, []), daemon=True).start()
        ask = _asker(engine)
        found = [Played(chain, tuple(_steps(chain, policy, ask, at))) for chain in chains]
        assert engine.stdin is not None
        engine.stdin.close()
    return found


def _asker(engine: subprocess.Popen[bytes]) -> Ask:
    def ask(question: Mapping[str, Any]) -> dict[str, Any]:
        assert engine.stdin is not None
        assert engine.stdout is not None
        try:
            engine.stdin.write(json.dumps(question).encode("ascii") + b"\n")
            engine.stdin.flush()
            answer = json.loads(engine.stdout.readline() or b"null")
        except (OSError, ValueError):
            answer = None
        if not isinstance(answer, dict) or "error" in answer:
            raise SetupError("Le moteur n’a pas su répondre à une ligne.", "Faites : make train")
        return answer

    return ask


def _steps(chain: Chain, policy: Policy, ask: Ask, at: datetime) -> Iterator[Step]:
    talk = _Talk()
    for number, text in enumerate(chain.turns):
        step = _step(policy, talk, text, ask, at, at.timestamp() + number * MINUTE)
        yield step
        if step.degree == "sure":
            return


def _step(policy: Policy, talk: _Talk, text: str, ask: Ask, at: datetime, now: float) -> Step:
    """One turn: the gateway's look, the engine's turn or, while an agent is awaited, its reading, and the decision."""
    words = for_understanding(clean(text))
    alarm = _gateways(policy, talk, words)
    if alarm is not None:
        return Step("sure", "emergency", "emergency", True, alarm.by)
    if owner.bot_may_answer("waiting" if talk.category != "none" else "bot", talk.category):
        turn = answers.turn(ask({"text": words, "state": talk.state, "at": now}))
        given = gives_what_was_asked(talk.state, turn.state, now) and not route.speaks_of_danger(turn)
        asked = given or degree.fits(question(talk.state, now), turn.understanding, words)
        found = _decided(policy, talk, words, turn, ask, at, now, asked)
        talk.introduced = True
        step = _stepped(found)
    else:
        understood = answers.understanding(ask({"text": words, "understand": True})["understanding"])
        told = policy.detect(words, understood, _context(talk, words, understood, ask, now, False))
        level = "none" if told is None else told.degree
        step = Step(level, "handoff", talk.category, level == "sure", told.by if told else None)
    if step.route == "handoff":
        talk.category = step.category
        talk.reason = degree.REASONS["danger"] if step.degree == "likely" else ""
    talk.said.append(words)
    return step


def _stepped(found: Decision) -> Step:
    said = "\n".join(reply.text for reply in found.replies)
    offers = tuple(button.payload for reply in found.replies for button in reply.quick_replies)
    numbers = route.gives_numbers(said)
    return Step(found.degree, found.route, found.category, numbers, found.by, found.question, offers, said)


def _gateways(policy: Policy, talk: _Talk, words: str) -> Detection | None:
    """The gateway's look at a message, and at it with those of the last minutes, as `bot.store.inbox` takes them in."""
    said = [*talk.said, words][-PIECES:]
    return policy.triage(words) or next(filter(None, map(policy.triage, emergency.joined(said))), None)


def _decided(
    policy: Policy, talk: _Talk, words: str, turn: Turn, ask: Ask, at: datetime, now: float, asked: bool
) -> Decision:
    context = _context(talk, words, turn.understanding, ask, now, asked)
    state = talk.state

    def again(meant: str) -> Turn:
        return answers.turn(ask({"text": words, "state": state, "at": now, "meant": meant}))

    begun, handed = talk.introduced, talk.category != "none"
    found = decision(policy, words, turn, at, begun, handed, answered=asked, context=context, again=again)
    talk.state = turn.state if found.state is None else found.state
    return found


def _context(talk: _Talk, words: str, understood: Understanding, ask: Ask, now: float, asked: bool) -> degree.Context:
    recent = is_recent(talk.state, now)
    context = degree.before(topics(talk.state, now), talk.category, False, asked, words, recent, reason=talk.reason)
    before = talk.said[-degree.BACK_MOST :]
    if not before or not degree.looks_back(understood, context, words):
        return context
    joined = for_understanding(degree.joined(before, words))
    read = answers.understanding(ask({"text": joined, "understand": True})["understanding"])
    return degree.read_together(degree.with_said(context, before, words), read.danger, words)


# -- Figures ---------------------------------------------------------------------------------------------------------------

# Key → (what it is called, whether more of it is better).
FIGURES = {
    "false_alarms": ("conversations sans danger qui reçoivent la réponse d’urgence", False),
    "recognised_in_time": ("dangers reconnus au plus tard au tour où ils sont connus", True),
    "recognised": ("dangers reconnus avant la fin", True),
    "unwarned": ("dangers qui ne rencontrent aucun numéro", False),
}


def figures(played: Sequence[Played]) -> dict[str, Any]:
    """What is kept of a measure: counts, and the names of the chains that went wrong."""
    calm, grave = ([one for one in played if one.chain.danger is danger] for danger in (False, True))
    return {
        "harmless": len(calm),
        "dangers": len(grave),
        "false_alarms": sum(one.alarmed for one in calm),
        "likely": sum(one.recognised() and not one.alarmed for one in calm),
        "recognised_in_time": sum(one.recognised(one.chain.at) for one in grave),
        "recognised": sum(one.recognised() for one in grave),
        "unwarned": sum(not one.numbers for one in grave),
        "wrong": sorted(one.chain.name for one in played if one.alarmed is not one.chain.danger and _wrong(one)),
    }


def _wrong(one: Played) -> bool:
    return not one.recognised() if one.chain.danger else one.alarmed


def falls(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One line in French for each figure that is worse than the reference's; a share, since chains may be added."""
    told = []
    for key, (label, more) in FIGURES.items():
        of = "harmless" if key == "false_alarms" else "dangers"
        if not before.get(of) or not now.get(of):
            continue
        was, is_now = before[key] / before[of], now[key] / now[of]
        if (was - is_now if more else is_now - was) > 1e-9:
            told.append(f"{FILE} : {label}, {before[key]} sur {before[of]} → {now[key]} sur {now[of]}")
    return told


def table(now: Mapping[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{FILE} ({now['harmless']} sans danger, {now['dangers']} dangers dits par morceaux)"]
    for key, (label, _) in FIGURES.items():
        of = now["harmless" if key == "false_alarms" else "dangers"]
        lines.append(f"  {label} : {now[key]} sur {of}")
    return "\n".join(lines)

"""One loaded model: `understand` a text, run a `turn`. Answers are plain JSON types (see bot/core/dialogue.py)."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from rasa.core.channels.channel import UserMessage
from rasa.core.lock_store import InMemoryLockStore
from rasa.core.nlg.generator import NaturalLanguageGenerator
from rasa.core.processor import MessageProcessor
from rasa.engine.constants import PLACEHOLDER_MESSAGE, PLACEHOLDER_TRACKER
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import RasaException

from bot.core.clean import clean, for_understanding
from bot.core.errors import SetupError
from bot.engine import explain, lean, precise, precisions_file, reading, remembered, short, state, vectors
from bot.engine.channel import TurnOutput
from bot.engine.classifier import FrenchIntentClassifier
from bot.engine.inprocess import InProcessEndpoint
from bot.engine.payloads import QUESTION, Payloads, Tap, choices, headings, questions, titles, wordings
from bot.engine.previews import Previews
from bot.engine.reading import Reading
from bot.engine.runner import StraightRunner
from bot.engine.tracker import RequestTrackerStore
from bot.policy.intents import ANSWER, FALLBACK, policy_of
from bot.policy.language import is_french
from bot.policy.questions import go_on, sure
from bot.policy.told import keep, values

log = logging.getLogger("bot.engine")

RANKING = 10
ANSWERED = "repondu"  # slot: the question of the catalogue that was answered last
# These go on from what was answered, whatever they would ask by themselves.
_GOES_ON = re.compile(r"\W*(?:et|non|pardon|plut[oô]t)\b", re.IGNORECASE)
# In small letters: what begins with a capital is mostly a name. (All in capitals, a message tells no names apart.)
_LONG_WORD = re.compile(r"(?<![^\W_])(?:[^\W\d_A-ZÀ-ÖØ-Þ]{4,}|[A-ZÀ-ÖØ-Þ]{4,})(?![^\W_])")


class EmptyText(ValueError):
    """Nothing is left of the text once it is cleaned."""


class EmptyOutcome(RuntimeError):
    """The dialogue neither answered nor handed off nor said that it is silent on purpose."""


def newest_model(where: Path) -> Path:
    """`where` itself if it is a file, else the newest archive in it."""
    if where.is_file():
        return where
    found = sorted(where.glob("*.tar.gz"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SetupError(f"Aucun modèle dans {where}.", "Lancez : planton train.")
    return found[-1]


class Runtime:
    """Holds the model, and nothing about any person."""

    def __init__(self, model: Path, actions: str = "actions", remember: int = remembered.MOST) -> None:
        """`remember`: of how many texts what they mean is kept at hand."""
        self.model = newest_model(model)
        self._store = RequestTrackerStore()
        nlg = precise.PreciseReplies(precisions_file.follow(self.model))
        lean.slim()
        self._processor = _processor(self.model, self._store, nlg, InProcessEndpoint(actions))
        self._runner = self._processor.graph_runner = StraightRunner(self._processor.graph_runner)
        self.domain = self._processor.domain
        self._store.domain = self.domain
        nlg.responses = self.domain.responses
        self._payloads = Payloads(self.domain)
        self._titles, self._choices = titles(self.domain), choices(self.domain)
        self._questions = questions(self.domain)
        self._headings = headings(self.domain)
        self._previews = Previews(self.domain)
        self._long = wordings(self.domain)
        self._classifier = _classifier(self._runner)
        if self._classifier and remember:
            self._classifier.look = remembered.Remembered(self._classifier.look, remember)  # type: ignore[method-assign]
        self.name = self.model.name[: -len(".tar.gz")]
        self._explainer = explain.Explainer(self._classifier, explain.score_beside(self.model))
        self._ids = itertools.count(1)
        self._target = _last_component(self._processor)
        self._warm_up()

    async def understand(self, text: str) -> dict[str, Any]:
        """What a text means. Raises EmptyText."""
        read = reading.read(_cleaned(text), self._parse, self._knows, self._long)
        return self._understanding(read, _is_french(text), text)

    async def explain(self, text: str) -> dict[str, Any]:
        """What a text means, and why: `understanding`, `intents` (bot/engine/explain.py), `score`. Raises EmptyText."""
        words = _cleaned(text)
        return {
            "understanding": await self.understand(text),
            "intents": self._explainer.intents(words),
            "score": self._explainer.danger(words),
        }

    async def turn(
        self, text: str, dialogue: Any, payload: Optional[str] = None, at: Optional[float] = None, meant: Any = None
    ) -> dict[str, Any]:
        """Run one turn. `at`: when, by the clock of who asks (seconds since the epoch); `meant`: the intent that the text is read
        as, if it is one of ours. Raises EmptyText, EmptyOutcome."""
        now = time.time() if at is None else at
        request_id = f"r{next(self._ids)}"
        tracker = state.load(dialogue, request_id, self.domain, now)
        asked = str(tracker.get_slot("question") or "")
        read = self._read(text, payload, asked, meant)
        read = self._followed(read, text, tracker)
        words = "" if read.lead.get("tapped") else text
        told = values(keep(dialogue, words, now))
        output = TurnOutput(self._choices, self._questions, self._headings, self._previews)
        # Two replies that each show questions would be too long, and one beside an agent's, with which it is joined.
        of_turn = {"asked": asked, "told": told, "previews": bool(self._previews) and len(read.parts) == 1}
        self._store.begin(tracker)
        try:
            for number, part in enumerate(read.parts, 1):
                parsed = {**part, **of_turn, "last": number == len(read.parts)}
                message = UserMessage(part["text"], output, request_id, parse_data=parsed, input_channel=output.name())
                await self._processor.handle_message(message)
        finally:
            tracker = self._store.end(request_id)
        if output.empty:
            raise EmptyOutcome(str(read.lead["intent"]["name"]))
        self._mention(read.more, output)
        return {
            "understanding": self._understanding(read, bool(read.lead.get("tapped")) or _is_french(text), words),
            "replies": output.replies,
            "handoff": output.handoff,
            "clarify": output.clarify,
            "silence": output.silence,
            "question": output.answered,
            "supposed": output.supposed,
            "state": state.dump(tracker, dialogue, now, words),
        }

    def _read(self, text: str, payload: Optional[str], asked: str, meant: Any) -> Reading:
        """The turns that a message or a tap calls for; `asked` is the open question."""
        if isinstance(meant, str) and meant in self.domain.intents:
            (whole,) = self._parse([_cleaned(text)])
            return reading.single(reading.meant_as(whole, meant))
        tap = self._payloads.read(payload)
        if tap:
            return reading.single(_tapped(tap, payload))
        if payload is not None and not clean(text):
            return reading.single(_nothing())  # a button that is not ours, and without a title
        words = _cleaned(text)
        answers = [_tapped(tap, None) for tap in self._answers(words, asked)]
        if answers:
            return replace(reading.single(answers[0]), parts=tuple(answers))
        return reading.read(words, self._parse, self._knows, self._long)

    def _followed(self, read: Reading, text: str, tracker: DialogueStateTracker) -> Reading:
        """A few words behind an answer of the catalogue, read with the question that was answered: « et pour un cadet ? »."""
        answered = str(tracker.get_slot(ANSWERED) or "")
        before = self._long.get(answered)
        if before is None or tracker.get_slot("question") or len(read.parts) > 1 or read.lead.get("tapped"):
            return read
        alone = sure(read.lead.get("questions"))
        if len(text.split()) > reading.FOLLOW_UP or (alone and not _GOES_ON.match(text)):
            return read
        if policy_of(str(read.lead["intent"]["name"])).route != ANSWER:
            return read
        (both,) = self._parse([f"{before} {_cleaned(text)}"])
        questions = go_on(answered, read.lead.get("questions"), both.get("questions"))
        part = {**read.lead, "questions": questions}
        return replace(read, parts=(part,), lead=part)

    def _answers(self, text: str, asked: str) -> list[Tap]:
        """What a typed answer to a choice or an offer of ours means, as the taps that would have said it."""
        if asked == short.OFFER:
            return [("parler_humain", {})] if short.agrees(text) else []
        offered = asked.split(short.CHOICE)
        if len(offered) < 2:
            return []
        chosen = short.picked(text, offered, self._titles)
        if chosen == short.NEITHER:
            return [("salutation", {"theme": "autre"})]
        return [(intent, {}) for intent in offered if chosen in (intent, short.BOTH)]

    def _mention(self, more: Sequence[str], output: TurnOutput) -> None:
        """What was asked besides: named to the agent who takes over, else offered as quick replies."""
        known = [intent for intent in more if intent in self._titles]
        if output.handoff is not None and known:
            named = ", ".join(self._titles[intent] for intent in known)
            output.handoff["slots"]["autre_question"] = named
            known = []
        output.finish([{"title": self._titles[intent], "payload": f"/{intent}"} for intent in known])

    def _warm_up(self) -> None:
        """The first turn reads tables and fills caches; nobody should wait for that."""
        try:
            asyncio.run(self.turn("bonjour", None))
        except EmptyOutcome as error:
            log.error("empty outcome for intent %s", error)

    def _understanding(self, read: Reading, french: bool, text: str) -> dict[str, Any]:
        """`text`: the person's own words, "" for a tap."""
        return {**_understanding(read, french), "unknown": self._unknown(text), "model": self.name}

    def _unknown(self, text: str) -> int:
        """How many of its words we have never seen; names, numbers and shorter words aside."""
        return sum(not self._knows(word.lower()) for word in _LONG_WORD.findall(for_understanding(clean(text))))

    def _knows(self, word: str) -> bool:
        """Whether a word is French, or was seen while training."""
        return vectors.french().of(word) is not None or (self._classifier is None or self._classifier.knows(word))

    def _parse(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Rasa's parse of texts, stopped before the component that would take `/restart` for a command."""
        nobody = DialogueStateTracker("parse", [])
        results = self._runner.run(
            inputs={PLACEHOLDER_MESSAGE: [UserMessage(text) for text in texts], PLACEHOLDER_TRACKER: nobody},
            targets=[self._target],
        )
        return [self._parsed(message.as_dict(only_output_properties=True)) for message in results[self._target]]

    def _parsed(self, found: dict[str, Any]) -> dict[str, Any]:
        parsed: dict[str, Any] = {"text": "", "intent": {"name": None, "confidence": 0.0}, "entities": [], **found}
        known = self.domain.entities
        parsed["entities"] = [entity for entity in parsed["entities"] if entity["entity"] in known]
        return parsed


def _processor(
    model: Path, store: RequestTrackerStore, nlg: NaturalLanguageGenerator, endpoint: InProcessEndpoint
) -> MessageProcessor:
    try:
        return MessageProcessor(str(model), store, InMemoryLockStore(), nlg, action_endpoint=endpoint)
    except (RasaException, OSError) as error:
        log.error("model %s", model.name, exc_info=True)
        raise SetupError(
            f"Le modèle {model.name} ne convient pas à ce programme ({type(error).__name__}).",
            "Lancez : planton train.",
        ) from None


def _last_component(processor: MessageProcessor) -> str:
    """The node that feeds RegexMessageHandler, which is always the last one."""
    metadata = processor.model_metadata
    needs = metadata.predict_schema.nodes[metadata.nlu_target].needs
    return str(needs["messages"])


def _classifier(runner: StraightRunner) -> Optional[FrenchIntentClassifier]:
    """Our classifier in the loaded model; None if trainers chose another."""
    return next((part for part in runner.components() if isinstance(part, FrenchIntentClassifier)), None)


def _cleaned(text: str) -> str:
    understood = for_understanding(clean(text))
    if not understood:
        raise EmptyText
    return understood


def _tapped(tap: Tap, payload: Optional[str]) -> dict[str, Any]:
    """A tap on a quick reply of ours, in the shape of a parse."""
    name, entities = tap
    entities = dict(entities)
    question = entities.pop(QUESTION, None)
    intent = {"name": name, "confidence": 1.0}
    return {
        "questions": [] if question is None else [{"name": question, "confidence": 1.0}],
        "text": payload or f"/{name}",
        "intent": intent,
        "intent_ranking": [intent],
        "entities": [{"entity": entity, "value": value} for entity, value in entities.items()],
        "tapped": True,
    }


def _nothing() -> dict[str, Any]:
    """A tap that says nothing to us."""
    weak = {"name": FALLBACK, "confidence": 0.0}
    return {"text": "", "intent": weak, "intent_ranking": [weak], "entities": [], "tapped": True}


def _is_french(text: str) -> bool:
    return is_french(_cleaned(text))


def _understanding(read: Reading, french: bool) -> dict[str, Any]:
    ranking = _named(read.lead)
    best = ranking[0] if ranking else [None, 0.0]
    return {
        "intent": best[0],
        "confidence": best[1],
        "ranking": ranking[:RANKING],
        "entities": _values(read.entities),
        "danger": read.danger,
        "french": french,
        "questions": _nearest(read),
        "scripts": {name: round(chance, 4) for name, chance in (read.lead.get("scripts") or {}).items()},
        "called": round(read.lead.get("called") or 0.0, 4),
    }


def _nearest(read: Reading) -> list[list[Any]]:
    """The questions of the catalogue that are nearest: to the part that surely asks one, else to what the message is."""
    part = next((part for part in read.parts if sure(part.get("questions"))), read.lead)
    return [[str(row["name"]), round(float(row["confidence"]), 6)] for row in part.get("questions") or []]


def _values(entities: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The value of each entity; of papers, which are lost together, all."""
    found: dict[str, list[str]] = {}
    for entity in entities:
        values = found.setdefault(str(entity["entity"]), [])
        if str(entity["value"]) not in values:
            values.append(str(entity["value"]))
    return {name: ", ".join(values) if name == "document" else values[0] for name, values in found.items()}


def _named(parsed: dict[str, Any]) -> list[list[Any]]:
    """The ranking without the fallback, which is a decision and no meaning."""
    return [
        [str(row["name"]), round(float(row["confidence"]), 6)]
        for row in parsed.get("intent_ranking") or []
        if row["name"] != FALLBACK
    ]

"""One loaded model: `understand` a text, run a `turn`. Answers are plain JSON types (see bot/core/dialogue.py)."""

from __future__ import annotations

import asyncio
import itertools
import logging
from pathlib import Path
from typing import Any, Optional

from rasa.core.channels.channel import UserMessage
from rasa.core.lock_store import InMemoryLockStore
from rasa.core.nlg.response import TemplatedNaturalLanguageGenerator
from rasa.core.processor import MessageProcessor
from rasa.engine.constants import PLACEHOLDER_MESSAGE, PLACEHOLDER_TRACKER
from rasa.shared.constants import DEFAULT_NLU_FALLBACK_INTENT_NAME
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import RasaException

from bot.core.clean import clean, for_understanding
from bot.core.errors import SetupError
from bot.engine import gazetteer, state
from bot.engine.channel import TurnOutput
from bot.engine.inprocess import InProcessEndpoint
from bot.engine.payloads import Payloads, Tap
from bot.engine.tracker import RequestTrackerStore
from bot.policy.intents import DANGER_INTENTS
from bot.policy.language import is_french

log = logging.getLogger("bot.engine")

RANKING = 10


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

    def __init__(self, model: Path, actions: str = "actions") -> None:
        self.model = newest_model(model)
        self._store = RequestTrackerStore()
        nlg = TemplatedNaturalLanguageGenerator({})
        self._processor = _processor(self.model, self._store, nlg, InProcessEndpoint(actions))
        self.domain = self._processor.domain
        self._store.domain = self.domain
        nlg.responses = self.domain.responses
        self._payloads = Payloads(self.domain, gazetteer.values_of(self._processor.graph_runner))
        self._ids = itertools.count(1)
        self._target = _last_component(self._processor)
        self._warm_up()

    async def understand(self, text: str) -> dict[str, Any]:
        """What a text means. Raises EmptyText."""
        return _understanding(self._parse(_cleaned(text)))

    async def turn(self, text: str, dialogue: Any, payload: Optional[str] = None) -> dict[str, Any]:
        """Run one turn. Raises EmptyText, EmptyOutcome."""
        tap = self._payloads.read(payload)
        parsed = _tapped(tap, payload) if tap else self._parse(_cleaned(text))
        request_id = f"r{next(self._ids)}"
        tracker = state.load(dialogue, request_id, self.domain)
        output = TurnOutput()
        message = UserMessage(parsed["text"], output, request_id, parse_data=parsed, input_channel=output.name())
        self._store.begin(tracker)
        try:
            await self._processor.handle_message(message)
        finally:
            tracker = self._store.end(request_id)
        if output.empty:
            raise EmptyOutcome(str(parsed["intent"]["name"]))
        return {
            "understanding": _understanding(parsed),
            "replies": output.replies,
            "handoff": output.handoff,
            "clarify": output.clarify,
            "silence": output.silence,
            "state": state.dump(tracker),
        }

    def _warm_up(self) -> None:
        """The first turn reads tables and fills caches; nobody should wait for that."""
        try:
            asyncio.run(self.turn("bonjour", None))
        except EmptyOutcome as error:
            log.error("empty outcome for intent %s", error)

    def _parse(self, text: str) -> dict[str, Any]:
        """Rasa's parse of a text, stopped before the component that would take `/restart` for a command."""
        message = UserMessage(text)
        nobody = DialogueStateTracker("parse", [])
        results = self._processor.graph_runner.run(
            inputs={PLACEHOLDER_MESSAGE: [message], PLACEHOLDER_TRACKER: nobody}, targets=[self._target]
        )
        parsed: dict[str, Any] = {"text": "", "intent": {"name": None, "confidence": 0.0}, "entities": []}
        parsed.update(results[self._target][0].as_dict(only_output_properties=True))
        known = self.domain.entities
        parsed["entities"] = [entity for entity in parsed["entities"] if entity["entity"] in known]
        return parsed


def _processor(
    model: Path, store: RequestTrackerStore, nlg: TemplatedNaturalLanguageGenerator, endpoint: InProcessEndpoint
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


def _cleaned(text: str) -> str:
    understood = for_understanding(clean(text))
    if not understood:
        raise EmptyText
    return understood


def _tapped(tap: Tap, payload: Optional[str]) -> dict[str, Any]:
    """A tap on a quick reply of ours, in the shape of a parse."""
    name, entities = tap
    intent = {"name": name, "confidence": 1.0}
    return {
        "text": payload,
        "intent": intent,
        "intent_ranking": [intent],
        "entities": [{"entity": entity, "value": value} for entity, value in entities.items()],
        "tapped": True,
    }


def _understanding(parsed: dict[str, Any]) -> dict[str, Any]:
    ranking = _named(parsed)
    best = ranking[0] if ranking else [None, 0.0]
    entities: dict[str, str] = {}
    for entity in parsed["entities"]:
        entities.setdefault(str(entity["entity"]), str(entity["value"]))
    return {
        "intent": best[0],
        "confidence": best[1],
        "ranking": ranking[:RANKING],
        "entities": entities,
        "danger": min(1.0, sum(p for name, p in ranking if name in DANGER_INTENTS)),
        "french": bool(parsed.get("tapped")) or is_french(parsed["text"]),
    }


def _named(parsed: dict[str, Any]) -> list[list[Any]]:
    """The ranking without the fallback, which is a decision and no meaning."""
    return [
        [str(row["name"]), round(float(row["confidence"]), 6)]
        for row in parsed.get("intent_ranking") or []
        if row["name"] != DEFAULT_NLU_FALLBACK_INTENT_NAME
    ]

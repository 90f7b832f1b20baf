"""Rasa's replies, narrowed by the words of the message where data/precisions.yml has a reply for them."""

from __future__ import annotations

from typing import Any, Optional

from rasa.core.nlg.response import TemplatedNaturalLanguageGenerator
from rasa.shared.core.trackers import DialogueStateTracker

from bot.policy.precisions import Precisions


class PreciseReplies(TemplatedNaturalLanguageGenerator):
    """An action utters the general reply; the person gets the narrower one, if the model has it."""

    def __init__(self, precisions: Precisions) -> None:
        super().__init__({})
        self._precisions = precisions

    async def generate(
        self, utter_action: str, tracker: DialogueStateTracker, output_channel: str, **kwargs: Any
    ) -> Optional[dict[str, Any]]:
        """The message of a reply's name."""
        said = tracker.latest_message.text if tracker.latest_message else None
        # A tap is no words of the person's.
        narrower = self._precisions.find(utter_action, said) if said and not said.startswith("/") else None
        chosen = narrower if narrower in self.responses else utter_action
        message: Optional[dict[str, Any]] = await super().generate(chosen, tracker, output_channel, **kwargs)
        return message

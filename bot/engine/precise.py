"""Rasa's replies: narrowed by the words of the message where data/precisions.yml has a reply for them; an answer of the catalogue
with its link, and with the questions beside it as buttons."""

from __future__ import annotations

from typing import Any, Optional

from rasa.core.nlg.response import TemplatedNaturalLanguageGenerator
from rasa.shared.core.trackers import DialogueStateTracker

from bot.core.catalogue import link_of, said
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
        words = tracker.latest_message.text if tracker.latest_message else None
        # A tap is no words of the person's.
        narrower = self._precisions.find(utter_action, words) if words and not words.startswith("/") else None
        chosen = narrower if narrower in self.responses else utter_action
        message: Optional[dict[str, Any]] = await super().generate(chosen, tracker, output_channel, **kwargs)
        return self._answer(message) if message and "/" in chosen else message

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """An answer of the catalogue as it leaves."""
        about = message.get("metadata") or {}
        link, link_title = str(about.get("link") or ""), str(about.get("link_title") or "")
        text = said(str(message.get("text") or "").strip(), link, link_title)
        names = [str(name) for name in about.get("related") or []]
        buttons = [
            {"title": title, "payload": f"/{name}"} for name in names if (title := self._title(name)) is not None
        ]
        # As Rasa writes a button that opens a page; the address stands in the text too, for where it cannot be one.
        pages = [{"type": "web_url", "title": link_of(link, link_title).title, "url": link}] if link else []
        return {**message, "text": text, "buttons": [*(message.get("buttons") or []), *buttons, *pages]}

    def _title(self, question: str) -> Optional[str]:
        variations = self.responses.get(f"utter_{question}") or [{}]
        title = (variations[0].get("metadata") or {}).get("title")
        return None if title is None else str(title)

"""Gathers what a turn says: replies with their quick replies, and the hand-off, clarify and silence marks of actions.

Actions send marks as `custom` payloads; Rasa drops a response's own metadata on the way.
"""

from __future__ import annotations

from typing import Any, Optional

from rasa.core.channels.channel import OutputChannel


class TurnOutput(OutputChannel):
    """The output channel of one turn."""

    def __init__(self) -> None:
        self.replies: list[dict[str, Any]] = []
        self.handoff: Optional[dict[str, Any]] = None
        self.clarify = False
        self.silence = False

    @classmethod
    def name(cls) -> str:
        """The channel's name, as responses may be varied by it."""
        return "planton"

    async def send_response(self, recipient_id: str, message: dict[str, Any]) -> None:
        """One response or one message of an action."""
        custom = message.get("custom")
        if isinstance(custom, dict):
            self._mark(custom)
        text = str(message.get("text") or "").strip()
        if text:
            self.replies.append({"text": text, "quick_replies": _quick_replies(message)})

    def _mark(self, custom: dict[str, Any]) -> None:
        handoff = custom.get("handoff")
        if isinstance(handoff, dict):
            self.handoff = {
                "category": str(handoff["category"]),
                "priority": int(handoff["priority"]),
                "reason": str(handoff.get("reason") or ""),
                "slots": {str(k): str(v) for k, v in (handoff.get("slots") or {}).items() if v not in (None, "")},
            }
        self.clarify = self.clarify or custom.get("clarify") is True
        self.silence = self.silence or custom.get("silence") is True

    @property
    def empty(self) -> bool:
        """Neither reply, hand-off, clarify nor declared silence: an error of the dialogue."""
        return not (self.replies or self.handoff or self.clarify or self.silence)


def _quick_replies(message: dict[str, Any]) -> list[dict[str, str]]:
    buttons = [*(message.get("buttons") or []), *(message.get("quick_replies") or [])]
    return [{"title": str(b["title"]), "payload": str(b["payload"])} for b in buttons if b.get("title")]

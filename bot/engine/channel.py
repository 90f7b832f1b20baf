"""Gathers what a turn says: replies with their quick replies and links, and the hand-off, clarify and silence marks of actions.

Actions send marks as `custom` payloads; Rasa drops a response's own metadata on the way. Besides the three marks of a turn,
`answered` names the question of the catalogue that is answered, `supposed` the one whose heading is said before, `offers` those
that may have been meant, `previews` shows such questions in place of the next response's text (`whole`: with the answers to the
first two), `beside` tells one behind the answer before, `join` adds the next response to the one before, and `choices_of` gives the
next one the buttons of a response.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from rasa.core.channels.channel import OutputChannel

from bot.engine.payloads import HEADING
from bot.engine.previews import Preview, Previews

MOST_BYTES = 1000  # of a message, as Instagram counts them
ROOM = 130  # bytes that are left for the lines of the policy: who speaks, the numbers
WAYS_OUT = ('/salutation{"theme": "autre"}', "/parler_humain")  # something else, or somebody
MOST_CHOICES = 11  # quick replies under two replies: more are not read

Button = dict[str, str]


class TurnOutput(OutputChannel):
    """The output channel of one turn. `choices`: the buttons of each response; `questions`: the title of each question of the
    catalogue; `headings`: what is said above its answer where it is only likely; `previews`: the text that shows several."""

    def __init__(
        self,
        choices: Optional[Mapping[str, Sequence[Button]]] = None,
        questions: Optional[Mapping[str, str]] = None,
        headings: Optional[Mapping[str, str]] = None,
        previews: Optional[Previews] = None,
    ) -> None:
        self.replies: list[dict[str, Any]] = []
        self.handoff: Optional[dict[str, Any]] = None
        self.clarify = False
        self.silence = False
        self.answered: Optional[str] = None
        self._offers: list[Button] = []
        self.supposed = False
        self._heading = ""
        self._beside: Sequence[Button] = ()
        self._choices = choices or {}
        self._questions = questions or {}
        self._headings = headings or {}
        self._previews = previews
        self._instead: tuple[Preview, ...] = ()
        self._join = False
        self._borrowed: Sequence[Button] = ()
        self._alone = False

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
            self._say(text, _quick_replies(message), _links(message))

    def _say(self, text: str, buttons: list[Button], links: list[Button]) -> None:
        heading, self._heading = self._heading, ""
        instead, self._instead = self._instead, ()
        if instead:  # the general text's buttons lead on from these questions, too; its links stand in it alone
            for preview in instead[:-1]:
                self._say(preview.text, [], _pages(preview))
            text, links = instead[-1].text, _pages(instead[-1])
        if any(text in reply["text"] for reply in self.replies):
            return  # two papers, or two questions, that have the same answer
        if heading:
            text = f"{heading}\n{text}"
        buttons = [*buttons, *(button for button in self._borrowed if button not in buttons)]
        last = self.replies[-1] if self.replies else None
        joined = f"{last['text']}\n{text}" if last and self._join else ""
        self._join, self._borrowed = False, ()
        if last is not None and joined and len(joined.encode()) <= MOST_BYTES:
            last.update(text=joined, quick_replies=buttons or last["quick_replies"])
        else:
            last = {"text": text, "quick_replies": buttons}
            self.replies.append(last)
        if links:
            last["links"] = [*last.get("links", []), *links]

    def _mark(self, custom: dict[str, Any]) -> None:
        handoff = custom.get("handoff")
        if isinstance(handoff, dict):
            self._hand_off(handoff)
        self.clarify = self.clarify or custom.get("clarify") is True
        self.silence = self.silence or custom.get("silence") is True
        self.answered = self.answered or custom.get("answered")
        self._offers += [self._offered(str(name)) for name in custom.get("offers") or [] if name in self._questions]
        if supposed := custom.get("supposed"):
            self.supposed = True
            self._heading = self._headings.get(str(supposed), "")
            self._beside = self._choices.get(HEADING, ())
        if "previews" in custom and self._previews is not None:
            self._instead = self._previews.of([str(name) for name in custom["previews"]], custom.get("whole") is True)
        if "beside" in custom and self._previews is not None and self.replies:
            last = self.replies[-1]
            line = self._previews.beside(str(custom["beside"]), MOST_BYTES - len(last["text"].encode()) - ROOM)
            last["text"] = "\n".join(part for part in (last["text"], line) if part)
        self._join = custom.get("join") is True
        if "choices_of" in custom:  # a question asked again: its own choices, whichever they are, and no others
            self._borrowed, self._alone = self._choices.get(str(custom["choices_of"]), ()), True

    def _offered(self, question: str) -> Button:
        return {"title": self._questions[question], "payload": f"/{question}"}

    def _hand_off(self, handoff: dict[str, Any]) -> None:
        slots = {str(k): str(v) for k, v in (handoff.get("slots") or {}).items() if v not in (None, "")}
        self.handoff = {
            "category": str(handoff["category"]),
            "priority": int(handoff["priority"]),
            "reason": str(handoff.get("reason") or ""),
            "slots": slots,
        }

    def finish(self, more: Sequence[Button] = ()) -> None:
        """Platforms show the quick replies of the last message only: it gets those of the others, and `more` first.

        A question that we ask again stands alone with its own.
        """
        more = [*more, *self._offers]
        if not self.replies or (len(self.replies) < 2 and not more and not self._beside):
            return
        last = self.replies[-1]
        gathered = [*more, *last["quick_replies"]]
        for reply in self.replies[:-1]:
            gathered += [] if self._alone else reply["quick_replies"]
            reply["quick_replies"] = []
        last["quick_replies"] = _most(_different([*gathered, *(() if self._alone else self._beside)]))

    @property
    def empty(self) -> bool:
        """Neither reply, hand-off, clarify nor declared silence: an error of the dialogue."""
        return not (self.replies or self.handoff or self.clarify or self.silence)


def _different(buttons: Sequence[Button]) -> list[Button]:
    """Each title once."""
    found = {button["title"]: button for button in reversed(buttons)}
    kept = [button for button in buttons if found[button["title"]] is button]
    return _ways_out_last(kept)


def _most(buttons: list[Button]) -> list[Button]:
    """As many as are read, the ways out among them."""
    ways_out = [button for button in buttons if button["payload"] in WAYS_OUT]
    others = [button for button in buttons if button["payload"] not in WAYS_OUT]
    return [*others[: MOST_CHOICES - len(ways_out)], *ways_out]


def _quick_replies(message: dict[str, Any]) -> list[Button]:
    buttons = [*(message.get("buttons") or []), *(message.get("quick_replies") or [])]
    taps = [b for b in buttons if b.get("title") and not _opens_page(b)]
    return _ways_out_last([{"title": str(b["title"]), "payload": str(b["payload"])} for b in taps])


def _links(message: dict[str, Any]) -> list[Button]:
    """The addresses that stand in a message's text."""
    return [{"title": str(b["title"]), "url": str(b["url"])} for b in message.get("buttons") or [] if _opens_page(b)]


def _pages(preview: Preview) -> list[Button]:
    return [{"title": title, "url": address} for title, address in preview.pages]


def _opens_page(button: Mapping[str, Any]) -> bool:
    return button.get("type") == "web_url"


def _ways_out_last(buttons: list[Button]) -> list[Button]:
    return sorted(buttons, key=lambda button: button["payload"] in WAYS_OUT)

"""While the crisis mode is open: whom its message is for, what it takes the place of, who may be answered in a group."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

from bot.core.dialogue import HandoffRequest, Reply
from bot.policy.intents import ANSWER, CLARIFY, HANDOFF, PRIORITY, STATEMENT, policy_of
from bot.policy.route import Outcome, Texts, gives_distress_number, gives_numbers, is_sure

REASON = "crise"  # of a hand-off: why a message that nobody understood went straight to agents

# Read by a human before any group's reply reaches them; the rest of what is pressing is never in a group at all.
LOOKED_AT = frozenset({"sensitive", "complaint", "witness"})
NEVER_GROUPED = frozenset({"emergency", "urgent"})
# Whom the crisis's message reaches (`notice`): what is asked for before any of them is answered is asked for before all are.
TOLD = frozenset(category for category, priority in PRIORITY.items() if priority > PRIORITY["sensitive"])
SUSPECT = 0.25  # confidence from which a grave intent keeps a message out, as at night
SAME_INTENT = 0.6  # confidence from which an intent says what a message wants
# Intents that do not say what somebody wants.
_SAYS_NOTHING = frozenset({"hors_perimetre", STATEMENT, "insulte_troll", "salutation", "au_revoir"})
# Read in what is about the crisis itself, of which no engine has heard.
_BESIDE = frozenset({"hors_perimetre", STATEMENT})


@dataclass(frozen=True)
class Standing:
    """The open crisis as a turn sees it. `told`: this person has had its message."""

    id: int
    message: str
    told: bool


def _request() -> HandoffRequest:
    return HandoffRequest("request", PRIORITY["request"], REASON)


def by_day(outcome: Outcome, standing: Optional[Standing]) -> Outcome:
    """What is decided for a message while a crisis is open: its message takes the place of a question to rephrase, and of a reply
    that is only a guess (« je réponds aux questions sur la police »), which would belie it.

    Agents read at once what was not understood, so that it can be answered with those who say the same. A reply that names the
    3114 stays: somebody may be in distress.
    """
    if standing is None or standing.told or not (outcome.route == CLARIFY or _is_guess(outcome)):
        return outcome
    replies = outcome.replies if gives_distress_number(outcome.replies) else ()
    return replace(
        outcome, route=HANDOFF, category="request", disposition="handed_off", replies=replies, handoff=_request()
    )


def _is_guess(outcome: Outcome) -> bool:
    """Whether an answer may be beside the point: what was meant is not sure, or only that it is nothing that we know."""
    read = outcome.understanding
    if outcome.route != ANSWER or outcome.handoff is not None or outcome.known or read is None:
        return False
    return read.intent in _BESIDE or not is_sure(read)


def at_night(night: Outcome, understood: Outcome, standing: Optional[Standing]) -> Outcome:
    """At night agents are at work because of the crisis: only what the bot surely answers waits for the morning."""
    if standing is None or night.handoff is not None:
        return night
    unsure = understood.understanding is None or not is_sure(understood.understanding)
    handoff = understood.handoff or (_request() if unsure else None)
    return night if handoff is None else replace(night, handoff=handoff, disposition="handed_off")


def unread_at_night(standing: Optional[Standing]) -> Optional[HandoffRequest]:
    """At night, what has no words to understand (a voice note, a photo): for the agents at work, or None (it waits)."""
    return None if standing is None else _request()


def notice(
    standing: Optional[Standing], handoff: Optional[HandoffRequest], alone: bool, texts: Texts
) -> Optional[Reply]:
    """The crisis's message for this person, or None.

    Whoever tells of violence or of a missing person gets the reply that is theirs, and nothing about the crisis.
    `alone`: no reply of ours carries the numbers of the second net, so this one does.
    """
    if standing is None or standing.told or (handoff is not None and handoff.priority <= PRIORITY["sensitive"]):
        return None
    words = standing.message
    if alone and not gives_numbers(words):
        words = f"{words}\n\n{texts['utter_filet']}"
    return Reply(words)


def grave(intent: Optional[str], confidence: Optional[float]) -> bool:
    """Whether what was understood of a message, or merely suspected, keeps it from being answered unseen in a group."""
    return policy_of(intent).category in LOOKED_AT | NEVER_GROUPED and (confidence is None or confidence >= SUSPECT)


def shared_intent(intent: Optional[str], confidence: Optional[float]) -> Optional[str]:
    """The intent by which a message may be grouped with others that want the same, or None."""
    if intent is None or intent in _SAYS_NOTHING or confidence is None or confidence < SAME_INTENT:
        return None
    return None if grave(intent, confidence) else intent

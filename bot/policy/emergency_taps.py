"""The quick replies under an emergency reply: « je ne peux pas parler », « c’est pour quelqu’un d’autre ». Pure.

The reply is complete without them. A tap asks for other words, and nothing more: it alarms nobody anew, closes nothing, and is read
by no detector, since its title is ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from bot.core.dialogue import QuickReply
from bot.policy.scripts import (
    ANY_PARTNER,
    CHILD,
    GENERAL,
    PARTNER_AUTHOR,
    PARTNER_MINOR,
    PARTNER_RELATIVE,
    PARTNER_VICTIM,
    RELATIVE_ACT,
    SCRIPTS,
    SILENT,
    WITNESS,
)

SILENCE, OTHER = "/urgence_silence", "/urgence_autrui"
TAPS = (SILENCE, OTHER)
SETTLED = "emergency_tap"  # as what a tap is settled: an answer, not a message
BUTTONS = "utter_urgence"  # the reply of domain.yml whose quick replies stand under every emergency reply
# Who helps somebody, by whose words went out before. Of a distress the act is the graver, and its words harm nobody who helps.
_HELPS = {
    PARTNER_VICTIM: PARTNER_RELATIVE,
    PARTNER_AUTHOR: PARTNER_RELATIVE,
    PARTNER_RELATIVE: PARTNER_RELATIVE,
    ANY_PARTNER: PARTNER_RELATIVE,
    PARTNER_MINOR: CHILD,
    CHILD: CHILD,
}


def tap(payload: Optional[str]) -> Optional[str]:
    """The payload if it is one of these, else None."""
    return payload if payload in TAPS else None


def script(tapped: str, last: Optional[str]) -> str:
    """Whose words a tap asks for; `last`: whose were said before it."""
    if tapped == SILENCE:
        return SILENT
    distress = last is not None and SCRIPTS[last].kind == "distress"
    return RELATIVE_ACT if distress else _HELPS.get(last or GENERAL["danger"], WITNESS)


def offered(buttons: Iterable[QuickReply], said: str) -> tuple[QuickReply, ...]:
    """Of the quick replies, those that lead to other words than the script just said."""
    return tuple(one for one in buttons if one.payload in TAPS and script(one.payload, said) != said)

"""Somebody asked for a human and waits: what the bot still offers them, and what it says to who asks once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

from bot.core.dialogue import Reply
from bot.policy.asks_human import HUMAN
from bot.policy.intents import CLARIFY
from bot.policy.route import Outcome, Texts, gives_distress_number, gives_numbers, with_distress, with_lines

LOOP = "boucle"  # the reason where the bot had said enough: it promised that a human reads
ASK = f"/{HUMAN}"  # the payload of « Parler à un agent »
_NOTED = "utter_precision_notee"
_HEARD, _AGAIN = "utter_parler_humain", "utter_parler_humain_suite"


def is_asked_for(intent: Optional[str], payload: Optional[str]) -> bool:
    """Whether words of this intent, or a tap, ask for a human."""
    return payload == ASK or (payload is None and intent == HUMAN)


def has_asked(reason: str) -> bool:
    """Whether the open hand-off of this reason ("": none) is one that somebody waits for as for a human."""
    return reason in (HUMAN, LOOP)


def by_day(outcome: Outcome, waits: bool, asked: bool, texts: Texts) -> Outcome:
    """The same for somebody who `waits` for an agent: no button that asks for one. Who has `asked` for a human is offered nothing
    else, and not asked to say it otherwise: what was not understood is noted for the agent."""
    if asked and outcome.route == CLARIFY and outcome.replies and _NOTED in texts:
        numbers = any(gives_numbers(reply.text) for reply in outcome.replies)
        noted = with_lines((Reply(texts[_NOTED]),), texts["utter_filet"] if numbers else "")
        distress = gives_distress_number(outcome.replies)
        return replace(outcome, replies=with_distress(noted, texts) if distress else noted)
    if not (waits or asked):
        return outcome
    return replace(outcome, replies=tuple(_without(outcome.replies, asked)))


def _without(replies: Sequence[Reply], everything: bool) -> list[Reply]:
    return [
        replace(reply, quick_replies=tuple(one for one in reply.quick_replies if not everything and one.payload != ASK))
        for reply in replies
    ]


def enough(asked: bool, wait: str, listens: bool, texts: Texts) -> Reply:
    """The last word before the bot falls silent, as it said enough. `asked`: the person asks for a human just now; `wait`: the
    honest waiting sentence, or ""; `listens`: a distress may be meant."""
    said: tuple[Reply, ...] = (Reply(texts["utter_boucle"]),)
    if asked and _HEARD in texts:
        said = with_lines((Reply(texts[_HEARD]),), wait, texts["utter_filet"])
    (reply,) = with_distress(said, texts) if listens else said
    return reply


def again(texts: Texts) -> Optional[Reply]:
    """What is said to who asks for a human while one is on the way; None: texts of a version before."""
    return Reply(texts[_AGAIN]) if _AGAIN in texts else None

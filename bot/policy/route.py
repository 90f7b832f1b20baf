"""From what the engine made of a message to what is said and done: by day, at night, under a human.

Pure: the texts (replies of domain.yml by name) and the situation are given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Optional

from bot.core.dialogue import HandoffRequest, Reply, Turn, Understanding
from bot.core.messages import Attachment
from bot.policy.intents import ANSWER, CLARIFY, EMERGENCY, HANDOFF, PRIORITY, policy_of

Texts = Mapping[str, str]

# The line that a night hand-off adds, by intent.
_NIGHT_LINE = {
    "violences_conjugales": "utter_nuit_violences",
    "violences_sexuelles": "utter_nuit_sexuelles",
    "disparition": "utter_nuit_disparition",
    "harcelement_cyber": "utter_nuit_cyber",
}
_POLITE = ("salutation", "au_revoir", "remerciements")  # understood in any language
_AT_ONCE_AT_NIGHT = PRIORITY["sensitive"]
# Attachment type → reply, and whether a human should look (Meta's type names; shares bring no question of their own).
_MEDIA: dict[str, tuple[str, bool]] = {
    "image": ("utter_media_image", True),
    "ephemeral": ("utter_media_image", True),
    "audio": ("utter_media_vocal", True),
    "video": ("utter_media_video", True),
    "file": ("utter_media_fichier", True),
    "location": ("utter_media_lieu", True),
    "sticker": ("utter_media_sticker", False),
    "like_heart": ("utter_media_coeur", False),
    "story_mention": ("utter_media_story", False),
    "share": ("utter_media_partage", False),
    "ig_post": ("utter_media_partage", False),
    "reel": ("utter_media_partage", False),
    "ig_reel": ("utter_media_partage", False),
    "fallback": ("utter_media_partage", False),
    "template": ("utter_media_partage", False),
}
_OTHER_MEDIA = ("utter_media_autre", False)


@dataclass(frozen=True)
class Situation:
    """What a decision depends on besides the message. `wait`: the honest waiting sentence for a new hand-off, or ""."""

    introduced: bool = False  # the person was told that this is an automatic assistant
    handoff_open: bool = False
    wait: str = ""


@dataclass(frozen=True)
class Outcome:
    """What is decided for one message, or for several that are read together.

    `route`, `category`, `priority`: the message's own, whatever the hour. `disposition` is that of its events.
    """

    route: str
    category: str
    disposition: str
    replies: tuple[Reply, ...] = ()
    handoff: Optional[HandoffRequest] = None
    understanding: Optional[Understanding] = None

    @property
    def priority(self) -> int:
        """0 emergency … 9 none."""
        return PRIORITY[self.category]


def named_route(understanding: Understanding, clarify: bool, handoff: Optional[HandoffRequest]) -> tuple[str, str]:
    """(route, category) of a message by what was understood."""
    if handoff is not None:
        return HANDOFF, handoff.category
    if clarify:
        return CLARIFY, "none"
    policy = policy_of(understanding.intent)
    if policy.route == EMERGENCY:
        # The danger threshold decides on emergencies; below it a weak guess is a question to the person.
        return CLARIFY, "none"
    return policy.route, policy.category


def merged(replies: Sequence[Reply]) -> tuple[Reply, ...]:
    """Several replies as one message: a hand-off's or the night's is complete in one."""
    if len(replies) < 2:
        return tuple(replies)
    quick = next((r.quick_replies for r in reversed(replies) if r.quick_replies), ())
    return (Reply("\n\n".join(r.text for r in replies), quick),)


def with_lines(replies: Sequence[Reply], *lines: str) -> tuple[Reply, ...]:
    """Lines added at the end of the last reply; empty ones are left out."""
    extra = [line for line in lines if line]
    if not replies or not extra:
        return tuple(replies)
    last = replies[-1]
    return (*replies[:-1], replace(last, text="\n\n".join([last.text, *extra])))


def introduce(replies: Sequence[Reply], texts: Texts) -> tuple[Reply, ...]:
    """The sentence « je suis un assistant automatique » inside the first reply, unless it says so itself."""
    if not replies or any("assistant automatique" in r.text for r in replies):
        return tuple(replies)
    return (replace(replies[0], text=f"{texts['utter_assistant']} {replies[0].text}"), *replies[1:])


def _net(replies: Sequence[Reply], texts: Texts) -> str:
    """The second net's line, where the replies do not carry both numbers already."""
    said = " ".join(r.text for r in replies)
    return "" if re.search(r"\b17\b", said) and re.search(r"\b114\b", said) else texts["utter_filet"]


def needs_net(route: str, category: str) -> bool:
    """Whether the reply ends with the line on 17 and 114: all but a confident, harmless answer."""
    return route == CLARIFY or (route == HANDOFF and category != "thanks")


def by_day(turn: Turn, situation: Situation, texts: Texts) -> Outcome:
    """The bot speaks: the engine's replies, introduced once, with the second net and the honest wait where due."""
    if not turn.understanding.french and turn.handoff is None and turn.understanding.intent not in _POLITE:
        return other_language(turn.understanding, situation, texts)
    route, category = named_route(turn.understanding, turn.clarify, turn.handoff)
    replies = turn.replies
    if turn.handoff is not None:
        replies = merged(replies)
    if not situation.introduced:
        replies = introduce(replies, texts)
    net = _net(replies, texts) if needs_net(route, category) else ""
    new = turn.handoff is not None and not situation.handoff_open
    replies = with_lines(replies, situation.wait if new else "", net)
    disposition = "handed_off" if turn.handoff is not None else "answered"
    return Outcome(route, category, disposition, replies, turn.handoff, turn.understanding)


def other_language(understanding: Understanding, situation: Situation, texts: Texts) -> Outcome:
    """Not French and no danger: a polite bilingual reply and an agent."""
    request = HandoffRequest("request", PRIORITY["request"], "autre_langue")
    replies: tuple[Reply, ...] = (Reply(texts["utter_autre_langue"]),)
    if not situation.introduced:
        replies = introduce(replies, texts)
    return Outcome(HANDOFF, "request", "handed_off", with_lines(replies, _net(replies, texts)), request, understanding)


def media(attachments: Sequence[Attachment], situation: Situation, texts: Texts) -> Outcome:
    """Attachments without text: a fitting reply, and a human where something should be seen or heard."""
    # Meta sends a sticker, its thumb included, as an image with a sticker's id.
    kinds = [_MEDIA.get("sticker" if a.sticker_id else a.type, _OTHER_MEDIA) for a in attachments] or [_OTHER_MEDIA]
    key, human = next((k for k in kinds if k[1]), kinds[0])
    replies: tuple[Reply, ...] = (Reply(texts[key]),)
    if not situation.introduced:
        replies = introduce(replies, texts)
    replies = with_lines(replies, situation.wait if human and not situation.handoff_open else "", _net(replies, texts))
    if not human:
        return Outcome(ANSWER, "none", "answered", replies)
    request = HandoffRequest("request", PRIORITY["request"], "media")
    return Outcome(HANDOFF, "request", "handed_off", replies, request)


def at_night(outcome: Outcome, told: bool, texts: Texts) -> Outcome:
    """The same message at night: the night's text once, with the line of its kind; grave hand-offs open at once.

    `told`: this night's message, or an emergency reply, went out already, or an agent is at it.
    """
    grave = outcome.handoff is not None and outcome.priority <= _AT_ONCE_AT_NIGHT
    intent = outcome.understanding.intent if outcome.understanding else None
    line = texts[_NIGHT_LINE[intent]] if grave and intent in _NIGHT_LINE else ""
    passed_on = texts["utter_nuit_transmis"] if grave else ""
    if told:
        replies: tuple[Reply, ...] = (Reply("\n\n".join([passed_on, line])),) if grave and line else ()
    else:
        replies = with_lines((Reply(texts["utter_nuit"]),), passed_on, line)
    return replace(
        outcome,
        replies=replies,
        handoff=outcome.handoff if grave else None,
        disposition="handed_off" if grave else "waiting",
    )


def wait_sentence(desk_open: bool, opens: str, median: Optional[timedelta], texts: Texts) -> str:
    """The honest wait: when agents are back, or the last hour's median, or nothing."""
    if not desk_open:
        return texts["utter_attente_heure"].format(heure=opens)
    if median is None:
        return ""
    minutes = max(1, round(median.total_seconds() / 60))
    return texts["utter_attente_minutes"].format(minutes=minutes) if minutes > 1 else ""

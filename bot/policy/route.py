"""From what the engine made of a message to what is said and done: by day, at night, under a human.

Pure: the texts (replies of domain.yml by name) and the situation are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Optional

from bot.core.dialogue import HandoffRequest, Reply, Turn, Understanding
from bot.core.messages import Attachment
from bot.policy.asks_human import HUMAN
from bot.policy.degree import REASONS, Degree, as_ordinary, beside, grave, instead, reply_of
from bot.policy.distress_line import LINE as DISTRESS_LINE
from bot.policy.distress_line import NUMBER as DISTRESS_NUMBER
from bot.policy.intents import ANSWER, CLARIFY, EMERGENCY, HANDOFF, PRIORITY, STATEMENT, policy_of
from bot.policy.language import FRENCH, SPOKEN, language
from bot.policy.lexicon import Kind
from bot.policy.questions import OPENING
from bot.policy.scripts import ANY_DISTRESS, FOR_ALL, GENERAL, OWN_DANGER, PARTNER_AUTHOR, SCRIPTS

Texts = Mapping[str, str]

# The line that a night hand-off adds, by intent.
_NIGHT_LINE = {
    "violences_conjugales": "utter_nuit_violences",
    "violences_sexuelles": "utter_nuit_sexuelles",
    "disparition": "utter_nuit_disparition",
    "harcelement_cyber": "utter_nuit_cyber",
}
_GRAVE = ("urgent", "sensitive")  # categories that a likely danger leaves as they are
# Politeness is understood in any language; what is added for those who have no French.
_POLITE = {"salutation": "utter_anglais_bonjour", "au_revoir": "", "remerciements": "utter_anglais_merci"}
_AT_ONCE_AT_NIGHT = PRIORITY["sensitive"]
# Attachment type → reply, and whether a human should look (Meta's type names; shares bring no question of their own).
# What can be seen once is gone before an agent looks: that is said each time.
_NOT_KEPT = "utter_media_ephemere"
_MEDIA: dict[str, tuple[str, bool]] = {
    "image": ("utter_media_image", True),
    "ephemeral": (_NOT_KEPT, False),
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
_SEVERAL = "utter_media_images"
# A heart or a thumb asks nothing: a light word to a stranger, silence in a talk that has begun.
_LIGHT = ("utter_media_sticker", "utter_media_coeur")
# Who asks for a human beside something else: the catalogue's own answer to « how do I », and what is said.
_HOW_TO_ASK = "salutation/parler_agent"
_SAID_ALONE, _SAID_BEHIND = "utter_parler_humain", "utter_parler_humain_dit"
_QUESTION = re.compile(r"/\w+/")  # the payload of a question of the catalogue: `/intent/question`
# The second net: a reply ends with the 17 and the 114 where a danger is possible. The limits are chosen by measure: `planton eval`
# prints what they catch (`second_net`) and what they cost (`net_cost`).
NET_DANGER = 0.05  # chance of a danger from which the line is added: far below the alarm's, a trace is enough
NET_GRAVE = 0.1  # chance of grave subjects together, likewise
NET_CONFIDENCE = 0.6  # confidence, which is calibrated: a guess below this is wrong four times in ten or more
NET_TRACE = 0.01  # chance of either that is enough where the message is not surely understood
NET_NEAR = (
    0.1  # chance of a question of the catalogue from which a message is likely an ordinary one: NET_DANGER counts then
)
SHOWN_DANGER = (
    0.1  # chance of a danger from which no answers that may have been meant are shown: somebody may be in fear
)
MISTAKEN = frozenset(("harcelement_cyber",))  # what an engine may read in « supprimez mes messages »
ABOUT_US_DANGER = 0.1  # a trace of danger above this: the engine's own reply, whatever is asked about the assistant
_CALM = frozenset(("thanks", "request"))  # hand-offs of somebody who need not be in danger
# Chinese writes a number between two letters without a space.
_NUMBERS = (re.compile(r"(?<![\dA-Za-z])17(?![\dA-Za-z])"), re.compile(r"(?<![\dA-Za-z])114(?![\dA-Za-z])"))


@dataclass(frozen=True)
class Situation:
    """What a decision depends on besides the message. `wait`: the honest waiting sentence for a new hand-off, or "".

    `spoken`: the language of the words, and `facts` the name of a reply with facts in that language, or "". In French it is
    a reply about the assistant itself, what it keeps for instance: its words tell so surely that it goes before the engine's.
    `answers`: the message gave what a question of ours asked for. `faint`: there is a faint trace of danger in it. `listens`: a
    distress may be meant, and the reply names the 3114. `rights`: the whole message asks what is kept of one's words, or that it
    be erased (`bot.policy.data_rights`): it is not about what an engine may have read. `wants_human`: one of its clauses asks for
    a human in so many words (`bot.policy.asks_human`), whatever the whole was read as.
    """

    introduced: bool = False  # the person was told that this is an automatic assistant
    handoff_open: bool = False
    wait: str = ""
    spoken: str = FRENCH
    facts: str = ""
    answers: bool = False
    faint: bool = False
    listens: bool = False
    rights: bool = False
    wants_human: bool = False


@dataclass(frozen=True)
class Outcome:
    """What is decided for one message, or for several that are read together.

    `route`, `category`, `priority`: the message's own, whatever the hour. `disposition` is that of its events. `question`: that of
    the catalogue that the replies answer. `known`: they surely answer what was asked, whatever the understanding's confidence.
    """

    route: str
    category: str
    disposition: str
    replies: tuple[Reply, ...] = ()
    handoff: Optional[HandoffRequest] = None
    understanding: Optional[Understanding] = None
    question: Optional[str] = None
    known: bool = False

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
    links = tuple(link for reply in replies for link in reply.links)
    return (Reply("\n\n".join(r.text for r in replies), quick, links),)


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


def gives_numbers(text: str) -> bool:
    """Whether a text names both the 17 and the 114."""
    return all(number.search(text) for number in _NUMBERS)


def with_words(turn: Turn, script: Optional[str], texts: Texts) -> Turn:
    """The same turn in a script's words, and that an agent reads: for a sensitive hand-off whose own words would be wrong. They ask
    nothing, and offer nothing to tap."""
    said = _in_script(script, texts)
    if not said and script in FOR_ALL:  # models of before have none
        said = _in_script(OWN_DANGER, texts)
    if not said:
        return turn
    return replace(turn, replies=(Reply(f"{said}\n\n{texts['utter_agent_lira']}"),), question=None)


def _in_script(script: Optional[str], texts: Texts) -> str:
    """A script's words; "" where none is meant, or the texts are of a version before."""
    named = SCRIPTS.get(script or "")
    return texts.get(named.reply, "") if named and "utter_agent_lira" in texts else ""


def _net(replies: Sequence[Reply], texts: Texts) -> str:
    """The second net's line, where the replies do not carry both numbers already."""
    return "" if gives_numbers(" ".join(r.text for r in replies)) else texts["utter_filet"]


def is_sure(understanding: Understanding) -> bool:
    """Whether a message is surely understood and surely harmless: then, and only then, the numbers would be noise."""
    return understanding.confidence >= NET_CONFIDENCE and understanding.danger < NET_DANGER


def needs_net(
    route: str, category: str, understanding: Understanding, answers: bool = False, known: bool = False
) -> bool:
    """Whether the reply ends with the line on 17 and 114: where a danger is possible, the sooner the less was understood.

    A bare value (« à Lyon », « 32 ») that `answers` a question of ours means little by itself: its confidence says nothing.
    `known`: it surely asks a question of the catalogue. Whom an agent reads for anything but thanks or a request may be in danger.
    """
    if route == HANDOFF and category not in _CALM:
        return True
    if answers:
        return understanding.danger >= NET_DANGER
    if known or (route != CLARIFY and is_sure(understanding)):
        return understanding.danger >= NET_DANGER or grave(understanding) >= NET_GRAVE
    near = is_near(understanding)
    return max(understanding.danger, grave(understanding)) >= (NET_DANGER if near else NET_TRACE)


def is_near(understanding: Understanding) -> bool:
    """Whether a message is near a question of the catalogue, and so likely an ordinary one."""
    return max((chance for _, chance in understanding.questions), default=0.0) >= NET_NEAR


def likeliest_grave(understanding: Understanding) -> tuple[Optional[str], float]:
    """The likeliest sensitive or urgent subject, and its chance; (None, 0) where there is none."""
    rows = [row for row in understanding.ranking if policy_of(row[0]).category in ("sensitive", "urgent")]
    return max(rows, key=lambda row: row[1], default=(None, 0.0))


def speaks_of_danger(turn: Turn) -> bool:
    """Whether the engine's own reply is that to a danger, which goes out for a sure one alone and is another one then."""
    return turn.handoff is not None and turn.handoff.category == "emergency"


def likely(kind: str, understanding: Understanding, handoff: Optional[HandoffRequest]) -> HandoffRequest:
    """The hand-off of a likely danger of a kind: one that is grave already keeps its category."""
    if handoff is not None and handoff.category in _GRAVE:
        return replace(handoff, reason=REASONS[kind])
    slots = dict(understanding.entities) if handoff is None else handoff.slots
    return HandoffRequest("sensitive", PRIORITY["sensitive"], REASONS[kind], slots)


def likely_words(kind: Kind, script: Optional[str], texts: Texts) -> str:
    """What is said to a likely danger: a script's words and that an agent reads; the general ones where no script is known, and
    those of a sure danger where the texts are of a version before."""
    said = "" if script in (GENERAL[kind], ANY_DISTRESS) else _in_script(script, texts)
    return (
        f"{said}\n\n{texts['utter_agent_lira']}"
        if said
        else texts.get(reply_of(kind)) or texts[SCRIPTS[GENERAL[kind]].reply]
    )


def likely_turn(kind: str, turn: Turn, text: str) -> Turn:
    """A turn in which a danger is likely: `text` stands for the engine's reply, unless that is about something grave itself and
    gives the numbers, and an agent reads first."""
    own = turn.handoff is not None and turn.handoff.category in _GRAVE
    kept = own and gives_numbers(" ".join(reply.text for reply in turn.replies))
    replies = turn.replies if kept else (Reply(text),)
    request = likely(kind, turn.understanding, turn.handoff)
    return replace(turn, replies=replies, handoff=request, clarify=False, silence=False, question=None)


def again_as(turn: Turn, level: Degree) -> Optional[str]:
    """As which intent the engine is to take a turn again: where its own reply is that to a danger which is not believed (`level`:
    faint or none). None: not at all, or something as grave may be meant, which an agent then looks at."""
    if level == "likely" or not speaks_of_danger(turn) or beside(turn.understanding):
        return None
    return instead(turn.understanding)


def settled(
    turn: Turn, level: Degree, kind: Kind, script: Optional[str], texts: Texts, again: Optional[Turn] = None
) -> Turn:
    """The turn that counts, of a message whose danger is not sure: `again`, taken as the intent of `again_as`; or that of a likely
    danger in the words of `likely_words`, as one that is not believed is treated where no other reply is at hand; or itself."""
    if again is not None and not speaks_of_danger(again):
        read = as_ordinary(turn.understanding, instead(turn.understanding))
        return replace(again, understanding=read)
    if level == "likely" or speaks_of_danger(turn):
        told = likely_turn(kind, turn, likely_words(kind, script, texts))
        return replace(told, replies=with_distress(told.replies, texts)) if kind == "distress" else told
    return turn


def with_distress(replies: Sequence[Reply], texts: Texts) -> tuple[Reply, ...]:
    """What is said where somebody may be in distress: it names the 3114, whatever else it is about."""
    return tuple(replies) if gives_distress_number(replies) else with_lines(replies, texts.get(DISTRESS_LINE, ""))


def gives_distress_number(replies: Iterable[Reply]) -> bool:
    """Whether one of them names the 3114."""
    return any(DISTRESS_NUMBER in reply.text for reply in replies)


def is_likely(turn: Turn) -> bool:
    """Whether a turn opens the hand-off of a likely danger."""
    return turn.handoff is not None and turn.handoff.reason in REASONS.values()


def spoken(understanding: Optional[Understanding], words: str) -> str:
    """The language of the words: one that a reply speaks, else English for what is not French."""
    if understanding is None or understanding.french:
        return FRENCH
    code = language(words)
    return code if code in SPOKEN else "en"


def _is_polite(understanding: Understanding) -> bool:
    """Surely politeness, which needs no reply in the person's own language; « adiós » with a doubt is read by an agent."""
    return understanding.intent in _POLITE and is_sure(understanding)


def _about_us(turn: Turn, text: str) -> Turn:
    """A question about the assistant itself: its reply stands for the engine's. A human gets what asks for one, complains or
    testifies, and no more: who wants to exercise a right is told how, and may ask for an agent."""
    asked = turn.handoff
    stays = asked is not None and (asked.category in ("complaint", "witness") or asked.reason == HUMAN)
    if stays:
        return replace(turn, replies=(Reply(text), *turn.replies))
    return replace(turn, replies=(Reply(text),), handoff=None, clarify=False, question=None)


def _is_mistaken(
    handoff: Optional[HandoffRequest], understanding: Optional[Understanding], rights: bool, uneasy: bool
) -> bool:
    """Whether a hand-off for harassment is only « supprimez mes messages », said to this page. `rights`: as in `Situation`;
    `uneasy`: the words hold a trace of danger or of distress."""
    calm = not uneasy and understanding is not None and understanding.danger < ABOUT_US_DANGER
    return rights and calm and handoff is not None and handoff.reason in MISTAKEN


def without_mistaken(outcome: Outcome, rights: bool, uneasy: bool) -> Outcome:
    """The same at night, where no turn is taken: who asks about their data waits as any question does."""
    if not _is_mistaken(outcome.handoff, outcome.understanding, rights, uneasy):
        return outcome
    return replace(outcome, route=ANSWER, category="none", handoff=None)


def _heard(turn: Turn, texts: Texts) -> Turn:
    """A turn that was read as something else, of somebody who asks for a human as well: what it answers stays, an agent gets it."""
    policy = policy_of(HUMAN)
    request = HandoffRequest(policy.category, policy.priority, HUMAN, dict(turn.understanding.entities))
    answered = policy_of(turn.understanding.intent).route == ANSWER and not turn.clarify
    if (
        not answered
        or turn.supposed
        or turn.question == _HOW_TO_ASK
        or turn.understanding.intent in (STATEMENT, "salutation")
    ):
        return replace(turn, replies=(Reply(texts[_SAID_ALONE]),), handoff=request, clarify=False, question=None)
    return replace(turn, replies=with_lines(turn.replies, texts[_SAID_BEHIND]), handoff=request)


def by_day(turn: Turn, situation: Situation, texts: Texts) -> Outcome:
    """The bot speaks: the engine's replies, introduced once, with the second net and the honest wait where due."""
    if situation.wants_human and turn.handoff is None and not situation.handoff_open:
        turn = _heard(turn, texts)
    uneasy = situation.faint or situation.listens
    if situation.facts and _is_mistaken(turn.handoff, turn.understanding, situation.rights, uneasy):
        turn = replace(turn, handoff=None)
    foreign = situation.spoken != FRENCH
    at_once = turn.handoff is not None and turn.handoff.priority <= _AT_ONCE_AT_NIGHT
    if foreign and not at_once and not _is_polite(turn.understanding):
        return other_language(turn, situation, texts)
    about_us = bool(situation.facts) and not foreign and not at_once and turn.understanding.danger < ABOUT_US_DANGER
    if about_us:
        turn = _about_us(turn, texts[situation.facts])
    route, category = named_route(turn.understanding, turn.clarify, turn.handoff)
    if about_us and turn.handoff is None:
        route, category = ANSWER, "none"
    replies = turn.replies
    if turn.handoff is not None:
        replies = merged(replies)
    if not situation.introduced:
        replies = introduce(replies, texts)
    # Whoever got the very answer was understood.
    known = about_us or (turn.question is not None and not turn.supposed)
    needed = situation.faint or needs_net(route, category, turn.understanding, situation.answers, known)
    shown = any(texts.get(OPENING) and texts[OPENING] in reply.text for reply in turn.replies)
    fears = situation.faint or turn.understanding.danger >= SHOWN_DANGER
    if needed and not known and not foreign and (_is_cold(turn, route, situation) or (shown and fears)):
        replies = _numbers_first(turn, shown and not fears, situation, texts)
    net = _net(replies, texts) if needed else ""
    # Thanks are read, not answered: they are told of no wait.
    awaits = turn.handoff is not None and turn.handoff.category != "thanks" and not situation.handoff_open
    # Violence told in another language: the French reply has the numbers, and theirs comes with it.
    theirs = f"utter_langue_{situation.spoken}" if at_once else _POLITE.get(turn.understanding.intent or "", "")
    said = texts[theirs] if foreign and theirs else ""
    replies = with_lines(replies, situation.wait if awaits else "", net, said)
    replies = with_distress(replies, texts) if situation.listens else replies
    disposition = "handed_off" if turn.handoff is not None else "answered"
    sure = known or situation.answers
    return Outcome(route, category, disposition, replies, turn.handoff, turn.understanding, turn.question, sure)


def _is_cold(turn: Turn, route: str, situation: Situation) -> bool:
    """Whether the reply only asks what is meant, or offers help with anything, where a danger is more than a trace: somebody in
    fear would find it cold."""
    statement = turn.understanding.intent == STATEMENT and turn.question is None
    offers = route == ANSWER and statement and not situation.answers and not situation.handoff_open
    possible = max(turn.understanding.danger, grave(turn.understanding)) >= NET_DANGER
    return (route == CLARIFY or offers) and (situation.faint or situation.listens or possible)


def _numbers_first(turn: Turn, stays: bool, situation: Situation, texts: Texts) -> tuple[Reply, ...]:
    """Words that begin with the numbers, where a danger is possible and nothing was understood. What the reply shows `stays` behind
    them, or gives way to a question; buttons of the catalogue's questions then go too, unless one is near: what a cry for help
    faintly resembles is no help."""
    replies = turn.replies
    if not replies or "utter_doute" not in texts:  # models of before have none
        return tuple(replies) if situation.introduced else introduce(replies, texts)
    lines = [texts["utter_filet"]]
    if situation.listens and DISTRESS_LINE in texts:
        lines.append(texts[DISTRESS_LINE])
    if stays:
        first, *others = replies
        replies = (replace(first, text="\n\n".join([*lines, first.text])), *others)
    else:
        reply, near = merged(replies)[0], is_near(turn.understanding)
        subjects = tuple(button for button in reply.quick_replies if near or not _QUESTION.match(button.payload))
        words = "\n\n".join([texts["utter_doute"], *lines, texts["utter_doute_suite"]])
        replies = (replace(reply, text=words, quick_replies=subjects),)
    return tuple(replies) if situation.introduced else introduce(replies, texts)


def _for_an_agent(handoff: Optional[HandoffRequest]) -> HandoffRequest:
    """The engine's own request if it understood one, else that an agent reads what is not French."""
    return handoff or HandoffRequest("request", PRIORITY["request"], "autre_langue")


def other_language(turn: Turn, situation: Situation, texts: Texts) -> Outcome:
    """Not French and no danger: a polite bilingual reply, with facts where we have them, and an agent."""
    request = _for_an_agent(turn.handoff)
    facts = texts[situation.facts] if situation.facts else ""
    if situation.handoff_open:
        replies: tuple[Reply, ...] = (Reply(facts or texts["utter_langue_suite"]),)
    else:
        replies = (Reply(texts["utter_autre_langue"]),)
        if not situation.introduced:
            replies = introduce(replies, texts)
        replies = with_lines(replies, facts, texts[f"utter_langue_{situation.spoken}"])
    replies = with_lines(replies, _net(replies, texts))
    return Outcome(HANDOFF, request.category, "handed_off", replies, request, turn.understanding)


def shows_something(attachments: Sequence[Attachment]) -> bool:
    """Whether an agent has something to look at: a place, a picture, a recording; no sticker and no share."""
    return any(looked_at for _, looked_at in _media(attachments))


def _media(attachments: Sequence[Attachment]) -> list[tuple[str, bool]]:
    return [_MEDIA.get("sticker" if a.sticker_id else a.type, _OTHER_MEDIA) for a in attachments]


def media(attachments: Sequence[Attachment], situation: Situation, texts: Texts) -> Outcome:
    """Attachments without text: a fitting reply, and a human where something should be seen or heard."""
    # Meta sends a sticker, its thumb included, as an image with a sticker's id.
    kinds = _media(attachments) or [_OTHER_MEDIA]
    key, human = next((k for k in kinds if k[1]), kinds[0])
    if key in _LIGHT:
        quiet = situation.introduced or situation.handoff_open
        return Outcome(ANSWER, "none", "answered", () if quiet else introduce((Reply(texts[key]),), texts))
    if sum(k[1] for k in kinds) > 1:
        key = _SEVERAL
    # The request is open and was answered: what is added to it is kept for the agent in silence.
    once = any(name == _NOT_KEPT for name, _ in kinds)
    quiet = situation.handoff_open and situation.introduced and not once
    replies: tuple[Reply, ...] = () if quiet else (Reply(texts[key]),)
    if not situation.introduced:
        replies = introduce(replies, texts)
    replies = with_lines(replies, situation.wait if human and not situation.handoff_open else "", _net(replies, texts))
    if not human:
        return Outcome(ANSWER, "none", "answered", replies)
    request = HandoffRequest("request", PRIORITY["request"], "media")
    return Outcome(HANDOFF, "request", "handed_off", replies, request)


def without_promise(text: str) -> str:
    """The night's message where no person answers in the morning, but the bot: it promises an answer, not a personal one."""
    return text.replace("une réponse personnelle", "une réponse")


def at_night(
    outcome: Outcome,
    told: bool,
    texts: Texts,
    spoken: str = FRENCH,
    script: Optional[str] = None,
    faint: bool = False,
    listens: bool = False,
) -> Outcome:
    """The same message at night: the night's text once, with the line of its kind; grave hand-offs open at once.

    `told`: this night's message, or an emergency reply, went out already, or an agent is at it. `script`: as in `with_words`.
    `faint`: there is a faint trace of danger in it; `listens`: as in `Situation`.
    """
    grave = outcome.handoff is not None and outcome.priority <= _AT_ONCE_AT_NIGHT
    intent = outcome.understanding.intent if outcome.understanding else None
    line = texts[_NIGHT_LINE[intent]] if grave and intent in _NIGHT_LINE else ""
    reason = outcome.handoff.reason if outcome.handoff is not None else ""
    if reason == REASONS["distress"]:
        line = "\n".join(one for one in (texts.get(DISTRESS_LINE, ""), line) if one)  # models of before have none
    # The line speaks to a victim, as the intent's own words do: an author reads another one, here as well.
    line = _in_script(script, texts) if line and script == PARTNER_AUTHOR else line
    # What is not French waits for nobody: the bot has no answer to give in the morning.
    foreign = spoken != FRENCH and not (outcome.understanding and _is_polite(outcome.understanding))
    replies: tuple[Reply, ...] = ()
    if not told:
        opening = texts["utter_nuit_grave" if grave else "utter_nuit"]
        opening = opening if outcome.handoff is not None or foreign else without_promise(opening)
        replies = with_lines((Reply(opening),), line, texts[f"utter_langue_{spoken}"] if spoken != FRENCH else "")
    elif line or reason in REASONS.values():  # a danger that is likely meets the numbers, whatever was said before
        replies = with_lines((Reply(texts["utter_nuit_transmis"]),), line)
    elif faint or listens:
        replies = (Reply(texts["utter_filet"]),)
    replies = with_distress(replies, texts) if listens else replies
    handoff = outcome.handoff if grave else _for_an_agent(None) if foreign else None
    return replace(
        outcome,
        replies=replies,
        handoff=handoff,
        disposition="waiting" if handoff is None else "handed_off",
        question=None,
    )


def wait_sentence(desk_open: bool, opens: str, median: Optional[timedelta], texts: Texts) -> str:
    """The honest wait: when agents are back, or the last hour's median (`bot.policy.waiting_time`), or nothing."""
    if not desk_open:
        return texts["utter_attente_heure"].format(heure=opens)
    if median is None:
        return ""
    minutes = max(1, round(median.total_seconds() / 60))
    return texts["utter_attente_minutes"].format(minutes=minutes) if minutes > 1 else ""

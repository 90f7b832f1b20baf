"""What a message asks: one thing, as most do, or two that both deserve a reply.

The whole is understood, then its clauses. Two clauses that are each surely of another subject are two questions. The
gravest subject comes before everything; what else was asked is then named to the agent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from bot.engine import short
from bot.engine.clauses import Clause, clauses, fold, states, word_set
from bot.policy import questions
from bot.policy.intents import ANSWER, DANGER_INTENTS, FALLBACK, HANDOFF, STATEMENT, is_grave, policy_of
from bot.policy.questions import SURE as SURE_QUESTION
from bot.policy.questions import go_on, intent_of, sure

Parsed = dict[str, Any]
Parse = Callable[[Sequence[str]], list[Parsed]]

SURE = 0.5  # a clause's intent that counts as a question of its own
SURE_HANDOFF = 0.8  # the same for a hand-off that nothing asks for: stories are full of thanks and of anger
SURE_GRAVE = 0.8  # out of its context, a short clause easily sounds worse than it is
FEWEST_GRAVE = 5  # words
# A danger in a clause counts if the whole does not deny it: « … il est mort » opens a joke, a novel, a story long over. What a
# message ends with is believed sooner. Chosen on the emergency set (docs/urgences.md).
SURE_DANGER = 0.9
TRACE, TRACE_AT_THE_END = 0.1, 0.02  # chance of danger in the whole
DOUBT = 0.2  # chance of a grave subject in the whole from which no two plain answers are given
MOST_ANSWERS = 2
# Of a message that no subject surely fits: from this chance of a statement it is one, and below this sum of the best two chances
# there are no two subjects to choose from.
LIKELY_STATEMENT, SCATTERED = 0.2, 0.6
FOLLOW_UP = 10  # words: a longer question says itself what it is about
FEW = 6  # words that hardly say anything by themselves
STORY = 60  # words from which a message is one story: its asides are no second question
AND = word_set("et puis aussi ensuite sinon egalement ou")  # by these a question says that it is another one
SAME = 0.9  # a question whose subject was said just before it: « Ma carte grise a été volée, quelles démarches ? »
# A question of the catalogue that is surely asked says what a message is about where the intent is less sure than that. A guess
# of something grave gives way only where it is weak, and not to a subject that victims write about: what is grave keeps its agent.
# Its chance stays in the ranking, for whoever judges how sure a danger is.
SURE_INTENT, WEAK_GRAVE = 0.9, 0.5
# So does a request for an agent, and thanks that are hardly any (« je tiens à vous envoyer un don »); who asks whether a machine
# answers is told so, however much it resembles such a request.
_GIVES_WAY_BELOW = {"request": SURE_INTENT, "thanks": 0.5}
ROBOT = "salutation/robot"
OF_VICTIMS = ("plainte_comment", "main_courante", "pre_plainte_en_ligne", "suivi_plainte", "contenu_illicite")
# Of a message that no subject surely fits, and whose best two one could offer: from this chance the grave one of them is meant.
GRAVE_OF_TWO = 0.3
# A complaint that is as likely as that, and at most so much less likely than a statement that asks nothing.
COMPLAINTS, AS_LIKELY, AHEAD = ("reclamation_delai", "reclamation_police"), 0.2, 0.05
TOLD = ("complaint", "witness")  # what an agent reads as it was told
SMALL_TALK = ("salutation", "au_revoir", "insulte_troll", "hors_perimetre", STATEMENT)
NO_TITLES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Unit:
    """Clauses that say one thing."""

    text: str
    asks: bool
    parsed: Parsed

    @property
    def intent(self) -> str:
        """The intent that would be acted on, the fallback included."""
        return str(self.parsed["intent"]["name"])

    @property
    def question(self) -> str:
        """The question of the catalogue that is surely asked; "" for none."""
        return sure(self.parsed.get("questions")) or ""

    @property
    def confidence(self) -> float:
        """Of that intent."""
        return float(self.parsed["intent"]["confidence"])


@dataclass(frozen=True)
class Reading:
    """The turns that a message calls for, in order.

    `lead`: the part that says what the message is. `danger`: the chance of a danger in the whole or in a clause.
    `more`: what was asked besides, and gets no reply now.
    """

    parts: tuple[Parsed, ...]
    lead: Parsed
    entities: tuple[dict[str, Any], ...]
    danger: float
    more: tuple[str, ...] = ()


def read(
    text: str, parse: Parse, knows: Callable[[str], bool] = bool, titles: Mapping[str, str] = NO_TITLES
) -> Reading:
    """How a message is to be dealt with. `knows`: whether a word is one that we know; `titles`: of the catalogue's questions."""
    pieces = clauses(text)
    whole, *parsed = parse([text, *(piece.text for piece in pieces)] if len(pieces) > 1 else [text])
    whole, *parsed = (by_question(grave_of_two(part)) for part in (whole, *parsed))
    kind = short.BARE if short.is_bare_value(whole, text) else short.kind(text, knows)
    if kind is not None:
        return single(short.settled(kind, whole))
    if is_statement(text, whole):
        return single(stated(whole))
    if not parsed:
        return single(whole)
    believed = _gone_on(pieces, _believed(pieces, parsed, chance_of_danger(whole)), parse, titles)
    return decide(whole, units(pieces, _in_context(pieces, believed, parse)), len(text.split()) >= STORY)


def single(parsed: Parsed) -> Reading:
    """One turn."""
    return Reading((parsed,), parsed, tuple(parsed["entities"]), chance_of_danger(parsed))


def is_statement(text: str, whole: Parsed) -> bool:
    """Whether a message that no subject surely fits asks nothing: nobody need be asked to say it in other words.

    Two subjects that are likely together are offered all the same, and what may be grave is never taken for small talk.
    """
    if whole["intent"]["name"] != FALLBACK or not states(text) or _grave_chance(whole) >= DOUBT:
        return False
    rows = [row for row in whole.get("intent_ranking") or [] if row["name"] != FALLBACK]
    if _chance(whole, STATEMENT) >= LIKELY_STATEMENT:
        return True
    return sum(float(row["confidence"]) for row in rows[:2]) < SCATTERED


def stated(whole: Parsed) -> Parsed:
    """The parse of a statement that asks nothing, with the chance that it has of being one."""
    named = {"name": STATEMENT, "confidence": _chance(whole, STATEMENT)}
    rest = [row for row in whole.get("intent_ranking") or [] if row["name"] not in (FALLBACK, STATEMENT)]
    return {**whole, "intent": named, "intent_ranking": [named, *rest]}


def grave_of_two(parsed: Parsed) -> Parsed:
    """The parse of a text that no subject surely fits as the grave one of its best two: « mon mari me frappe, comment porter
    plainte ? » is no choice to offer."""
    if parsed["intent"]["name"] != FALLBACK:
        return parsed
    best = [row for row in parsed.get("intent_ranking") or [] if row["name"] != FALLBACK][:2]
    for row in best:
        if is_grave(str(row["name"])) and float(row["confidence"]) >= GRAVE_OF_TWO:
            return {**meant_as(parsed, str(row["name"]), float(row["confidence"])), "questions": []}
    if len(best) > 1 and best[0]["name"] == STATEMENT and best[1]["name"] in COMPLAINTS:
        told, complains = (float(row["confidence"]) for row in best)
        if complains >= AS_LIKELY and told - complains < AHEAD:  # an agent reads it
            return meant_as(parsed, str(best[1]["name"]), complains)
    return parsed


def by_question(parsed: Parsed) -> Parsed:
    """The parse of a text as the intent of the question that it surely asks, where no intent fits it, it is not surely a request
    for an agent, or thanks, or it was weakly taken for something grave. A complaint, a witness and what is surely thanks go to an
    agent whatever they ask besides."""
    rows = parsed.get("questions") or []
    chance = float(rows[0]["confidence"]) if rows else 0.0
    if chance < SURE_QUESTION or not _gives_way(parsed, question := str(rows[0]["name"])):
        return parsed
    return meant_as(parsed, intent_of(question), chance)


def _gives_way(parsed: Parsed, question: str) -> bool:
    """To a question of the catalogue. What is told in half-words resembles small talk."""
    intent = intent_of(question)
    if question in questions.CHITCHAT and _grave_chance(parsed) >= questions.GRAVE:
        return False
    named, believed = str(parsed["intent"]["name"]), float(parsed["intent"]["confidence"])
    if is_grave(named) or named == FALLBACK:
        return _grave_chance(parsed) < (DOUBT if intent in OF_VICTIMS else WEAK_GRAVE)
    category = policy_of(named).category
    weak = believed < _GIVES_WAY_BELOW.get(category, 0.0) or (category == "request" and question == ROBOT)
    return weak and _grave_chance(parsed) < DOUBT


def meant_as(whole: Parsed, intent: str, chance: float = 1.0) -> Parsed:
    """The parse of a text that is known to mean an intent, with all else that it tells."""
    named = {"name": intent, "confidence": chance}
    rest = [row for row in whole.get("intent_ranking") or [] if row["name"] not in (FALLBACK, intent)]
    return {**whole, "intent": named, "intent_ranking": [named, *rest]}


def _chance(parsed: Parsed, intent: str) -> float:
    return next((float(row["confidence"]) for row in parsed.get("intent_ranking") or [] if row["name"] == intent), 0.0)


def chance_of_danger(parsed: Parsed) -> float:
    """Of either emergency intent."""
    rows = parsed.get("intent_ranking") or []
    return min(1.0, sum(float(row["confidence"]) for row in rows if row["name"] in DANGER_INTENTS))


def _believed(pieces: Sequence[Clause], parsed: Sequence[Parsed], trace: float) -> list[Parsed]:
    """The clauses' meanings; a danger that the whole denies becomes no guess at all."""
    told = [i for i, piece in enumerate(pieces) if len(piece.text.split()) >= FEWEST_GRAVE]
    found = []
    for i, meaning in enumerate(parsed):
        enough = TRACE_AT_THE_END if told and i == told[-1] else TRACE
        if meaning["intent"]["name"] in DANGER_INTENTS and (
            chance_of_danger(meaning) < SURE_DANGER or trace < enough or i not in told
        ):
            meaning = {**meaning, "intent": {"name": FALLBACK, "confidence": 0.0}, "intent_ranking": []}
        found.append(meaning)
    return found


def _gone_on(
    pieces: Sequence[Clause], parsed: Sequence[Parsed], parse: Parse, titles: Mapping[str, str]
) -> list[Parsed]:
    """The clauses' meanings; a few words that ask behind a question of the catalogue are read with it, as a follow-up is: « Comment
    s’inscrire ? C’est gratuit ? »."""
    found = list(parsed)
    for i in range(1, len(pieces)):
        asked, before = Unit(pieces[i].text, pieces[i].asks, found[i]), sure(found[i - 1].get("questions")) or ""
        if before in titles and intent_of(before) not in SMALL_TALK and _may_hang_on(asked):
            (both,) = parse([f"{titles[before]} {asked.text}"])
            found[i] = _with_before(asked, before, both)
    return found


def _may_hang_on(asked: Unit) -> bool:
    """A few words that ask. What may be grave keeps its own meaning."""
    short_enough = len(asked.text.split()) <= FOLLOW_UP
    return asked.asks and short_enough and not is_grave(asked.intent) and _grave_chance(asked.parsed) < DOUBT


def _with_before(asked: Unit, before: str, both: Parsed) -> Parsed:
    """What a clause means behind the question `before`. `both`: the meaning of that question's title and the clause. What is grave
    in `both` stands in our own title."""
    rows = go_on(before, asked.parsed.get("questions"), both.get("questions"))
    repeats = not sure(rows) and sure(both.get("questions")) == before and len(asked.text.split()) <= FEW
    if repeats and not is_grave(str(both["intent"]["name"])):
        return both
    return by_question({**asked.parsed, "questions": rows})


def _in_context(pieces: Sequence[Clause], parsed: Sequence[Parsed], parse: Parse) -> list[Parsed]:
    """The clauses' meanings; a question behind a statement is read with it, and keeps its own only if that changes the subject."""
    found = list(parsed)
    for i in range(1, len(pieces)):
        told, asked = (Unit(pieces[k].text, pieces[k].asks, found[k]) for k in (i - 1, i))
        if not asked.asks or told.asks or asked.intent == told.intent or fold(asked.text.split()[0]) in AND:
            continue
        # What is grave keeps its own meaning: nothing said before it makes it less so.
        if is_grave(asked.intent) or not (_is_sure(told) and _is_sure(asked)):
            continue
        (both,) = parse([f"{told.text} {asked.text}"])
        if both["intent"]["name"] == told.intent and both["intent"]["confidence"] >= SAME:
            found[i] = both
    return found


def units(pieces: Sequence[Clause], parsed: Sequence[Parsed]) -> list[Unit]:
    """Clauses joined with the one before where they add nothing of their own: « …, quelles démarches ? »."""
    found: list[Unit] = []
    for piece, meaning in zip(pieces, parsed, strict=True):
        unit = Unit(piece.text, piece.asks, meaning)
        before = found[-1] if found else None
        if before is not None and (not _is_sure(unit) or _asks_the_same(before, unit)):
            found[-1] = Unit(f"{before.text} {unit.text}", before.asks or unit.asks, _telling(before, unit).parsed)
        else:
            found.append(unit)
    return found


def _telling(before: Unit, unit: Unit) -> Unit:
    """Of two clauses about one thing, the first that says what it is, or the one that asks a question of the catalogue about it:
    « J’ai eu une amende. Comment payer cette amende ? »."""
    if not _is_sure(before):
        return unit
    return unit if _is_sure(unit) and unit.question and not before.question else before


def _asks_the_same(before: Unit, unit: Unit) -> bool:
    """Two clauses about one thing: of one intent, and not two questions of the catalogue."""
    two = before.question and unit.question and before.question != unit.question
    return unit.intent == before.intent and not two


def decide(whole: Parsed, found: Sequence[Unit], story: bool = False) -> Reading:
    """One part or two; of a story, one unless something in it is grave."""
    asked = _distinct([unit for unit in found if _is_question(unit)])
    reading = replace(single(whole), danger=_danger(whole, found))
    grave = [unit for unit in asked if is_grave(unit.intent)]
    named = str(whole["intent"]["name"])
    if grave or is_grave(named):
        gravest = whole if is_grave(named) else min(grave, key=_priority).parsed
        others = _intents(unit for unit in asked if unit.intent != gravest["intent"]["name"])
        return replace(reading, parts=(gravest,), lead=gravest, more=others)
    if story or _grave_chance(whole) >= DOUBT:
        return reading
    handoffs = sorted((unit for unit in asked if policy_of(unit.intent).route == HANDOFF), key=_priority)[:1]
    # Beside the words to a complaint or a testimony a general text is in the way: what the catalogue surely answers is not.
    told = any(policy_of(unit.intent).category in TOLD for unit in handoffs)
    answers = [unit for unit in asked if policy_of(unit.intent).route == ANSWER and (unit.question or not told)]
    answers = [unit for i, unit in enumerate(answers) if not (i and _hangs_on(answers[0], unit))]
    answers = answers[: MOST_ANSWERS - len(handoffs)]
    chosen = [unit for unit in asked if unit in handoffs or unit in answers]
    if len(asked) < 2 or not chosen or (chosen == answers[:1] and sure(whole.get("questions"))):
        return _with_question(reading, asked)
    rest = _intents(unit for unit in asked if unit not in chosen)
    parts = tuple(_with_entities(unit.parsed, whole) for unit in chosen)
    lead = parts[chosen.index(handoffs[0])] if handoffs else parts[0]
    return replace(reading, parts=parts, lead=lead, more=rest)


def _hangs_on(first: Unit, unit: Unit) -> bool:
    """Whether a few words say nothing without the question before them: the general text of what they resemble is in the way."""
    return bool(first.question) and not unit.question and len(unit.text.split()) <= FEW


def _intents(found: Iterable[Unit]) -> tuple[str, ...]:
    """Each once."""
    return tuple(dict.fromkeys(unit.intent for unit in found))


def _with_question(reading: Reading, asked: Sequence[Unit]) -> Reading:
    """The whole, with the question that a clause surely asks where the whole does not tell: behind a greeting or a story."""
    (whole,) = reading.parts
    found = next((unit for unit in asked if unit.question and unit.intent == whole["intent"]["name"]), None)
    if found is None or sure(whole.get("questions")):
        return reading
    part = {**whole, "questions": found.parsed["questions"]}
    return replace(reading, parts=(part,), lead=part)


def _with_entities(part: Parsed, whole: Parsed) -> Parsed:
    """A trade or a town said once holds for both questions: what a part does not say itself, the whole says."""
    own = {entity["entity"] for entity in part["entities"]}
    borrowed = [
        {"entity": entity["entity"], "value": entity["value"]}
        for entity in whole["entities"]
        if entity["entity"] not in own
    ]
    return {**part, "entities": [*borrowed, *part["entities"]]}


def _danger(whole: Parsed, found: Sequence[Unit]) -> float:
    surely = [chance_of_danger(unit.parsed) for unit in found if unit.intent in DANGER_INTENTS]
    return max([chance_of_danger(whole), *surely])


def _grave_chance(whole: Parsed) -> float:
    rows = whole.get("intent_ranking") or []
    return sum(float(row["confidence"]) for row in rows if row["name"] != FALLBACK and is_grave(str(row["name"])))


def _is_sure(unit: Unit) -> bool:
    if is_grave(unit.intent):
        return unit.confidence >= SURE_GRAVE and len(unit.text.split()) >= FEWEST_GRAVE
    asks = unit.question and unit.intent not in SMALL_TALK and policy_of(unit.intent).route == ANSWER
    if asks and _grave_chance(unit.parsed) < DOUBT:
        return True
    return unit.intent != FALLBACK and unit.confidence >= SURE


def _is_question(unit: Unit) -> bool:
    if not _is_sure(unit) or unit.intent in SMALL_TALK:
        return False
    if is_grave(unit.intent) or unit.asks:
        return True
    return policy_of(unit.intent).route == HANDOFF and unit.confidence >= SURE_HANDOFF


def _distinct(found: Sequence[Unit]) -> list[Unit]:
    """The first of each subject. What is grave is one of its own, whatever question it resembles."""
    first: dict[str, Unit] = {}
    for unit in found:
        first.setdefault(unit.intent if is_grave(unit.intent) else unit.question or unit.intent, unit)
    return list(first.values())


def _priority(unit: Unit) -> int:
    return policy_of(unit.intent).priority

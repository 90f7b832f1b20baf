"""Emergencies: who detects them, and what is sent. First in the policy, at any hour and whoever owns the conversation.

Pure: the lexicon, the score and the texts are loaded elsewhere and passed in; time is passed in as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, Optional

from bot.core.clock import plausible
from bot.core.dialogue import Understanding
from bot.core.emergency import Answer
from bot.policy import distress_line
from bot.policy.degree import ALONE, Context, Degree, Signs, beside, degree, grave, ordinary
from bot.policy.intents import ANSWER, DANGER_INTENTS, policy_of
from bot.policy.language import is_french
from bot.policy.lexicon import Hit, Kind, Lexicon
from bot.policy.score import Assessment, LinearScore
from bot.policy.scripts import (
    ANY_DISTRESS,
    GENERAL,
    OLD_EMERGENCY,
    OWN_DANGER,
    REPLIES,
    SCRIPTS,
    VIOLENCE_PAST,
    choose,
    kind_of,
    says_more,
)

__all__ = [
    "MOST_BYTES",
    "TEXT_KEYS",
    "Answer",
    "Detection",
    "EmergencyAction",
    "Glance",
    "Leaving",
    "Situation",
    "check_texts",
    "compose",
    "decide",
    "detect",
    "edges",
    "glance",
    "is_french",
    "joined",
    "leaving",
    "other_words",
    "reply",
    "stands",
    "with_script",
]

NO_REPEAT = timedelta(minutes=10)  # the same reply is not sent again within this time
WATCH = timedelta(minutes=30)  # how long any further message counts as part of the emergency
SHORT_EVERY = timedelta(minutes=2)
LATE = timedelta(hours=1)
TOO_OLD = timedelta(hours=24)
# The score from which a message is looked at before others when many wait: far below an alarm, since the engine sees dangers that
# the score alone does not. Some one in nine of ordinary messages reaches it.
SUSPECT = 0.1
GOES_ON = "suite"  # in the place of an entry: the message goes on with a danger that was told before
_OVER = (VIOLENCE_PAST, OLD_EMERGENCY)  # whose words are for what has ended
# Characters of each end of a text that are looked at: what lies between those of a longer one is not. A message of Messenger has
# 20,000 at most; only what is forged or broken is longer, and 5 MB of it would take 20 seconds.
EDGE = 10_000
CLOSE = 4000  # the same, for what is done to few messages and costs more: choosing words, quoting what alarmed
CUT = 12  # characters at most of the pieces of a word that was cut in two
MOST_BYTES = 1000  # what one Instagram message may hold

URGENCE, DETRESSE = "utter_urgence", "utter_detresse"
URGENCE_ANGLAIS, DETRESSE_ANGLAIS = "utter_urgence_anglais", "utter_detresse_anglais"
RETARD, NUIT, RAPPEL = "utter_urgence_retard", "utter_urgence_nuit", "utter_urgence_rappel"
RETARD_AUTRE = "utter_urgence_retard_autre"  # where somebody else may be in danger
_GENERAL = (URGENCE, DETRESSE, URGENCE_ANGLAIS, DETRESSE_ANGLAIS, RETARD, NUIT, RAPPEL)
SCRIPT_KEYS = tuple(one.reply for one in SCRIPTS.values() if one.reply not in _GENERAL)
TEXT_KEYS = (*_GENERAL, RETARD_AUTRE, *SCRIPT_KEYS)
_MAIN: dict[Kind, str] = {"danger": URGENCE, "distress": DETRESSE}
_ENGLISH: dict[Kind, str] = {"danger": URGENCE_ANGLAIS, "distress": DETRESSE_ANGLAIS}
# What may be left out, first first, should a trainer's texts grow too long together.
_SPARE = (NUIT, RETARD, RETARD_AUTRE)


@dataclass(frozen=True)
class Detection:
    """A danger: its kind, the detector that saw it, the lexicon's entry when that one did, and how sure it is. Only a sure one is
    an emergency (bot/policy/degree.py).

    `script`: whose words it calls for (`bot.policy.scripts`); None: nothing tells, and those of its kind go out.
    `distress`: the score's chance that it is somebody's distress. `listens`: the words name the 3114 whichever they are.
    `evidence`: short quotes of the person's words that say so (`bot.policy.evidence`); personal data, kept sealed only.
    """

    kind: Kind
    by: Literal["lexicon", "score", "engine"]
    entry: Optional[str] = None
    degree: Degree = "sure"
    script: Optional[str] = None
    distress: float = field(default=0.0, compare=False)
    listens: bool = False
    evidence: tuple[str, ...] = field(default=(), repr=False)

    @property
    def intent(self) -> str:
        """The emergency intent of that kind."""
        return "detresse_suicide" if self.kind == "distress" else "danger_immediat"


@dataclass(frozen=True)
class Situation:
    """What the decision depends on; every time is aware.

    `at` is Meta's timestamp of the message, `night_until` when agents read again (« 6 h ») if it is night now.
    `last_script` is whose words the last full reply had; unknown, a further danger counts as the same.
    """

    at: datetime
    now: datetime
    french: bool = True
    night_until: Optional[str] = None
    last_full_at: Optional[datetime] = None
    last_short_at: Optional[datetime] = None
    last_agent_at: Optional[datetime] = None
    standby: bool = False
    last_script: Optional[str] = None

    @property
    def age(self) -> timedelta:
        """How old the message is."""
        return self.now - self.at

    @property
    def agent_since(self) -> bool:
        """An agent wrote after the last full reply."""
        return (
            self.last_agent_at is not None and self.last_full_at is not None and self.last_agent_at > self.last_full_at
        )

    def since_full(self, limit: timedelta) -> bool:
        """The last full reply went out less than `limit` ago."""
        return self.last_full_at is not None and self.now - self.last_full_at < limit


@dataclass(frozen=True)
class Leaving:
    """A reply as it may leave now. `text` None: it is too old, and an agent's. `answer`: goes with the new words."""

    text: Optional[str]
    answer: Optional[Answer] = None


@dataclass(frozen=True)
class EmergencyAction:
    """What to do: the message to send, made of the texts `text_keys`, and the hand-off to open or raise (`old`: stale)."""

    send: Literal["full", "short", "none"]
    text_keys: tuple[str, ...] = ()
    handoff: bool = True
    old: bool = False
    hour: str = ""
    answer: Optional[Answer] = None


@dataclass(frozen=True)
class Glance:
    """What a message shows before the engine read it. `suspect`: worth the engine's look before others, alarm or not."""

    detection: Optional[Detection]
    suspect: bool


def detect(
    text: str,
    lexicon: Lexicon,
    score: Optional[LinearScore],
    engine: Optional[Understanding] = None,
    context: Context = ALONE,
) -> Optional[Detection]:
    """Ask the three detectors; the first that raises the alarm is named. With the engine's reading a danger may be less than sure.

    The lexicon's alarm must be confirmed by the score, which weighs the entries met and the rest of the message too,
    unless the entry is sure by itself. The gateway has no engine yet (`engine` None) and, before the first training, no score:
    what it finds is sure, whatever was said before.
    """
    hits, found = _looked(text, lexicon, score)
    alarm = _alarm(hits, score, found)
    if alarm is not None or engine is None:
        return alarm
    return _with_engine(hits, score, found, engine, context)


def _with_engine(
    hits: Sequence[Hit],
    score: Optional[LinearScore],
    found: Optional[Assessment],
    engine: Understanding,
    context: Context,
) -> Optional[Detection]:
    """What all three make of it, where neither lexicon nor score alarms by its own limits."""
    chance = 0.0 if found is None else found.danger
    named = engine.intent in DANGER_INTENTS
    alone = policy_of(engine.intent).route == ANSWER  # no agent would read it
    called = engine.called if alone else 0.0
    told = degree(Signs(bool(hits), chance, engine.danger, ordinary(engine), named, called, grave(engine)), context)
    if told == "none":
        return None
    if told == "faint" and named and beside(engine):
        told = "likely"  # not believed, but violence or a disappearance may be meant as well
    if context.goes_on:
        return Detection("distress" if context.distress else "danger", "lexicon", GOES_ON, told)
    distress = score is not None and found is not None and score.is_distress(found)
    return Detection("distress" if distress else "danger", "engine", None, told, distress=_distress(found))


def with_script(
    detection: Detection, chances: Mapping[str, float], engine: float = 0.0, subject: str = OWN_DANGER
) -> Detection:
    """The same emergency with whose words it calls for, the kind that goes with them, and whether they are to name the 3114.
    `chances`: of each script, or none; `engine`: its chance of a distress; `subject`: as in `choose`."""
    detection = _with_words(detection, chances, subject)
    named = detection.script or GENERAL[detection.kind]
    return replace(detection, listens=distress_line.beside_alarm(named, chances, detection.distress, engine))


def _with_words(detection: Detection, chances: Mapping[str, float], subject: str) -> Detection:
    if detection.entry == GOES_ON and detection.kind == "distress":  # « ça recommence » does not say whose it is
        return replace(detection, script=ANY_DISTRESS)
    if detection.entry == GOES_ON:  # what goes on is not over
        chances = {name: chance for name, chance in chances.items() if name not in _OVER}
    if not chances:
        return detection
    script = choose(chances, kind=detection.kind, subject=subject)
    return replace(detection, script=script, kind=kind_of(script, detection.kind))


def glance(text: str, lexicon: Lexicon, score: Optional[LinearScore]) -> Glance:
    """What lexicon and score make of a text: the alarm, and whether there is a trace of danger."""
    hits, found = _looked(text, lexicon, score)
    alarm = _alarm(hits, score, found)
    return Glance(alarm, alarm is not None or bool(hits) or (found is not None and found.danger >= SUSPECT))


def joined(said: Sequence[str]) -> list[str]:
    """The texts that several messages in a row make together: a word may have been cut in two (« au s » / « ecours »)."""
    texts = [" ".join(said)]
    if len(said) > 1 and max(map(len, said[-2:])) <= CUT:
        texts.append(" ".join([*said[:-2], said[-2] + said[-1]]))
    return texts


def edges(text: str, most: int = EDGE) -> str:
    """The two ends of a text, of `most` characters each, that are looked at; all of a shorter one."""
    return text if len(text) <= 2 * most else text[:most] + "\n" + text[-most:]


def _looked(text: str, lexicon: Lexicon, score: Optional[LinearScore]) -> tuple[Sequence[Hit], Optional[Assessment]]:
    text = edges(text)
    hits = lexicon.entries_in(text)
    return hits, score.assess(text, (hit.entry for hit in hits)) if score is not None else None


def _alarm(hits: Sequence[Hit], score: Optional[LinearScore], found: Optional[Assessment]) -> Optional[Detection]:
    if score is None or found is None:  # no training yet, or too few words to judge
        return Detection(hits[0].kind, "lexicon", hits[0].entry) if hits else None
    if hits and (score.confirms(found) or any(hit.sure for hit in hits)):
        return Detection(hits[0].kind, "lexicon", hits[0].entry, distress=found.distress)
    if found.danger >= score.threshold:
        kind: Kind = "distress" if score.is_distress(found) else "danger"
        return Detection(kind, "score", distress=found.distress)
    return None


def _distress(found: Optional[Assessment]) -> float:
    return 0.0 if found is None else found.distress


def decide(detection: Optional[Detection], situation: Situation) -> Optional[EmergencyAction]:
    """What a message sets off: one that tells an emergency, or (`detection` None) one that follows an emergency reply.

    None when the message is none of the emergency's business.
    """
    situation = _plausible(situation)
    if detection is None and (not situation.since_full(WATCH) or situation.agent_since):
        return None
    if situation.age > TOO_OLD:
        return EmergencyAction("none", old=True) if detection is not None else None
    if situation.standby:  # another app owns the thread: we may not write
        return EmergencyAction("none")
    if detection is None or (situation.since_full(NO_REPEAT) and not _says_more(detection, situation.last_script)):
        return _short(situation, detection is not None and detection.listens)
    # No weights of ours understood what is not French: the general words, which their translation repeats.
    script = detection.script if situation.french else None
    answer = Answer(detection.kind, situation.at, situation.french, script=script, listens=detection.listens)
    return _says("full", answer, situation.age, situation.night_until)


def other_words(script: str, situation: Situation, late: bool = False) -> Optional[EmergencyAction]:
    """The words of another script, which the person asks for by a tap under an emergency reply: no new alarm, no hand-off.

    The short line instead, no oftener than elsewhere, where there was no such reply within a day, or it had these words, or the tap
    was caught up with (`late`): who taps asks for help, and is not met by silence. Where another app owns the thread, the hand-off
    alone. None: the tap is so old that no reply is allowed."""
    situation = _plausible(situation)
    if situation.age > TOO_OLD:
        return None
    if situation.standby:  # never two voices at once: a human is told of it
        return EmergencyAction("none")
    last = situation.last_script
    kind = kind_of(script, SCRIPTS[last or script].kind or "danger")
    if late or last in (None, script) or not situation.since_full(TOO_OLD):
        return replace(_short(situation, listens=kind == "distress"), handoff=False)
    answer = Answer(kind, situation.at, script=script, listens=kind == "distress")
    return replace(_says("full", answer, situation.age, situation.night_until), handoff=False)


def _says(
    send: Literal["full", "short"], answer: Answer, age: timedelta, night_until: Optional[str]
) -> EmergencyAction:
    keys = _keys(answer, age, night_until)
    hour = night_until or "" if NUIT in keys else ""
    return EmergencyAction(send, keys, hour=hour, answer=replace(answer, keys=keys, hour=hour))


def _keys(answer: Answer, age: timedelta, night_until: Optional[str]) -> tuple[str, ...]:
    """The texts that answer a message of this age."""
    listens = (distress_line.LINE,) if answer.listens and answer.french else ()
    if answer.kind is None:
        return (RETARD, RAPPEL, *listens) if age > LATE else (RAPPEL, *listens)
    english = () if answer.french else (_ENGLISH[answer.kind],)
    night = () if night_until is None else (NUIT,)
    said = SCRIPTS.get(answer.script or "", SCRIPTS[GENERAL[answer.kind]])  # another version may know others
    late = (said.late,) if age > LATE and said.late else ()
    return (*late, said.reply, *listens, *english, *night)


def reply(texts: Mapping[str, str], answer: Answer, age: timedelta, night_until: Optional[str]) -> Optional[str]:
    """The words for a message of this age; None when it is too old for any."""
    if age > TOO_OLD:
        return None
    return compose(texts, _says("short" if answer.kind is None else "full", answer, age, night_until))


def stands(answer: Optional[Answer], queued_at: datetime, now: datetime, night_until: Optional[str]) -> bool:
    """Whether a reply that was worded earlier may leave at `now` as it is. `answer` None: worded by an earlier version; its age
    is counted from `queued_at`."""
    if answer is None:
        return now - queued_at <= LATE
    if now - answer.at > TOO_OLD:
        return False
    action = _now(answer, now, night_until)
    return (action.text_keys, action.hour) == (answer.keys, answer.hour)


def leaving(
    texts: Optional[Mapping[str, str]],
    said: str,
    answer: Optional[Answer],
    queued_at: datetime,
    now: datetime,
    night_until: Optional[str],
) -> Leaving:
    """What a reply that was worded earlier (`said`) says when it leaves at `now`: the same, unless it has become late, or night
    has begun or ended. `texts` None: they cannot be read, and what is worded must do."""
    if now - (queued_at if answer is None else answer.at) > TOO_OLD:
        return Leaving(None)
    if texts is None or stands(answer, queued_at, now, night_until):
        return Leaving(said, answer)
    if answer is None:
        late = texts[RETARD].strip()
        return Leaving(said if said.startswith(late) else f"{late}\n\n{said}")
    action = _now(answer, now, night_until)
    return Leaving(compose(texts, action), action.answer)


def _now(answer: Answer, now: datetime, night_until: Optional[str]) -> EmergencyAction:
    return _says("short" if answer.kind is None else "full", answer, now - answer.at, night_until)


def _plausible(situation: Situation) -> Situation:
    """Without what has not happened yet: a clock that was wrong wrote it, and it must not keep a reply back."""
    return replace(
        situation,
        last_full_at=plausible(situation.last_full_at, situation.now),
        last_short_at=plausible(situation.last_short_at, situation.now),
        last_agent_at=plausible(situation.last_agent_at, situation.now),
    )


def _says_more(detection: Detection, last: Optional[str]) -> bool:
    """Whether the reply to this one holds what the last one did not, or must take its place."""
    return last is not None and says_more(detection.script or GENERAL[detection.kind], last)


def _short(situation: Situation, listens: bool) -> EmergencyAction:
    """The short line, unless an agent is there or it was just sent; the hand-off is raised in any case. `listens`: it names the
    3114."""
    last = situation.last_short_at
    if situation.agent_since or (last is not None and situation.now - last < SHORT_EVERY):
        return EmergencyAction("none")
    return _says("short", Answer(None, situation.at, listens=listens), situation.age, None)


def check_texts(texts: Mapping[str, str]) -> None:
    """Raise ValueError, in French, when a text is missing or what is sent together would be too long.

    Those of single scripts may be missing: models of before have none, and the general ones take their place.
    """
    missing = [key for key in _GENERAL if not texts.get(key, "").strip()]
    if missing:
        raise ValueError(f"textes d’urgence manquants : {', '.join(missing)}")
    line = (distress_line.LINE,) if distress_line.LINE in texts else ()
    sent = [
        (_known(one.late or RETARD, texts), one.reply, *line, NUIT) for one in SCRIPTS.values() if one.reply in texts
    ]
    for keys in (*sent, *((_MAIN[kind], _ENGLISH[kind]) for kind in _MAIN)):
        size = len(_join(texts, keys, "00 h 00").encode("utf-8"))
        if size > MOST_BYTES:
            raise ValueError(
                f"textes d’urgence trop longs ensemble : {', '.join(keys)} ({size} octets, au plus {MOST_BYTES})"
            )


def compose(texts: Mapping[str, str], action: EmergencyAction) -> Optional[str]:
    """The one message of an action, at most `MOST_BYTES` long; None when nothing is sent.

    Too long together, the least needed texts are left out; the numbers to call are never cut.
    """
    if action.send == "none":
        return None
    kept = _listening([_known(key, texts) for key in action.text_keys], texts)
    for spare in _SPARE:
        if spare in kept and len(_join(texts, kept, action.hour).encode("utf-8")) > MOST_BYTES:
            kept.remove(spare)
    return _join(texts, kept, action.hour).encode("utf-8")[:MOST_BYTES].decode("utf-8", "ignore")


def _listening(keys: Sequence[str], texts: Mapping[str, str]) -> list[str]:
    """Without the line that names the 3114 where another text does, or there is no such line, as in models of before."""
    others = [key for key in keys if key != distress_line.LINE]
    needless = distress_line.LINE not in texts or any(distress_line.NUMBER in texts[key] for key in others)
    return others if needless else list(keys)


def _known(key: str, texts: Mapping[str, str]) -> str:
    """What is said where a script has no text, as in models of before."""
    if texts.get(key):
        return key
    if key == RETARD_AUTRE:
        return RETARD
    name = REPLIES.get(key)
    return key if name is None else _MAIN[SCRIPTS[name].kind or "danger"]


def _join(texts: Mapping[str, str], keys: Sequence[str], heure: str) -> str:
    return "\n\n".join(texts[key].strip().replace("{heure}", heure) for key in keys)

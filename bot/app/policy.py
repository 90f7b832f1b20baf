"""The policy with its data bound: settings, texts of domain.yml, lexicon, exported danger score."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bot.app.places import MODELS, PROJECT
from bot.core import catalogue as answers
from bot.core.dialogue import QuickReply, Understanding
from bot.core.errors import SetupError
from bot.core.stamps import Stamp, stamp
from bot.dialogue.texts import load, load_buttons, load_precisions, read_yaml
from bot.policy import data_rights, distress_line, emergency, emergency_taps, evidence, retention
from bot.policy.catalogue_search import CatalogueSearch
from bot.policy.degree import ALONE, Context, is_distress
from bot.policy.emergency import Detection
from bot.policy.language import FRENCH
from bot.policy.lexicon import Kind, Lexicon
from bot.policy.night import Desk, Night, hour_text
from bot.policy.precisions import Precisions
from bot.policy.score import LinearScore
from bot.policy.script_score import ScriptScore, together
from bot.policy.script_signs import borne_out, is_minor
from bot.policy.scripts import ANY_DISTRESS, GENERAL, OWN_DANGER, general_of, instead, may_be_told_otherwise, script_of
from bot.settings import Settings
from bot.store.emergencies import EmergencyPlan, Seen
from bot.trainer import engines
from bot.trainer.candidates import Model

log = logging.getLogger("planton")

DOMAIN = PROJECT / "domain.yml"
LEXICON = PROJECT / "data" / "danger.yml"
GLANCES = 4096  # kept at most
NOT_READ: Mapping[str, float] = MappingProxyType({})  # what a meaning says before the engine has read it
SURELY = 0.5  # the chance of a subject from which its general words go before those for a likely danger


def in_service(var: Path | None = None) -> Model | None:
    """The model that answers. `var`: VAR_DIR, where the engines of this machine say what they serve."""
    found = engines.in_service(MODELS, var)
    return Model(found, PROJECT) if found else None


def score_of(model: Model | None) -> Path | None:
    """The danger score that was learnt with a model. One in `models/` without its own has the last that a training exported."""
    if model is not None and (model.score.exists() or model.archive.parent != MODELS):
        return model.score
    found = sorted(MODELS.glob("*.danger.json"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


@functools.lru_cache(maxsize=4)
def lexicon(path: Path = LEXICON) -> Lexicon:
    """The emergency lexicon. Raises SetupError naming the entry that is wrong."""
    try:
        return Lexicon.from_mapping(read_yaml(path))
    except ValueError as error:
        raise SetupError(f"{path} : {error}", "Corrigez l’entrée.") from None


def score(path: Path | None) -> LinearScore | None:
    """An exported score; None before the first training (the lexicon and the engine watch alone then)."""
    if path is None:
        log.warning("no danger score in models/: run planton train")
        return None
    return _score(path, stamp(path))


@functools.lru_cache(maxsize=2)
def _score(path: Path, _: Stamp) -> LinearScore:
    try:
        return LinearScore.from_mapping(_exported(path))
    except ValueError as error:
        raise SetupError(f"{path} : {error}.", "Entraînez de nouveau : planton train --force") from None


def _exported(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError(f"{path} : {error}.", "Entraînez de nouveau : planton train --force") from None
    return found if isinstance(found, dict) else {}


def scripts(path: Path | None) -> ScriptScore | None:
    """What was exported beside the score to choose an emergency's words; None for a model of before."""
    return None if path is None else _scripts(path, stamp(path))


@functools.lru_cache(maxsize=2)
def _scripts(path: Path, _: Stamp) -> ScriptScore | None:
    found = _exported(path).get("scripts")
    try:
        return None if found is None else ScriptScore.from_mapping(found)
    except ValueError as error:  # another version's: the words of before the scripts go out
        log.error("scripts not read: %s", error)
        return None


def catalogue(files: Path) -> CatalogueSearch:
    """The catalogue of questions in a folder; empty where it cannot be read: nobody is left without a console for that."""
    try:
        return CatalogueSearch(answers.read(files))
    except SetupError as error:
        log.error("catalogue not read: %s %s", error.what, error.remedy)
        return CatalogueSearch()


@dataclass(frozen=True)
class Policy:
    """What every process decides with. `catalogue`: empty where nobody looks into it (see `build`)."""

    texts: dict[str, str]
    buttons: dict[str, tuple[QuickReply, ...]]
    night: Night
    desk: Desk
    lexicon: Lexicon
    score: LinearScore | None
    precisions: Precisions
    scripts: ScriptScore | None = None
    catalogue: CatalogueSearch = field(default_factory=CatalogueSearch)
    glances: dict[bytes, bool] = field(default_factory=dict, init=False, compare=False, repr=False)

    def facts(self, spoken: str, words: str) -> str:
        """The name of a reply with facts for words in another language than French, or ""; of French ones, with what they ask
        about the assistant itself (« mes données »)."""
        if spoken == FRENCH and data_rights.asks(words):
            return data_rights.REPLY if data_rights.REPLY in self.texts else ""
        general = "utter_assistant" if spoken == FRENCH else f"utter_langue_{spoken}"
        found = self.precisions.find(general, words)
        if found == data_rights.REPLY and data_rights.tells_of_others(words):
            return ""
        return found if found in self.texts else ""

    def triage(self, words: str) -> Detection | None:
        """Lexicon and score alone, as the gateway looks at each message.

        What they made of it is kept for a moment, under a digest and never under the words.
        """
        found = emergency.glance(words, self.lexicon, self.score)
        if len(self.glances) >= GLANCES:
            self.glances.clear()
        self.glances[_digest(words)] = found.suspect
        return self._told(self._with_evidence(found.detection, words), words)

    def _with_evidence(self, detection: Detection | None, words: str) -> Detection | None:
        """The alarm with the words that say so; a faint one keeps none. Whatever goes wrong there, it stands."""
        if detection is None or detection.degree == "faint":
            return detection
        try:
            return replace(detection, evidence=evidence.quotes(words, detection, self.lexicon, self.score))
        except Exception as error:
            log.error("no evidence of an alarm: %s", type(error).__name__)
            return detection

    def suspect(self, words: str) -> bool:
        """Whether words that were triaged just now show a trace of danger: the engine looks at them before others. So it does
        at words of which nothing is known: nobody has looked at them."""
        return bool(words) and self.glances.get(_digest(words), True)

    def detect(
        self, words: str, understanding: Understanding, context: Context = ALONE, only_sure: bool = False
    ) -> Detection | None:
        """All three detectors, in the light of what was said before. What the engine alone saw has the kind of its best guess.

        `only_sure`: nothing less is asked for, and what says so and its words are looked for in nothing less.
        """
        found = emergency.detect(words, self.lexicon, self.score, understanding, context)
        if only_sure and (found is None or found.degree != "sure"):
            return None
        found = self._with_evidence(found, words)
        engine = distress_line.engines(understanding)
        # What is sure without the engine the gateway has answered, by the words alone.
        answered = found is not None and found.by != "engine" and found.degree == "sure"
        meant = NOT_READ if answered else understanding.scripts
        if found is None or found.by != "engine":
            return self._told(found, words, engine, meant=meant)
        kind: Kind = "distress" if is_distress(understanding, found.degree) else "danger"
        # A danger that is seen as now keeps the words for one; who is surely told of something else, and is only likely in danger,
        # reads that subject's.
        certain = found.degree == "likely" and understanding.confidence >= SURELY
        subject = general_of(understanding.intent) if certain else OWN_DANGER
        told = self._told(replace(found, kind=kind), words, engine, subject, meant)
        if told is not None and told.script == OWN_DANGER and is_distress(understanding, "likely"):
            # Nothing tells who is in danger, and a distress is the likelier: words that suit both and hold the 3114.
            return replace(told, kind="distress", script=ANY_DISTRESS)
        return told

    def chances(self, words: str, kind: Kind = "danger", meant: Mapping[str, float] = NOT_READ) -> dict[str, float]:
        """The chance of each script, by both ends of the words; {} where nothing was learnt, or they are in another language.
        `kind`: of the danger that a detector saw; `meant`: the chances by their meaning, where the engine has read them."""
        words = emergency.edges(words, emergency.CLOSE)
        if self.scripts is None or not emergency.is_french(words):
            return {}
        learnt = self.scripts.chances(words, [hit.entry for hit in self.lexicon.entries_in(words)])
        return borne_out(together(learnt, meant), words, kind)

    def instead(self, understanding: Understanding, words: str) -> str | None:
        """Whose words take the place of a sensitive intent's own; None: its own are right, or nothing is sure."""
        intent = understanding.intent
        if not may_be_told_otherwise(intent):
            return None
        return instead(intent, self.chances(words, meant=understanding.scripts), is_minor(words))

    def listens(self, words: str, understanding: Understanding, detection: Detection | None) -> bool:
        """Whether what is said to a message is to name the 3114, as somebody's distress may be meant."""
        if detection is not None and detection.degree != "faint":
            return detection.listens or distress_line.speaks_of_sorrow(words)
        engine = distress_line.engines(understanding)
        asked = engine >= distress_line.ORDINARY_ENGINE  # seldom: the scripts cost as much as the score
        chances = self.chances(words, meant=understanding.scripts) if asked else {}
        return bool(words) and distress_line.beside_ordinary(words, chances, engine)

    def _told(
        self,
        detection: Detection | None,
        words: str,
        engine: float = 0.0,
        subject: str = OWN_DANGER,
        meant: Mapping[str, float] = NOT_READ,
    ) -> Detection | None:
        """The same with the words that it calls for; a faint one says none. Whatever goes wrong there, the alarm stands."""
        if detection is None or detection.degree == "faint" or _foreign(detection):
            return detection
        try:
            return emergency.with_script(detection, self.chances(words, detection.kind, meant), engine, subject)
        except Exception as error:  # the general words of its kind go out
            log.error("no words chosen for an alarm: %s", type(error).__name__)
            return detection

    def plan(
        self, detection: Detection | None, words: str, at: datetime, now: datetime, seen: Seen
    ) -> EmergencyPlan | None:
        """What an emergency, or a further message after one, calls for."""
        action = emergency.decide(
            detection,
            emergency.Situation(
                at=at,
                now=now,
                french=emergency.is_french(words) and not _foreign(detection),
                night_until=self._night_until(now),
                last_full_at=seen.emergency_at,
                last_script=script_of(seen.emergency_kind, seen.emergency_script),
                last_short_at=seen.emergency_short_at,
                last_agent_at=seen.last_agent_at,
                standby=seen.standby,
            ),
        )
        if action is None:
            return None
        return self._planned(action)

    def tapped(self, tap: str, at: datetime, now: datetime, seen: Seen, late: bool) -> EmergencyPlan | None:
        """What a tap under an emergency reply calls for (`bot.policy.emergency_taps`); None: it is too old. `late`: it was
        caught up with, and the page said something since."""
        last = script_of(seen.emergency_kind, seen.emergency_script)
        situation = emergency.Situation(
            at=at,
            now=now,
            night_until=self._night_until(now),
            last_full_at=seen.emergency_at,
            last_script=last,
            last_short_at=seen.emergency_short_at,
            last_agent_at=seen.last_agent_at,
            standby=seen.standby,
        )
        action = emergency.other_words(emergency_taps.script(tap, last), situation, late)
        return None if action is None else self._planned(action)

    def _planned(self, action: emergency.EmergencyAction) -> EmergencyPlan:
        answer, buttons = action.answer, self.buttons.get(emergency_taps.BUTTONS, ())
        asks = action.send == "full" and answer is not None and answer.french and answer.kind is not None
        said = "" if answer is None or answer.kind is None else answer.script or GENERAL[answer.kind]
        return EmergencyPlan(
            emergency.compose(self.texts, action),
            action.send == "short",
            action.handoff,
            action.old,
            answer,
            emergency_taps.offered(buttons, said) if asks else (),
        )

    def _night_until(self, now: datetime) -> str | None:
        return hour_text(self.night.end) if self.night.contains(now) else None


def _digest(words: str) -> bytes:
    return hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _foreign(detection: Detection | None) -> bool:
    """Whether the lexicon knew the words as another language's, which a few short words do not tell by themselves."""
    return detection is not None and (detection.entry or "").endswith("autres_langues")


def _lexicon_of(files: Path) -> Lexicon:
    # That of a training's folder is not kept: the folder may be gone, or another, a minute later.
    lasting = files == PROJECT or files.suffix == ".files"
    return (lexicon if lasting else lexicon.__wrapped__)(files / "data" / "danger.yml")


def build(
    settings: Settings, model: Model | None = None, files: Path | None = None, with_catalogue: bool = False
) -> Policy:
    """Read everything once, as it went with a model (the newest one in `models/` if none is given; the project's files before the
    first training). `files`: a folder to read replies and lexicon from instead. `with_catalogue`: the catalogue of questions too,
    which takes seconds. Raises SettingsError or SetupError."""
    model = model or in_service()
    files = files or (model.files if model else PROJECT)
    try:
        policy = _built(settings, model, files)
        return replace(policy, catalogue=catalogue(files)) if with_catalogue else policy
    except SetupError as error:
        if model is None or files == model.root:
            raise
        # Nobody corrects copies: they are those of another version of the program, or of a damaged disk.
        raise SetupError(error.what, "Entraînez de nouveau : planton train, ou publiez un autre modèle.") from None


def _built(settings: Settings, model: Model | None, files: Path) -> Policy:
    zone = settings.zone
    domain = files / "domain.yml"
    texts = {name: retention.told(one, settings.retention) for name, one in load(domain).items()}
    try:
        emergency.check_texts(texts)
    except ValueError as error:
        raise SetupError(f"{domain} : {error}.", "Corrigez ces réponses.") from None
    start, end = settings.desk_hours
    learnt = score_of(model)
    return Policy(
        texts,
        load_buttons(domain),
        Night(zone, settings.wall("NIGHT_START"), settings.wall("NIGHT_END")),
        Desk(zone, start, end),
        _lexicon_of(files),
        score(learnt),
        load_precisions(files / "data" / "precisions.yml"),
        scripts(learnt),
    )

"""What of a candidate changes what victims and people in danger are told, or whether a danger is noticed: a second person reads it.

Compared are the files that go with the two models (`bot/core/served.py`), the catalogue's answers among them, the rules of grave
intents, how sure the engine has to be, and the examples and groups of words by which the words for a danger are chosen: the gate's
sets do not measure that choice.
What they measure (other examples, the learnt score, the classifier's settings) is the gate's.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bot.core import catalogue, served
from bot.core.examples import script_blocks
from bot.core.yaml_text import Damaged
from bot.policy.intents import policy_of
from bot.trainer import conduct
from bot.trainer.errors import BadFile, NoGit
from bot.trainer.project import Project
from bot.trainer.replies import Replies, Response
from bot.trainer.reply_uses import PRECISIONS, RULES, _loaded

LEXICON, SCRIPTS, DOMAIN, CONFIG = "data/danger.yml", "data/scripts.yml", "domain.yml", "config.yml"
CLASSIFIER = "bot.engine.classifier."  # what is set there, the gate measures
GRAVE = frozenset({"emergency", "urgent", "sensitive"})
# Replies beside those of grave intents: the gateway's own, those to a likely danger, those of the night, ways that lead to them.
_FAMILIES = (
    "urgence", "detresse", "danger_probable", "agent_lira", "nuit", "filet", "theme_violences", "reclamation_delai_disparition",
)  # fmt: skip
# Numbers that somebody in danger calls; « 17 ans », « 17 à 45 ans » and « 17cyber » are none.
_BLANK = "[ \u00a0\u202f]"
_NUMBER = re.compile(
    rf"(?<![\w,.])(?:15|17|18|112|114|119|39{_BLANK}?19|30{_BLANK}?18|31{_BLANK}?14|116{_BLANK}?00[06])"
    rf"(?!\w|[,.]\d|{_BLANK}(?:à{_BLANK}\d|ans\b|%|€|euros?\b|jours?\b|heures?\b|h\b|mois\b|cm\b))"
)


@dataclass(frozen=True)
class Touch:
    """Something grave that is not as it was. `kind`: reply, answer, lexicon, script, precision, rule, settings, unreadable;
    `before` and `after`: its words, empty where there is none (of the lexicon and of a script, `after` holds the lines that
    changed)."""

    kind: str
    name: str
    before: str
    after: str


def touches(project: Project, models: Path, serving: str, candidate: Path) -> tuple[Touch, ...]:
    """What a candidate's archive changes for the model in service (a hash; empty: there is none). Blocks: reads files, asks git."""
    archive = models / f"{serving}{served.SUFFIX}"
    has_own = bool(serving) and served.folder(archive).is_dir()
    before = served.read(served.folder(archive)) if has_own else conduct.recorded(project)
    after = served.read(served.beside(candidate, project.root))
    beside = (RULES, CONFIG, SCRIPTS)  # no model has copies of them: it was made from what git recorded, or will be
    return found(
        {**before, **{name: _recorded(project, name).encode() for name in beside}},
        {**after, **{name: _present(project, name).encode() for name in beside}},
    )


def found(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> tuple[Touch, ...]:
    """The same, of files by name."""
    every: list[Touch] = []
    looks = (
        (DOMAIN, _replies), (LEXICON, _lexicon), (SCRIPTS, _scripts), (PRECISIONS, _precisions), (RULES, _rules),
        (CONFIG, _settings),
    )  # fmt: skip
    for name, look in looks:
        was, now = before.get(name, b""), after.get(name, b"")
        if was != now:
            every += _guarded(name, look, was.decode("utf-8", "replace"), now.decode("utf-8", "replace"))
    for name in sorted({one for one in (*before, *after) if one.startswith(f"{catalogue.FOLDER}/")}):
        old, new = (files.get(name, b"").decode("utf-8", "replace") for files in (before, after))
        if old != new:
            every += _guarded(name, functools.partial(_answers, name), old, new)
    return tuple(every)


def digest(what: tuple[Touch, ...]) -> str:
    """Tells what was on the screen from what would be approved."""
    return hashlib.sha256(json.dumps([asdict(one) for one in what]).encode()).hexdigest()[:16]


def is_grave(name: str) -> bool:
    """Whether a reply of that name goes to victims or to people in danger."""
    rest = name.removeprefix("utter_")
    return policy_of(rest).category in GRAVE or rest.startswith(_FAMILIES)


def _saving(text: str) -> list[str]:
    """The lines that give a number which somebody in danger calls."""
    return [line for line in text.split("\n") if _NUMBER.search(line)]


def _guarded(name: str, look: Any, was: str, now: str) -> list[Touch]:
    try:
        return list(look(was, now))
    except BadFile:
        return [Touch("unreadable", name, "", "")]


def _replies(was: str, now: str) -> Iterator[Touch]:
    old, new = _parsed(was), _parsed(now)
    for name in dict.fromkeys((*old, *new)):
        before, after = _words(old.get(name)), _words(new.get(name))
        if before != after and (is_grave(name) or _saving(before) != _saving(after)):
            yield Touch("reply", name, before, after)


def _answers(file: str, was: str, now: str) -> Iterator[Touch]:
    """The catalogue's answers to victims, and those that give or lose a number which somebody in danger calls."""
    old, new = _said(file, was), _said(file, now)
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name, ""), new.get(name, "")
        if before != after and (is_grave(name.partition("/")[0]) or _saving(before) != _saving(after)):
            yield Touch("answer", name, before, after)


def _said(file: str, text: str) -> dict[str, str]:
    """What a person may read of each question, by id. Raises BadFile."""
    try:
        questions = catalogue.parse(file, text).questions if text else ()
    except Damaged as error:
        raise BadFile(file, error.what, error.remedy, error.line, error.column) from None
    return {one.id: "\n\n".join(_shown(one, variant) for variant in one.variants) for one in questions}


def _shown(one: catalogue.Question, variant: catalogue.Variant) -> str:
    parts = [f"({slot} = {value})" for slot, value in variant.conditions]
    parts += [f"[{one.title}] {one.question}", variant.text]
    link = variant.told("link")
    return "\n".join([*parts, *([f"[{variant.told('link_title')}] → {link}"] if link else [])])


@functools.lru_cache(maxsize=4)
def _parsed(text: str) -> Mapping[str, Response]:
    return Replies.parse(text).responses if text else {}


def _words(reply: Response | None) -> str:
    """What a person may read of it; when somebody last checked its source is nothing of theirs."""
    if reply is None:
        return ""
    told = []
    for one in reply.variations:
        buttons = "".join(f"\n[{button.title}] → {button.payload}" for button in one.buttons)
        told.append(one.text + buttons + "".join(f"\n({other})" for other in one.other))
    return "\n\n".join(told)


def _lexicon(was: str, now: str) -> Iterator[Touch]:
    old, new = (
        [line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")] for text in (was, now)
    )
    if old != new:
        yield Touch("lexicon", LEXICON, "", _changes(old, new))


def _changes(old: Sequence[str], new: Sequence[str]) -> str:
    """The lines that went or came, each with the one before and after it; « - », « + » or a space begins them."""
    told = difflib.unified_diff(old, new, lineterm="", n=1)
    return "\n".join(line for line in itertools.islice(told, 2, None) if not line.startswith("@@"))


def _scripts(was: str, now: str) -> Iterator[Touch]:
    """Of each script the examples that went or came, and the groups of words: they decide who is told what."""
    old, new = _learnt(was), _learnt(now)
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name, ()), new.get(name, ())
        if before != after:
            yield Touch("script", name, "", _changes(before, after))


def _learnt(text: str) -> dict[str, tuple[str, ...]]:
    """The examples of each script, and a line for each group of words. Raises BadFile."""
    if not text:
        return {}
    try:
        blocks, groups = script_blocks(text)
    except Damaged as error:
        raise BadFile(SCRIPTS, error.what, error.remedy, error.line, error.column) from None
    words = tuple(f"{name} : {', '.join(some)}" for name, some in groups.items())
    return {**{block.name: block.items for block in blocks}, "mots": words}


def _precisions(was: str, now: str) -> Iterator[Touch]:
    """The rows of each reply that they take the place of, in their order, since the first that fits is sent: where it is grave,
    or one of them."""
    old, new = _rows(was), _rows(now)
    for general in dict.fromkeys((*old, *new)):
        before, after = old.get(general, []), new.get(general, [])
        if before != after and any(map(is_grave, (general, *(str(row.get("reponse")) for row in (*before, *after))))):
            yield Touch("precision", general, _told(before), _told(after))


def _rows(text: str) -> dict[str, list[dict[str, Any]]]:
    """Of each general reply, without what else they take the place of."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _listed(PRECISIONS, text, "precisions"):
        generals = row.get("au_lieu_de")
        for general in generals if isinstance(generals, list) else []:
            found.setdefault(str(general), []).append(_without(row, "au_lieu_de"))
    return found


def _rules(was: str, now: str) -> Iterator[Touch]:
    """The whole rules that name a grave intent, or lead to a grave reply: conditions and every step."""
    old, new = _by_intents(was), _by_intents(now)
    for intents in dict.fromkeys((*old, *new)):
        before, after = old.get(intents, []), new.get(intents, [])
        if before == after:
            continue
        named = {name for rule in (*before, *after) for name in _named(rule, "action")}
        if any(policy_of(intent).category in GRAVE for intent in intents) or any(map(is_grave, named)):
            yield Touch("rule", ", ".join(intents), _told(before), _told(after))


def _by_intents(text: str) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for rule in _listed(RULES, text, "rules"):
        found.setdefault(tuple(_named(rule, "intent")), []).append(_without(rule, "rule"))
    return found


def _named(what: Any, key: str) -> Iterator[str]:
    """What stands under that key, at any depth (steps, « or », conditions)."""
    if isinstance(what, dict):
        for name, value in what.items():
            if name == key:
                yield str(value)
            else:
                yield from _named(value, key)
    elif isinstance(what, list):
        for one in what:
            yield from _named(one, key)


def _settings(was: str, now: str) -> Iterator[Touch]:
    """How sure the engine has to be, and what else decides there; the classifier's settings aside."""
    before, after = _decisive(was), _decisive(now)
    if before != after:
        yield Touch("settings", CONFIG, _told([before]), _told([after]))


def _decisive(text: str) -> dict[str, Any]:
    loaded = _loaded(CONFIG, text) if text else {}
    settings = dict(loaded) if isinstance(loaded, dict) else {}
    if isinstance(pipeline := settings.get("pipeline"), list):
        settings["pipeline"] = [
            {"name": part["name"]} if isinstance(part, dict) and str(part.get("name")).startswith(CLASSIFIER) else part
            for part in pipeline
        ]
    return settings


def _listed(file: str, text: str, key: str) -> list[dict[str, Any]]:
    loaded = _loaded(file, text) if text else {}
    rows = loaded.get(key) if isinstance(loaded, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _without(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != key}


def _told(rows: Sequence[dict[str, Any]]) -> str:
    """One line for each value, so that a difference shows what it is; rows apart."""
    return "\n\n".join("\n".join(_lines(row)) for row in rows)


def _lines(what: Any, under: str = "") -> Iterator[str]:
    if isinstance(what, dict):
        for name, value in what.items():
            if isinstance(value, dict | list):
                yield f"{under}{name} :"
                yield from _lines(value, under + "  ")
            else:
                yield f"{under}{name} : {value}"
    elif isinstance(what, list):
        for one in what:
            yield from _lines(one, under)
    else:
        yield f"{under}- {what}"


def _recorded(project: Project, name: str) -> str:
    """As git recorded it last; the present text without git. Raises BadFile."""
    try:
        if name == SCRIPTS and not project.git("ls-tree", "--name-only", "HEAD", "--", f"./{name}"):
            return ""  # a project of before
        return project.git("show", f"HEAD:./{name}")
    except NoGit:
        return _present(project, name)


def _present(project: Project, name: str) -> str:
    """As it stands; a project of before has no scripts. Raises BadFile."""
    return "" if name == SCRIPTS and not project.path(name).exists() else project.read(name)

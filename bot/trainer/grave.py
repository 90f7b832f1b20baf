"""What of a candidate changes what victims and people in danger are told, or whether a danger is noticed: a second person reads it.

Compared are the files that go with the two models (`bot/core/served.py`), and which reply an intent's rule leads to. What the
figures measure (examples, the learnt score) is the gate's.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bot.core import served
from bot.policy.intents import policy_of
from bot.trainer import conduct
from bot.trainer.errors import BadFile, NoGit
from bot.trainer.project import Project
from bot.trainer.replies import Replies, Response
from bot.trainer.reply_uses import PRECISIONS, RULES, _loaded, rules_of

LEXICON, DOMAIN = "data/danger.yml", "domain.yml"
GRAVE = frozenset({"emergency", "urgent", "sensitive"})
LINES = 400  # of a file's difference that are shown
# Replies beside those of grave intents: the gateway's own, those of the night, and ways that lead to either.
_FAMILIES = ("urgence", "detresse", "nuit", "filet", "theme_violences", "reclamation_delai_disparition")
# Numbers that somebody in danger calls; « 17 ans », « 17 à 45 ans » and « 17cyber » are none.
_BLANK = "[ \u00a0\u202f]"
_NUMBER = re.compile(
    rf"(?<![\w,.])(?:15|17|18|112|114|119|39{_BLANK}?19|30{_BLANK}?18|31{_BLANK}?14|116{_BLANK}?00[06])"
    rf"(?!\w|[,.]\d|{_BLANK}(?:à{_BLANK}\d|ans\b|%|€|euros?\b|jours?\b|heures?\b|h\b|mois\b|cm\b))"
)


@dataclass(frozen=True)
class Touch:
    """Something grave that is not as it was. `kind`: reply, lexicon, precision, rule, unreadable; `before`, `after`: its words,
    empty where there is none (of the lexicon, `after` holds the lines that changed)."""

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
    return found(before, after, _rules_recorded(project), project.read(RULES))


def found(
    before: Mapping[str, bytes], after: Mapping[str, bytes], rules_before: str, rules_after: str
) -> tuple[Touch, ...]:
    """The same, of files by name and the text of both rules."""
    every: list[Touch] = []
    for name, look in ((DOMAIN, _replies), (LEXICON, _lexicon), (PRECISIONS, _precisions)):
        was, now = before.get(name, b""), after.get(name, b"")
        if was != now:
            every += _guarded(name, look, was.decode("utf-8", "replace"), now.decode("utf-8", "replace"))
    if rules_before != rules_after:
        every += _guarded(RULES, _rules, rules_before, rules_after)
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
    if old == new:
        return
    lines = [
        line for line in difflib.unified_diff(old, new, lineterm="", n=1) if not line.startswith(("---", "+++", "@@"))
    ]
    yield Touch("lexicon", LEXICON, "", "\n".join(lines[:LINES]))


def _precisions(was: str, now: str) -> Iterator[Touch]:
    """Rows by the reply that they lead to, where it or one that it takes the place of is grave."""
    old, new = _rows(PRECISIONS, was, "precisions"), _rows(PRECISIONS, now, "precisions")
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name, []), new.get(name, [])
        if before == after:
            continue
        replaced = {str(general) for row in (*before, *after) for general in row.get("au_lieu_de") or []}
        if any(map(is_grave, {name, *replaced})):
            yield Touch("precision", name, _told(before), _told(after))


def _rows(file: str, text: str, key: str) -> dict[str, list[dict[str, Any]]]:
    loaded = _loaded(file, text) if text else {}
    rows = loaded.get(key) if isinstance(loaded, dict) else None
    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict):
            by_name.setdefault(str(row.get("reponse")), []).append(row)
    return by_name


def _told(rows: list[dict[str, Any]]) -> str:
    return "\n".join(f"{name} : {value}" for row in rows for name, value in row.items())


def _rules(was: str, now: str) -> Iterator[Touch]:
    """Where a grave intent leads."""
    old, new = _actions(was), _actions(now)
    for intent in dict.fromkeys((*old, *new)):
        before, after = old.get(intent, ""), new.get(intent, "")
        if before != after and (policy_of(intent).category in GRAVE or is_grave(before) or is_grave(after)):
            yield Touch("rule", intent, before, after)


def _actions(text: str) -> dict[str, str]:
    loaded = _loaded(RULES, text) if text else {}
    rules = loaded.get("rules") if isinstance(loaded, dict) else None
    return rules_of(rules if isinstance(rules, list) else [])


def _rules_recorded(project: Project) -> str:
    try:
        return project.git("show", f"HEAD:{RULES}")
    except NoGit:
        return project.read(RULES)

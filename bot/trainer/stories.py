"""A conversation that went well becomes a story of `data/stories.yml`, or a conversation that `tests/engine` plays.

What is written is public: words and names are checked for personal data by whoever shows them first (the page); values of
entities that stand in no list of ours are replaced here. A story is held against the domain, the rules and every other story
before it is written, so that the next training does not fail on it.
"""

from __future__ import annotations

import contextlib
import functools
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString, SingleQuotedScalarString

from bot.core import yaml_text
from bot.core.shapes import must_have_shape
from bot.core.stamps import Stamp, stamp
from bot.policy.intents import ANSWER, CLARIFY, FALLBACK, HANDOFF
from bot.trainer.errors import BadFile, Changed, NoGit, TrainerError
from bot.trainer.project import Project
from bot.trainer.record import author

STORIES, RULES, DOMAIN, NLU = "data/stories.yml", "data/rules.yml", "domain.yml", "data/nlu.yml"
TESTS = "tests/engine/conversations"
STORY, TEST = "story", "test"
MOST_TURNS = 20
LONGEST_NAME = 80  # characters
LONGEST_WORDS = 2_000  # characters of a message of a test, so that every one of them is looked through
MOST_WORDS = 10_000  # of all its messages together
HISTORY = 4  # states that MemoizationPolicy (config.yml) looks back
_FRAGMENT = 60  # characters of a reply that a test looks for
_LISTEN = "action_listen"


class BadStory(TrainerError):
    """The turns that were chosen, or the name, make no story or test."""


@dataclass(frozen=True)
class Turn:
    """One turn as the model saw it.

    `words`: what the person wrote, pseudonymised ("" for a tap); `payload`: of a tap; `intent`: what it was read as;
    `entities`: name → value; `route`: answer, handoff or clarify; `lost`: not understood, so that the fallback spoke;
    `category`: of the hand-off, None for whichever; `silent`: nothing was said on purpose; `replies`: texts that left.
    """

    words: str
    intent: str | None
    route: str
    payload: str | None = None
    entities: Mapping[str, str] = field(default_factory=dict)
    lost: bool = False
    category: str | None = None
    silent: bool = False
    replies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Draft:
    """What would be written: `text` into `file`; `kind` is STORY (a block of the file) or TEST (the whole file)."""

    kind: str
    name: str
    file: str
    text: str


def story(project: Project, name: str, turns: Sequence[Turn]) -> Draft:
    """The block for data/stories.yml. Raises BadStory, BadFile. Blocks."""
    book = Book.read(project)
    name = _name(name)
    if _key(name) in book.names:
        raise BadStory(f"Une histoire s’appelle déjà «\u00a0{book.names[_key(name)]}\u00a0».", "Donnez un autre nom.")
    steps = [_step(book, number, turn) for number, turn in enumerate(_chosen(turns), 1)]
    twin = next((told for told, others in book.stories.items() if others == _plain_steps(steps)), None)
    if twin is not None:
        raise BadStory(
            f"Cette suite est déjà dans les histoires\u00a0: «\u00a0{twin}\u00a0».", "Il n’y a rien à ajouter."
        )
    _must_agree(book, name, steps)
    return Draft(STORY, name, STORIES, _block(name, steps, book.indent))


def played(project: Project, name: str, turns: Sequence[Turn]) -> Draft:
    """The file for tests/engine/conversations. Raises BadStory, BadFile. Blocks."""
    name = _name(name)
    known = _Replies.read(project)
    steps = [_row_of_test(number, turn, known) for number, turn in enumerate(_chosen(turns), 1)]
    return Draft(TEST, name, _free_file(project, name), _dumped(name, steps))


def must_be_short(words: Sequence[str]) -> None:
    """Refuse messages of a test that are too long to be looked through for personal data. Raises BadStory."""
    for number, one in enumerate(words, 1):
        if len(one) > LONGEST_WORDS:
            raise BadStory(
                f"Message n°\u00a0{number}\u00a0: il compte {len(one)} caractères, plus de {LONGEST_WORDS}.",
                "Raccourcissez-le, ou décochez-le.",
            )
    total = sum(map(len, words))
    if total > MOST_WORDS:
        raise BadStory(
            f"Les messages comptent ensemble {total} caractères, plus de {MOST_WORDS}.", "Décochez-en quelques-uns."
        )


def add(project: Project, draft: Draft, who: str = "") -> None:
    """Write it. Raises BadStory, BadFile, Changed (a file of that name came meanwhile). Blocks.

    A story is recorded by the next publication, with the other data; a test is no data, so git gets it at once, under the name
    of `who`, where there is git.
    """
    with project.lock():
        if draft.kind == TEST:
            project.path(TESTS).mkdir(parents=True, exist_ok=True)
            if project.path(draft.file).exists():
                raise Changed(f"{draft.file} existe déjà.", "Donnez un autre nom.")
            project.write(draft.file, draft.text)
            _record(project, draft, who, "Test")
            return
        before = project.read(STORIES)
        project.write(STORIES, _with_block(before, draft))


@dataclass(frozen=True)
class Removed:
    """The texts of data/stories.yml before and after; "" of a test."""

    before: str = ""
    after: str = ""


def remove(project: Project, draft: Draft, who: str = "") -> Removed:
    """Take back exactly what was added. Raises Changed when somebody has edited it since. Blocks."""
    with project.lock():
        if draft.kind == TEST:
            place = project.path(draft.file)
            if not place.exists() or project.read(draft.file) != draft.text:
                raise _edited(draft)
            place.unlink()
            _record(project, draft, who, "Test annulé")
            return Removed()
        now = project.read(STORIES)
        if now.count(draft.text) != 1:
            raise _edited(draft)
        after = _joined(*now.split(draft.text))
        project.write(STORIES, after)
        return Removed(now, after)


def put_back(project: Project, draft: Draft, removed: Removed, who: str = "") -> None:
    """As it was before `remove`: a story in its place, unless the file has changed since. Raises as `add`. Blocks."""
    if draft.kind == STORY:
        with project.lock():
            if project.read(STORIES) == removed.after:
                project.write(STORIES, removed.before)
                return
    add(project, draft, who)


def _record(project: Project, draft: Draft, who: str, what: str) -> None:
    """Record that one file, and nothing else that stands in the tree; what git refuses stays there for its keeper to see."""
    if not who:
        return
    message = f"{what} : {draft.name}"
    with contextlib.suppress(NoGit):
        project.git("add", "--all", "--", draft.file)
        project.git(
            "commit", "--quiet", "--no-verify", "--no-gpg-sign", "-m", message, "--", draft.file, author=author(who)
        )


def _edited(draft: Draft) -> Changed:
    return Changed(
        f"«\u00a0{draft.name}\u00a0» a été modifié ou retiré depuis\u00a0: rien n’a été annulé.",
        f"Corrigez {draft.file} à la main.",
    )


# -- What was chosen -------------------------------------------------------------------------------------------------------


def _chosen(turns: Sequence[Turn]) -> Sequence[Turn]:
    if not turns:
        raise BadStory("Aucun message n’est choisi.", "Cochez au moins un message auquel l’assistant a répondu.")
    if len(turns) > MOST_TURNS:
        raise BadStory(f"{len(turns)} messages sont choisis.", f"Gardez-en {MOST_TURNS} au plus.")
    return turns


def _name(given: str) -> str:
    name = " ".join(given.split())
    if not name:
        raise BadStory("Il manque un nom.", "Dites en quelques mots ce qui s’y passe.")
    if len(name) > LONGEST_NAME:
        raise BadStory(f"Le nom compte {len(name)} caractères.", f"Gardez-en {LONGEST_NAME} au plus.")
    if not all(c.isprintable() for c in name) or not any(c.isalpha() for c in name):
        raise BadStory("Ce nom ne se lit pas.", "Employez des lettres, des chiffres et des espaces.")
    return name


def _key(name: str) -> str:
    """A name without accents, capitals and signs: what makes two names the same, and a file's name."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(c))
    bare = bare.replace("œ", "oe").replace("æ", "ae")
    return re.sub(r"[^a-z0-9]+", "_", bare).strip("_")


# -- What the project's files say ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    """What a person meant, then what was done."""

    intent: str
    entities: tuple[tuple[str, str], ...]
    action: str
    slots: tuple[tuple[str, str], ...] = ()


# What a policy sees of a step of a story: an intent with the names of its entities, or an action, or anything else.
Plain = tuple[Any, ...]


@dataclass(frozen=True)
class Book:
    """Domain, rules, stories and lists, as far as a new story has to agree with them.

    `rules`: intent → the action of its rule; `stories`: name → its steps; `names`: of stories and rules, by key;
    `values`: entity → what our lists call it; `weighty`: entities whose slot weighs in the dialogue.
    """

    intents: frozenset[str]
    entities: frozenset[str]
    actions: frozenset[str]
    weighty: frozenset[str]
    rules: Mapping[str, str]
    stories: Mapping[str, tuple[Plain, ...]]
    names: Mapping[str, str]
    values: Mapping[str, tuple[str, ...]]
    indent: int

    @classmethod
    def read(cls, project: Project) -> Book:
        """From the files as they are now. Raises BadFile."""
        domain, rules = _loaded(project, DOMAIN), _loaded(project, RULES)
        told = {_text(one["story"]): one for one in _blocks(_loaded(project, STORIES), STORIES, "stories", "story")}
        kept = {_text(one["rule"]): one for one in _blocks(rules, RULES, "rules", "rule")}
        intents = frozenset(_names(domain.get("intents")))
        slots = domain.get("slots") or {}
        return cls(
            intents=intents,
            entities=frozenset(_names(domain.get("entities"))),
            actions=frozenset(_names(domain.get("actions"))) | frozenset(domain.get("responses") or {}),
            weighty=frozenset(
                name for name, slot in slots.items() if str(slot.get("influence_conversation", "true")) != "false"
            ),
            rules=dict(_short_rules(kept.values())),
            stories={name: tuple(_plain(one.get("steps") or ())) for name, one in told.items()},
            names={_key(name): name for name in (*told, *kept)},
            values=_values(project),
            indent=_indent(project.read(STORIES)),
        )

    def value(self, entity: str, found: str) -> str:
        """The value as a public file may hold it: of our lists, else the first one of them."""
        known = self.values.get(entity, ())
        return found if found in known else next(iter(known), entity)


def _loaded(project: Project, name: str) -> Mapping[str, Any]:
    """A file as plain values: mappings, lists and texts. Raises BadFile. Read anew when the file has changed."""
    return _parsed(project, name, stamp(project.path(name)))


@functools.lru_cache(maxsize=8)
def _parsed(project: Project, name: str, _: Stamp) -> Mapping[str, Any]:
    try:
        node = yaml_text.read(project.read(name))
        must_have_shape(node)
        root = _opened(node)
    except yaml_text.Damaged as error:
        raise BadFile(name, error.what, error.remedy, error.line, error.column) from None
    if not isinstance(root, dict):
        raise BadFile(name, "le fichier devrait commencer par des clés.", "Rétablissez-le depuis git.", 1)
    return root


def _opened(node: yaml_text.Node) -> Any:
    if isinstance(node, yaml_text.Scalar):
        return node.value
    if isinstance(node, yaml_text.Sequence):
        return [_opened(item) for item in node.items]
    return {key.value: _opened(value) for key, value in node.entries}


def _blocks(root: Mapping[str, Any], file: str, key: str, named: str) -> Iterator[Mapping[str, Any]]:
    blocks = root.get(key)
    if not isinstance(blocks, list) or not all(isinstance(one, dict) and named in one for one in blocks):
        raise BadFile(
            file, f"«\u00a0{key}\u00a0» devrait être une liste de «\u00a0{named}\u00a0».", "Rétablissez-le depuis git."
        )
    return iter(blocks)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _names(values: Any) -> Iterator[str]:
    """Names of a list of the domain, each a text or a key with details."""
    for value in values if isinstance(values, list) else ():
        yield value if isinstance(value, str) else next(iter(value), "") if isinstance(value, dict) else ""


def _short_rules(rules: Any) -> Iterator[tuple[str, str]]:
    """intent → action, of rules that say just that."""
    for rule in rules:
        steps = rule.get("steps")
        plain = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
        if len(plain) == 2 and "intent" in plain[0] and "action" in plain[1] and "condition" not in rule:
            yield _text(plain[0]["intent"]), _text(plain[1]["action"])


def _values(project: Project) -> dict[str, tuple[str, ...]]:
    """Entity → values that our lists give it. A list's word that has an equivalence stands for that."""
    lists: dict[str, list[str]] = {}
    same: dict[str, str] = {}
    for block in _loaded(project, NLU).get("nlu") or ():
        if not isinstance(block, dict):
            continue
        items = [line.strip()[1:].strip() for line in _text(block.get("examples")).splitlines() if line.strip()]
        if "lookup" in block:
            lists.setdefault(_text(block["lookup"]), []).extend(items)
        elif "synonym" in block:
            same.update({_key(item): _text(block["synonym"]) for item in items})
    return {
        entity: tuple(dict.fromkeys(same.get(_key(word), word) for word in words)) for entity, words in lists.items()
    }


# -- A story ---------------------------------------------------------------------------------------------------------------


def _step(book: Book, number: int, turn: Turn) -> _Step:
    intent = FALLBACK if turn.lost else turn.intent
    where = f"Message n°\u00a0{number}\u00a0: "
    if turn.route not in (ANSWER, HANDOFF, CLARIFY) or intent is None:
        raise BadStory(
            where + "l’assistant n’y a pas répondu de lui-même.",
            "Décochez-le\u00a0: une urgence, un agent ou la nuit ne passent pas par les histoires.",
        )
    if intent != FALLBACK and intent not in book.intents:
        raise BadStory(where + f"l’intention «\u00a0{intent}\u00a0» n’est plus dans domain.yml.", "Décochez-le.")
    action = book.rules.get(intent)
    if action is None:
        raise BadStory(
            where + f"aucune règle ne dit que faire après «\u00a0{intent}\u00a0».", f"Ajoutez-la d’abord dans {RULES}."
        )
    if action not in book.actions:
        raise BadStory(where + f"l’action «\u00a0{action}\u00a0» n’est pas dans domain.yml.", f"Corrigez {RULES}.")
    entities = tuple(
        (name, book.value(name, value)) for name, value in turn.entities.items() if name in book.entities and value
    )
    slots = tuple(item for item in entities if item[0] in book.weighty)
    return _Step(intent, entities, action, slots)


def _plain_steps(steps: Sequence[_Step]) -> tuple[Plain, ...]:
    return tuple(_plain(step for one in steps for step in _rows(one)))


def _rows(step: _Step) -> Iterator[dict[str, Any]]:
    """A step as the file has it."""
    said: dict[str, Any] = {"intent": step.intent}
    if step.entities:
        said["entities"] = [{name: value} for name, value in step.entities]
    yield said
    if step.slots:
        yield {"slot_was_set": [{name: value} for name, value in step.slots]}
    yield {"action": step.action}


def _plain(steps: Any) -> Iterator[Plain]:
    for step in steps:
        if not isinstance(step, dict):
            continue
        if "intent" in step:
            found = step.get("entities")
            names = sorted(_names(found)) if isinstance(found, list) else []
            yield "intent", _text(step["intent"]), tuple(names)
        elif "action" in step:
            yield "action", _text(step["action"])
        else:
            yield "other", repr(sorted(step.items(), key=lambda item: item[0]))


def _forks(steps: Sequence[Plain]) -> Iterator[tuple[tuple[Plain, ...], str]]:
    """(what a policy remembers, what is done next) at each point, as MemoizationPolicy learns it."""
    states: list[Plain] = []
    before, said = _LISTEN, ("intent", "", ())
    for step in steps:
        if step[0] == "intent":
            if states and before != _LISTEN:
                states.append((before, *said))
                yield tuple(states[-HISTORY:]), _LISTEN
            before, said = _LISTEN, (step[0], step[1], step[2])
        elif step[0] == "action":
            states.append((before, *said))
            yield tuple(states[-HISTORY:]), step[1]
            before = step[1]
        else:
            states.append(step)


def _must_agree(book: Book, name: str, steps: Sequence[_Step]) -> None:
    """No other story does something else at the same point. (The rules agree: each action comes from one.)"""
    wanted = dict(_forks(_plain_steps(steps)))
    for other, told in book.stories.items():
        for memory, action in _forks(told):
            ours = wanted.get(memory, action)
            if ours != action:
                raise BadStory(
                    f"«\u00a0{name}\u00a0» contredit l’histoire «\u00a0{other}\u00a0»\u00a0: au même moment, l’une fait "
                    f"{ours} et l’autre {action}.",
                    f"Corrigez l’histoire ou les règles d’abord ({STORIES}, {RULES}).",
                )


# -- The file of stories ---------------------------------------------------------------------------------------------------

_SIMPLE = re.compile(r"[^\W\d_][\w ’'(),.?!àâäéèêëîïôöùûüç/+-]*", re.IGNORECASE)
_WORDS_OF_YAML = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))


def _scalar(text: str) -> str:
    """A text as YAML, without quotes where it needs none."""
    if _SIMPLE.fullmatch(text) and text.lower() not in _WORDS_OF_YAML and text == text.strip():
        return text
    return "'" + text.replace("'", "''") + "'"


def _block(name: str, steps: Sequence[_Step], indent: int) -> str:
    lines = [f"- story: {_scalar(name)}", "  steps:"]
    for row in (row for step in steps for row in _rows(step)):
        for key, value in row.items():
            start = "  - " if key == next(iter(row)) else "    "
            if isinstance(value, str):
                lines.append(f"{start}{key}: {_scalar(value)}")
                continue
            lines.append(f"{start}{key}:")
            lines += [f"    - {inner}: {_scalar(text)}" for item in value for inner, text in item.items()]
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def _indent(text: str) -> int:
    """Columns before the dash of each story."""
    root = yaml_text.read(text)
    told = root.get("stories") if isinstance(root, yaml_text.Mapping) else None
    return told.column - 1 if isinstance(told, yaml_text.Sequence) and told.items else 0


def _with_block(text: str, draft: Draft) -> str:
    """The file with the block after the last story; nothing else changes, which is checked."""
    lines = text.splitlines(keepends=True)
    end = _end_of_stories(text, len(lines))
    while end and not lines[end - 1].strip():
        end -= 1
    head, tail = "".join(lines[:end]), "".join(lines[end:])
    new = f"{head}{'' if head.endswith(chr(10)) else chr(10)}\n{draft.text}{tail.lstrip(chr(10)) and chr(10)}{tail.lstrip(chr(10))}"
    try:
        before, after = _opened(yaml_text.read(text)), _opened(yaml_text.read(new))
        added = _opened(yaml_text.read("stories:\n" + draft.text))["stories"]
    except yaml_text.Damaged as error:
        raise BadFile(STORIES, error.what, error.remedy, error.line, error.column) from None
    if {**before, "stories": [*before["stories"], *added]} != after or added[0]["story"] != draft.name:
        raise BadFile(STORIES, "l’histoire ne s’y ajoute pas sans changer le reste.", "Rangez le fichier à la main.")
    return new


def _end_of_stories(text: str, lines: int) -> int:
    """How many lines stand before what follows the stories: the next key, with the remarks over it, or the end."""
    root = yaml_text.read(text)
    assert isinstance(root, yaml_text.Mapping)  # Book.read has read it
    key = root.key("stories")
    after = [name.line for name, _ in root.entries if key is not None and name.line > key.line]
    if not after:
        return lines
    end, rows = min(after) - 1, text.splitlines()
    while end and rows[end - 1].startswith("#"):
        end -= 1
    return end


def _joined(before: str, after: str) -> str:
    """The two sides of a block that was taken out, with the blank lines that were there without it."""
    head = before.removesuffix("\n") if before.endswith("\n\n") else before
    return head + after


# -- A conversation that is played ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Replies:
    """Texts of domain.yml that always leave under their name."""

    texts: tuple[str, ...]

    @classmethod
    def read(cls, project: Project) -> _Replies:
        found = []
        for said in (_loaded(project, DOMAIN).get("responses") or {}).values():
            if isinstance(said, list) and len(said) == 1 and isinstance(said[0], dict):
                found.append(_text(said[0].get("text")))
        return cls(tuple(text for text in found if len(text) > 20 and "{" not in text))

    def fragment(self, sent: Sequence[str]) -> str | None:
        """Words by which the longest reply of ours in what was sent is known again."""
        whole = "\n".join(sent)
        inside = max((text for text in self.texts if text in whole), key=len, default=None)
        if inside is None:
            return None
        line = inside.split("\n", 1)[0]
        return line if len(line) <= _FRAGMENT else line[: _FRAGMENT + 1].rsplit(" ", 1)[0].rstrip("\u202f\u00a0 :,;")


def _row_of_test(number: int, turn: Turn, known: _Replies) -> dict[str, Any]:
    where = f"Message n°\u00a0{number}\u00a0: "
    if turn.route not in (ANSWER, HANDOFF, CLARIFY) or turn.intent is None:
        raise BadStory(
            where + "l’assistant n’y a pas répondu de lui-même.",
            "Décochez-le\u00a0: une urgence, un agent ou la nuit ne passent pas par ces tests.",
        )
    if turn.payload is None and not turn.words.strip():
        raise BadStory(where + "il n’a pas de mots.", "Décochez-le.")
    expect: dict[str, Any] = {}
    if not turn.lost:
        expect["intent"] = turn.intent
    fragment = known.fragment(turn.replies)
    if fragment:
        expect["responses_contain"] = [fragment]
    expect["handoff"] = (turn.category or True) if turn.route == HANDOFF else None
    expect["clarify"] = turn.route == CLARIFY
    if turn.silent:
        expect["silence"] = True
    said = {"payload": turn.payload} if turn.payload is not None else {"user": turn.words}
    return {**said, "expect": expect}


def _dumped(name: str, steps: Sequence[Mapping[str, Any]]) -> str:
    yaml = YAML()
    yaml.width = 100_000
    yaml.indent(mapping=2, sequence=2, offset=0)
    yaml.representer.add_representer(type(None), lambda r, _: r.represent_scalar("tag:yaml.org,2002:null", "null"))
    rows = []
    for step in steps:
        said = {key: _quoted(value) if isinstance(value, str) else value for key, value in step.items()}
        expect = dict(step["expect"])
        if "responses_contain" in expect:
            expect["responses_contain"] = _flow(
                [DoubleQuotedScalarString(text) for text in expect["responses_contain"]]
            )
        rows.append({**said, "expect": expect})
    out = StringIO()
    yaml.dump(rows, out)
    return f"# {name}\n{out.getvalue()}"


def _flow(values: list[Any]) -> CommentedSeq:
    found = CommentedSeq(values)
    found.fa.set_flow_style()
    return found


def _quoted(text: str) -> str:
    quoted: str = LiteralScalarString(text) if "\n" in text else SingleQuotedScalarString(text)
    return quoted


def _free_file(project: Project, name: str) -> str:
    """`76_nom_donne.yml`: after the highest number there is."""
    folder = project.path(TESTS)
    taken = [path.name for path in folder.glob("*.yml")] if folder.is_dir() else []
    numbers = [int(found[1]) for one in taken if (found := re.match(r"(\d{1,4})_", one))]
    slug = _key(name)[:50].strip("_")
    if any(re.sub(r"^\d+_", "", one) == f"{slug}.yml" for one in taken):
        raise BadStory(f"Un test s’appelle déjà «\u00a0{name}\u00a0».", "Donnez un autre nom.")
    return f"{TESTS}/{max(numbers, default=0) + 1:02d}_{slug}.yml"

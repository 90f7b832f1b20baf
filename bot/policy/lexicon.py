"""The emergency lexicon: patterns of words that trainers write in `data/danger.yml`, matched over plain words.

All patterns run side by side in one bit-parallel automaton (Shift-And with optional elements, after Navarro and
Raffinot): a message costs the same few integer operations for each word, whatever it says, so time is linear in length.
The form of the file is explained, for trainers, at its own top.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Optional

from bot.policy.lexicon_trace import HIT, Trace, follow
from bot.policy.normalise import BOUNDARIES, HARD, SOFT, tokens
from bot.policy.wordindex import WordIndex

Kind = Literal["danger", "distress"]
_KINDS: dict[str, Kind] = {"danger": "danger", "detresse": "distress"}
MOST_FORMS = 600  # what one line may expand to
_GAPS = {"..": 3, "...": 6}
# A gap never runs over a negation: « il n'a pas de couteau » is not « il a … couteau ».
NEGATIONS = frozenset(["pas", "jamais", "aucun", "aucune", "sans", "rien", "nulle"])
# A negation right after the pattern undoes it: « il ne me frappe pas ».
_UNDOES = frozenset(["pas", "jamais"])
_NE = frozenset(("ne", "n"))


@dataclass(frozen=True)
class Hit:
    """What the lexicon found: an emergency, and the entry of the file that says so.

    `sure`: it needs no confirmation by the score.
    """

    kind: Kind
    entry: str
    sure: bool = False


# What one element accepts: words (marked `~` when a stem, `=` when exact), or None: any word.
_Choice = Optional[frozenset[str]]
_ROLE = Literal["hit", "with", "except", "explain", "guard", "cut"]


@dataclass(frozen=True)
class _Element:
    choice: _Choice
    optional: bool = False


_Form = tuple[_Element, ...]
_EDGE = frozenset((HARD,))


@dataclass(frozen=True)
class _Entry:
    name: str
    kind: Kind
    general: bool
    sure: bool
    despite: frozenset[str]
    wary: frozenset[str]
    companions: int  # how many `avec` lists


@dataclass(frozen=True)
class _Guard:
    name: str
    message_wide: bool  # it counts for the whole message, not its own sentence only
    own_words: bool  # it counts only for what ends within its own words
    on_request: bool  # it counts only for the entries that name it


@dataclass(frozen=True)
class _Use:
    """What the end of a pattern means."""

    role: _ROLE
    owner: int = 0  # entry or guard
    part: int = 0  # which `avec` list


@dataclass(frozen=True)
class _Segment:
    """Part of a sentence: the patterns that ended in it, and whether a cut (« maintenant ») opened it."""

    finals: int
    fresh: bool


@dataclass(frozen=True)
class _Met:
    """A pattern of an entry that was met, the guards of its segment, and those of its passage (from cut to cut).

    The passage's set goes on growing while the message is read: a guard may also follow.
    """

    owner: int
    guards: frozenset[str]
    passage: set[str]


class _Reader:
    """Reads pattern lines; words are normalised exactly as messages are."""

    def __init__(self, groups: Mapping[str, Any]) -> None:
        self._raw = {str(name): value for name, value in groups.items()}
        self._open: list[str] = []
        self._done: dict[str, list[_Form]] = {}

    def group(self, name: str) -> list[_Form]:
        """The ways to read group `@name`."""
        if name in self._done:
            return self._done[name]
        if name not in self._raw:
            raise ValueError(f"le groupe de mots « @{name} » n’existe pas")
        if name in self._open:
            raise ValueError(f"le groupe de mots « @{name} » se contient lui-même")
        self._open.append(name)
        words = _texts(self._raw[name], f"groupe de mots « {name} »", split=True)
        self._done[name] = self._choice(words, optional=False)
        self._open.pop()
        return self._done[name]

    def forms(self, line: str) -> list[_Form]:
        """Every sequence of elements that a pattern line stands for."""
        forms = self._sequence(_split(line, " "), line)
        for form in forms:
            solid = [element for element in form if not element.optional]
            if not solid or form[0].optional or form[-1].optional:
                raise ValueError(f"le motif « {line} » doit commencer et finir par un mot obligatoire")
            if all(element.choice == _EDGE for element in solid):
                raise ValueError(f"le motif « {line} » ne contient aucun mot")
        return forms

    def _sequence(self, pieces: Sequence[str], line: str) -> list[_Form]:
        branches = [self._branches(piece) for piece in pieces]
        count = 1
        for branch in branches:
            count *= len(branch)
        if count > MOST_FORMS:
            raise ValueError(f"le motif « {line} » donne {count} combinaisons (au plus {MOST_FORMS})")
        return [tuple(itertools.chain.from_iterable(choice)) for choice in itertools.product(*branches)]

    def _branches(self, piece: str) -> list[_Form]:
        """The ways to read one piece of a line."""
        gap = re.fullmatch(r"(\.{2,3})(\d*)", piece)
        if gap:
            return [(_Element(None, optional=True),) * (int(gap[2]) if gap[2] else _GAPS[gap[1]])]
        if piece in ("^", "$"):
            return [(_Element(_EDGE),)]
        optional = piece.endswith("?")
        body = piece[:-1] if optional else piece
        if body.startswith("(") and body.endswith(")") and len(_split(body, "|")) == 1:
            body = body[1:-1]
        return self._choice(_split(body, "|"), optional=optional)

    def _choice(self, alternatives: Sequence[str], *, optional: bool) -> list[_Form]:
        """One element for all single words, and a form for each longer alternative."""
        single: set[str] = set()
        longer: dict[_Form, None] = {}
        for alternative in alternatives:
            for form in self._alternative(alternative):
                if len(form) == 1 and form[0].choice is not None:
                    single |= form[0].choice
                else:
                    longer[form] = None
        branches: list[_Form] = [(_Element(frozenset(single), optional=optional),)] if single else []
        branches += longer
        if optional and not single:
            branches.append(())
        return branches

    def _alternative(self, text: str) -> list[_Form]:
        pieces = _split(text, " ")
        if len(pieces) > 1:
            return self._sequence(pieces, text)
        word = text.strip()
        if word.startswith("("):
            return self._branches(word)
        if word.startswith("@"):
            return self.group(word[1:])
        if word in ("^", "$"):
            return [(_Element(_EDGE),)]
        if word in ("#", "#an"):
            return [(_Element(frozenset((word,))),)]
        mark = "=" if word.startswith("=") else "~" if word.endswith("*") else ""
        words = [token for token in tokens(word.strip("=*")) if token not in BOUNDARIES]
        if not words or (mark and len(words) != 1):
            raise ValueError(f"« {text} » n’est pas un mot" if words == [] else f"« {text} » doit être un seul mot")
        return [tuple(_Element(frozenset((mark + token,))) for token in words)]


def _lengths_of(form: _Form) -> Iterator[_Form]:
    """The same with and without each word that may be missing: how many words each has is known."""
    choices: list[tuple[_Form, ...]] = [((_Element(one.choice),), ()) if one.optional else ((one,),) for one in form]
    for kept in itertools.product(*choices):
        yield tuple(itertools.chain.from_iterable(kept))


def _split(text: str, separator: str) -> list[str]:
    """Split at a separator that stands outside parentheses; empty parts are dropped."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
        if character == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    if depth:
        raise ValueError(f"parenthèses mal placées dans « {text} »")
    return [part.strip() for part in parts if part.strip()]


def _texts(value: Any, where: str, *, split: bool = False) -> list[str]:
    """A list of texts; with `split`, also one text of words separated by commas."""
    if split and isinstance(value, str):
        value = [word.strip() for word in value.split(",")]
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f"{where} : une liste de textes est attendue")
    if not value or not all(isinstance(item, (str, int)) and str(item).strip() for item in value):
        raise ValueError(f"{where} : chaque ligne doit être un texte non vide")
    return [str(item).strip() for item in value]


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key) or {}
    if not isinstance(value, Mapping):
        raise ValueError(f"« {key} » : des paires « nom: … » sont attendues")
    return value


class _Builder:
    """Lays patterns out as bits of one automaton."""

    def __init__(self, reader: _Reader, real: Iterable[str]) -> None:
        self.reader = reader
        self.index = WordIndex(real)
        self.bits = 0
        self.first = self.last = self.gaps = self.boundary = self.number = self.year = 0
        self.optional = self.block_before = self.block_end = 0
        self.uses: dict[int, _Use] = {}
        self.lengths: dict[int, int] = {}  # in words, of the patterns that count for their own words only
        self._words: dict[str, int] = {}
        self._known: dict[tuple[_Form, _Use], None] = {}

    def add(self, line: str, use: _Use, own_words: bool = False) -> None:
        """Every form of one line, each once for the same use. `own_words`: what it means counts for its own words only."""
        for form in self.reader.forms(line):
            for laid in _lengths_of(form) if own_words else [form]:
                if (laid, use) not in self._known:
                    self._known[laid, use] = None
                    self._lay(laid, use)
                    if own_words:
                        self.lengths[self.bits - 1] = len(laid)

    def _lay(self, form: _Form, use: _Use) -> None:
        self.first |= 1 << self.bits
        for at, element in enumerate(form):
            bit = 1 << self.bits
            if element.choice is None:
                self.gaps |= bit
            else:
                for word in element.choice:
                    self._words[word] = self._words.get(word, 0) | bit
            if element.optional:
                self.optional |= bit
                if not form[at - 1].optional:
                    self.block_before |= bit >> 1
                if not form[at + 1].optional:
                    self.block_end |= bit
            self.bits += 1
        self.last |= 1 << (self.bits - 1)
        self.uses[self.bits - 1] = use

    def finish(self) -> None:
        """Hand the words over to the index."""
        self.boundary = self._words.pop(HARD, 0)
        self.number = self._words.pop("#", 0)
        self.year = self._words.pop("#an", 0)
        for word, mask in self._words.items():
            if word.startswith("~"):
                self.index.add_stem(word[1:], mask)
            else:
                self.index.add_word(word.lstrip("="), mask, exact=word.startswith("="))


class Lexicon:
    """Finds present danger and distress in a message. Build it with `from_mapping`."""

    def __init__(self, builder: _Builder, entries: Sequence[_Entry], guards: Sequence[_Guard]) -> None:
        self._built = builder
        self._entries = tuple(entries)
        self._guards = tuple(guards)
        self._cuts = self._mask("cut")
        self._undoable = self._mask("hit") | self._mask("with")
        self._explained = {bit: self._explained_by(builder.uses[bit]) for bit in builder.lengths}
        self._explaining = sum(1 << bit for bit in self._explained)
        self._any = builder.gaps

    def _mask(self, role: _ROLE) -> int:
        return sum(1 << bit for bit, use in self._built.uses.items() if use.role == role)

    def _explained_by(self, explaining: _Use) -> int:
        """What a pattern that counts for its own words undoes where it ends among them."""
        name = self._guards[explaining.owner].name if explaining.role == "guard" else ""
        return sum(
            1 << bit
            for bit, use in self._built.uses.items()
            if use.role in ("hit", "with")
            and (name not in self._entries[use.owner].despite if name else use.owner == explaining.owner)
        )

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Lexicon:
        """Read the parsed file. Raises ValueError, in French and with the entry's name, when something is wrong in it."""
        if not isinstance(data, Mapping):
            raise ValueError("le lexique doit contenir « entrees »")
        unknown = set(data) - {"mots", "vrais_mots", "coupures", "reperes", "entrees"}
        if unknown:
            raise ValueError(f"rubrique inconnue : {', '.join(sorted(map(str, unknown)))}")
        real = _texts(data["vrais_mots"], "« vrais_mots »", split=True) if data.get("vrais_mots") else []
        reader = _Reader(_mapping(data, "mots"))
        builder = _Builder(reader, (token for word in real for token in tokens(word)))
        for line in _texts(data.get("coupures") or ["maintenant"], "« coupures »"):
            builder.add(line, _Use("cut"))
        guards = _read_guards(builder, _mapping(data, "reperes"))
        entries = _read_entries(builder, data.get("entrees"), guards)
        builder.finish()
        return cls(builder, entries, guards)

    def find(self, text: str) -> Optional[Hit]:
        """The emergency that a message tells, or None.

        When both kinds are found the first entry of the file wins, but a general one (« au secours ») gives way.
        """
        return next(iter(self.entries_in(text)), None)

    def entries_in(self, text: str) -> tuple[Hit, ...]:
        """Every entry that a message meets, the one that speaks for it first."""
        owners = sorted(set(self._hits(tokens(text))), key=lambda owner: (self._entries[owner].general, owner))
        met = (self._entries[owner] for owner in owners)
        return tuple(Hit(entry.kind, entry.name, entry.sure) for entry in met)

    def guards_in(self, text: str) -> tuple[str, ...]:
        """The names of the guards that a message sets off, for the workbench and tests."""
        found = {
            use.owner for segment in self._scan(tokens(text)) for use in self._uses(segment) if use.role == "guard"
        }
        return tuple(self._guards[owner].name for owner in sorted(found))

    def stands(self, words: Sequence[str], name: str) -> bool:
        """Whether that entry is met by words of `normalise.tokens`."""
        return any(self._entries[owner].name == name for owner in self._hits(words))

    def trace(self, words: Sequence[str], name: str) -> Trace:
        """Which of these words (of `normalise.tokens`) an entry's patterns were met by, whether or not a guard undid them.

        Much slower than `entries_in`: for a message that has raised the alarm.
        """
        wanted = {
            bit: use.part if use.role == "with" else HIT
            for bit, use in self._built.uses.items()
            if use.role in ("hit", "with") and self._entries[use.owner].name == name
        }
        steps = [(part, at) for at, word in enumerate(words) for part in self._parts(word)]
        return follow(self._built, self._class_of, wanted, [(HARD, -1), *steps, (HARD, len(words))])

    def _class_of(self, token: str) -> int:
        """The elements of all patterns that a word satisfies."""
        built = self._built
        mask = built.index.lookup(token)
        if token.isdigit():
            mask |= built.number
            if len(token) == 4 and token[:2] in ("19", "20"):
                mask |= built.year
        return mask if token in NEGATIONS else mask | self._any

    def _parts(self, token: str) -> tuple[str, ...]:
        return (token,) if token in BOUNDARIES else self._built.index.parts(token)

    def _scan(self, words: Sequence[str]) -> list[_Segment]:
        """Run the automaton over a message; what ended in each of its segments."""
        built = self._built
        first, optional, before, end = built.first, built.optional, built.block_before, built.block_end
        last, cuts, undoable, explaining = built.last, self._cuts, self._undoable, self._explaining
        state, pending, found, since_ne = 0, 0, 0, 99
        ended: dict[int, int] = {}  # place of a word → what ended with it in this segment, and may be explained yet
        segments: list[_Segment] = []
        fresh = False

        def close(more: int = 0) -> None:
            nonlocal found, ended
            for bits in ended.values():
                found |= bits
            segments.append(_Segment(found | more, fresh))
            found, ended = 0, {}

        words_in_full = itertools.chain((HARD,), itertools.chain.from_iterable(map(self._parts, words)), (HARD,))
        for place, token in enumerate(words_in_full):
            if token in _UNDOES or (token == "plus" and since_ne < 6):  # noqa: S105
                pending = 0
            if pending:
                ended[place - 1] = pending
            pending = 0
            since_ne = 0 if token in _NE else since_ne + 1
            if token == SOFT:
                close()
                fresh = False
                state |= ((state << 1) | first) & built.boundary
                continue
            state = ((state << 1) | first) & (built.boundary if token == HARD else self._class_of(token))
            reached = state | end
            state |= optional & (~(reached - before) ^ reached)
            finals = state & last
            explained = self._explain(finals & explaining, place, ended)
            if token == HARD:  # a pattern may end with its sentence, and belongs to it
                close(finals)
                fresh = False
                continue
            if finals & cuts:
                close()
                fresh = True
            found |= finals & ~undoable
            pending = finals & undoable & ~explained
        return segments

    def _explain(self, explaining: int, place: int, ended: dict[int, int]) -> int:
        """Take out of `ended` what ended within the words of these patterns, which end at `place`; what they undo at `place`."""
        explained = 0
        for bit in _bits(explaining):
            undone = self._explained[bit]
            explained |= undone
            for at in range(place - self._built.lengths[bit] + 1, place):
                if at in ended:
                    ended[at] &= ~undone
        return explained

    def _uses(self, segment: _Segment) -> Iterator[_Use]:
        return (self._built.uses[bit] for bit in _bits(segment.finals))

    def _hits(self, words: Sequence[str]) -> Iterator[int]:
        """The entries that stand: met where no guard undoes them, and with the company they ask for."""
        met: list[_Met] = []
        company: dict[int, set[int]] = {}
        passage: set[str] = set()
        message_wide: set[str] = set()
        for segment in self._scan(words):
            uses = list(self._uses(segment))
            if segment.fresh:
                passage = set()
            guards = {self._guards[use.owner] for use in uses if use.role == "guard"}
            here = {guard for guard in guards if not guard.own_words}
            message_wide |= {guard.name for guard in here if guard.message_wide}
            names = frozenset(guard.name for guard in here)
            passage |= names
            banned = {use.owner for use in uses if use.role == "except"}
            for use in uses:
                if use.role == "hit" and use.owner not in banned:
                    met.append(_Met(use.owner, names, passage))
                elif use.role == "with" and not names - self._entries[use.owner].despite:
                    company.setdefault(use.owner, set()).add(use.part)
        for one in met:
            entry = self._entries[one.owner]
            undone = (one.guards | message_wide) - entry.despite or entry.wary & one.passage
            if not undone and len(company.get(one.owner, ())) >= entry.companions:
                yield one.owner


def _bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _read_guards(builder: _Builder, guards: Mapping[str, Any]) -> list[_Guard]:
    read: list[_Guard] = []
    for name, body in guards.items():
        where = f"repère « {name} »"
        if not isinstance(body, Mapping) or set(body) - {"portee", "motifs", "sur_demande"}:
            raise ValueError(f"{where} : seuls « motifs », « portee » et « sur_demande » sont attendus")
        scope = body.get("portee", "phrase")
        if scope not in ("mots", "phrase", "message"):
            raise ValueError(f"{where} : « portee » vaut « mots », « phrase » ou « message »")
        _add(builder, body.get("motifs"), _Use("guard", len(read)), where, own_words=scope == "mots")
        read.append(_Guard(str(name), scope == "message", scope == "mots", bool(body.get("sur_demande"))))
    return read


def _add(builder: _Builder, lines: Any, use: _Use, where: str, own_words: bool = False) -> None:
    for line in _texts(lines, where):
        try:
            builder.add(line, use, own_words)
        except ValueError as error:
            raise ValueError(f"{where} : {error}") from None


_ENTRY_KEYS = {
    "nom",
    "genre",
    "motifs",
    "avec",
    "sauf",
    "sauf_mots",
    "malgre",
    "reperes",
    "prudence",
    "generale",
    "sure",
}


def _read_entries(builder: _Builder, entries: Any, guards: Sequence[_Guard]) -> list[_Entry]:
    if isinstance(entries, str) or not isinstance(entries, Sequence) or not entries:
        raise ValueError("« entrees » : une liste d’entrées est attendue")
    read: list[_Entry] = []
    for number, body in enumerate(entries, start=1):
        if not isinstance(body, Mapping) or not body.get("nom"):
            raise ValueError(f"entrée n° {number} : il manque « nom »")
        if body["nom"] in {entry.name for entry in read}:
            raise ValueError(f"entrée « {body['nom']} » : ce nom est déjà pris")
        read.append(_read_entry(builder, body, len(read), guards))
    return read


def _read_entry(builder: _Builder, body: Mapping[str, Any], owner: int, guards: Sequence[_Guard]) -> _Entry:
    name = str(body["nom"])
    where = f"entrée « {name} »"
    unknown = set(body) - _ENTRY_KEYS
    if unknown:
        raise ValueError(f"{where} : mot-clé inconnu : {', '.join(sorted(map(str, unknown)))}")
    if body.get("genre") not in _KINDS:
        raise ValueError(f"{where} : « genre » vaut « danger » ou « detresse »")
    for key in ("generale", "sure"):
        if not isinstance(body.get(key, False), bool):
            raise ValueError(f"{where} : « {key} » vaut « true » ou « false »")
    _add(builder, body.get("motifs"), _Use("hit", owner), where)
    company = body.get("avec") or []
    if not isinstance(company, Sequence) or isinstance(company, str):
        raise ValueError(f"{where} : « avec » : une liste de listes est attendue")
    for part, lines in enumerate(company):
        _add(builder, lines, _Use("with", owner, part), f"{where}, « avec »")
    if body.get("sauf"):
        _add(builder, body["sauf"], _Use("except", owner), f"{where}, « sauf »")
    if body.get("sauf_mots"):
        _add(builder, body["sauf_mots"], _Use("explain", owner), f"{where}, « sauf_mots »", own_words=True)
    despite, asked, wary = (
        _guard_names(body.get(key), guards, f"{where}, « {key} »") for key in ("malgre", "reperes", "prudence")
    )
    despite |= {guard.name for guard in guards if guard.on_request} - asked
    return _Entry(
        name, _KINDS[body["genre"]], bool(body.get("generale")), bool(body.get("sure")), despite, wary, len(company)
    )


def _guard_names(value: Any, guards: Sequence[_Guard], where: str) -> frozenset[str]:
    if not value:
        return frozenset()
    names = frozenset(_texts(value, where))
    unknown = names - {guard.name for guard in guards}
    if unknown:
        raise ValueError(f"{where} : repère inconnu : {', '.join(sorted(unknown))}")
    return names

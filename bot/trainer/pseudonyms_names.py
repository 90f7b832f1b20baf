"""Names of people in a message: by what announces them, by lists of first names, by spaCy's French model.

None of the three is enough. spaCy reads capitals well and lower case badly; lists know « karim » but not « gwendal le bihan »;
« je m'appelle », « mon voisin », « l'agent » announce a name whatever it is, but most names are not announced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bot.trainer.pseudonyms_kinds import Kind, Span
from bot.trainer.pseudonyms_words import (
    ENDS_NAME,
    TOWNS,
    ambiguous_names,
    family_names,
    first_names,
    is_ordinary,
    is_verb,
    is_written_so,
    plain,
)

MOST_WORDS = 4  # of one name, particles not counted
_I = re.IGNORECASE
_WORD = re.compile(r"[^\W\d_]+(?:['’.-](?=[^\W\d_])[^\W\d_]+)*\.?(?![\w@])|(?<![\w])[^\W\d_]+(?![\d_])")
_PARTICLES = frozenset(
    "de du da das dos di del della el al ben bin le la les van von der den d n' o' mac mc st saint sainte y".split()  # noqa: SIM905
)

# -- what announces a name -----------------------------------------------------------------------------------------

_ROLE = (
    r"m\.|mr\.?|mrs\.?|mons(?:ieur)?|mme\.?|mdme|madame|mlle|mademoiselle|ma[îi]tre|me(?=\s(?-i:[A-Z]))|dr\.?|"
    r"docteure?|professeure?|prof|agente?|brigadi[eè]re?(?:[ -]che(?:f|ffe))?|"
    r"gardien(?:ne)?(?: de la paix)?|gpx|lieutenante?|capitaine|commandante?|commissaire|majore?|"
    r"adjudante?(?:[ -]chef)?|opj|apj|inspecteur|inspectrice|"
    r"policier|polici[eè]re|flic|sergente?|colonel|juge|procureure?|directeur|directrice|avocate?|fonctionnaire|"
    r"infirmi[eè]re?|veuve"
)
_KIN = (
    r"fils|fille|garçon|mari|femme|[ée]pou(?:x|se)|ex|copain|copine|pote|amie?|fr[èe]re|s(?:œ|oe)ur|jumelles|jumeaux|"
    r"cousine?|neveu|ni[èe]ce|oncle|tante|"
    r"p[èe]re|m[èe]re|papa|maman|mamie|mami|papi|papy|voisine?s?|coll[èe]gues?|coloc(?:ataire)?|patronn?e?|"
    r"compagn(?:on|e)|conjointe?|b[ée]b[ée]|"
    r"b(?:eau|elle)[ -]?(?:fr[èe]re|p[èe]re|m[èe]re|s(?:œ|oe)ur|fils|fille)|grand[- ]?(?:m[èe]re|p[èe]re)|filleule?|"
    r"camarades?|mec|meuf|nana|"
    r"petit(?:e)?(?: ami| amie| copain| copine)?|enfants?|famille|couple|victime|t[ée]moin|auteur|suspect|conducteur|"
    r"conductrice|bailleur|proprio|chef"
)
# After these a name follows, whatever it looks like.
_SURE = re.compile(
    r"\b(?:je\s+m['’ ]?a?p+el+e?s?|j['’ ]?m['’ ]?ap+el+e?|jmap+el+e?|m['’]ap+el+e?|map+el+e|me\s+nom+e|my\s+name\s+is|"
    r"s['’ ]?ap+el+(?:e|ent|ait)|se\s+f(?:ai|esai|aisai)(?:t|s)?\s+ap+el+er|on\s+l['’]ap+el+e|d[ée]?nomm[ée]e?|(?:le|"
    r"la|un|une)\s+nomm[ée]e?|surnomm[ée]e?|alias|"
    r"(?:pr[ée])?nom(?:\s+de\s+(?:jeune\s+fille|famille))?\s*(?::|c['’ ]?est|est|cest|c['’]\s?)|"
    r"nom(?=\s+(?-i:[A-Z]{3}))|pr[ée]nom(?=\s+(?-i:[A-Z]))|"
    r"au\s+nom\s+(?:de|d['’])|je\s+me\s+pr[ée]sente|je\s+soussign[ée]e?|sign[ée]e?\s*:|n[ée]+e\s+(?=(?-i:[A-Z]))|"
    r"[ée]pouse\s+(?=(?-i:[A-Z]))|"
    r"passer\s+pour|procuration\s+pour|contre\s+(?=(?-i:[A-Z]))|appelez?\s+(?=(?-i:[A-Z])))\s*[:,]?\s*",
    _I,
)
_LIKELY = re.compile(
    rf"(?:(?<!\w)(?:{_ROLE})\s+(?:{_ROLE})?\s*|\b(?:{_KIN})(?:\s+(?:est|du|de la classe)\b)?\s*,?\s*\(?|"
    r"\b(?:moi\s*,?\s*c['’ ]?(?:est)?|moi\s+cest|moi|ici|c['’]est\s+(?:encore|moi)|c\s+(?:encore|moi)?|contact|"
    r"t[ée]moins?|merci\s+[àa]|bravo\s+[àa]|signé|"
    r"une?\s+certaine?|de\s+la\s+part\s+de)\s*:?\s+)",
    _I,
)
# After these a word that French does not have, or a first name, is a name.
_WEAK = re.compile(
    r"\b(?:c['’]est|cest|je\s+suis|jsuis|j\s?suis|chez|les|avec|entre|un|une|contre|et|ou|qu[ei]|bisous|[àa]|pour|sur|par)\s+",
    _I,
)
# The end of a letter.
_CLOSING = re.compile(
    r"(?:cordialement|cdt|cdlt|bien [àa] vous|merci(?: d['’]avance)?|salutations[^\n]{0,40}|sinc[èe]res salutations|"
    r"bisous|respectueusement)[\s,.!:]+",
    _I,
)


@dataclass(frozen=True)
class _Word:
    start: int
    end: int
    text: str
    plain: str

    @property
    def capital(self) -> bool:
        return self.text[:1].isupper()


def names(text: str, people: Sequence[tuple[int, int]], taken: Sequence[Span]) -> Iterator[Span]:
    """Spans of names. `people`: what spaCy takes for persons; `taken`: what other rules hold, where no name is looked for."""
    held = bytearray(len(text) + 1)
    for span in taken:
        held[span.start : span.end] = b"\x01" * (span.end - span.start)
    words = [word for word in _split(text) if not held[word.start]]
    reader = _Reader(text, words)
    yield from reader.announced()
    yield from reader.listed()
    yield from reader.seen(people)
    yield from reader.closing()


def _split(text: str) -> Iterator[_Word]:
    for found in _WORD.finditer(text):
        written, start = found[0], found.start()
        initial = len(written) == 2 and written[1] == "."
        if written.endswith(".") and not initial:
            written = written[:-1]
        elided = re.match(r"(?:[dljmnstcDLJMNSTC]|qu|Qu)['’](?=\w)", written)
        if elided and not re.match(r"[NO]['’][A-Z]|d['’][A-Z]", written):
            written, start = written[elided.end() :], start + elided.end()
        yield _Word(start, start + len(written), written, plain(written.rstrip(".")))


class _Reader:
    """Reads one message. `shouts`: all in capitals, where a capital says nothing."""

    def __init__(self, text: str, words: Sequence[_Word]) -> None:
        self._text = text
        self._words = words
        self._at = {word.start: index for index, word in enumerate(words)}
        letters = [letter for letter in text if letter.isalpha()]
        self.shouts = len(letters) > 12 and sum(letter.isupper() for letter in letters) > 0.7 * len(letters)

    def announced(self) -> Iterator[Span]:
        """« je m'appelle … », « mon voisin … », « l'agent … »."""
        for found in _SURE.finditer(self._text):
            index = self._next(found.end())
            if index is not None and self._may_be(index, sure=True):
                yield self._from(index, sure=True)
        for found in _LIKELY.finditer(self._text):
            index = self._next(found.end())
            if index is not None and self._may_be(index, sure=False):
                yield self._from(index)
        for found in _WEAK.finditer(self._text):
            index = self._next(found.end())
            if index is not None and self._unheard(index):
                yield self._from(index)

    def listed(self) -> Iterator[Span]:
        """Known first names, wherever they stand."""
        for index, word in enumerate(self._words):
            if self._is_first_name(index):
                yield self._from(self._back(index))
            elif "." in word.text[:-1] and plain(word.text.split(".")[0]) in first_names():  # « léa.m »
                yield Span(word.start, word.end, Kind.NAME)

    def seen(self, people: Sequence[tuple[int, int]]) -> Iterator[Span]:
        """What spaCy takes for a person, without the words that no name has."""
        for start, end in people:
            inside = [index for index, word in enumerate(self._words) if start <= word.start < end]
            while inside and not self._carries(inside[0]):
                inside.pop(0)
            while inside and not self._carries(inside[-1]):
                inside.pop()
            if inside and any(self._strong(index) for index in inside):
                yield Span(self._words[inside[0]].start, self._words[inside[-1]].end, Kind.NAME)

    def closing(self) -> Iterator[Span]:
        """One to three capitalised words after a letter's last formula, or alone on its last line."""
        for found in _CLOSING.finditer(self._text):
            index = self._next(found.end(), gap=3)
            if (
                index is not None
                and ((self._words[index].capital and not self.shouts) or self._is_first_name(index))
                and self._may_be(index, sure=True)
            ):
                yield self._from(index)
        last = self._text.rstrip().rfind("\n")
        sentence = max(last, self._text.rstrip().rfind(". ") + 1, self._text.rstrip().rfind("? ") + 1)
        tail = [index for index, word in enumerate(self._words) if word.start > sentence]
        alone = (
            sentence > 0 and 1 <= len(tail) <= 3 and not self.shouts and all(self._ends_letter(index) for index in tail)
        )
        if alone and any(not is_ordinary(self._words[index].text) for index in tail):
            yield Span(self._words[tail[0]].start, self._words[tail[-1]].end, Kind.NAME)

    def _ends_letter(self, index: int) -> bool:
        word = self._words[index]
        return word.capital and word.plain not in ENDS_NAME | TOWNS

    # -- one word ------------------------------------------------------------------------------------------------

    def _next(self, at: int, gap: int = 2) -> int | None:
        """The word that begins at `at`, or a quotation mark further on."""
        for start in range(at, at + gap + 1):
            if start in self._at:
                return self._at[start]
            if start < len(self._text) and self._text[start].isalnum():
                return None
        return None

    def _is_town(self, index: int) -> bool:
        """After a postcode."""
        return (
            re.search(r"(?<!\d)\d{5}\s$", self._text[max(0, self._words[index].start - 7) : self._words[index].start])
            is not None
        )

    def _begins_sentence(self, index: int) -> bool:
        before = self._text[: self._words[index].start].rstrip(" «\"'(\u00a0\u202f")
        return not before or before[-1] in ".!?\n:;…"

    def _may_be(self, index: int, sure: bool) -> bool:
        word = self._words[index]
        if self._is_town(index):
            return False
        if word.plain in ENDS_NAME or (word.plain in TOWNS and not sure):
            return False
        if sure:
            return word.plain not in _NEVER
        if word.capital and not self.shouts:
            return word.plain not in _NEVER
        return (
            not is_ordinary(word.text)
            and len(word.plain) > 2
            and word.plain not in _NEVER
            and not _is_misspelt(word.plain)
        )

    def _unheard(self, index: int) -> bool:
        """Whether a capitalised word is no French one, nor a town, nor a brand: it is a family name or a first name."""
        word = self._words[index]
        return (
            word.capital
            and not self.shouts
            and not word.text.isupper()
            and word.plain in family_names() | first_names()
            and self._may_be(index, sure=False)
            and not is_ordinary(word.text)
        )

    def _is_first_name(self, index: int) -> bool:
        word = self._words[index]
        parts = re.split(r"[-']", word.plain)
        if not (parts[0] in first_names() and (len(parts) == 1 or parts[-1] in first_names())):
            return False
        if not is_written_so(word.text):
            return False
        if index and self._words[index - 1].plain in ("st", "ste", "saint", "sainte"):
            return False
        if word.plain not in ambiguous_names():
            return word.capital or index == 0 or self._words[index - 1].plain not in _BEFORE_VERB
        if self.shouts or not word.capital or word.text.isupper():
            return False
        follows = index + 1 < len(self._words) and self._adjoins(index) and self._words[index + 1].capital
        return not self._begins_sentence(index) or (follows and self._words[index + 1].plain in family_names())

    def _adjoins(self, index: int) -> bool:
        """Whether only a space stands between this word and the next."""
        between = self._text[self._words[index].end : self._words[index + 1].start]
        return between in (" ", "\u00a0", "\u202f", "  ", "-", ' "', ", ") and between != ", "

    def _belongs(self, index: int, lower: bool, sure: bool) -> bool:
        """Whether a word goes on with the name before it."""
        word = self._words[index]
        if word.plain in ENDS_NAME or word.plain in _NEVER or word.plain in TOWNS:
            return False
        if word.capital and not self.shouts:
            return True
        if len(word.plain) == 1:
            return word.capital or (lower and word.plain in "bfghkpqrvwxz")
        if len(word.plain) == 2 and word.plain not in family_names() | first_names():
            return False
        if self._is_first_name(index) or (word.plain in family_names() and not is_ordinary(word.text)):
            return True
        return (
            (lower or self.shouts)
            and (not is_ordinary(word.text) or (sure and not is_verb(word.text)))
            and not _is_misspelt(word.plain)
        )

    def _from(self, index: int, sure: bool = False) -> Span:
        """The name that begins with this word."""
        first, last, count = index, index, 1
        lower = not self._words[index].capital or self.shouts
        while count < MOST_WORDS and last + 1 < len(self._words) and self._adjoins(last):
            step, ahead = last + 1, last + 1
            while (
                self._words[ahead].plain in _PARTICLES
                and ahead + 1 < len(self._words)
                and self._adjoins(ahead)
                and ahead - step < 2
            ):
                ahead += 1
            if ahead > step and not (self._words[ahead].capital or not is_ordinary(self._words[ahead].text)):
                break
            if ahead > step and self._words[step].plain in ("de", "du", "d") and not self._words[ahead].capital:
                break
            if ahead > step and not self._belongs(ahead, lower, sure):
                break
            if ahead == step and not self._belongs(step, lower, sure):
                break
            last, count = ahead, count + 1
        return Span(self._words[first].start, self._words[last].end, Kind.NAME)

    def _back(self, index: int) -> int:
        """The family name may come first: « BERGER PAUL », « TESTUD Régine »."""
        before = index - 1
        if before >= 0 and self._adjoins(before):
            word = self._words[before]
            if word.plain in first_names() and is_written_so(word.text):  # « jean michel »
                return before
            known = word.plain in family_names() or not is_ordinary(word.text)
            if word.text.isupper() and len(word.text) > 2 and known and word.plain not in ENDS_NAME | TOWNS | _NEVER:
                return before
        return index

    def _carries(self, index: int) -> bool:
        word = self._words[index]
        return (
            word.capital
            and word.plain not in ENDS_NAME
            and word.plain not in _NEVER
            and word.plain not in TOWNS
            and not self._is_town(index)
        )

    def _strong(self, index: int) -> bool:
        """Whether a word of spaCy's person is likely one of a name, not a sentence's first word or a shout."""
        word = self._words[index]
        if word.plain in first_names() or word.plain in family_names():
            return not (self.shouts and is_ordinary(word.text))
        if self.shouts:
            return not is_ordinary(word.text)
        return not is_ordinary(word.text) or (not self._begins_sentence(index) and not word.text.isupper())


# « Je me marie », « il la baptise »: after these comes a verb.
_BEFORE_VERB = frozenset("je tu il elle on se me te ne y l m t s j tres plus trop si nous vous ils elles".split())  # noqa: SIM905
# Never a name, although a capital or an announcing word says so.
_NEVER = frozenset(
    """
    x just microsoft windows apple bilbao comment deja personne quelquun fonctionnaire anonyme inconnu collegue service
    urgence secours accueil etudiant etudiante militaire belge francais francaise etranger etrangere victime temoin sourd
    sourde majeur mineur enceinte celibataire retraite eiffel bastille republique marne national nationale interieure
    federation ligne metro tram tramway bus train air halloween otages otage loi code penal article bitcoin euro euros visa
    cartes banque postale credit agricole bnp antai pharos thesee perceval masecurite franceconnect cerfa crit'air ehpad lycee
    college ecole bonne bonjour cher chere chers voisins ps5 pro max playstation xbox switch nintendo android disney roblox
    skype pole emploi assedic arabe anglais anglaise espagnol espagnole allemand italien chinois russe turc algerien marocain
    tunisien gitan rom roms rsa smic sms mms wifi gps ok nul nulle acab bloc bat batiment residence monsieur-madame colis uber
    deliveroo vtc taxi
    """.split()  # noqa: SIM905
)


_FUSED = re.compile(
    r"^(?:j[aeiouh]\w{3,}(?:e|ai|ais|é|er|u|te|x)|[mtls]a(?:vai[st]|vez?|it)|[mtlsnc]est|[ncs]etai[st]|j[^aeiouyh]\w+)$"
)


def _is_misspelt(word: str) -> bool:
    """Whether a lower-case word looks like the fused verb of a text message rather than a name: « jabite », « mavait »."""
    return _FUSED.match(word) is not None and word not in first_names() | family_names()


def merged(spans: Iterable[Span]) -> list[Span]:
    """Names that meet become one; the longest reading of a name holds."""
    kept: list[Span] = []
    for span in sorted(spans):
        if kept and span.start < kept[-1].end:
            kept[-1] = Span(kept[-1].start, max(kept[-1].end, span.end), Kind.NAME)
        else:
            kept.append(span)
    return kept

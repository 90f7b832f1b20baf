"""Addresses in a message: a street or residence with its name, its number, its building.

A town, a well-known square, a police station are useful to understanding and tell nobody apart: they stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bot.policy.places import places
from bot.trainer.pseudonyms_kinds import Kind, Span
from bot.trainer.pseudonyms_words import ENDS_NAME, TOWNS, is_ordinary, plain

_I = re.IGNORECASE
_STREET = (
    r"rue|r|avenue|av|ave|bd|bld|blvd|boulevard|place|pl|quai|impasse|imp|all[ée]es?|chemin|che|route|rte|cours|"
    r"square|cit[ée]|villa|"
    r"passage|faubourg|fbg|mail|sente|sentier|ruelle|venelle|esplanade|promenade|clos|parvis|voie|mont[ée]e|traverse|rond-point"
)
_HOME = r"r[ée]sidence|r[ée]s|lotissement|hameau|lieu[- ]dit|domaine|hlm|foyer|copropri[ée]t[ée]"
_NUMBERED = re.compile(
    rf"(?<![\w.,-])\d{{1,4}}\s?(?:bis|ter|quater|[a-d](?![\w'’]))?\s?,?\s(?:{_STREET}|{_HOME})\b\.?", _I
)
_NAMED_HOME = re.compile(
    rf"\b(?:{_HOME})\b\.?(?!\s(?:de vacances|secondaires?|principales?|universitaires?|[ée]tudiantes?|seniors?|autonomie))",
    _I,
)
_WEAK_STREET = re.compile(
    r"\b(?:villa|passage|faubourg|fbg|sente|sentier|ruelle|venelle|clos|cit[ée]|mont[ée]e|traverse|lotissement)\b"
    r"(?=\s(?:(?:d[eu]s?|l[ae]s?|de la)\s|d['’]|l['’])?[A-ZÀ-Ü])"
)
# Streets that every town has, and words that only look like one: « la place du marché », « rue piétonne », « à la place du sucre ».
_COMMON = re.compile(
    r"^(?:place|square|rue|chemin|cours|quai|avenue|boulevard|rond-point)\s(?:(?:du|de la|de l['’])\s?)"
    r"(?:march[ée]|mairie|gare|[ée]glise|poste|[ée]cole|halage|mer|front de mer|sucre|nom)\b|"
    r"\s(?:pi[ée]tonnes?|adjacente?s?|parall[èe]les?|barr[ée]e?s?)\b",
    _I,
)
_INSTEAD = re.compile(r"\b[àa] la\s$", _I)
_KEPT_WAYS = re.compile(
    r"^(?:gare|m[ée]tro|station|quartier|parc|pont|centre commercial)|^(?:place|pont|parc|avenue|"
    r"cit[ée])\s(?:de\s)?(?:la\s|l['’]|des\s)?"
    r"(?:bastille|r[ée]publique|bellecour|concorde|[ée]toile|nation|champs|italie|capitole|com[ée]die|vend[ôo]me|"
    r"terreaux|universitaire|"
    r"p[ée]riph|beauvau)|^boulevard\sp[ée]riph",
    _I,
)
_TOKEN = re.compile(r"[ \t\u00a0\u202f]{0,2}([^\W_](?:[\w’'.-]{0,28}\w)?)")
_OF = frozenset("de du des d la le les l l' d' a l'a saint sainte st ste sur sous en".split())  # noqa: SIM905
_TITLES = frozenset(
    """
    general gal gnl marechal docteur dr professeur president pdt capitaine colonel commandant abbe cardinal amiral victor jean
    grand grande petit petite vieux vieille haut haute
    """.split()  # noqa: SIM905
)
_AFTER = re.compile(
    r"(?:,?\s?n\s?[°ºo]\s?\d{1,4}(?:\s?(?:bis|ter))?)?"
    r"(?:[,\s]{1,3}(?:b[âa]t(?:iment)?|bloc|appt?|appart(?:ement)?|esc(?:alier)?|porte|cage|hall|"
    r"tour)\.?\s?[A-Z0-9]{1,3}(?![\w’'°]))*",
    _I,
)
_POLICE = re.compile(
    r"(?:commissariat|gendarmerie|brigade|pr[ée]fecture|mairie|h[ôo]tel de police)(?:\s\w+){0,2}\s?$", _I
)
_PARTS = frozenset("bat batiment bloc appt appart appartement escalier esc porte etage cage hall".split())  # noqa: SIM905
MOST_WORDS = 3


def addresses(text: str) -> Iterator[Span]:
    """Numbered ones first, which nothing can be mistaken for."""
    for found in _NUMBERED.finditer(text):
        end = _name(text, found.end())
        if end > found.end():
            yield Span(found.start(), _complement(text, end), Kind.ADDRESS)
    for found in (*_NAMED_HOME.finditer(text), *_WEAK_STREET.finditer(text)):
        end = _name(text, found.end(), strict=True)
        if end > found.end() and not _POLICE.search(text[max(0, found.start() - 40) : found.start()]):
            yield Span(found.start(), _complement(text, end), Kind.ADDRESS)
    for start, words in places(text):
        if _is_home(text, start, words):
            end = _without_town(text, start, words)
            yield Span(start, _complement(text, end), Kind.ADDRESS)


def _is_home(text: str, start: int, words: str) -> bool:
    """Whether somebody may live there: not a station, a famous square, the way to a town, a square of every town."""
    before = text[max(0, start - 40) : start]
    if _KEPT_WAYS.match(words) or _COMMON.search(words) or _leads_to_town(words) or _POLICE.search(before):
        return False
    way, _, name = words.partition(" ")
    if way.lower() in ("place", "quai", "cours") and name.islower():
        return not _INSTEAD.search(before) and not is_ordinary(name.split()[0])
    return True


def _leads_to_town(words: str) -> bool:
    """« La route de Nantes » is no address."""
    way = re.match(r"(?:route|chemin|rte)\s(?:de\s|d['’]|du\s)(.+)$", words, _I)
    return way is not None and plain(way[1]) in TOWNS


def _name(text: str, at: int, strict: bool = False) -> int:
    """Where the name that begins at `at` ends; `at` itself when there is none. `strict`: it begins with « de » or a capital."""
    words, end, before = 0, at, ""
    while words < MOST_WORDS and (token := _TOKEN.match(text, at)):
        word = token[1]
        elided, apostrophe, rest = plain(word).partition("'")
        joins = plain(word) in _OF and not (words and before == "" and plain(word) in ("a", "en", "sur", "sous"))
        if joins and plain(word) != "a":
            before, at = plain(word), token.end()
            continue
        core = rest if apostrophe and elided in ("d", "l") else plain(word)
        if core in _PARTS:
            break
        if (
            core == "et" and words and text[token.end() : token.end() + 2].strip()[:1].isupper()
        ):  # « rue Pierre et Marie Curie »
            at = token.end()
            continue
        if core in ENDS_NAME or (words and core in TOWNS) or plain(word) == "a":
            break
        if strict and not words and not before and not apostrophe and not word[0].isupper():
            break
        if core.isdigit() and not before and words:
            break
        words += 0 if core in _TITLES or core.isdigit() else 1
        before, at, end = "", token.end(), token.end()
        if core.isdigit() and (
            dated := re.match(
                r"\s(?:mars|mai|juin|juillet|ao[ûu]t|septembre|novembre|d[ée]cembre)(?:\s\d{4})?", text[end:], _I
            )
        ):
            return end + dated.end()
        if text[end : end + 1] in ",.;:!?\n":
            break
    return end


def _without_town(text: str, start: int, words: str) -> int:
    """The end of a place without « à lyon », « 69003 Lyon » or a comma, which stay."""
    cut = re.search(r",?\s\d{5}\b.*$|\s(?:à|a)\s\S.*$|\sn[o°]?$", words)
    return start + (cut.start() if cut else len(words.rstrip(" ,")))


def _complement(text: str, end: int) -> int:
    found = _AFTER.match(text, end)
    return found.end() if found else end

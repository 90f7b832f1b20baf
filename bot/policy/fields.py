"""What agents need of a message, by its letters alone: date, hour, place, service, crew, case, number plate, telephone.

After a hand-off opened, whatever the person writes fills these fields without a word of ours; before, the dialogue's
state keeps them for a day. Nothing here judges or corrects: an agent reads the message itself too. Linear in length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from bot.policy.places import places, services

MOST = 3  # values of one field
LONGEST = 80  # characters of a value
READ = 4_000  # characters of a message that are read

_DAY = "lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche"
_MONTH = (
    "janvier|février|fevrier|mars|avril|mai|juin|juillet|août|aout|septembre|octobre|novembre|décembre|decembre"
)  # fmt: skip
_SEVERAL = r"deux|trois|quatre|cinq|six|sept|huit|dix|plusieurs|\d{1,2}"
_COUNT = rf"une?|{_SEVERAL}"

_PATTERNS: dict[str, tuple[re.Pattern[str], ...]] = {
    "date": (
        re.compile(r"\b(\d{1,2}[/.-]\d{1,2}[/.-](?:20)?\d{2})\b"),
        # Without a year: two digits of a month, or « le » before it; « 24/7 » is no date.
        re.compile(r"(?<![\d/.-])((?:0?[1-9]|[12]\d|3[01])/(?:0[1-9]|1[0-2]))(?![\d/.-]?\d)"),
        re.compile(
            r"\b(?:le|du|au)\s((?:0?[1-9]|[12]\d|3[01])[/.-](?:0?[1-9]|1[0-2]))(?![\d/.-]?\d)",
            re.IGNORECASE,
        ),
        re.compile(
            rf"\b((?:(?:{_DAY})\s)?(?:le\s)?\d{{1,2}}(?:er)?\s(?:{_MONTH})(?:\s20\d\d)?)\b",
            re.IGNORECASE,
        ),
        re.compile(
            rf"\b(avant[- ]hier|hier(?:\s(?:matin|midi|soir|après-midi|apres-midi|aprem|nuit))?|aujourd['’]?hui|auj|ajd|"
            rf"ce\s(?:matin|midi|soir)|cet(?:te)?\s(?:nuit|après-midi|apres-midi|aprem|semaine)|"
            rf"(?:la\s)?(?:nuit|semaine)\s(?:dernière|derniere|passée|passee)|"
            rf"(?:{_DAY})(?:\s(?:dernier|matin|midi|soir|passé|passe))?|"
            rf"(?:il\s)?y\s?a\s(?:environ\s|presque\s|genre\s)?\w{{1,12}}\s(?:jours?|semaines?|mois|ans?|heures?))\b",
            re.IGNORECASE,
        ),
    ),
    "heure": (
        re.compile(r"\b((?:[01]?\d|2[0-3])\s?(?:h|heures?|:)\s?(?:[0-5]\d)?)(?![\w])", re.IGNORECASE),
        re.compile(r"\b((?:vers|à|a)\s(?:midi|minuit))\b", re.IGNORECASE),
    ),
    "lieu": (),
    "service": (
        re.compile(r"\b((?:la|une)\s(?:BAC|bac|BST|bst|PAF|paf|BRI|bri|BRAV|brav)\b(?:\s(?:de|du)\s[\wÀ-ÿ-]{1,30})?)"),
        re.compile(r"\b(BAC|BST|PAF|BRAV|CRS|(?i:crs\s\d{1,2}|police secours|motards?|brigade canine))\b"),
    ),
    "equipage": (
        # « Un agent », « les policiers » tell nobody apart, and most people who write « un agent » want to speak to one.
        re.compile(rf"\b((?:{_SEVERAL})\s(?:policiers?|agents?|fonctionnaires?))\b", re.IGNORECASE),
        re.compile(
            rf"(?<!\bà\s)(?<!\ba\s)(?<!\bavec\s)(?<!voir\s)\b((?:{_COUNT}|l['’]|les?|la)\s?(?:équipage|equipage|policières?|"
            r"policieres?|gardiens? de la paix|brigadier(?:-chef)?|motards?))\b",
            re.IGNORECASE,
        ),
        re.compile(rf"\b((?:{_SEVERAL})\s(?:flics?|keufs?|condés?|condes?|poulets?|gendarmes?|crs))\b", re.IGNORECASE),
        re.compile(r"\b((?:matricule|rio)\s?(?:n°|numéro|numero|:)?\s?\d{3,8})\b", re.IGNORECASE),
    ),
    "affaire": (
        re.compile(
            r"\b((?:plainte|dossier|procédure|procedure|pv|récépissé|recepisse|affaire|référence|reference|réf|ref|candidature)\s?"
            r"(?:est\s)?(?:n°|no|num|numéro|numero|:|n)?\s?[:.]?\s?(?=[\w/-]{0,12}\d)[\w/-]{4,25})",
            re.IGNORECASE,
        ),
    ),
    "immatriculation": (re.compile(r"\b([A-Za-z]{2}[- ]?\d{3}[- ]?[A-Za-z]{2})\b"),),
    "telephone": (re.compile(r"(?<!\d)((?:\+33\s?|0)[1-9](?:[ .-]?\d\d){4})(?!\d)"),),
}
# Fields that names fill, besides patterns.
_NAMED: dict[str, Callable[[str], Iterator[tuple[int, str]]]] = {"lieu": places, "service": services}
NAMES = tuple(_PATTERNS)


def fields(text: str) -> dict[str, str]:
    """The fields that a message fills, each with what was written, at most three values of it."""
    found: dict[str, str] = {}
    read = text[:READ]
    for name, patterns in _PATTERNS.items():
        values = [(match.start(1), match[1]) for pattern in patterns for match in pattern.finditer(read)]
        if name in _NAMED:
            values += _NAMED[name](read)
        if values:
            found[name] = ", ".join(_distinct([value for _, value in sorted(values)]))
    return found


def _distinct(values: list[str]) -> list[str]:
    """In order, without those that another one contains."""
    clean = [" ".join(value.split())[:LONGEST].rstrip(" ,:") for value in values]
    kept = [value for value in dict.fromkeys(clean) if not any(value != other and value in other for other in clean)]
    return kept[:MOST]

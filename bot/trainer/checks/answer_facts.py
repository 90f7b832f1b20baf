"""What an answer of the catalogue may state: numbers, addresses and sites that a source or the verified list names."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from bot.core.catalogue import Question, Variant, listed
from bot.trainer import reply_facts as facts
from bot.trainer.checks.finding import Finding, error, warning
from bot.trainer.corpus import short
from bot.trainer.reply_rules import PHONE

LONGEST_ADDRESS = 40  # characters that somebody would type
# Words of `reply_facts.FORBIDDEN` that no answer says; somebody else's, quoted, are none of its own. That officers come is true
# of some procedures (a proxy vote at home), hence only worth a look.
_FORBIDDEN = {
    "our reading": error,
    "familiar address": error,
    "help is coming": warning,
    "old names": error,
    "leftovers": error,
}
_QUOTED = re.compile(r"«[^»]{0,300}»")
_LINK = re.compile(r"(?:https?://|www\.)[^\s,;»]{1,300}")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}")
_SITE = re.compile(
    r"(?<![\w@.-])(?:[a-z0-9-]{1,63}\.){1,5}(?:fr|com|org|net|eu|info|be|ch|io|app|gouv|police)(?![\w-])(?:/[^\s,;»)]{0,300})?",
    re.IGNORECASE,
)
_ABROAD = re.compile(
    r"(?:\+|(?<!\d)00)33[ .]?\d(?:[ .-]?\d\d){4}|(?<!\d)0\d(?:-\d\d){4}|(?<!\d)0[.-]?8\d\d(?:[ .-]\d{3}){2}|(?<!\d)3\d \d\d(?! ?\d)"
)
# Figures that are no telephone number: measures, articles and forms.
_NUMBER = r"(?<!\d)(?<!\d )(?:\d{1,3}(?: \d{3}){1,3}|\d{1,13})(?:,\d{1,4})?"
_MEASURE = re.compile(
    rf"(?:{_NUMBER} ?(?:à|et|ou|-) ?)?{_NUMBER} ?(?:[€%°²]|(?:euros?|ans?|mois|jours?|heures?|h|minutes?|min|semaines?|points?"
    r"|cm3?|m|km|kg|g|db|mo|ko|places?|postes?|candidat\w{0,5}|caractères|mots|personnes|habitants|fois|pages?|cartouches?"
    r"|élèves?|policiers?|armes?|joules?|watts?|cv)(?!\w))"
    r"|(?<!\w)(?:(?:articles?|art\.|décret|loi|arrêté|cerfa|formulaire) ?(?:n° ?)?(?:[LRDA]\.? ?)?|[LRDF]\.? ?)\d[\d*/-]{0,12}",
    re.IGNORECASE,
)


def check(one: Question, variant: Variant) -> Iterator[Finding]:
    """What a wording states that nothing vouches for."""
    for make, code, what, remedy in _told(variant.text, sources_of(one, variant)):
        yield make(code, one.file, variant.line, f"{one.id} : {what}", remedy)


_Told = tuple[Callable[..., Finding], str, str, str]  # how grave, code, what, remedy


@functools.lru_cache(maxsize=8192)
def _told(words: str, sources: tuple[str, ...]) -> tuple[_Told, ...]:
    """Kept by its words: the pages look at a thousand answers each time that one of them changes."""
    return tuple(_judged(re.sub("[\u00a0\u202f]", " ", words), sources))


def _judged(text: str, sources: tuple[str, ...]) -> Iterator[_Told]:
    yield from ((error, *said) for said in _sites(text, sources))
    bare = _SITE.sub(" ", _EMAIL.sub(" ", _LINK.sub(" ", text)))
    for number in numbers(bare):
        yield (
            error,
            "answer-number",
            f"le numéro {number} n’est pas dans la liste des numéros vérifiés.",
            "Vérifiez-le sur une page officielle, puis faites-le ajouter (bot/trainer/reply_facts.py).",
        )
    own = _QUOTED.sub(" ", bare)
    for kind, make in _FORBIDDEN.items():
        words = re.search(facts.FORBIDDEN[kind], own, re.IGNORECASE)
        if words is not None:
            what, remedy = facts.FORBIDDEN_SAYS[kind]
            yield make, "answer-words", f"{what} : « {words[0].strip()} ».", remedy


def _sites(text: str, sources: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    for email in _EMAIL.findall(text):
        if email.lower() not in facts.EMAILS:
            yield (
                "answer-number",
                f"l’adresse électronique {short(email)} n’est pas dans la liste des adresses vérifiées.",
                "Vérifiez-la sur une page officielle, puis faites-la ajouter (bot/trainer/reply_facts.py).",
            )
    rest = _EMAIL.sub(" ", text)
    for link in _LINK.findall(rest):
        yield (
            "answer-address",
            f"l’adresse {short(link)} est écrite dans le texte.",
            "Mettez-la dans « link », avec un titre : elle part sur un bouton.",
        )
    for site in (found[0].rstrip(".") for found in _SITE.finditer(_LINK.sub(" ", rest))):
        if len(site) > LONGEST_ADDRESS:
            yield (
                "answer-address",
                f"l’adresse {short(site)} est longue à taper.",
                "Mettez-la dans « link », avec un titre.",
            )
        elif not vouched(site.partition("/")[0].lower(), sources):
            yield (
                "answer-site",
                f"ni une source ni la liste des sites vérifiés ne nomme {short(site)}.",
                "Donnez la source qui y mène, ou retirez ce site.",
            )


def numbers(text: str) -> list[str]:
    """The telephone numbers of a text that nobody verified."""
    rest = _MEASURE.sub(" ", text)
    found = [*_ABROAD.findall(rest), *PHONE.findall(_ABROAD.sub(" ", rest))]
    return sorted({number.strip() for number in found if _digits(number) not in _KNOWN})


def _digits(number: str) -> str:
    return re.sub(r"^(?:\+|00)33", "0", re.sub(r"[ .-]", "", number))


_KNOWN = frozenset(map(_digits, facts.NUMBERS))


def sources_of(one: Question, variant: Variant) -> tuple[str, ...]:
    """What an answer names as its sources, and a wording as its own."""
    return *one.source, *(word for part in listed(variant.metadata.get("source")) for word in part.split())


def vouched(host: str, sources: tuple[str, ...]) -> bool:
    """Whether one of the sources, or the list of verified sites, names that site or one above or below it."""
    named = (*facts.DOMAINS, *(urlsplit(each).hostname or "" for each in sources if is_address(each)))
    wanted = host.removeprefix("www.")
    return any(_akin(wanted, each.removeprefix("www.")) for each in named)


def _akin(one: str, other: str) -> bool:
    return one == other or one.endswith(f".{other}") or (other.endswith(f".{one}") and one.count(".") > 1)


def is_address(text: str) -> bool:
    """Whether it is a whole address of the web."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and "." in (parts.hostname or "")


def is_home(link: str) -> bool:
    """Whether an address leads to a site and to no page of it."""
    parts = urlsplit(link)
    return parts.path.strip("/") in ("", "fr", "accueil") and not parts.query and not parts.fragment

"""Personal data that is known by its letters and by the words before it: numbers, addresses, handles, links.

Written for how citizens write: lower case, no accents, any grouping of digits, « zero six », « arobase ». A rule that is
sure of itself (a link, an IBAN) comes before one that guesses (a long number). Linear in length for what people write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import phonenumbers
from stdnum import numdb

from bot.trainer.pseudonyms_kinds import Kind, Span, apart
from bot.trainer.pseudonyms_places import addresses

READ = 6_000  # characters of a message that are looked at; Meta's longest has 2,000

_I = re.IGNORECASE
_GAP = r"[ \t\u00a0\u202f.\-/_]"
_NUMBER_SIGN = r"(?:n\s?[°ºo]\.?|nº|num(?:[ée]ros?)?\b\.?|number)"
# A few words between what announces a number and the number itself: « plainte deposee sous le n° ».
_FILL = r"(?:[ \t\u00a0\u202f:=.,()«»\"'’°#-]{0,3}(?:n[°ºo]\.?|[^\W\d_]{1,14}['’]?)){0,%d}?[ \t\u00a0\u202f:=.,()«»\"'°#-]{0,4}"

# -- letters alone ------------------------------------------------------------------------------------------------

_AT = r"(?:@|\s@\s|\s?[(\[]\s?(?:at|arobase|chez)\s?[)\]]\s?|\s+(?:arobase?|arrobase|arobaz|chez(?=\s[\w-]+\.[a-z]{2}))\s+)"
_DOT = r"(?:\.|\s?[(\[](?:dot|point)[)\]]\s?|\s+point\s+)"
_EMAIL = re.compile(rf"[\w.+-]*\w{_AT}[\w-]+(?:{_DOT}[a-z\d-]+)*{_DOT}[a-z]{{2,12}}(?![\w])", _I)
_EMAIL_PLAIN = re.compile(r"[\w.+-]*\w@[\w-]+(?:\.[\w-]+)+")

# Endings that no French word has after a full stop without space; any ending will do before a path.
_TLD = "com|fr|net|org|info|eu|io|app|shop|xyz|top|online|tv|gg|ly|biz|club|store|click|vip|cc|ru|cn|uk|example|gouv"
_LINK = re.compile(
    rf"https?://[^\s<>«»\"]+|www\.[^\s<>«»\"]+|(?<![\w@.-])(?:[a-z0-9-]+\.)+(?:[a-z]{{2,12}}/[^\s<>«»\"]*|(?:{_TLD})(?![\w@-]))", _I
)  # fmt: skip
_HOST = re.compile(r"^(?:https?://)?(?:www\.)?([^/?#:\s]+)(.*)$", _I | re.DOTALL)
# The State's sites and those that `domain.yml` names tell nothing about anybody.
OFFICIAL = (
    "gouv.fr", "service-public.fr", "devenirpolicier.fr", "defenseurdesdroits.fr", "franceconnect.fr", "legifrance.fr",
    "signal-arnaques.com", "cybermalveillance.fr", "france-victimes.fr", "116000enfantsdisparus.fr", "e-enfance.org",
    "cnil.fr", "europa.eu", "notaires.fr", "ameli.fr", "caf.fr", "impots.fr", "france-travail.fr", "urgence114.fr",
    "viapolice.fr", "perceval.fr", "pharos.fr", "conseil-constitutionnel.fr", "assemblee-nationale.fr", "senat.fr",
)  # fmt: skip
# Big sites, as long as no page of theirs is named.
_BIG = (
    "leboncoin.fr", "vinted.fr", "vinted.com", "amazon.fr", "amazon.com", "facebook.com", "instagram.com", "snapchat.com",
    "tiktok.com", "youtube.com", "twitter.com", "x.com", "google.com", "google.fr", "gmail.com", "orange.fr", "paypal.com",
    "whatsapp.com", "telegram.org", "airbnb.fr", "airbnb.com", "booking.com", "ebay.fr", "laposte.fr", "sncf.com", "ants.fr",
    "wikipedia.org", "doctolib.fr", "hotmail.com", "hotmail.fr", "yahoo.fr", "outlook.fr", "outlook.com", "free.fr",
)  # fmt: skip

_PHONE = re.compile(
    rf"(?<![\w+])(?:\(?(?:\+|00){_GAP}?(?:33|262|590|594|596|508|687|689|681)\)?{_GAP}*(?:\(0\){_GAP}*)?|"
    rf"0{_GAP}?)[1-9](?:{_GAP}*\d){{8}}(?! \d{{5}}(?!\d))(?![\w])"
)
_PHONE_ABROAD = re.compile(r"(?<![\w+])\(?(?:\+|00(?=[1-9](?:[\s().-]{0,2}\d){9}))[1-9](?:[\s().-]{0,2}\d){7,14}(?!\w)")
_SAID = (
    "zéro|zero|une?|deux|trois|quatre|cinq|six|sept|huit|neuf|dix|onze|douze|treize|quatorze|quinze|seize|vingts?|trente|"
    "quarante|cinquante|soixante|septante|nonante|cent"
)
_PHONE_SAID = re.compile(
    rf"\b(?:plus trente[ -]trois|z[ée]ro)(?:[\s,.-]+(?:et[\s-]+)?(?:{_SAID}|\d{{1,2}})\b){{4,24}}", _I
)

_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[ \t.\-\u00a0]?[A-Z0-9]){10,30}(?!\w)", _I)
# Of a country that has IBANs, but of another length: a slip of the fingers is an account number still.
_IBAN_LIKE = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[ .-]?(?=[A-Z]{0,3}\d)[A-Z\d]{2,4}){3,8}(?!\w)", _I)
_CARD = re.compile(
    r"(?<![\w])[2-6]\d{3}([ .\-\u00a0]?)\d{4}\1\d{4}\1\d{4}(?!\w)|(?<!\w)3[47]\d\d[ .-]?\d{6}[ .-]?\d{5}(?!\w)"
)
_NIR = re.compile(
    rf"(?<!\w)[12378]{_GAP}?\d\d{_GAP}?\d\d{_GAP}?(?:\d\d|2[AB]){_GAP}?(?:\d{_GAP}?){{5}}\d(?:{_GAP}*\d\d)?(?!\w)", _I
)

_PLATE = re.compile(r"(?<![\w-])([A-Z]{2})([ .\-_]?)\d{3}\2([A-Z]{2})(?![\w-])", _I)
_PLATE_OLD = re.compile(r"(?<![\w-])\d{2,4}[ .-]?([A-Z]{2,3})[ .-]?(?:0[1-9]|[1-8]\d|9[0-5]|2[AB]|97\d)(?![\w-])")
_PLATE_BELGIAN = re.compile(r"(?<![\w-])[1-9]-[A-Z]{3}-\d{3}(?![\w-])", _I)
# What may stand in the letters' place without being a plate: « de 100 km », « 300 RUE 75 ».
_NO_LETTERS = frozenset(
    """
    ai as au ca ce ch cm de dm du el en es et eu ex il je km kg la le lu ma me mm mn mo ni nn no nu on or ou pa par pr qd sa
    se si sm st su sur ta te tu un va ve vu ya rue bac crs rer tgv bis ter aou eur les des ttc ans kms min sec juin mai pts
    tel ref
    """.split()  # noqa: SIM905
)

_HANDLE_AT = re.compile(r"(?<![\w.@/-])@[^\W_][\w.-]{1,29}(?<![.-])|(?<![\w.@/-])@_[\w.-]{1,29}(?<![.-])")
_HANDLE_SHAPE = re.compile(r"(?<![\w@.-])(?=[\w.-]*[^\W\d_]{2})[^\W_]+(?:[._-][^\W_]+)*_[\w.-]*\w(?![\w@])")
# Accounts of the State and of police unions; nobody is told by them.
_PUBLIC_HANDLES = frozenset(
    "policenationale police_nationale prefpolice interieur_gouv gendarmerie policejudiciaire".split()  # noqa: SIM905
)

# -- a word that announces, then the data --------------------------------------------------------------------------

_MONTH = "janvier|f[ée]vrier|mars|avril|mai|juin|juillet|ao[ûu]t|septembre|octobre|novembre|d[ée]cembre"
_SLASH = r"\s?[ ./-]\s?"
_DATE = (
    rf"(?:\d{{1,2}}(?:er)?{_SLASH}(?:\d{{1,2}}|{_MONTH})(?:{_SLASH}(?:19|20)?\d\d(?!\d))?|(?:{_MONTH})\s(?:19|20)\d\d)"
)
_BIRTH = re.compile(
    rf"\b(?:n[ée]+(?:\(e\)|e?s?)|naissance|ddn|anniv(?:ersaire)?|"
    rf"born)(?!\w)(?:[ \t:=,(]{{0,3}}[^\W\d_]{{1,16}}['’]?){{0,5}}?[ \t:=,(]{{0,3}}({_DATE})",
    _I,
)
_BIRTH_ALONE = re.compile(r"\(\s?((?:0?[1-9]|[12]\d|3[01])[/.-](?:0?[1-9]|1[0-2])[/.-](?:19|20)\d\d)\s?\)")

# Digits and capitals, as numbers of documents are written: « 00 41 27 », « 12AB34567 », « REC-00457 », « 00123/2024/005618 ».
_ID = (
    r"(?<![\w])(?:(?-i:[A-Z]{1,6}[-/ ]?)|[a-z]{1,6}[-/])?(?=[\dA-Z]{0,6}\d)[\dA-Z]{1,20}"
    r"(?:[-/][\dA-Z]{1,12}){0,4}(?:[ ]\d{2,8}(?![\w/]))*(?![\w°%€])"
)
_DOCUMENT = re.compile(
    r"\b(?:passe?ports?|cni|cart?e?\s(?:nationale\s)?d.?\s?identit[ée]e?|carte identit[ée]|carte d.?id|permis|"
    r"titres? de s[ée]jour|cartes? de s[ée]jour|"
    rf"visa|demande d.asile|carte vitale)\b{_FILL % 4}({_ID})",
    _I,
)
_CASE = re.compile(
    r"\b(?:plaintes?|dossiers?|pv|proc[èe]s[- ]verbal|proc[ée]dure|r[ée]c[ée]piss[ée]|affaire|r[ée]f(?:[ée]rences?)?|"
    r"main courante|mc|candidature|"
    r"candidate?|inscription|avis|t[ée]l[ée]paiement|r[ée]clamation|ticket|thesee|convocation|contravention|amende|signalement|"
    rf"enqu[êe]te|suivi|demande)\b{_FILL % 5}({_ID})",
    _I,
)
_NUMBERED = re.compile(rf"\b{_NUMBER_SIGN}{_FILL % 3}({_ID})", _I)
_BADGE = re.compile(rf"\b(?:rio|matricules?|badge)\b{_FILL % 4}(\d[\d-]{{3,8}}\d)(?![\w-])", _I)
_BADGE_NEAR = re.compile(r"\b(?:rio|matricules?|badge|policiers?|polici[èe]res?|flics?|keufs?|agents?)\b", _I)
_BADGE_NUMBER = re.compile(r"(?<![\w/-])\d{6,7}(?![\w/-])")
_NIR_NEAR = re.compile(
    rf"\b(?:s[ée]cu(?:rit[ée]\s?sociale)?|nss|nir|carte vitale|ss)\b{_FILL % 5}([12378](?:{_GAP}?[\dAB]){{10,16}})(?!\w)",
    _I,
)
_IBAN_NEAR = re.compile(
    rf"\b(?:iban|rib)\b{_FILL % 5}((?:[A-Z]{{2}})?\d{{2}}(?:[ .-]?[A-Z0-9]{{4}}){{2,8}}(?:[ .-]?[A-Z0-9]{{1,3}})?)(?![\w])"
)
_CARD_NEAR = re.compile(
    rf"\b(?:cb|visa|mastercard|amex|carte(?: (?:bleue|bancaire))?)\b{_FILL % 5}(\d(?:[ .-]?\d){{12,18}})(?!\w)", _I
)
_PLATE_NEAR = re.compile(
    rf"\b(?:plaques?|"
    rf"immat\w*)\b{_FILL % 4}((?=[A-Z0-9 .-]{{0,6}}\d)(?=[A-Z0-9 .-]{{0,6}}[A-Z])"
    r"[A-Z0-9]{1,4}[ .-]?[A-Z0-9]{1,4}(?:[ .-]?[A-Z0-9]{1,3})?)(?![\w-])",
    _I,
)
_NETWORK = (
    r"snap(?:chat)?|insta(?:gram)?|ig|tik\s?tok|facebook|fb|twitter|compte x|discord|telegram|skype|roblox|steam|twitch|"
    r"pseudo(?:nyme)?|identifiant|login"
)
_NETWORK_WORD = re.compile(rf"\b(?:{_NETWORK})\b", _I)
_TO_HANDLE = re.compile(
    rf"\b(?:{_NETWORK})\b(?P<said>(?:\s?[:=(\"«]|\s(?:c['’]?\s?(?:est|é)?|cest|est|c|son|mon|le|il|elle|"
    rf"s['’ ]?appelle|sappelle|sur|de|au|"
    r"nom|pseudo|compte|insta(?:gram)?|snap(?:chat)?|tiktok|facebook|leboncoin|discord|vinted|fb|ig|is)\b|\s(?:d['’]))*)\s*",
    _I,
)
_HANDLE = re.compile(r"@?(?=[\w.:#-]*[^\W_])[^\W_][\w.:#-]{1,39}(?<![.:,-])")
_CAPITALS = re.compile(r"(?:[A-ZÀ-Ü][\w'’-]+)(?: (?:[A-ZÀ-Ü][\w'’-]*|du|de|la|le|\d{1,3})){1,4}")
_LONG = re.compile(r"(?<![\w,.€/-])\d{8,24}(?![\w€]|[.,]\d)")
# Not a number of somebody: dates, years, hours, amounts, short public numbers.
_IS_DATE = re.compile(rf"^(?:{_DATE}|(?:19|20)\d\d(?:[-/](?:19|20)?\d\d)?)$", _I)
_PUBLIC_NUMBER = frozenset(
    "116000 116006 116117 116111 119 115 112 114 191 196 3919 3018 3114 3117 3133 3977 33700 31177 39 17".split()  # noqa: SIM905
)
_UNIT = re.compile(r"^\s?(?:€|euros?\b|eur\b|%|h\b|km\b|kms\b|ans?\b|mois\b|jours?\b|points?\b|cc\b|k€)", _I)
_SPECIAL = re.compile(r"^0\s?8")  # numbers with a tariff belong to services


def patterns(text: str) -> list[Span]:
    """Every piece of personal data but names, in order, without overlap."""
    return apart(_found(text[:READ]))


def _found(text: str) -> Iterator[Span]:
    yield from _whole(_EMAIL_PLAIN, text, Kind.EMAIL)
    yield from _whole(_EMAIL, text, Kind.EMAIL)
    yield from _links(text)
    yield from _ibans(text)
    yield from (
        found
        for found in _whole(_IBAN_LIKE, text, Kind.IBAN)
        if _iban_length(text[found.start : found.start + 2].upper())
    )
    yield from _group(_IBAN_NEAR, text, Kind.IBAN)
    yield from _group(_NIR_NEAR, text, Kind.NIR)
    yield from _whole(_CARD, text, Kind.CARD)
    yield from _whole(_NIR, text, Kind.NIR)
    yield from _group(_CARD_NEAR, text, Kind.CARD)
    yield from _births(text)
    yield from _phones(text)
    yield from _handles(text)
    yield from addresses(text)
    yield from _plates(text)
    yield from _badges(text)
    yield from (found for found in _group(_DOCUMENT, text, Kind.DOCUMENT) if _is_number(text, found, 5))
    yield from (found for found in _group(_CASE, text, Kind.CASE) if _is_number(text, found, 4))
    yield from _whole(_PHONE_ABROAD, text, Kind.PHONE)
    yield from (found for found in _group(_NUMBERED, text, Kind.CASE) if _is_number(text, found, 5))
    yield from (found for found in _whole(_LONG, text, Kind.CASE) if _is_number(text, found, 8))


def _whole(pattern: re.Pattern[str], text: str, kind: Kind) -> Iterator[Span]:
    return (Span(found.start(), found.end(), kind) for found in pattern.finditer(text))


def _group(pattern: re.Pattern[str], text: str, kind: Kind) -> Iterator[Span]:
    return (Span(found.start(1), found.end(1), kind) for found in pattern.finditer(text))


def _links(text: str) -> Iterator[Span]:
    for found in _LINK.finditer(text):
        link = found[0].rstrip(".,;:!?)]}'’…")
        if not is_public(link) and not _PLATE.fullmatch(link):  # « AB.123.UK » is a plate, not a host
            yield Span(found.start(), found.start() + len(link), Kind.LINK)


def is_public(link: str) -> bool:
    """Whether a link leads to a site of the State, or to the front page of a big one: it tells nothing about anybody."""
    parts = _HOST.match(link)
    if parts is None:
        return False
    host, path = parts[1].lower(), parts[2]
    if any(host == site or host.endswith("." + site) for site in OFFICIAL):
        return "?" not in path or not re.search(r"\d{4}", path)
    return path in ("", "/") and host in _BIG


@lru_cache(maxsize=256)
def _iban_length(country: str) -> int:
    """How many characters an IBAN of that country has; 0 when it has none (python-stdnum's registry)."""
    for part, properties in numdb.get("iban").info(country + "00"):
        if part == country and "bban" in properties:
            return 4 + sum(int(number) for number in re.findall(r"(\d+)!", properties["bban"]))
    return 0


def _ibans(text: str) -> Iterator[Span]:
    """Cut at the length that the country wants, whatever follows; a length of a wrong country is no IBAN."""
    for found in _IBAN.finditer(text):
        wanted = _iban_length(found[0][:2].upper())
        ends = [index for index, letter in enumerate(found[0], 1) if letter.isalnum()]
        if not wanted or len(ends) < wanted or sum(letter.isdigit() for letter in found[0][: ends[wanted - 1]]) < 12:
            continue
        end = ends[wanted - 1]
        if end == len(found[0]) or not found[0][end].isalnum():
            yield Span(found.start(), found.start() + end, Kind.IBAN)


def _births(text: str) -> Iterator[Span]:
    for pattern in (_BIRTH, _BIRTH_ALONE):
        yield from _group(pattern, text, Kind.BIRTH)


def _phones(text: str) -> Iterator[Span]:
    for found in _PHONE.finditer(text):
        if not _SPECIAL.match(found[0]):
            yield Span(found.start(), found.end(), Kind.PHONE)
    yield from _whole(_PHONE_SAID, text, Kind.PHONE)
    if "+" in text:  # what another country groups in a way of its own
        matches = phonenumbers.PhoneNumberMatcher(text, "FR", leniency=phonenumbers.Leniency.POSSIBLE)
        yield from (Span(one.start, one.end, Kind.PHONE) for one in matches if one.raw_string.startswith("+"))


def _plates(text: str) -> Iterator[Span]:
    for found in _PLATE.finditer(text):
        spoken = {found[1].lower(), found[3].lower()} & _NO_LETTERS
        if not spoken or (found[2] in ("-", "") and not found[0].islower()) or _after_plate_word(text, found.start()):
            yield Span(found.start(), found.end(), Kind.PLATE)
    for found in _PLATE_OLD.finditer(text):
        if found[1].lower() not in _NO_LETTERS:
            yield Span(found.start(), found.end(), Kind.PLATE)
    yield from _whole(_PLATE_BELGIAN, text, Kind.PLATE)
    for span in _group(_PLATE_NEAR, text, Kind.PLATE):
        if sum(letter.isdigit() for letter in text[span.start : span.end]) >= 2:
            yield span


def _after_plate_word(text: str, at: int) -> bool:
    return re.search(r"\b(?:plaque|immat\w*)\W+(?:\w+\W+){0,3}$", text[max(0, at - 40) : at], _I) is not None


def _badges(text: str) -> Iterator[Span]:
    yield from _group(_BADGE, text, Kind.BADGE)
    if _BADGE_NEAR.search(text):
        yield from _whole(_BADGE_NUMBER, text, Kind.BADGE)


def _handles(text: str) -> Iterator[Span]:
    for found in _HANDLE_AT.finditer(text):
        if found[0][1:].lower() not in _PUBLIC_HANDLES:
            yield Span(found.start(), found.end(), Kind.HANDLE)
    for announced in _TO_HANDLE.finditer(text):
        at = announced.end()
        capitals = _CAPITALS.match(text, at)
        if capitals and announced["said"] is not None and "@" not in capitals[0]:
            yield Span(at, capitals.end(), Kind.HANDLE)
        written = _HANDLE.match(text, at)
        if written and _looks_chosen(written[0]):
            yield Span(at, written.end(), Kind.HANDLE)
    yield from _whole(_HANDLE_SHAPE, text, Kind.HANDLE)
    if _NETWORK_WORD.search(text):
        for written in _HANDLE.finditer(text):
            if _looks_chosen(written[0]) and re.search(r"[^\W\d_]{4}.*\d|\d.*[^\W\d_]{4}", written[0]):
                yield Span(written.start(), written.end(), Kind.HANDLE)


def _looks_chosen(word: str) -> bool:
    """Whether a word has what only a chosen name has: letters with digits, dots, dashes between lower-case letters."""
    letters = re.search(r"[^\W\d_]{2}", word)
    mixed = re.search(r"\d", word) and not re.fullmatch(r"\d+(?:ans?|h\d*|e|er|eme|ème|km|k|go|€)?", word, _I)
    joined = re.search(r"[^\W\d_][._:#][^\W\d_]", word)
    return letters is not None and bool(mixed or joined or "_" in word)


def _is_number(text: str, span: Span, digits: int) -> bool:
    """Whether it has that many digits, and is neither a date, an amount, nor a number that everybody may call."""
    written = text[span.start : span.end]
    plain = re.sub(r"\D", "", written)
    if len(plain) < digits or plain in _PUBLIC_NUMBER or _IS_DATE.match(written.strip()):
        return False
    return not _UNIT.match(text[span.end :]) and not re.search(
        r"[a-zà-ü]{3}", re.sub(r"^[A-Za-z]{1,6}[-/ ]", "", written)
    )

"""Stand-ins: drawn at random, of the shape of what they stand for, and such that they cannot be anybody's.

Nothing of the original goes into the draw but its kind, case, grouping, and the gender of a first name. What a stand-in is:

- telephone: of the ranges 01 99 00, 02 61 91, 03 53 01, 04 65 71, 05 36 49, 06 39 98, said to be kept by the regulator (ARCEP) for
  fiction; we have this from others' published code, not from its own page;
- e-mail and link: at example.org, which nobody can have (RFC 2606);
- plate: with I, O or U in each group of letters; no French plate has them;
- IBAN: check digits 00, which the modulus 97 never gives; card: begins with 0; social-security number: month 00;
- date of birth: a 1st of January; numbers of files, documents, officers: zeros but for two digits.

So whoever checks can tell them from real ones (`is_ours`).
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Mapping

from stdnum import luhn

from bot.trainer.pseudonyms_kinds import Kind
from bot.trainer.pseudonyms_words import first_names, is_woman, plain

WOMEN = tuple(
    """
    Agathe Anita Armelle Carole Clothilde Cécile Charlotte Élisa Fanny Gisèle Ingrid Joanna Judith Ilona Karine Leïna Maïa
    Malika Maëlia Naïma Noélia Ophélie Paola Rosalie Samia Sidonie Soraya Tania Viviane Zélia
    """.split()  # noqa: SIM905
)
MEN = tuple(
    """
    Anatole Armand Baptiste Boris Clovis Denis Elias Fabio Gaspard Gilbert Hakim Isidore Jonas Kamil Lazare Léandre Malo
    Marwan Nadir Octave Omer Roland Rodrigue Samir Silvio Tarek Tibor Ulysse Victorin Zacharie
    """.split()  # noqa: SIM905
)
# Invented: no list of family names that we know of has them.
FAMILY = tuple(
    """
    Aubrelin Bastarel Belmouna Brévandier Cassoret Chamblon Corvelin Dalvernet Diamadou Fargelin Fontverain Galmichel Garvelot
    Hardelin Jourdavel Kermadoc Lachaumel Lormian Malbrunet Marvelin Mercandel Montbrelin Nardouet Orvelin Pélardin Pontavel
    Quervalin Rastignel Rouvelin Sabourdel Sorvelin Tarvelot Talbouri Valmorin Verdelot Vignerel Yacoubel Zamoril
    """.split()  # noqa: SIM905
)
STREETS = (
    "des Aubrelles", "des Tamarinelles", "des Merlettes", "du Précassin", "des Saulinettes", "de la Follavoine",
    "du Roncieret",
    "des Alouettins", "des Chardonnelles", "de la Sourcelle", "des Marronelles", "du Closverdin",
    "des Ortinelles",
    "de la Piborgne", "des Moulinelles", "des Fougerelles",
)  # fmt: skip
_NOUNS = (
    "lune",
    "renard",
    "comete",
    "tilleul",
    "galet",
    "pinson",
    "nuage",
    "cactus",
    "orage",
    "citron",
    "tempo",
    "mirage",
)
_OURS = frozenset(plain(name) for name in (*WOMEN, *MEN))
_OUR_FAMILIES = frozenset(plain(name) for name in FAMILY)
_RANGES = {"1": "19900", "2": "26191", "3": "35301", "4": "46571", "5": "53649"}
_MOBILE = "63998"
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_STREET = re.compile(
    r"^(?:(?P<number>\d{1,4})\s?(?:bis|ter|quater|[a-d](?=\s))?(?P<comma>,?\s))?(?P<way>[^\W\d_]+(?:[- ]dit)?\.?)?",
    re.IGNORECASE,
)
_UNITS = (
    "dix",
    "onze",
    "douze",
    "treize",
    "quatorze",
    "quinze",
    "seize",
    "vingt",
    "trente",
    "quarante",
    "cinquante",
    "soixante",
)


class StandIns:
    """Those of one text: the same original gets the same stand-in, in whatever grouping or case it comes back."""

    def __init__(self, dice: random.Random | None = None) -> None:
        """`dice`: for tests; else the system's generator, which nobody can repeat."""
        self._dice = dice or random.SystemRandom()
        self._seeds: dict[tuple[str, str], int] = {}

    def of(self, kind: Kind, original: str) -> str:
        """A stand-in for these words."""
        if kind is Kind.NAME:
            return self._name(original)
        found = _MAKERS[kind](self._again(kind.value, _key(original)), original)
        return found if found != original else _MAKERS[kind](self._again(kind.value, _key(original) + "'"), original)

    def _again(self, kind: str, key: str) -> random.Random:
        """The same sequence for the same key, within this text only."""
        seed = self._seeds.setdefault((kind, key), self._dice.getrandbits(64))
        return random.Random(seed)  # noqa: S311  seeded by the system's generator

    def _name(self, original: str) -> str:
        """First name for first name, family name for family name; particles belong to the family name."""
        words = [word for word in re.split(r"[\s\u00a0\u202f]+", original.strip(' "«»')) if word]
        if not words:
            return original
        known = [
            plain(word.rstrip(".")) in first_names() or plain(re.split(r"[-.]", word)[0]) in first_names()
            for word in words
        ]
        first_last = len(words) > 1 and not known[0] and known[-1]
        if first_last:
            return f"{self._family(words[:-1])} {self._first(words[-1])}"
        if len(words) == 1 and not known[0]:
            return self._family(words)
        firsts = 2 if len(words) > 2 and known[0] and known[1] else 1
        rest = words[firsts:]
        first = self._first(words[0])
        return f"{first} {self._family(rest)}" if rest else first

    def _first(self, word: str) -> str:
        if len(word.rstrip(".")) <= 2:
            return self._initial(word)
        key = plain(word)
        gender = WOMEN if is_woman(key.split("-")[0]) else MEN
        dice = self._again("first", key)
        choice = [name for name in gender if plain(name) != key]
        return _as(dice.choice(choice), word)

    def _family(self, words: list[str]) -> str:
        if len(words) == 1 and len(words[0].rstrip(".")) <= 1:
            return self._initial(words[0])
        key = " ".join(plain(word) for word in words)
        choice = [name for name in FAMILY if plain(name) != key]
        return _as(self._again("family", key).choice(choice), " ".join(words))

    def _initial(self, word: str) -> str:
        letter = self._again("initial", plain(word)).choice("abcdefghlmnprst")
        return (letter.upper() if word[0].isupper() else letter) + ("." if word.endswith(".") else "")


def _key(original: str) -> str:
    return re.sub(r"[\s.,()/_\-\u00a0\u202f]", "", plain(original))


def _as(name: str, model: str) -> str:
    """In the case of the model; without accents where the model is written without care."""
    letters = [letter for letter in model if letter.isalpha()]
    if len(letters) > 1 and all(letter.isupper() for letter in letters):
        return plain(name).upper() if model.isascii() else name.upper()
    if all(letter.islower() for letter in letters):
        return plain(name) if model.isascii() else name.lower()
    return name


def _refill(model: str, digits: str) -> str:
    """These digits in the places of the model's digits."""
    supply = iter(digits)
    return "".join(next(supply, "0") if letter.isdigit() else letter for letter in model)


def _draw(dice: random.Random, count: int) -> str:
    return "".join(dice.choices(string.digits, k=count))


def _phone(dice: random.Random, original: str) -> str:
    digits = re.sub(r"\D", "", original)
    tail = _draw(dice, 4)
    if not original.lstrip("( +")[:1].isdigit():
        return _said(dice, original)
    if digits.startswith("0") and not digits.startswith("00"):
        return _refill(original, "0" + _RANGES.get(digits[1:2], _MOBILE) + tail)
    country = re.match(r"(?:00)?33", digits)
    if country is None:
        return f"+33 6 39 98 {tail[:2]} {tail[2:]}"
    rest = digits[country.end() :]
    zero = "0" if rest.startswith("0") else ""
    return _refill(original, country[0] + zero + _RANGES.get(rest.lstrip("0")[:1], _MOBILE) + tail)


def _said(dice: random.Random, original: str) -> str:
    zero = "zéro" if "é" in original.lower() else "zero"
    return f"{zero} six trente neuf quatre vingt dix huit {dice.choice(_UNITS)} {dice.choice(_UNITS)}"


def _email(dice: random.Random, original: str) -> str:
    local = f"{plain(dice.choice(WOMEN + MEN))}.{plain(dice.choice(FAMILY))}"
    if "@" in original:
        made = f"{local}@example.org"
    elif re.search(r"\bpoint\b", original, re.IGNORECASE):
        made = f"{local} arobase example point org"
    else:
        made = f"{local}(at)example.org"
    return made.upper() if original.isupper() else made


def _link(dice: random.Random, original: str) -> str:
    scheme = re.match(r"(?:https?://)?(?:www\.)?", original, re.IGNORECASE)
    return f"{scheme[0] if scheme else ''}example.org/{dice.choice(_NOUNS)}{_draw(dice, 2)}"


def _handle(dice: random.Random, original: str) -> str:
    noun, number = dice.choice(_NOUNS), _draw(dice, 2)
    if " " in original:
        return f"{noun.capitalize()} Exemple"
    return ("@" if original.startswith("@") else "") + f"{noun}_exemple{number}"


def _plate(dice: random.Random, original: str) -> str:
    def letters(found: re.Match[str]) -> str:
        made = "IL"
        while made in ("IL", "ON", "OR", "UN"):  # words, which are read as such
            made = dice.choice("IOU") + "".join(dice.choices("ABCDEFGHJKLMNPQRSTVWXYZ", k=len(found[0]) - 1))
        return made if found[0].isupper() else made.lower()

    made = _refill(original, _draw(dice, 9))
    if original[:1].isdigit():  # an old one ends with its department: any other number would not be read as a plate
        made = re.sub(r"(?<!\d)\d\d$", lambda _: f"{dice.randint(1, 95):02d}", made)
        made = re.sub(r"(?<!\d)\d{3}$", lambda _: f"97{dice.randint(1, 6)}", made)
    return re.sub(r"[^\W\d_]+", letters, made)


def _iban(dice: random.Random, original: str) -> str:
    country = re.match(r"[A-Za-z]{2}", original)
    head, rest = (country[0], original[2:]) if country else ("", original)
    return head + "".join(
        letter if not letter.isalnum() else dice.choice(string.digits) for letter in _zeroed(rest)
    ).replace("\0", "0")


def _zeroed(rest: str) -> str:
    """The first two letters or digits marked, to become the check digits 00."""
    marked, left = "", 2
    for letter in rest:
        marked += "\0" if letter.isalnum() and left else letter
        left -= bool(letter.isalnum() and left)
    return marked


def _card(dice: random.Random, original: str) -> str:
    count = sum(letter.isdigit() for letter in original)
    while True:
        digits = "0" + _draw(dice, count - 1)
        made = _refill(original, digits)
        if not luhn.is_valid(digits) and not re.search(r"\b00", made):  # « 00 » begins a number abroad
            return made


def _nir(dice: random.Random, original: str) -> str:
    plainly = original.upper().replace("A", "0").replace("B", "0")
    count = sum(letter.isdigit() for letter in plainly)
    sex = next(letter for letter in original if letter.isdigit())
    made = f"{sex}{_draw(dice, 2)}00{_draw(dice, max(count - 5, 0))}"
    return _refill(plainly, made[:13] + "0" * max(count - 13, 0))


def _birth(dice: random.Random, original: str) -> str:
    """A 1st of January within two years: whether someone is of age, or young enough for an examination, mostly stays."""
    shift = dice.choice((-2, -1, 1, 2))

    def moved(found: re.Match[str]) -> str:
        return f"{max(int(found[0]) + shift, 0) % (100 if len(found[0]) == 2 else 10_000):0{len(found[0])}d}"

    dated = re.sub(r"(?:(?:19|20)\d\d|(?<=[^\d]))(?<!\d)\d{2}$|(?:19|20)\d\d$", moved, original)
    month = re.search(r"[^\W\d_]{3,}", dated)
    if month:
        dated = dated.replace(month[0], _as("Janvier" if month[0][0].isupper() else "janvier", month[0]))
        return re.sub(r"^\d{1,2}(?:er)?", "1er", dated)
    parts = re.match(r"(\d{1,2})(\D+)(\d{1,2})(.*)$", dated, re.DOTALL)
    return f"{1:0{len(parts[1])}d}{parts[2]}{1:0{len(parts[3])}d}{parts[4]}" if parts else "01/01/1990"


def _number(dice: random.Random, original: str) -> str:
    """Zeros, then two digits; years and the letters before a number stay."""
    years = [found.span() for found in _YEAR.finditer(original)]
    if len(re.sub(r"\D", "", original)) <= 4 * len(years):
        years = []
    places = [
        index for index, letter in enumerate(original) if letter.isdigit() and not any(a <= index < b for a, b in years)
    ]
    made = list(original)
    for index in places:
        made[index] = "0"
    tail = f"{dice.randint(11, 99)}"
    for index, digit in zip(places[-2:], tail, strict=False):
        made[index] = digit
    return "".join(made)


def _document(dice: random.Random, original: str) -> str:
    made = _number(dice, original)
    return re.sub(r"[A-Z]", lambda _: dice.choice("ABCDEFGHJKLMNPRSTVWXYZ"), made)


def _address(dice: random.Random, original: str) -> str:
    parts = _STREET.match(original)
    number = f"{dice.randint(2, 98)}{parts['comma']}" if parts and parts["number"] else ""
    way = (parts["way"] if parts else "") or "rue"
    name = dice.choice(STREETS)
    return f"{number}{way} {_as(name, original) if original.islower() or original.isupper() else name}"


_MAKERS: Mapping[Kind, Callable[[random.Random, str], str]] = {
    Kind.PHONE: _phone,
    Kind.EMAIL: _email,
    Kind.ADDRESS: _address,
    Kind.PLATE: _plate,
    Kind.IBAN: _iban,
    Kind.CARD: _card,
    Kind.NIR: _nir,
    Kind.BIRTH: _birth,
    Kind.DOCUMENT: _document,
    Kind.CASE: _number,
    Kind.BADGE: _number,
    Kind.HANDLE: _handle,
    Kind.LINK: _link,
}


def is_ours(kind: Kind, words: str) -> bool:
    """Whether these words are a stand-in rather than somebody's data."""
    return _TESTS[kind](words)


def _our_name(words: str) -> bool:
    """A reader of names takes « Léa et Tom », and « Léa ma pote Zoé », as one: what stands in lower case between two of ours is
    no name."""
    written = [word for word in re.split(r"[\s,\u00a0\u202f]+", words) if word]
    parts = [plain(word.rstrip(".")) for word in written]
    ours = [at for at, part in enumerate(parts) if part in _OURS or part in _OUR_FAMILIES]
    others = [at for at, part in enumerate(parts) if at not in ours and len(part) > 1]
    if not others:
        return bool(parts)
    return bool(ours) and all(ours[0] < at < ours[-1] and written[at][0].islower() for at in others)


def _our_phone(words: str) -> bool:
    digits = re.sub(r"\D", "", words)
    if not digits:
        return plain(words).startswith("zero six trente neuf quatre vingt dix huit")
    return digits[-9:-4] in (*_RANGES.values(), _MOBILE)


def _our_number(words: str) -> bool:
    digits = re.sub(r"\D", "", words)
    card = 13 <= len(digits) <= 19 and digits[0] == "0"  # one of ours
    return card or not re.sub(r"\D", "", _YEAR.sub("", words))[:-2].strip("0")


_OUR_STREETS = tuple(plain(name) for name in STREETS)
_TESTS: Mapping[Kind, Callable[[str], bool]] = {
    Kind.NAME: _our_name,
    Kind.PHONE: _our_phone,
    Kind.EMAIL: lambda words: re.search(r"example\s?(?:\.|point)\s?org$", words, re.IGNORECASE) is not None,
    Kind.ADDRESS: lambda words: any(name in plain(words) for name in _OUR_STREETS),
    Kind.PLATE: lambda words: all(re.search(r"[IOU]", group) for group in re.findall(r"[^\W\d_]+", words.upper())),
    Kind.IBAN: lambda words: re.match(r"[A-Z]{0,2}\W?00", words, re.IGNORECASE) is not None,
    Kind.CARD: lambda words: words.startswith("0"),
    Kind.NIR: lambda words: re.sub(r"\D", "", words)[3:5] == "00",
    Kind.BIRTH: lambda words: re.match(r"(?:0?1\D+0?1\D|(?:1er\s)?janvier\b)", plain(words)) is not None,
    Kind.DOCUMENT: _our_number,
    Kind.CASE: _our_number,
    Kind.BADGE: _our_number,
    Kind.HANDLE: lambda words: "exemple" in plain(words),
    Kind.LINK: lambda words: re.match(r"(?:https?://)?(?:www\.)?example\.org\b", words, re.IGNORECASE) is not None,
}

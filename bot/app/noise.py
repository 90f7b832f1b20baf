"""Noise: a message as someone hurried, clumsy or shouting would have typed it, still readable for a person.

Four kinds, each a pure function of text and seed: the same message gets the same noise on every machine, wherever it
stands in a file.

- accents: no accent at all, as on a foreign keyboard;
- fautes: one typing slip in each word of six letters or more;
- majuscules: all capitals;
- sms: phone spelling (usual short forms, letters written as they sound, silent endings left out).
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable

from bot.core.errors import SetupError
from bot.policy.language import is_french

SEED = 17
LONG = 6
ALL = "tous"
LABELS = {
    "": "sans bruit",
    "accents": "sans accents",
    "fautes": "fautes de frappe",
    "majuscules": "en majuscules",
    "sms": "écriture SMS",
}

_WORD = re.compile(r"[^\W\d_]+")
_CHUNK = re.compile(r"\S+")
# Addresses and handles are copied, not typed.
_ADDRESS = re.compile(r"://|www\.|@|\w\.(?:fr|com|org|net|eu)\b", re.IGNORECASE)


def chosen(name: str | None) -> tuple[str, ...]:
    """The kinds that an option names: none, one, or all."""
    if name is None:
        return ()
    return tuple(KINDS) if name == ALL else (name,)


def apply(kind: str, text: str, seed: int = SEED) -> str:
    """The text under one kind of noise. Raises SetupError for an unknown kind."""
    if kind not in KINDS:
        raise SetupError(f"bruit inconnu « {kind} ».", f"Choix : {', '.join(KINDS)}.")
    return KINDS[kind](text, random.Random(f"{seed}:{kind}:{text}"))  # noqa: S311  (not for secrets)


def _bare(character: str) -> str:
    """A Latin letter without its accent; anything else unchanged (a syllable of another script is no accent)."""
    base = unicodedata.normalize("NFD", character)[0]
    return base if base.isascii() and base.isalpha() else character


def without_accents(text: str, _: random.Random | None = None) -> str:
    """No accents, no ligatures."""
    text = unicodedata.normalize("NFC", text)
    for letter, pair in (("œ", "oe"), ("Œ", "Oe"), ("æ", "ae"), ("Æ", "Ae")):
        text = text.replace(letter, pair)
    return "".join(map(_bare, text))


def capitals(text: str, _: random.Random | None = None) -> str:
    """All capitals."""
    return text.upper()


# --- typing slips ---

_ROWS = ("azertyuiop", "qsdfghjklm", "wxcvbn")


def _neighbours() -> dict[str, str]:
    """The keys beside each key on a French keyboard, of the same row and of the rows above and below."""
    near: dict[str, set[str]] = {key: set() for row in _ROWS for key in row}
    for depth, row in enumerate(_ROWS):
        for place, key in enumerate(row):
            beside = {*row[max(place - 1, 0) : place], *row[place + 1 : place + 2]}
            below = set(_ROWS[depth + 1][max(place - 1, 0) : place + 1]) if depth + 1 < len(_ROWS) else set()
            for other in beside | below:
                near[key].add(other)
                near[other].add(key)
    return {key: "".join(sorted(others)) for key, others in near.items()}


NEIGHBOURS = _neighbours()


def with_slips(text: str, rng: random.Random) -> str:
    """One slip in each word of six Latin letters or more. The first letter stays: it is what readers hold on to."""
    return _CHUNK.sub(lambda chunk: _slips(chunk[0], rng), unicodedata.normalize("NFC", text))


def _slips(chunk: str, rng: random.Random) -> str:
    if _ADDRESS.search(chunk):
        return chunk
    return _WORD.sub(lambda word: _slip(word[0], rng) if _long(word[0]) else word[0], chunk)


def _long(word: str) -> bool:
    return len(word) >= LONG and all(_bare(letter).isascii() for letter in word)


def _slip(word: str, rng: random.Random) -> str:
    places = range(1, len(word))
    swaps = [p for p in places[:-1] if word[p] != word[p + 1]]
    keys = [p for p in places if word[p].lower() in NEIGHBOURS]
    kind = rng.choice([*(["swap"] if swaps else []), "drop", "double", *(["key"] if keys else [])])
    if kind == "swap":
        p = rng.choice(swaps)
        return word[:p] + word[p + 1] + word[p] + word[p + 2 :]
    if kind == "key":
        p = rng.choice(keys)
        key = rng.choice(NEIGHBOURS[word[p].lower()])
        return word[:p] + (key.upper() if word[p].isupper() else key) + word[p + 1 :]
    p = rng.choice(places)
    return word[:p] + (word[p] * 2 if kind == "double" else "") + word[p + 1 :]


# --- phone spelling ---

# Several words at once; written without accents, apostrophes and hyphens, and found with or without them.
_PHRASES = """
qu est ce qu il : keskil
qu est ce qu on : keskon
qu est ce que : kesk | keske
qu est ce qui : keski
est ce qu il : eskil
est ce qu on : eskon
est ce qu elle : eskel
est ce que : esk | eske
qu est ce qu : kesk
est ce qu : esk
est ce : es
s il vous plait : svp
s il te plait : stp
il n y a : ya
il y a : ya
y a t il : ya til
parce que : pck | psk
parce qu : pck
quelqu un : kelkun | qqn
quelque chose : qqch | kelke choz
aujourd hui : ojd | ajd
tout le monde : tlm
tout de suite : tt de suite
rendez vous : rdv
peut etre : ptetre
d accord : dac
au revoir : orevoir
au secours : o secour
je n ai : g | jé
j ai : g | jé
je n en peux : jen pe
je suis : jsui | chui
je peux : jpe
je veux : jve
je vais : jvé
je sais : jsé
je voudrais : jvoudré
je souhaite : jsouète
je ne : j
c etait : ct
c est : c
t es : t
tu es : t
tu as : ta
"""
_SHORT = """
bonjour : bjr
bonsoir : bsr
salut : slt
merci : mrc | merci
beaucoup : bcp
toujours : tjrs
jamais : jms | jamé
pour : pr
vous : vs
nous : ns
dans : ds
avec : avc | avk
quand : kan | qd
quoi : koi
comment : koman | cmt
pourquoi : pk | pkoi
maintenant : mtn | mnt
problème : pb
message : msg
messages : msg
temps : tps
longtemps : lgtps
tout : tt
tous : ts
toute : tte
toutes : ttes
même : mm | mem
demain : 2main | dmain
mais : mé
mes : mé
des : dé
les : lé
ces : cé
ses : sé
tes : té
et : é
est : é
que : ke
qui : ki
quel : kel
quels : kel
quelle : kel
quelles : kel
rien : ri1 | rien
bien : bi1 | bien
un : 1 | un
deux : 2 | deu
ça : sa
trop : tro
plus : plu
pas : pa
suis : sui
fait : fé
faire : fér
vais : vé
sais : sé
peux : pe
peut : pe
veux : ve
veut : ve
comme : com
chez : ché
sans : san
sous : sou
donc : dc
désolé : dsl
désolée : dsl
téléphone : tel
ordinateur : ordi
appartement : appart
numéro : num
depuis : dpui
vraiment : vrmt
encore : encor
petit : ptit
petite : ptite
petits : ptit
"""

# Letters written as they sound, in this order, in words that have no short form of their own.
_SOUNDS = [
    (re.compile(pattern), by)
    for pattern, by in (
        (r"qu(?=[aeiouyéèêàâôî])", "k"),
        (r"eau|au", "o"),
        (r"ph", "f"),
        (r"(?<=[a-zéèê]{2})(?:er|ez|ées|ée|és)$", "é"),
        (r"(?<=[a-z])(?:aient|ais|ait)$", "é"),
        (r"(?<=ss)ent$", "e"),
        (r"(?<=e)ment$", "man"),
        (r"([bdfgmnprt])\1", r"\1"),
        (r"(?<=[ae])ll", "l"),
    )
]
# Endings that are not heard; the mute « e » only behind a consonant whose sound it does not change.
_SILENT = (
    re.compile(r"(?<=[a-zéèêîôû])s$"),
    re.compile(r"(?<=[aeinouréî])[tdx]$"),
    re.compile(r"(?<=[bdfklmnprtv])e$"),
)
_HEARD_WORDS = """
accident agent amer argent brut bus campus cancer cap cent cher chut client contact direct dot enfer exact fier fils foot
group hier hiver hors index internet job mars moment mort net ouest parent patient poster quad raid sens sept stand stop
sud super tennis top vent virus web
"""
_HEARD = frozenset(_HEARD_WORDS.split())
_SHORTEST = 4
_LAZY = 0.75  # nobody shortens every word
# « ne » goes where another word still says no.
_NEGATION = re.compile(
    r"\b(je|tu|il|elle|on|ils|elles|qui|ça|ca|nous|vous|ce)(?: ne | n')(?=\w)"
    r"(?=(?:[\w']+ ){1,4}(?:pas|plus|jamais|rien|personne|aucune?|que|ni)\b)"
)
_ELIDED = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_SAME_LETTER = {"a": "[aàâ]", "c": "[cç]", "e": "[eéèêë]", "i": "[iîï]", "o": "[oô]", "u": "[uùûü]", " ": "[ '-]"}


def _listed(lines: str) -> dict[str, tuple[str, ...]]:
    pairs = (line.split(" : ") for line in lines.strip().splitlines())
    return {word: tuple(forms.split(" | ")) for word, forms in pairs}


_PHRASE_FORMS = _listed(_PHRASES)
_SHORT_FORMS = _listed(_SHORT)
_ANY_PHRASE = re.compile(
    r"\b(?:"
    + "|".join(f"({''.join(_SAME_LETTER.get(c, c) for c in p)})" for p in sorted(_PHRASE_FORMS, key=len, reverse=True))
    + r")(?!\w)"
)
_BY_GROUP = sorted(_PHRASE_FORMS, key=len, reverse=True)


def as_sms(text: str, rng: random.Random) -> str:
    """Phone spelling; what is not French only loses its capitals and accents."""
    if not is_french(text):
        return without_accents(text.lower())
    plain = unicodedata.normalize("NFC", text).lower().replace("’", "'").replace("œ", "e").replace("æ", "e")
    plain = _NEGATION.sub(_without_ne, plain)
    plain = _ANY_PHRASE.sub(lambda found: rng.choice(_PHRASE_FORMS[_BY_GROUP[(found.lastindex or 1) - 1]]), plain)
    return _CHUNK.sub(lambda chunk: _sms_chunk(chunk[0], rng), plain)


def _without_ne(found: re.Match[str]) -> str:
    """« je n'arrive pas » → « j'arrive pas », « il n'est pas » → « il est pas »."""
    word = found[1]
    return word[:-1] + "'" if found[0].endswith("'") and word in ("je", "ce") else word + " "


def _sms_chunk(chunk: str, rng: random.Random) -> str:
    if _ADDRESS.search(chunk) or any(character.isdigit() for character in chunk):
        return chunk
    return _ELIDED.sub(lambda found: _sms_elided(found[0], rng), chunk)


def _sms_elided(joined: str, rng: random.Random) -> str:
    """« qu'il » → « kil »: the apostrophe goes, each side is written as it sounds."""
    *before, last = joined.split("'")
    return "".join("k" if part == "qu" else _unaccented(part.replace("qu", "k")) for part in before) + _sms_word(
        last, rng
    )


def _sms_word(word: str, rng: random.Random) -> str:
    if word in _SHORT_FORMS:
        return rng.choice(_SHORT_FORMS[word])
    if len(word) < _SHORTEST or not _latin(word):
        return _unaccented(word)
    if word in _HEARD:
        return _unaccented(word)
    for pattern, by in _SOUNDS:
        word = pattern.sub(by, word)
    if rng.random() < _LAZY:
        for silent in _SILENT:
            word = silent.sub("", word) if len(word) >= _SHORTEST else word
    return _unaccented(word)


def _latin(word: str) -> bool:
    return all(_bare(letter).isascii() for letter in word)


def _unaccented(word: str) -> str:
    """Only « é » is worth a key on a phone, and only where it is heard last."""
    if len(word) > 1 and word.endswith("é"):
        return without_accents(word[:-1]) + "é"
    return without_accents(word)


KINDS: dict[str, Callable[[str, random.Random], str]] = {
    "accents": without_accents,
    "fautes": with_slips,
    "majuscules": capitals,
    "sms": as_sms,
}

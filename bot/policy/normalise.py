"""Citizens' French made comparable: one list of plain words, whatever the spelling, accents or keyboard.

Used by the lexicon, the linear score and the language guess. Linear in length; never raises.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

HARD = "."  # end of a sentence
SOFT = "\n"  # new line or suspension points: a new thought, but a phrase may run across it
BOUNDARIES = frozenset((HARD, SOFT))

# A word longer than this is noise; its beginning is enough, and caches stay small.
LONGEST_WORD = 40


def _char_class(wanted: frozenset[str]) -> str:
    points = (c for c in range(0x80, 0x10000) if unicodedata.category(chr(c)) in wanted)
    return "".join(f"\\u{c:04x}" for c in points)


# Format characters (zero width, bidi), lone surrogates, Arabic elongation, emoji selectors, skin tones and tags.
_DROP = re.compile(
    f"[{_char_class(frozenset(('Cf', 'Cs', 'Co')))}\\u0640\\ufe00-\\ufe0f\\U0001f3fb-\\U0001f3ff\\U000e0000-\\U000e0fff]"
)
_MARKS = re.compile(f"[{_char_class(frozenset(('Mn', 'Me')))}]")
_LETTERS = str.maketrans(
    {
        "œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ı": "i", "þ": "th",
        "’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "＇": "'",
        "…": "\n", "\u2028": "\n", "\u2029": "\n", "。": ".", "！": "!", "？": "?", "؟": "?", "؛": ";", "۔": ".",
        "🔪": " couteau ", "🗡": " couteau ", "🔫": " pistolet ", "🆘": " sos ", "🚨": " gyrophare ", "😂": " mdr ", "🤣": " mdr ",
    }
)  # fmt: skip
_SIRENS = re.compile(r"🚨(?:\s?🚨){2,}")  # as many as the thumb gave: two say the same
_INITIALS = re.compile(r"(?<![^\W_])([^\W\d_])\.(?=[^\W\d_](?![^\W_]))")  # s.o.s → sos
_TOKEN = re.compile(r"\d+(?![^\W_])|[^\W_]+|\.{2,}|[.!?;\n]")
_SPLIT_DIGITS = re.compile(r"(\d+)([^\W\d_]+)")
_REPEATED = re.compile(r"([^\W\d_])\1+")

# What people type for speed, as the words they mean. Only spellings that are not words themselves.
_SMS_TABLE = """
kelkun kelkin kelkyn kelk1 kelkn qlq1 qlqun qlqn qq1 qqn qqun quelquin quelqin quelkun kelqun qelqun quelqun : quelquun
jsui jsuis jsuit chui chuis chuit jss jesui jesuis : je suis
jai ge g : j ai
jpe jpeu jpeux jpx jpeut : je peux
jve jveu jveux jvx jveut : je veux
jvai jvais jvé jva : je vais
jme : je me
jte : je te
jle : je le
jla : je la
jen : j en
jcroi jcrois : je crois
jsai jsais chai chais jsé : je sais
jfai jfais : je fais
jdoi jdois : je dois
jetai jetais : j etais
javai javais : j avais
jpp : j en peux plus
jenpeuxplus jenpeuplu : j en peux plus
ya yas : il y a
yavai yavait : il y avait
yen : il y en
ct : c etait
cest : c est
cetai cetait : c etait
pr : pour
ds : dans
ns : nous
vs : vous
ki : qui
kil : qu il
kel : quel
ke k q : que
koi kwa : quoi
kan kand qd qand cand : quand
pk pq pkoi pourkoi prk : pourquoi
pcq psk pck parske paske parcke pasque : parce que
avc avk avek aveck ac : avec
mtn mnt mtnt mtnan maintnt mnan mintenan mintnan : maintenant
tt : tout
tte : toute
ts : tous
tjr tjrs tjs toujour : toujours
bcp bocou : beaucoup
auj ajd ojd ojourdui oj : aujourdhui
koman koment coman cmt kmt komen : comment
pb pbl pblm pbm : probleme
dc : donc
lgtps lontan longtps : longtemps
tps : temps
mek : mec
ché : chez
vené : venez
pa : pas
plu : plus
jamé jms : jamais
mem : meme
d1 : d un
tro : trop
bjr bj : bonjour
bsr : bonsoir
slt : salut
rdv : rendez vous
dsl : desole
msg : message
mdp : mot de passe
lol ptdr mdrr xptdr : mdr
appart apart : appartement
ordi : ordinateur
bagnole : voiture
keuf keufs : policiers
osecour osekour ausecours ausecour osecours aucecours : au secours
aidezmoi edezmoi aidémoi : aidez moi
aidemoi edmoi : aide moi
edé ede edez : aidez
jaipeur gpeur : j ai peur
entrin entrain : en train
pri : pris
menas menasse : menace
veu : veux
tlm : tout le monde
dpui dpi : depuis
ptit pti : petit
ptite : petite
keskil : qu est ce qu il
apr : apres
aten : attend
encor : encore
jvoi jvoit : je vois
jtiens : je tiens
jarrive jariv jarive : j arrive
jenten jentend jentends : j entends
"""


# Short forms that only their accent tells from other words; read before accents go.
_ACCENTED = {
    "é": "est", "lé": "les", "dé": "des", "mé": "mes", "sé": "ses", "fé": "fait", "fér": "faire", "vé": "vais",
    "cé": "c est", "jé": "j ai", "té": "tes", "jvé": "je vais", "jsé": "je sais", "javé": "j avais", "jfé": "je fais",
    "ché": "chez", "pé": "peux", "cété": "c etait", "jété": "j etais", "alé": "aller",
}  # fmt: skip
_SHORT_ACCENTED = re.compile(rf"(?<![^\W_])(?:{'|'.join(_ACCENTED)})(?![^\W_])")


def _plain(text: str) -> str:
    """Lower case, no accents, no invisible characters."""
    text = _SIRENS.sub("🚨🚨", text).lower().translate(_LETTERS)
    if text.isascii():
        return text
    text = _SHORT_ACCENTED.sub(lambda found: _ACCENTED[found[0]], text)
    # Marks go before decomposition as well: a pile of thousands of marks would make it quadratic.
    text = _MARKS.sub("", _DROP.sub("", text))
    return _MARKS.sub("", unicodedata.normalize("NFKD", text)).lower()


def _sms() -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for line in _SMS_TABLE.strip().splitlines():
        keys, meaning = line.split(" : ")
        words = tuple(squeeze(word) for word in meaning.split())
        table.update({_plain(key): words for key in keys.split()})
    return table


def squeeze(word: str) -> str:
    """One letter where a letter is repeated: aideeez → aidez, appelle → apele (doubled letters are the commonest slip)."""
    return _REPEATED.sub(r"\1", word)


_SMS = _sms()


@lru_cache(maxsize=20_000)
def _words(raw: str) -> tuple[str, ...]:
    """The words that one typed word stands for."""
    if raw in _SMS:
        return _SMS[raw]
    if raw.isdigit():
        return (raw,)
    split = _SPLIT_DIGITS.fullmatch(raw)
    if split:  # 3ans → 3 ans
        return (split[1], *_words(split[2]))
    word = squeeze(raw)
    return _SMS.get(word, (word,))


def _merge(words: Iterator[str]) -> Iterator[str]:
    """Join the pairs that are one word in fact, and keep « c » from meaning « c'est » twice."""
    previous = ""
    for word in words:
        if previous == "c" and word not in ("est", "etait", "etaient", "e", "sera", "ete", "en"):
            yield from ("c", "est")
        elif previous == "quelqu" and word in ("un", "une", "1", "in"):
            previous, word = "", "quelqun"
        elif previous == "aujourd" and word in ("hui", "ui"):
            previous, word = "", "aujourdhui"
        elif previous:
            yield previous
        previous = word
    if previous:
        yield previous


def _raw(text: str) -> Iterator[str]:
    for token in _TOKEN.findall(_INITIALS.sub(r"\1", _plain(text))):
        first = token[0]
        if first == "\n" or token.startswith(".."):
            yield SOFT
        elif first in ".!?;":
            yield HARD
        else:
            yield from _words(token[:LONGEST_WORD])


def tokens(text: str) -> list[str]:
    """Plain words and sentence boundaries (`HARD`, `SOFT`), in order."""
    return list(_merge(_raw(text)))


_PIECE = re.compile(r"[\n\u2028\u2029]|\S+")
Placed = tuple[str, int, int]
"""A word or boundary of `tokens`, and where what was typed for it begins and ends in the text."""


def placed(text: str) -> list[Placed]:
    """The words of `tokens` with their places. For the few texts that are quoted: it costs several times as much.

    A place is that of a whole stretch without blanks; emoji that stand apart may be counted otherwise than `tokens` does.
    """
    held = latest = (0, 0)  # where the word that `_merge` holds back stands, and the one that it was given last
    given_all = False

    def words() -> Iterator[str]:
        nonlocal held, latest, given_all
        for piece in _PIECE.finditer(text):
            for word in _raw(piece[0]):
                held, latest = latest, piece.span()
                yield word
        given_all = True

    return [(token, *(latest if given_all else held)) for token in _merge(words())]


def normalise(text: str) -> str:
    """The words of `tokens`, without boundaries, in one line."""
    return " ".join(token for token in tokens(text) if token not in BOUNDARIES)


# Sounds, for « kouto » and « anfermé »: applied in order to a squeezed word.
_SOUNDS = [
    (re.compile(pattern), sound)
    for pattern, sound in (
        ("ph", "f"),
        ("sch|ch|sh", "C"),
        ("eau|au", "o"),
        ("qu|q|ck", "k"),
        ("gu(?=[eiy])", "G"),
        ("c(?=[eiy])", "s"),
        ("c", "k"),
        ("g(?=[eiy])", "j"),
        ("G", "g"),
        ("j?e(?=[ao])", lambda m: "j" if m[0] == "je" else "e"),
        ("h", ""),
        ("y", "i"),
        ("z", "s"),
        ("(?:ain|ein|in|im|un)(?![aeiou])", "I"),
        ("(?:en|em|an|am)(?![aeiou])", "A"),
        ("(?:on|om)(?![aeiou])", "O"),
        ("ou", "U"),
        ("oi", "W"),
        ("ai|ei", "e"),
        ("(?:ents?|e[srzt]?|ees?|[td]?s|[txd])$", ""),
    )
]


def sound(word: str) -> str:
    """A rough key of how a word sounds in French: couteau and kouto are both kUto."""
    for pattern, by in _SOUNDS:
        word = pattern.sub(by, word)
    return squeeze(word)

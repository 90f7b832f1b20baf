"""Cuts a message where another thought begins, so that two questions asked at once can both be heard.

Where to cut is decided on the words alone; what each piece means, and whether it is a question of its own, is decided by
what the classifier makes of it (`bot/engine/reading.py`). Linear in length.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

MOST = 8  # pieces that are looked at: a longer message tells a story
FEWEST = 2  # words of a piece

_WORD = re.compile(r"[^\W_]+")
# The end of a sentence: a full stop inside « service-public.fr » or « 1.5 » is none.
_END = re.compile(r"[?!…\n]|[.;](?=\s|$)")


def fold(word: str) -> str:
    """Lower case without accents; « où » keeps its own, since « ou » joins and does not ask."""
    if word in ("où", "Où", "OÙ"):
        return "où"
    plain = unicodedata.normalize("NFKD", word.lower())
    return "".join(c for c in plain if not unicodedata.combining(c))


def word_set(words: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(words.split())


def _phrases(lines: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(line.split()) for line in lines.split("/"))


# By these people pass to something else, wherever they stand.
_TURNS = _phrases(
    "au fait/au passage/par ailleurs/d ailleurs/dailleurs/sinon/et sinon/autre question/autre chose/une autre question/"
    "une autre chose/derniere question/et aussi/et puis aussi/et egalement/et en plus/deuxiemement/secondo/au fet/o fait/"
    "ossi/et ossi/pendant que j y suis/tant que j y suis/2eme question/2e question/deuxieme question/seconde question"
)
# After these the same, if a question or a request begins behind them.
_JOINTS = word_set("et puis ensuite egalement aussi ou pui apres")
# Behind « et » another matter begins so, without a word that asks: « et pour mon fils », « et niveau salaire ».
_MATTERS = word_set("pour si concernant niveau cote question")
# A question or a request begins so.
_OPENERS = _phrases(
    "comment/coment/comen/koman/komen/coman/kommen/cmt/quel/quelle/quels/quelles/kel/kelle/combien/combi1/cb/quand/kan/kand/qd/"
    "pourquoi/pk/pq/où/est ce/es ce/esk/eske/est il/est elle/c quoi/c koi/c est quoi/cest quoi/c est quand/c est combien/"
    "c est ou/c est où/qu est ce/qui/a qui/puis je/peut on/peut etre on/on peut/peux je/je peux/je peut/pouvez vous/pourriez vous/"
    "faut il/il faut/faut/doit on/dois je/on doit/je dois/y a t/y a til/y at il/existe t/avez vous/ai je/a t on/suis je/"
    "dans quel/dans quelle/a quel/a quelle/de quel/pour quel/pour quelle/sous quel/depuis quand/jusqu a/jusqu où/a partir/"
    "je voudrais/je voudrai/jvoudrais/jvoudrai/j aimerais/j aimerai/jaimerais/jaimerai/je souhaite/je souhaiterais/"
    "je veux/je veu/jveux/jveu/je cherche/je tiens/je desire/je me demande/je me demandais/je viens vous/"
    "j ai besoin/jai besoin/g besoin/dites moi/pour savoir/savoir/connaitre/que faire/que dois/quoi faire/ki/"
    "a quoi/vers qui/vous prenez/vous faites/ca marche/comment/ca paie/ca paye/on gagne/on conteste/peuton/fautil"
)
# Anywhere in a piece, these make it a question or a request.
_ASKING = word_set(
    """
    comment coment comen koman komen coman cmt quel quelle quels quelles kel kelle combien quand kan pourquoi pk où esk quoi koi qui
    voudrais voudrai aimerais aimerai souhaite souhaiterais savoir cherche besoin faut puis peut pouvez pourriez jvoudrais
    jvoudrai jaimerais jaimerai question renseignement renseignements demarche demarches
    """
)
# « Sont-ils », « peut-on »: the subject behind its verb asks.
_INVERTED = re.compile(r"\w-(?:t-)?(?:ils?|elles?|on|je|ce|vous|tu)\b", re.IGNORECASE)
# A piece of these words alone is politeness.
_COURTESY = word_set(
    """
    a aide amicalement attente avance avec beaucoup belle bien bisous bjr bon bonjour bonne bonsoir bsr
    cordialement coucou cdt cdlt d dans de distingues en et excellente grand hello hey infiniment je journee l la
    le les madame mdm meilleures merci mercii mci mes mesdames messieurs monsieur mr mrc par pour remercie
    respectueusement reponse retour salut salutations sincerement slt soiree sur svp s il te plait tres votre vos
    voisin vous weekend yo
    """
)
# Words that announce a question without being one.
_ANNOUNCING = word_set(
    "au fait passage sinon autre autres question questions chose choses deux trois une aussi j ai petite petites"
)
_EMPTY = _COURTESY | _ANNOUNCING


@dataclass(frozen=True)
class Clause:
    """A piece of a message."""

    text: str
    asks: bool  # a question or a request, by its words


def clauses(text: str) -> list[Clause]:
    """The pieces of a message in order, politeness left out; a single one means that nothing is to be cut."""
    starts = sorted({0, *_cuts(text)})
    found = []
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        piece = text[start:end].strip(" \n\t,;:-–")
        words = [fold(word) for word in _WORD.findall(piece)]
        if len(words) >= FEWEST and not all(word in _EMPTY for word in words):
            found.append(Clause(piece, _asks(piece, words)))
    return found[:MOST]


def _asks(piece: str, words: list[str]) -> bool:
    """Whether a piece is a question or a request: by a mark, a word, an inversion, or how it begins behind « et »."""
    if "?" in piece or not _ASKING.isdisjoint(words) or _INVERTED.search(piece):
        return True
    return _begins(words, 1 if words[0] in _JOINTS else 0, _ASKED) or (words[0] == "et" and words[1] in _MATTERS)


# Words and beginnings that ask in some messages and tell in others: « quand j'étais jeune », « faut que j'y aille ».
_MAY_TELL = word_set("quand kan où qui faut puis peut")
_TELLING = _phrases(
    "faut/il faut/je dois/on doit/quand/kand/kan/qd/qui/ki/je tiens/je peux/je peut/on peut/peut etre on"
)


def states(text: str) -> bool:
    """Whether a text asks nothing and wants nothing, by its words."""
    if "?" in text:
        return False
    words = [fold(word) for word in _WORD.findall(text)]
    keys = [word for word in words if word not in _COURTESY]
    starts = _begins(keys, 0, _ASKED) and not _begins(keys, 0, _TELLING)
    return bool(words) and not starts and all(word not in _ASKING or word in _MAY_TELL for word in words)


def is_courtesy(text: str) -> bool:
    """Nothing but greetings and thanks."""
    words = [fold(word) for word in _WORD.findall(text)]
    return bool(words) and all(word in _COURTESY for word in words)


def _cuts(text: str) -> list[int]:
    """Where a piece begins."""
    cuts = [match.end() for match in _END.finditer(text)]
    words = list(_WORD.finditer(text))
    keys = [fold(word.group()[:30]) for word in words]
    for index, word in enumerate(words):
        behind_comma = index > 0 and any(mark in text[words[index - 1].end() : word.start()] for mark in ",:")
        if _begins(keys, index, _TURNS) or (
            (
                keys[index] in _JOINTS
                and (_begins(keys, index + 1, _ASKED) or _another_matter(keys, index, behind_comma))
            )
            or (behind_comma and _begins(keys, index, _ASKED))
        ):
            cuts.append(word.start())
    return cuts


def _another_matter(keys: list[str], index: int, behind_comma: bool) -> bool:
    """Whether « et » opens another matter: behind a comma, or before a word that says so."""
    return keys[index] == "et" and (behind_comma or (index + 1 < len(keys) and keys[index + 1] in _MATTERS))


_ASKED = _OPENERS | frozenset({("ou", "est"), ("ou", "sont"), ("ou", "puis")})
_LONGEST = 5


def _begins(keys: list[str], index: int, phrases: frozenset[tuple[str, ...]]) -> bool:
    return any(tuple(keys[index : index + length]) in phrases for length in range(1, _LONGEST + 1))

"""A cheap guess whether a text is French, so that an emergency reply can speak English too."""

from __future__ import annotations

import unicodedata

from bot.policy.normalise import BOUNDARIES, tokens

_FRENCH_WORDS = """
    je j tu il elle on nous vous ils ces c est suis ai ont sont etes avez sommes pas ne et ou mais donc dans sur avec sans
    pour par chez le la les des du au aux une mon ma mes ton sa ses son leur leurs notre votre vos ce cet cete qui que quoi
    qu quand coment pourquoi tres trop aussi bien bonjour bonsoir salut merci svp oui non ici maintenant quelqun moi toi
    lui eux au secours aidez aide vite police y en se me m t l d un de a plus tout tous fait faire peut peux veux vais va
    etait ete porte maison voiture enfant enfants mari peur mort secours venez voudrais savoir plainte
"""
# Function words of other languages that are not French words as well.
_OTHER_WORDS = """
    the is are am was were my me he she they them their you your i we us this that there here with from have has had do
    does not please help someone somebody what when where how who why can could would should will want need been being
    and of to in it im dont cant trying going name know hello hi thanks thank
    el los las una mi tengo tiene esta estoy estan ayuda por favor que hay alguien quiero policia hola gracias donde como
    muy pero soy yo usted nos con para una uma um meu minha ele ela nao estou tem voce ajuda socorro obrigado aqui casa
    il mio mia sono ho hanno per favore aiuto non che qualcuno voglio grazie dove ciao questo sta di
    der die das ein eine einen ich bin ist sind er sie wir mich mir mein meine hilfe bite nicht und mit jemand habe hat
    wo wie polizei von het een ik ben mijn niet iemand hij zij help
    sunt este am are ajutor vreau cineva meu mea pe cu sa imi nu si jestem mnie moj moja pomocy ktos chce nie jest ma sie
    proszę prosze gdzie bir beni ben bana var yardim lutfen evime biri polis cok nerede une ndihme jam eshte pomoc mene
    sam imdat bu ve icin
"""
_FRENCH = frozenset(_FRENCH_WORDS.split())
_OTHER = frozenset(_OTHER_WORDS.split())
_AMBIGUOUS = _FRENCH & _OTHER
_LATIN_SHARE = 0.5


def _other_script(text: str) -> bool:
    """Whether most letters belong to another script than Latin. Reads the first 500 letters at most."""
    latin = other = 0
    for character in text:
        if not character.isalpha():
            continue
        if character < "\u0250" or unicodedata.name(character, "").startswith(
            ("LATIN", "FULLWIDTH LATIN", "MATHEMATICAL")
        ):
            latin += 1
        else:
            other += 1
        if latin + other >= 500:
            break
    return other > _LATIN_SHARE * (latin + other)


def is_french(text: str) -> bool:
    """Whether a text is French, as far as letters and small words tell; what is unclear or short counts as French."""
    if _other_script(text):
        return False
    words = [word for word in tokens(text[:2000]) if word not in BOUNDARIES]
    french = sum(word in _FRENCH and word not in _AMBIGUOUS for word in words)
    other = sum(word in _OTHER and word not in _AMBIGUOUS for word in words)
    return other <= french

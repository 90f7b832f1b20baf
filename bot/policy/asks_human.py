"""Whether somebody asks for a human in so many words, whatever else the message says.

An engine reads a message as what it is most about: of « un agent svp », sent right behind a question, only the question may be
left. One clause that asks for a human and does nothing else is enough, and surer than any reading.
"""

from __future__ import annotations

import re

from bot.policy.normalise import normalise

HUMAN = "parler_humain"  # the intent of who asks for a human, and the reason of the hand-off

_CLAUSES = re.compile(r"[\n.!?;:,…()]+| - ")

# All words below are written as `normalise` does: no accents, no doubled letters.
_POLITE = "(?:s il (?:vous|te) plait|svp|stp|merci(?: d avance| beaucoup)?)"
_OPENS = (
    "(?:(?:bonjour|bonsoir|salut|helo|alors|et|mais|bon|ok|oui|non|donc|madame|monsieur|stop|urgent|sinon|en fait|plutot"
    f"|maintenant|{_POLITE}) )*"
)
_ROBOT = "(?:et )?pas (?:a )?(?:un|une|au) (?:robot|bot|machine|ordinateur|ia|repondeur)"
_ENDS = (
    f"(?: (?:{_POLITE}|{_ROBOT}|maintenant|tout de suite|vite|rapidement|direct|directement|au plus vite|ici|quand meme|enfin"
    "|en vrai|reel|reele|si posible|est ce posible|c est posible))*"
)
_WANT = (
    "(?:je? ?(?:veux?|veut|voudrais?|souhaite|souhaiterais|desire|demande|demande a|exige|peux|prefere|prefererais|voulais)"
    "(?: bien| juste| vraiment| absolument| aussi)?|j (?:aimerais|exige|aurais voulu)(?: bien| aussi| vraiment)?"
    "|puis je|pourais je|(?:est ce que )?(?:je|on) (?:peux|peut|pourais|pourait)|(?:est ce )?posible de"
    "|il me faut|j ai besoin (?:de|d)|besoin (?:de|d))"
)
_IN_TOUCH = "(?: en (?:relation|contact|lien))?(?: (?:avec|a|vers))?"
_GIVE_ME = (
    "(?:(?:(?:est ce que )?vous (?:pouvez|pouriez)|pouvez vous|pouriez vous|tu peux|peux tu|merci de)"
    f" (?:me )?(?:paser|pasez|doner|donez|metre)(?: moi)?{_IN_TOUCH}"
    f"|(?:pase|pasez|done|donez|metez|mets|transferez|transfere) moi{_IN_TOUCH})"
)
_SPEAK = (
    "(?:(?:parler?|discuter|echanger|dialoguer|causer|converser)(?: directement| vraiment)? (?:a|avec)|joindre|avoir|contacter"
    "|etre (?:mis|mise) en (?:relation|contact|lien) avec|etre (?:rapele|contacte|recontacte)e? par)"
)
_REAL = "(?:vrai|vraie|veritable)"
# « je veux un agent » is a request; « je veux quelqu’un », « je veux une personne » are not.
_ALONE = (
    f"(?:un (?:{_REAL} )?(?:humain|agent|agent humain|conseiler|operateur)|un {_REAL} policier|une {_REAL} persone"
    "|une persone reele)"
)
_HUMAN = (
    f"(?:{_ALONE}|un (?:etre humain|interlocuteur|policier)|une (?:{_REAL} )?(?:humaine|agente|conseilere|operatrice|policiere)"
    "|une persone(?: humaine)?|(?:quelqun|quelqu un)(?: de (?:reel|vrai|humain|vivant))?|quelqun d humain|l?un de vos agents)"
)

_ASKS = (
    f"{_WANT} {_SPEAK} {_HUMAN}",
    f"{_WANT} {_ALONE}",
    f"{_GIVE_ME} {_HUMAN}",
    f"(?:parler|parle) (?:a|avec) {_HUMAN}",
    f"{_ALONE}(?: {_POLITE})+",  # « un agent » alone may be the middle of a sentence
    f"(?:{_POLITE}) {_ALONE}",
)
_WHOLE = re.compile(f"{_OPENS}(?:{'|'.join(f'(?:{one})' for one in _ASKS)}){_ENDS}")


def asks(words: str) -> bool:
    """Whether one clause of a message asks for a human, and nothing else in that clause."""
    return any(_WHOLE.fullmatch(normalise(clause).strip()) for clause in _CLAUSES.split(words))

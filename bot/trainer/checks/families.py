"""The families of checks, in the order in which they are shown, and the codes of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """`key`: in addresses; `label`: its name; `codes`: of its findings."""

    key: str
    label: str
    codes: tuple[str, ...] = ()


FILES = Family("fichiers", "Fichiers illisibles", ("file",))
OTHER = Family("autres", "Autres")
REPLIES = Family("reponses", "Réponses", ("no-reply",))
ANSWERS = Family("catalogue", "Catalogue des questions")
FAMILIES = (
    FILES,
    Family("personnel", "Données personnelles", ("personal",)),
    Family("mesure", "Jeux de mesure", ("leak", "gold-row")),
    Family("doublons", "Doublons et ressemblances", ("duplicate", "frame", "near-duplicate")),
    Family("frontieres", "Exemples plus proches d’une autre intention", ("nearer-elsewhere",)),
    Family("exemples", "Exemples", ("overlong", "entity", "empty")),
    Family("mots", "Choix des mots d’une urgence", ("script-unknown", "script-thin")),
    Family("listes", "Listes de mots", ("two-lists",)),
    Family(
        "intentions", "Intentions", ("thin", "unbalanced", "no-example", "intent-unknown", "no-rule", "no-guideline")
    ),
    Family("histoires", "Règles et histoires", ("contradiction", "step-unknown", "story-form", "story-name", "slot")),
    REPLIES,
    ANSWERS,
    Family("rasa", "Vérification de Rasa", ("rasa",)),
    OTHER,
)
_BY_CODE = {code: family for family in FAMILIES for code in family.codes}


def of(code: str) -> Family:
    """The family of a finding's code. `reply-…` and `link-…` are of the replies, `answer-…` of the catalogue."""
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code.startswith("answer-"):
        return ANSWERS
    return REPLIES if code.startswith(("reply-", "link-")) else OTHER

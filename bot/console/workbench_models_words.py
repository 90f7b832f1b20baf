"""The words of the models' page."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime

from bot.console.workbench_trainings_words import NB, number, share, typeset
from bot.store.workbench.publications import Publication
from bot.trainer.comparison import EMERGENCY, INTENTS
from bot.trainer.grave import Touch

__all__ = ["NB", "number", "share", "typeset"]

# In the order in which they are done; `bot.trainer.publishing` names them.
STEPS = {
    "gate": "Contrôle des chiffres",
    "record": "Enregistrement des données",
    "engines": "Le nouveau moteur charge le modèle, l’ancien répond",
    "reload": "Réponses, lexique et score relus partout",
    "push": "Envoi au dépôt distant",
}
UNDO = "Retour à ce qui était"
ROLES = {"gateway": "Passerelle", "worker": "Traitement", "console": "Console"}
# What of a version is shown: set, figure, words.
FIGURES = (
    (EMERGENCY, "emergency_recall", "Urgences reconnues"),
    (INTENTS, "sensitive_recall", "Cas sensibles confiés"),
    (INTENTS, "accuracy", "Intention juste"),
    (INTENTS, "false_alarm_rate", "Fausses alertes"),
)


def steps(publication: Publication) -> list[tuple[str, str]]:
    """Each step's words with where it stands: `done`, `now` or `next`. A roll-back has no gate."""
    names = [name for name in STEPS if not (name == "gate" and publication.kind == "rollback")]
    if publication.step == "undo":
        return [(UNDO, "now")]
    place = names.index(publication.step) if publication.step in names else -1
    return [(STEPS[name], "done" if n < place else "now" if n == place else "next") for n, name in enumerate(names)]


def counted(n: int, one: str, many: str) -> str:
    """« 3 publications »."""
    return f"{number(n)}{NB}{many if n > 1 else one}"


def moment(seconds: float) -> datetime:
    """A moment that is told in seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


KINDS = {
    "reply": "Réponse",
    "answer": "Réponse à une question du catalogue",
    "lexicon": "Lexique des urgences",
    "script": "Choix des mots d’une urgence",
    "precision": "Réponse plus précise",
    "rule": "Règle de l’intention",
    "settings": "Réglages du moteur",
    "unreadable": "Fichier qui ne se lit pas",
}


def differing(touch: Touch) -> list[tuple[str, str]]:
    """What changes, line by line: (« - » went, « + » came, «   » stays; the line)."""
    if touch.kind in ("lexicon", "script"):
        return [(line[:1], line[1:]) for line in touch.after.split("\n")]
    before, after = (text.split("\n") if text else [] for text in (touch.before, touch.after))
    return [(line[:1], line[2:]) for line in difflib.ndiff(before, after) if line[:1] != "?"]


def waiting_for(readers: int, mine: bool) -> str:
    """Who may read it, for its author or for the others."""
    if not readers:
        return (
            "Aucun autre compte actif ne peut publier : demandez à un administrateur de créer celui d’un second formateur, ou de "
            "relire lui-même. Une équipe d’une seule personne peut s’en passer par un réglage "
            "(PLANTON_PUBLICATION_SECOND=non), qui relève de l’exploitant."
        )
    if mine:
        return "Demandez à un autre formateur, ou à un administrateur, d’ouvrir cette page : vous ne l’approuvez pas vous-même."
    return "Lisez chaque changement comme une personne en danger le lirait, puis décidez."

"""French words of validation: rules, states, what became of a draft."""

from __future__ import annotations

from collections.abc import Sequence

from bot.console import labels
from bot.policy.validation import RULES, Bar, Pressure, Steps
from bot.store.desk.submissions import Decision, Submission

FILTERS = {"a-decider": "À décider", "ecrites": "Mes réponses", "toutes": "Toutes"}
EMPTY = {
    "a-decider": (
        "Rien n’attend votre décision.",
        "Une réponse à valider s’affichera ici toute seule, la plus pressée en tête.",
    ),
    "ecrites": (
        "Aucune de vos réponses n’est en validation.",
        "Quand une catégorie demande une validation, ce que vous envoyez depuis une conversation se retrouve ici.",
    ),
    "toutes": ("Aucune réponse n’attend de validation.", "Une réponse à valider s’affichera ici toute seule."),
}
STATUS = {
    "waiting": "En attente",
    "approved": "Approuvée",
    "refused": "Refusée",
    "withdrawn": "Retirée",
    "expired": "Périmée",
}
DECISIONS = {"approved": "a approuvé", "amended": "a amendé puis approuvé", "refused": "a refusé"}
WHY = {
    "author": "retirée par la personne qui l’avait écrite",
    "holder": "retirée par l’agent qui suit la conversation",
    "closed": "retirée\u00a0: la conversation a été close",
    "given_back": "retirée\u00a0: la conversation a été rendue à l’assistant",
    "spam": "retirée\u00a0: la conversation a été classée indésirable",
    "blocked": "retirée\u00a0: la personne a été bloquée",
    "replied": "retirée\u00a0: un autre message est parti entre-temps",
    "window_closed": "périmée\u00a0: la fenêtre de 7\u00a0jours de Meta s’est fermée pendant l’attente",
}
BARS = {
    Bar.ROLE: "",
    Bar.OWN: "Vous avez écrit cette réponse\u00a0: une autre personne doit la valider.",
    Bar.TWICE: "Vous avez décidé de l’étape précédente\u00a0: celle-ci revient à une autre personne.",
    Bar.LEVEL: "Cette étape revient au cabinet.",
}
PRESSURE = {
    Pressure.CALM: "",
    Pressure.SOON: "Le délai ordinaire de 24\u00a0h va passer.",
    Pressure.TAGGED: "Le délai de 24\u00a0h est passé\u00a0: la réponse partira comme celle d’un agent humain (étiquette "
    "HUMAN_AGENT de Meta).",
    Pressure.LAST: "La fenêtre de 7\u00a0jours va se fermer\u00a0: ensuite, plus aucune réponse ne pourra partir.",
    Pressure.CLOSED: "La fenêtre de 7\u00a0jours est fermée\u00a0: cette réponse ne peut plus partir.",
}
DONE = {
    "approuve": "Réponse approuvée.",
    "amende": "Réponse amendée et approuvée.",
    "refuse": "Réponse refusée\u00a0: son auteur est prévenu.",
    "retire": "Réponse retirée.",
    "regles": "Règles enregistrées.",
    "inchange": "Aucune règle n’a changé.",
}
# The value of a rule in the form, with its words.
RULE_NAMES = {"-".join(steps) or "aucune": steps for steps in RULES}
_OF = {"service": "le chef de service", "cabinet": "le cabinet"}


def steps(names: Sequence[str]) -> str:
    """« le chef de service, puis le cabinet »."""
    return ", puis ".join(_OF[name] for name in names)


def rule(names: Steps) -> str:
    """A rule, for the form."""
    return steps(names)[:1].upper() + steps(names)[1:] if names else "Aucune validation"


def rule_name(names: Steps) -> str:
    """A rule's value in the form."""
    return "-".join(names) or "aucune"


def level(name: str) -> str:
    """« Chef de service »."""
    words = labels.LEVELS[name]
    return words[:1].upper() + words[1:]


def waits_for(draft: Submission) -> str:
    """« Attend le chef de service », or what became of it."""
    return f"Attend {_OF[draft.waits_for]}" if draft.waits_for else STATUS[draft.status]


def state_of(draft: Submission, step: int) -> tuple[str, Decision | None]:
    """(done, refused, now, later, dropped), and the decision, of a step of a draft."""
    for decision in draft.decisions:
        if decision.step == step:
            return ("refused" if decision.decision == "refused" else "done"), decision
    if draft.status == "approved":
        return "done", draft.decisions[-1]  # the cabinet's word held for both
    if not draft.waits:
        return "dropped", None
    return ("now" if step == draft.step else "later"), None


def bar(why_not: Bar, draft: Submission) -> str:
    """Why the reader may not decide; "" where nothing need be said."""
    if why_not is Bar.LEVEL and draft.waits_for == "service":
        return "Votre compte n’a pas de niveau de validation\u00a0: un administrateur peut le lui donner."
    return BARS[why_not]


def why(draft: Submission) -> str:
    """« retirée : la conversation a été close »."""
    return WHY.get(draft.ended_why or "", "retirée\u00a0: la conversation n’est plus suivie")

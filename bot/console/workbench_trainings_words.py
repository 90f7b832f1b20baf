"""The words of the trainings' pages: stages, sets, figures, and what is noise and what is progress, in French."""

from __future__ import annotations

from datetime import timedelta

from bot.console.steering_words import NB, THIN, number, span
from bot.console.workbench_examples_words import title
from bot.store.workbench.runs import Run
from bot.trainer.answer_comparison import BECAME as BECAME  # for the templates
from bot.trainer.answer_comparison import MESSAGES, TURNS, AnswerChange, AnswersCompared
from bot.trainer.answer_figures import NONE
from bot.trainer.comparison import CONFIRMED, EMERGENCY, FOLDS, INTENTS, SetComparison
from bot.trainer.significance import McNemar, needed

__all__ = ["NB", "THIN", "number", "span"]

STATES = {
    "queued": "en attente",
    "training": "entraînement",
    "measuring": "mesure",
    "done": "terminé",
    "failed": "échoué",
    "stopped": "arrêté",
}
STAGES = {
    "": "Démarrage",
    "copying": "Copie des fichiers",
    "checking": "Vérification des fichiers",
    "reading": "Lecture des exemples et des règles",
    "learning": "Apprentissage des intentions",
    "danger": "Apprentissage du score de danger",
    "candidate": "Mesure du candidat",
    "current": "Mesure du modèle en service",
    "answers": "Mesure des réponses du catalogue",
    "comparing": "Comparaison",
}
SETS = {
    EMERGENCY: "Urgences",
    INTENTS: "Toutes les intentions",
    CONFIRMED: "Messages confirmés du dernier mois",
    FOLDS: "Validation croisée",
}


def typeset(text: str) -> str:
    """The same with the spaces that French wants before its signs."""
    for sign in ";!?":
        text = text.replace(f" {sign}", f"{THIN}{sign}")
    return text.replace(" :", f"{NB}:").replace("« ", f"«{NB}").replace(" »", f"{NB}»")


SET_TELLS = {
    EMERGENCY: typeset(
        "Des urgences et des messages qui y ressemblent (tests/gold/emergency.tsv). Juste : un danger est reconnu, "
        "sûr ou probable ; un autre message ne reçoit pas la réponse d’urgence."
    ),
    INTENTS: typeset(
        "Des messages annotés à part des exemples (tests/gold/intents.tsv). Juste : l’intention annotée, ou la seconde admise."
    ),
    CONFIRMED: (
        "Les messages des citoyens dont un formateur a confirmé ou choisi le sens. Leurs mots restent chiffrés dans la base."
    ),
    FOLDS: (
        "Chaque exemple de data/nlu.yml, lu par un modèle qui ne l’avait pas appris. Seule l’intention compte, aucune route "
        "n’est choisie."
    ),
}
SHARES = {
    "accuracy": ("Intention juste", True),
    "route_accuracy": ("Route juste", True),
    "emergency_recall": ("Urgences reconnues", True),
    "alarm_recall": ("Réponse d’urgence aux urgences", True),
    "false_alarm_rate": ("Fausses alertes", False),
    "sensitive_recall": ("Cas sensibles remis à un humain", True),
    "answer_precision": ("Précision de ce que Planton répond seul", True),
    "answer_coverage": ("Couverture", True),
    "unwarned_rate": ("Urgences sans alerte ni numéros", False),
    "second_net": ("Second filet", True),
    "net_cost": ("Coût du filet", False),
    "ece": ("Erreur de calibration (ECE)", False),
    "brier": ("Score de Brier", False),
}
ANSWER_SETS = {MESSAGES: "Messages", TURNS: "Conversations"}
ANSWER_SHARES = {  # in words, and whether more of it is better
    "exact": ("Réponse exacte", True),
    "reachable": ("Exacte, ou à un bouton", True),
    "wrong": ("Réponse à une autre question", False),
}
ROUTES = {
    "answer": "répond seul",
    "handoff": "agent",
    "emergency": "urgence",
    "clarify": "fait reformuler",
    "": "",
    None: "",
}
FILTERS = {
    "pertes": "Pertes",
    "gains": "Gains",
    "autres": "Lus autrement",
    "faux": "Faux des deux côtés",
    "tous": "Tous",
}
VERDICTS = {"same": "identiques", "noise": "dans le bruit", "progress": "progrès", "decline": "recul"}


def share(value: float | None) -> str:
    """« 93,4 % »; « – » when there is nothing to count."""
    return "–" if value is None else f"{100 * value:.1f}{NB}%".replace(".", ",")


def score(name: str, value: float | None) -> str:
    """A figure as it is written: Brier's score is no share."""
    if value is None:
        return "–"
    return f"{value:.3f}".replace(".", ",") if name == "brier" else share(value)


def change(before: float | None, after: float | None) -> str:
    """« + 1,2 pt », « − 0,4 pt », « = »; "" when one side lacks."""
    if before is None or after is None:
        return ""
    moved = round(100 * (after - before), 1)
    if not moved:
        return "="
    return f"{'+' if moved > 0 else '−'}{THIN}{abs(moved):.1f}{NB}pt".replace(".", ",")


def better(name: str, before: float | None, after: float | None) -> str:
    """`gain`, `loss` or "": which way a figure moved, by more than a rounding."""
    if before is None or after is None or abs(after - before) < 0.0005:
        return ""
    return "gain" if (after > before) == {**SHARES, **ANSWER_SHARES}[name][1] else "loss"


def topic(name: str) -> str:
    """What the messages of a line are about."""
    return "Sans question du catalogue" if name == NONE else title(name)


def answer_changes(one: AnswersCompared) -> list[tuple[str, str, list[AnswerChange], int]]:
    """What is listed of a set: the heading, the class that colours, the messages that are shown, how many there are."""
    sides = (("Moins bien", "loss", one.losses, one.worse), ("Mieux", "gain", one.gains, one.better))
    return [side for side in sides if side[2]]


def chance(p: float) -> str:
    """« p = 0,03 »."""
    return f"p{NB}<{NB}0,001" if p < 0.001 else f"p{NB}={NB}{p:.3f}".replace(".", ",")


def counted(n: int, one: str, many: str) -> str:
    """« 3 gains »."""
    return f"{number(n)}{NB}{many if n > 1 else one}"


def tells(test: McNemar) -> str:
    """What gains and losses say: noise, progress or decline, and why."""
    split = f"{counted(test.gains, 'gain', 'gains')}, {counted(test.losses, 'perte', 'pertes')}{NB}: "
    if test.verdict == "same":
        return f"Aucun message n’est lu mieux ou moins bien{NB}: rien ne distingue les deux modèles sur ce jeu."
    if test.verdict == "progress":
        return f"{split}c’est un progrès, le hasard ne l’explique guère ({chance(test.p)})."
    if test.verdict == "decline":
        return f"{split}c’est un recul, le hasard ne l’explique guère ({chance(test.p)})."
    noise = f"{split}un tel partage arrive souvent par hasard ({chance(test.p)}). C’est du bruit, ni un progrès ni un recul. "
    if test.gains >= test.losses:
        against = counted(test.losses, "perte", "pertes") if test.losses else "aucune perte"
        return f"{noise}Avec {against}, il faut {needed(test.losses)}{NB}gains pour parler de progrès."
    against = counted(test.gains, "gain", "gains") if test.gains else "aucun gain"
    return f"{noise}Avec {against}, il faut {needed(test.gains)}{NB}pertes pour parler de recul."


def left(seconds: float) -> str:
    """« environ 4 min », « moins de 10 s »."""
    if seconds < 10:
        return f"moins de 10{NB}s"
    if seconds < 90:
        return f"environ {round(seconds / 10) * 10:.0f}{NB}s"
    return f"environ {span(timedelta(seconds=seconds))}"


def memory(held: int) -> str:
    """« 2,4 Gio »."""
    return f"{held / 2**30:.1f}{NB}Gio".replace(".", ",")


def took(run: Run) -> str:
    """How long it took, from its start to its end."""
    return span(run.ended_at - run.started_at) if run.started_at and run.ended_at else ""


def mark(each: SetComparison) -> str:
    """The class that colours a set's verdict."""
    return {"progress": "gain", "decline": "loss"}.get(each.test.verdict, "")

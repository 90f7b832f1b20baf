"""The table of intents: what each one's route, category and priority is.

Names are fixed: trainers' data, replies, console and outside measurements use them.
"""

from __future__ import annotations

from dataclasses import dataclass

ANSWER, HANDOFF, EMERGENCY, CLARIFY = "answer", "handoff", "emergency", "clarify"

PRIORITY: dict[str, int] = {
    "emergency": 0,
    "urgent": 1,
    "sensitive": 2,
    "complaint": 3,
    "witness": 3,
    "request": 4,
    "thanks": 5,
    "none": 9,
}


@dataclass(frozen=True)
class Policy:
    """How an intent is dealt with: `route` and `category` as in the table."""

    route: str
    category: str

    @property
    def priority(self) -> int:
        """0 emergency … 9 none."""
        return PRIORITY[self.category]


_ANSWER = Policy(ANSWER, "none")
_SENSITIVE = Policy(HANDOFF, "sensitive")
_WITNESS = Policy(HANDOFF, "witness")
_REQUEST = Policy(HANDOFF, "request")
_EMERGENCY = Policy(EMERGENCY, "emergency")

INTENTS: dict[str, Policy] = {
    **dict.fromkeys(
        (
            "recrutement_conditions",
            "recrutement_concours",
            "recrutement_formation",
            "recrutement_carriere",
            "recrutement_stage_reserve",
            "recrutement_aptitude",
            "recrutement_suivi_dossier",
            "plainte_comment",
            "pre_plainte_en_ligne",
            "main_courante",
            "suivi_plainte",
            "perte_vol_documents",
            "vol_vehicule_fourriere",
            "procuration",
            "contravention",
            "permis_points",
            "attestation_casier",
            "armes",
            "animaux",
            "operation_tranquillite_vacances",
            "nuisances_sonores",
            "commissariat_contact_horaires",
            "autre_procedure",
            "arnaque_cyber",
            "contenu_illicite",
            "salutation",
            "au_revoir",
            "insulte_troll",
            "hors_perimetre",
        ),
        _ANSWER,
    ),
    **dict.fromkeys(("harcelement_cyber", "violences_conjugales", "violences_sexuelles"), _SENSITIVE),
    "disparition": Policy(HANDOFF, "urgent"),
    **dict.fromkeys(("temoignage_info_enquete", "signalement_trafic"), _WITNESS),
    "reclamation_police": Policy(HANDOFF, "complaint"),
    **dict.fromkeys(("reclamation_delai", "parler_humain"), _REQUEST),
    "remerciements": Policy(HANDOFF, "thanks"),
    **dict.fromkeys(("danger_immediat", "detresse_suicide"), _EMERGENCY),
}

DANGER_INTENTS = ("danger_immediat", "detresse_suicide")
FALLBACK = "nlu_fallback"  # Rasa's name for « not sure enough to act »
STATEMENT = "hors_perimetre_precision"  # what asks nothing: an answer, a detail, small talk


def is_danger(intent: str) -> bool:
    """Whether an intent is one of the emergency intents, or a part of one."""
    return intent in DANGER_INTENTS or intent.startswith(tuple(f"{name}_" for name in DANGER_INTENTS))


def is_grave(intent: str | None) -> bool:
    """Whether an intent is an emergency, urgent or sensitive one: violence, a disappearance, a danger."""
    return policy_of(intent).priority <= PRIORITY["sensitive"]


def policy_of(intent: str | None) -> Policy:
    """The policy of an intent; an intent that data added (`armes_chasse`) has that of the longest name it begins with.

    Unknown or None: answer, none (which the caller clarifies).
    """
    if intent is None:
        return _ANSWER
    if intent in INTENTS:
        return INTENTS[intent]
    parents = [name for name in INTENTS if intent.startswith(name + "_")]
    return INTENTS[max(parents, key=len)] if parents else _ANSWER

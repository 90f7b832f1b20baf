"""The words of the console for every value that the store keeps."""

from __future__ import annotations

from bot.policy.intents import INTENTS as POLICIES

CATEGORIES = {
    "emergency": "Urgence vitale",
    "urgent": "Urgent",
    "sensitive": "Sensible",
    "complaint": "Réclamation",
    "witness": "Témoignage",
    "request": "Demande",
    "thanks": "Remerciements",
    "none": "Sans catégorie",
}

INTENTS = {
    "recrutement_conditions": "conditions de recrutement",
    "recrutement_concours": "concours",
    "recrutement_formation": "formation",
    "recrutement_carriere": "carrière",
    "recrutement_stage_reserve": "stage ou réserve",
    "recrutement_aptitude": "aptitude physique ou médicale",
    "recrutement_suivi_dossier": "suivi d’un dossier de candidature",
    "plainte_comment": "porter plainte",
    "pre_plainte_en_ligne": "plainte en ligne",
    "main_courante": "main courante",
    "suivi_plainte": "suivi d’une plainte",
    "perte_vol_documents": "documents perdus ou volés",
    "vol_vehicule_fourriere": "véhicule volé ou en fourrière",
    "procuration": "procuration",
    "contravention": "contravention",
    "permis_points": "permis et points",
    "attestation_casier": "attestation ou casier judiciaire",
    "armes": "armes",
    "animaux": "animaux",
    "operation_tranquillite_vacances": "opération tranquillité vacances",
    "nuisances_sonores": "nuisances sonores",
    "commissariat_contact_horaires": "contact ou horaires d’un commissariat",
    "autre_procedure": "autre démarche",
    "arnaque_cyber": "arnaque en ligne",
    "contenu_illicite": "contenu illicite en ligne",
    "harcelement_cyber": "harcèlement en ligne",
    "violences_conjugales": "violences conjugales",
    "violences_sexuelles": "violences sexuelles",
    "disparition": "disparition",
    "temoignage_info_enquete": "témoignage ou information pour une enquête",
    "signalement_trafic": "signalement d’un trafic",
    "reclamation_police": "réclamation sur la police",
    "reclamation_delai": "réclamation sur un délai",
    "parler_humain": "demande à parler à un agent",
    "remerciements": "remerciements",
    "danger_immediat": "danger immédiat",
    "detresse_suicide": "détresse, risque de suicide",
    "salutation": "salutation",
    "au_revoir": "au revoir",
    "insulte_troll": "insulte ou provocation",
    "hors_perimetre": "hors de notre domaine",
}

# Of an intent that data added, where its parent's words would mislead.
_PARTS = {"hors_perimetre_precision": "précision, rien n’est demandé"}

REASONS = {
    "emergency_lexicon": "Danger reconnu à ses mots",
    "emergency_score": "Danger reconnu à l’ensemble du message",
    "emergency_engine": "Danger reconnu par l’assistant",
    "emergency_other": "Alerte remise par un agent",
    "false_alarm": "Fausse alerte retirée par un agent",
    "danger_probable": "Danger probable\u00a0: à lire en premier",
    "detresse_probable": "Détresse probable\u00a0: à lire en premier",
    "emergency_old": "Danger signalé il y a plus d’un jour",
    "unstorable": "Message que Planton n’a pas pu enregistrer\u00a0: à lire dans la messagerie de Meta",
    "unreadable": "Message illisible\u00a0: à lire dans la messagerie de Meta",
    "untraced": "Répondu sans que Planton en garde trace (restauration ou panne)\u00a0: à vérifier",
    "emergency_unsent": "Danger\u00a0: la réponse d’urgence n’a pas pu partir",
    "emergency_follow_up": "Nouveau message après une alerte",
    "window_closed": "Délai de 24 h dépassé pour l’assistant",
    "too_old": "La réponse de l’assistant n’a pas pu partir en 24 h",
    "autre_langue": "Message dans une autre langue",
    "media": "Photo, message vocal ou fichier à regarder",
    "incompris": "L’assistant n’a pas compris deux fois de suite",
    "boucle": "Beaucoup d’échanges en peu de temps",
    "moteur": "L’assistant était en panne",
    "agent": "Prise par un agent de sa propre initiative",
    "owner_changed": "Quelqu’un d’autre a pris la conversation",
    "crise": "Pendant la crise\u00a0: l’assistant n’a pas compris",
    "crisis_closed": "Mode crise fermé",
    "group_stopped": "Envoi au groupe arrêté",
    "wrote_since": "La personne a écrit entre-temps",
    "agent_took": "Un agent a pris la conversation",
    "given_back": "Conversation rendue à l’assistant",
    "closed": "Conversation close",
    "emergency": "Remplacé par la réponse d’urgence",
    "blocked": "Personne bloquée",
}

AUTHORS = {
    "bot": "Assistant",
    "night": "Message de nuit",
    "emergency": "Réponse d’urgence",
    "agent": "Agent",
    "system": "Message automatique",
    "inbox": "Boîte de réception Meta",
}

OWNERS = {
    "bot": "L’assistant répond",
    "waiting": "Attend un agent",
    "agent": "Suivie par un agent",
    "inbox": "Suivie dans la boîte de réception de Meta",
    "closed": "Close",
}

PLATFORMS = {"messenger": "Messenger", "instagram": "Instagram"}

ATTACHMENTS = {
    "image": "Photo",
    "video": "Vidéo",
    "audio": "Message vocal",
    "file": "Fichier",
    "location": "Position",
    "template": "Message à boutons",
    "fallback": "Lien partagé",
    "sticker": "Autocollant",
    "reel": "Reel",
    "ig_reel": "Reel",
    "share": "Publication partagée",
    "ig_post": "Publication partagée",
    "story_mention": "Mention dans une story",
    "like_heart": "Cœur",
    "ephemeral": "Photo éphémère",
}

SLOTS = {
    "corps": "Métier",
    "diplome": "Diplôme",
    "document": "Document",
    "circonstance": "Circonstance",
    "pays": "Pays",
    "infraction": "Infraction",
    "ville": "Ville",
    "theme": "Thème",
    "lieu": "Lieu",
    "date": "Date",
    "heure": "Heure",
    "service": "Service",
    "equipage": "Équipage",
    "affaire": "Affaire",
    "immatriculation": "Immatriculation",
    "telephone": "Téléphone",
    "age": "Âge",
    "autre_question": "Autre question",
}

# What the assistant wrote into a field by its name for it; everything else is the person's own words.
VALUES = {
    "document": {
        "carte_identite": "carte d’identité",
        "carte_grise": "carte grise",
        "titre_sejour": "titre de séjour",
        "carte_bancaire": "carte bancaire",
        "autre": "autre document",
    },
    "circonstance": {"vole": "volé", "retrouve": "retrouvé"},
    "pays": {"france": "France", "etranger": "à l’étranger"},
    "infraction": {
        "degradation": "dégradation",
        "agression_sexuelle": "agression sexuelle",
        "harcelement": "harcèlement",
        "usurpation": "usurpation d’identité",
        "stupefiants": "stupéfiants",
        "delit_de_fuite": "délit de fuite",
    },
}

OUTCOMES = {
    "given_back": "rendue à l’assistant",
    "closed": "close",
    "spam": "signalée comme indésirable",
    "blocked": "personne bloquée",
}

ROLES = {
    "agent": "agent",
    "validator": "validateur",
    "trainer": "formateur",
    "administrator": "administrateur",
    "auditor": "auditeur",
}

LEVELS = {"service": "chef de service", "cabinet": "cabinet"}

# What the door says when a right is missing; the rest: « Votre rôle ne permet pas cette action. »
REFUSED = {
    "conversation.read": "Votre rôle ne permet pas d’ouvrir les conversations.",
    "conversation.work": "Votre rôle ne permet pas d’agir sur les conversations.",
    "validation.see": "Votre rôle ne permet pas de voir les réponses à valider.",
    "validation.decide": "Votre rôle ne permet pas de valider une réponse.",
    "crisis.run": "Seul un administrateur ouvre, conduit et ferme le mode crise.",
    "accounts.manage": "Seul un administrateur gère les comptes et les équipes.",
    "audit.read": "Le journal s’ouvre aux auditeurs et aux administrateurs.",
}

# What the audit records.
FILTERS = {
    "a-prendre": "À prendre",
    "a-moi": "À moi",
    "toutes": "Toutes",
    "reportees": "Reportées",
    "closes": "Closes",
    "indesirables": "Indésirables",
}

EMPTY = {
    "a-prendre": (
        "Personne n’attend.",
        "Une nouvelle demande s’affichera ici toute seule. Vos conversations en cours sont sous «\u00a0À moi\u00a0».",
    ),
    "a-moi": (
        "Vous n’avez aucune conversation.",
        "Ouvrez une conversation de la liste «\u00a0À prendre\u00a0», puis appuyez sur «\u00a0Prendre\u00a0».",
    ),
    "toutes": ("Aucune demande n’est ouverte.", "Une nouvelle demande s’affichera ici toute seule."),
    "reportees": (
        "Aucune demande n’est reportée.",
        "Une demande que l’on reporte quitte la file et revient d’elle-même à l’heure choisie.",
    ),
    "closes": (
        "Aucune demande n’a encore été close.",
        "Les conversations closes ou rendues à l’assistant se retrouvent ici.",
    ),
    "indesirables": (
        "Rien n’a été signalé comme indésirable.",
        "Les messages publicitaires ou malveillants que l’on écarte depuis une conversation se retrouvent ici.",
    ),
}


def intent(name: str | None) -> str | None:
    """The words for an intent; one that trainers added has those of the name it begins with."""
    if name is None:
        return None
    if name in INTENTS or name in _PARTS:
        return INTENTS.get(name) or _PARTS[name]
    parents = [known for known in POLICIES if name.startswith(known + "_")]
    return INTENTS[max(parents, key=len)] if parents else name.replace("_", " ")


def reason(slug: str) -> str:
    """Why a conversation was handed off: a slug of the worker's, or the intent that asks for a human."""
    if slug in REASONS:
        return REASONS[slug]
    words = intent(slug) or ""
    return words[:1].upper() + words[1:] if words else "Raison inconnue"


def slot(name: str) -> str:
    """The words for a field of a hand-off."""
    return SLOTS.get(name) or name.replace("_", " ").capitalize()


def value(name: str, said: str) -> str:
    """The words for what stands in a field of a hand-off; several values are parted by a comma."""
    words = VALUES.get(name, {})
    return ", ".join(words.get(part, part) for part in said.split(", ")) if words else said

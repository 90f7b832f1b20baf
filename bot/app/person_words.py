"""What an export of a person's data says in French: titles, columns, what is left out and why."""

from __future__ import annotations

from collections.abc import Mapping

from bot.console import audit_words, labels

# Table → its title, and whether the officer reads it before it is handed over (other people, inquiries).
TITLES: dict[str, tuple[str, bool]] = {
    "conversations": ("Conversations", False),
    "events": ("Ce qui a été reçu : messages, corrections, boutons, pièces jointes, réactions", False),
    "outbox": ("Ce qui a été répondu", False),
    "handoffs": ("Demandes confiées à un agent", False),
    "alarms": ("Alertes de danger que ses messages ont données", False),
    "satisfaction": ("Avis donné après une réponse", False),
    "readings": ("Ce que l’assistant a compris de chaque message", False),
    "notes": ("Notes internes des agents", True),
    "drafts": ("Brouillons d’agents", True),
    "submissions": ("Réponses soumises à validation", True),
    "validations": ("Décisions de validation", True),
    "blocks": ("Blocages", True),
    "legal_holds": ("Conservations légales", True),
    "corrections": ("Exemples d’entraînement tirés de ses messages (noms remplacés, publics)", False),
    "stories_made": ("Histoires et essais tirés de ses conversations (noms remplacés, publics)", False),
    "message_groups": ("Groupes de messages semblables, pendant une crise", False),
    "group_members": ("Appartenance à un groupe, pendant une crise", False),
    "search_documents": ("Entrées de l’index de recherche", False),
    "likenesses": ("Empreintes de messages semblables", False),
    "presence": ("Page ouverte par un agent", False),
    "caught": ("Messages repris après une panne", False),
    "deliveries": ("Messages tels que Meta les a transmis", True),
    "audit": ("Journal : qui a ouvert ou traité ses conversations", True),
    "emergency.log": ("Urgences auxquelles il a été répondu pendant une panne", False),
}
COLUMNS: dict[str, str] = {
    "account": "compte de la page",
    "action": "action",
    "answer": "avis",
    "answered_at": "répondu le",
    "at": "date",
    "author": "auteur",
    "before": "texte d’avant",
    "body": "contenu",
    "category": "catégorie",
    "closed_at": "clos le",
    "confidence": "confiance",
    "created_at": "créé le",
    "danger": "danger estimé",
    "decision": "décision",
    "detail": "détail",
    "detector": "détecteur",
    "disposition": "suite donnée",
    "due_at": "échéance",
    "entities": "éléments relevés",
    "events": "messages n°",
    "evidence": "mots qui ont donné l’alerte",
    "entry": "entrée du lexique",
    "file": "fichier",
    "id": "n°",
    "conversation_id": "conversation n°",
    "emergency_at": "réponse d’urgence le",
    "intent": "sujet compris",
    "kind": "sorte",
    "last_agent_at": "dernier message d’un agent",
    "last_person_at": "dernier message de la personne",
    "lifted_at": "levé le",
    "marked": "exemple",
    "message": "message",
    "mid": "identifiant chez Meta",
    "name": "nom",
    "nearest": "question la plus proche",
    "nearest_chance": "certitude de cette question",
    "offers": "questions proposées",
    "opened_at": "ouvert le",
    "outcome": "issue",
    "person": "identifiant propre à la page",
    "placed_at": "posée le",
    "platform": "plateforme",
    "profile": "nom de profil",
    "question": "question à laquelle il a été répondu",
    "ranking": "sujets envisagés",
    "raw": "contenu transmis",
    "read_at": "lu le",
    "reason": "raison",
    "received_at": "reçu le",
    "replied_at": "première réponse d’un agent",
    "route": "voie",
    "sent_at": "envoyé le",
    "stood": "place de la demande, avant",
    "settled_at": "traité le",
    "slots": "éléments connus",
    "state": "état du dialogue",
    "status": "état",
    "text": "texte",
    "updated_at": "modifié le",
    "word": "mot du validateur",
    "words": "mots lus",
}
# Inside what is encrypted; and what says nothing to a reader.
INSIDE: dict[str, str] = {
    "action": "action",
    "attachments": "pièce jointe",
    "emoji": "réaction",
    "entities": "éléments",
    "events": "étapes",
    "links": "lien en bouton",
    "payload": "bouton",
    "quick_replies": "bouton proposé",
    "quick_reply": "bouton choisi",
    "reply_to_mid": "en réponse au message",
    "reply_to_story": "en réponse à la story",
    "sender": "expéditeur",
    "recipient": "destinataire",
    "target": "à propos du message",
    "timestamp": "instant",
    "title": "intitulé",
    "told": "dit auparavant",
    "type": "sorte",
    "url": "adresse",
}
INSIDE_LEFT_OUT = frozenset({"_", "v"})
VALUES: dict[str, Mapping[str, str]] = {
    "author": labels.AUTHORS,
    "category": labels.CATEGORIES,
    "intent": labels.INTENTS,
    "outcome": labels.OUTCOMES,
    "platform": labels.PLATFORMS,
    "action": audit_words.ACTIONS,
    "answer": {"up": "satisfait", "down": "pas satisfait"},
    "decision": {"approved": "approuvé", "amended": "approuvé après retouche", "refused": "refusé"},
    "disposition": {
        "answered": "répondu",
        "emergency": "réponse d’urgence",
        "handed_off": "confié à un agent",
        "to_agent": "transmis à l’agent",
        "ignored": "sans suite",
        "failed": "échec",
    },
    "kind": {
        "text": "message",
        "edit": "message modifié",
        "unsend": "message retiré",
        "attachment": "pièce jointe",
        "postback": "bouton",
        "quick_reply": "bouton",
        "reaction": "réaction",
        "read": "lecture",
        "delivery": "remise",
        "echo": "message de la page",
        "danger": "danger",
        "distress": "détresse",
    },
    "detector": {"lexicon": "lexique", "score": "score de danger", "engine": "moteur", "other": "aucun"},
    "verdict": {"confirmed": "danger confirmé", "taken_back": "fausse alerte"},
    "route": {"answer": "réponse", "handoff": "agent", "emergency": "urgence", "clarify": "question posée"},
    "status": {
        "queued": "à envoyer",
        "sent": "envoyé",
        "failed": "échec",
        "cancelled": "annulé",
        "waiting": "en attente",
        "approved": "approuvé",
        "refused": "refusé",
        "withdrawn": "retiré",
        "expired": "périmé",
    },
}
# Accounts of agents: whoever reads the export learns that an agent did it, not who.
AGENTS = frozenset(
    {
        "user_id", "agent_id", "assignee_id", "assigned_by", "snoozed_by", "lifted_by", "placed_by", "undone_by", "subject_id",
        "reply_by", "validated_by", "verdict_by", "stopped_by", "team_id",
    }
)  # fmt: skip
WITHHELD = (
    "Noms et numéros de compte des agents : ce sont leurs données ; la demande porte sur celles de la personne. « un agent » en "
    "tient lieu.",
    "Motif d’une conservation légale : il peut nommer une affaire ou un tiers ; le délégué décide s’il se communique.",
    "Empreintes à clé (recherche, messages semblables) : illisibles, elles ne disent rien de plus que les mots, qui figurent ici.",
    "Messages d’autres personnes arrivés dans le même envoi de Meta.",
    "Ce que d’autres personnes ont écrit à son sujet : Planton ne sait pas de qui parle un message.",
)
REVIEW = (
    "À relire par le délégué avant remise : les parties marquées « à relire » peuvent citer des tiers ou toucher à une enquête. "
    "Les sauvegardes et ce que Meta garde n’y figurent pas."
)


def unreadable(count: int, exported: bool) -> str:
    """That raw webhooks do not open: so they are not exported, or stay."""
    if count == 1:
        left = "n’est pas dans cet export" if exported else "reste"
        return f"Un webhook brut est illisible (aucune clé ne l’ouvre) : il {left}, et rien ne dit de qui il parle."
    left = "ne sont pas dans cet export" if exported else "restent"
    return f"{count} webhooks bruts sont illisibles (aucune clé ne les ouvre) : ils {left}, et rien ne dit de qui ils parlent."


TEMPLATE = """<!DOCTYPE html>
<html lang="fr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Données d’une personne</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #161616; background: #fff }
h2 { margin-top: 2.5rem } .review { color: #8a2a00 }
dl { display: grid; grid-template-columns: minmax(8rem, 14rem) 1fr; gap: .15rem 1rem; margin: 0 0 1rem; padding: .75rem 1rem;
  border: 1px solid #ccc; border-radius: .4rem }
dt { color: #555 } dd { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr } dd { margin-bottom: .5rem } }
</style>
</head>
<body>
<main>
<h1>Données d’une personne</h1>
<p>Identifiant propre à la page : {{ person }}. Fait le {{ made }}.</p>
<p class="review">{{ review }}</p>
{% for title, review_it, rows in tables %}
<section>
<h2>{{ title }} ({{ rows | length }}){% if review_it %} <span class="review">à relire</span>{% endif %}</h2>
{% for row in rows %}
<dl>{% for name, value in row %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
{% endfor %}
</section>
{% endfor %}
<section>
<h2>Ce qui n’est pas communiqué, et pourquoi</h2>
<ul>{% for line in withheld %}<li>{{ line }}</li>{% endfor %}</ul>
</section>
</main>
</body>
</html>
"""

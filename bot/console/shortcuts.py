"""Keyboard shortcuts: each has one line here, and stands in a template as `{{ shortcut("conversation.reply") }}`.

The call writes the attributes that `comfort.js` reads; /aide shows this table, the `?` dialog what the page at hand has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

EVERYWHERE, QUEUE, CONVERSATION = "Partout", "Dans la file", "Dans une conversation"
VALIDATION, CRISIS, SEARCH = "Dans la validation", "En crise", "Dans la recherche"
WORKBENCH, EXAMPLES = "Dans l’atelier", "Dans les exemples"


@dataclass(frozen=True)
class Shortcut:
    """`keys`: one character, or two with a space between (« g f »: g, then f). `press` False: the key only leads there.

    A field is given the focus; a link or a button is pressed, unless what it does cannot be taken back (`press` False).
    """

    keys: str
    label: str
    where: str
    press: bool = True


# name (topic.action) → shortcut. The name's place decides what may share a key: two of one place may not.
SHORTCUTS: Mapping[str, Shortcut] = {
    "help.keys": Shortcut("?", "Afficher les raccourcis de la page", EVERYWHERE),
    "go.queue": Shortcut("g f", "Ouvrir la file", EVERYWHERE),
    "go.validation": Shortcut("g v", "Ouvrir la validation", EVERYWHERE),
    "go.crisis": Shortcut("g c", "Ouvrir la page de crise", EVERYWHERE),
    "go.search": Shortcut("g r", "Ouvrir la recherche", EVERYWHERE),
    "go.canned": Shortcut("g t", "Ouvrir les réponses types", EVERYWHERE),
    "go.steering": Shortcut("g p", "Ouvrir le pilotage", EVERYWHERE),
    "go.workbench": Shortcut("g w", "Ouvrir l’atelier", EVERYWHERE),
    "go.accounts": Shortcut("g o", "Ouvrir les comptes", EVERYWHERE),
    "go.audit": Shortcut("g j", "Ouvrir le journal", EVERYWHERE),
    "go.help": Shortcut("g a", "Ouvrir l’aide", EVERYWHERE),
    "go.me": Shortcut("g m", "Ouvrir mon compte", EVERYWHERE),
    "queue.next": Shortcut("j", "Aller à la demande suivante", QUEUE),
    "queue.previous": Shortcut("k", "Aller à la demande précédente", QUEUE),
    "queue.open": Shortcut("o", "Ouvrir la demande (ou Entrée)", QUEUE),
    "queue.filters": Shortcut("f", "Aller aux filtres", QUEUE),
    "queue.undo": Shortcut("z", "Annuler la clôture qui vient d’être faite", QUEUE),
    "conversation.back": Shortcut("u", "Revenir à la file", CONVERSATION),
    "conversation.take": Shortcut("p", "Prendre la conversation", CONVERSATION),
    "conversation.reply": Shortcut("r", "Écrire une réponse", CONVERSATION),
    "conversation.give_back": Shortcut("b", "Aller à «\u00a0Rendre à l’assistant\u00a0»", CONVERSATION, press=False),
    "work.note": Shortcut("n", "Écrire une note privée", CONVERSATION),
    "work.give": Shortcut("t", "Transférer ou attribuer la conversation", CONVERSATION),
    "work.snooze": Shortcut("e", "Reporter la conversation", CONVERSATION),
    "work.canned": Shortcut("/", "Chercher une réponse type", CONVERSATION),
    "work.catalogue": Shortcut("q", "Chercher une réponse dans le catalogue des questions", CONVERSATION),
    "work.suggestion": Shortcut("s", "Reprendre la suggestion dans votre réponse", CONVERSATION),
    # An emergency is not to go by a slip of one key: Enter takes it back.
    "alarm.take_back": Shortcut("f", "Aller à «\u00a0Fausse alerte\u00a0»", CONVERSATION, press=False),
    "conversation.close": Shortcut("c", "Aller à «\u00a0Clore\u00a0»", CONVERSATION, press=False),
    "inbox.next": Shortcut("j", "Aller au message suivant de la liste", WORKBENCH),
    "inbox.previous": Shortcut("k", "Aller au message précédent de la liste", WORKBENCH),
    "inbox.open": Shortcut("o", "Ouvrir le message (ou Entrée)", WORKBENCH),
    "inbox.filters": Shortcut("f", "Aller aux filtres des messages", WORKBENCH),
    "inbox.back": Shortcut("u", "Revenir à la liste des messages", WORKBENCH),
    "inbox.pick1": Shortcut("1", "Confirmer ce que Planton a compris", WORKBENCH),
    "inbox.pick2": Shortcut("2", "Choisir la deuxième intention", WORKBENCH),
    "inbox.pick3": Shortcut("3", "Choisir la troisième intention", WORKBENCH),
    "inbox.pick4": Shortcut("4", "Choisir la quatrième intention", WORKBENCH),
    "inbox.pick5": Shortcut("5", "Choisir la cinquième intention", WORKBENCH),
    "inbox.other": Shortcut("i", "Chercher une autre intention", WORKBENCH),
    "inbox.question": Shortcut("q", "En faire une question du catalogue", WORKBENCH),
    "inbox.outside": Shortcut("h", "Rien de chez nous\u00a0: hors périmètre", WORKBENCH),
    "inbox.nothing": Shortcut("n", "Rien de chez nous\u00a0: rien à apprendre", WORKBENCH),
    "inbox.skip": Shortcut("p", "Laisser le message pour plus tard", WORKBENCH),
    "inbox.undo": Shortcut("z", "Annuler la dernière décision", WORKBENCH),
    "inbox.group": Shortcut("d", "Décider pour tout le groupe, ou pour ce message seul", WORKBENCH),
    "inbox.adds": Shortcut("x", "Ajouter aux exemples, ou non", WORKBENCH),
    "inbox.example": Shortcut("r", "Retoucher l’exemple, y marquer des mots", WORKBENCH),
    "examples.add": Shortcut("n", "Écrire un nouvel exemple", EXAMPLES),
    "examples.search": Shortcut("/", "Chercher un exemple", EXAMPLES),
    "examples.undo": Shortcut("z", "Aller à «\u00a0Annuler\u00a0» du dernier changement", EXAMPLES, press=False),
    "checks.run": Shortcut("v", "Aller à «\u00a0Vérifier maintenant\u00a0»", WORKBENCH, press=False),
    "trainings.ask": Shortcut("t", "Aller à «\u00a0Entraîner\u00a0»", WORKBENCH, press=False),
    "catalogue.search": Shortcut("/", "Chercher une question du catalogue", WORKBENCH),
    "catalogue.new": Shortcut("c", "Écrire une nouvelle question du catalogue", WORKBENCH),
    "replies.save": Shortcut("e", "Aller à «\u00a0Enregistrer\u00a0» d’une réponse", WORKBENCH, press=False),
    "search.field": Shortcut("/", "Aller aux mots à chercher", SEARCH),
}


def shortcut(name: str) -> Markup:
    """The attributes of the element that the shortcut leads to. Raises KeyError for a name that is not in SHORTCUTS."""
    found = SHORTCUTS[name]
    does = "" if found.press else ' data-shortcut-does="focus"'
    return Markup('data-shortcut="{}" data-shortcut-label="{}"').format(found.keys, found.label) + Markup(does)  # noqa: S704


def by_place() -> Mapping[str, list[Shortcut]]:
    """The table of /aide: place → its shortcuts."""
    places: dict[str, list[Shortcut]] = {}
    for found in SHORTCUTS.values():
        places.setdefault(found.where, []).append(found)
    return places

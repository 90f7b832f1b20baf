"""Where one can go: each place is shown to those whose role opens it, once its page exists."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from bot.policy.rights import Capability
from bot.store.accounts import User


@dataclass(frozen=True)
class Place:
    """An entry of the navigation. `key`: what a template sets as `here`."""

    key: str
    path: str
    label: str
    needs: Capability


PLACES = (
    Place("queue", "/file", "File", Capability.SEE_QUEUE),
    Place("validation", "/validation", "Validation", Capability.SEE_VALIDATION),
    Place("crisis", "/crise", "Crise", Capability.SEE_CRISIS),
    Place("search", "/recherche", "Recherche", Capability.READ),
    Place("canned", "/reponses-types", "Réponses types", Capability.EDIT_CANNED),
    Place("workbench", "/atelier", "Atelier", Capability.SEE_WORKBENCH),
    Place("steering", "/pilotage", "Pilotage", Capability.SEE_STEERING),
    Place("accounts", "/comptes", "Comptes", Capability.MANAGE_ACCOUNTS),
    Place("retention", "/conservation", "Conservation", Capability.SEE_RETENTION),
    Place("audit", "/journal", "Journal", Capability.READ_AUDIT),
)
# Inside the workbench, in the order of the work. `key`: what a template sets as `part`.
WORKBENCH = (
    Place("inbox", "/atelier", "Messages", Capability.SEE_WORKBENCH),
    Place("examples", "/atelier/exemples", "Exemples", Capability.SEE_WORKBENCH),
    Place("catalogue", "/atelier/catalogue", "Catalogue", Capability.SEE_WORKBENCH),
    Place("replies", "/atelier/reponses", "Réponses", Capability.SEE_WORKBENCH),
    Place("checks", "/atelier/verifications", "Vérifications", Capability.SEE_WORKBENCH),
    Place("changes", "/atelier/changements", "Changements", Capability.SEE_WORKBENCH),
    Place("trainings", "/atelier/essais", "Essais", Capability.SEE_WORKBENCH),
    Place("trial", "/atelier/essayer", "Côte à côte", Capability.TRAIN),
    Place("models", "/atelier/modeles", "Modèles", Capability.SEE_WORKBENCH),
    Place("drift", "/atelier/suivi", "Suivi", Capability.SEE_WORKBENCH),
    Place("talks", "/atelier/conversations", "Conversations", Capability.SEE_WORKBENCH),
)
# Beside one's own name.
OWN = (
    Place("help", "/aide", "Aide", Capability.OWN_ACCOUNT),
    Place("me", "/mon-compte", "Mon compte", Capability.OWN_ACCOUNT),
)


def shown(places: Collection[Place], user: User, paths: Collection[str]) -> list[Place]:
    """The places that this user may open, among those that are served."""
    return [place for place in places if place.path in paths and user.may(place.needs)]

"""French words that the pages of accounts use."""

from __future__ import annotations

from bot.store.administration import Account

METHODS = {"password": "mot de passe", "link": "lien à usage unique", "oidc": "fournisseur d’identité"}
STAGES = {
    "factor": "attend un code",
    "enrol": "doit relier une application",
    "password": "doit changer de mot de passe",
}
STATES = {"actifs": "Actifs", "desactives": "Désactivés", "tous": "Tous"}
NAVIGATION = {"accounts": ("/comptes", "Comptes"), "teams": ("/equipes", "Équipes")}

SAVED = {
    "cree": "Le compte est créé.",
    "modifie": "Les changements sont enregistrés.",
    "desactive": "Le compte est désactivé, ses sessions sont fermées. Ce qu’il suivait attend de nouveau dans la file.",
    "reactive": "Le compte est réactivé.",
    "facteur": "Le code à usage unique est retiré. La prochaine connexion demandera de relier une application, si le rôle le veut.",
    "sessions": "Les sessions sont fermées.",
    "identite": "L’identité est détachée.",
    "mot-de-passe": "Votre mot de passe est changé. Vos autres sessions sont fermées.",
    "retire": "Le code à usage unique n’est plus demandé.",
    "equipe": "L’équipe est enregistrée.",
    "equipe-creee": "L’équipe est créée. Choisissez maintenant ses membres.",
    "archivee": "L’équipe est archivée. Ce qui lui était confié attend de nouveau tout le monde.",
}


def factor(account: Account) -> str:
    """What stands in the list about the second factor."""
    if account.factor:
        return "oui"
    return "à relier" if account.user.owes_factor else "non"


def told(given: str | None) -> str:
    """What was done, as the address says after a redirection; "" for anything else."""
    return SAVED.get(given or "", "")

"""A small catalogue of questions: two of a subject that the assistant answers, one of another, one of a hand-off, one that speaks
as the assistant."""

from __future__ import annotations

from bot.core.catalogue import Catalogue, parse
from bot.policy.catalogue_search import CatalogueSearch

FILE = "data/answers/procuration.yml"
ELECTIONS = "https://www.service-public.gouv.fr/particuliers/vosdroits/F1604"


def entry(id_: str, question: str, title: str, text: str, examples: str, more: str = "") -> tuple[str, str]:
    """A question as it stands under `nlu` and under `responses`. `examples`: with a bar between two."""
    asked = "".join(f"    - {one}\n" for one in examples.split("|"))
    said = f"  utter_{id_}:\n  - text: |-\n      {text}\n    metadata:\n"
    return (
        f"- intent: {id_}\n  examples: |\n{asked}",
        f"{said}      title: '{title}'\n      question: '{question}'\n{more}",
    )


def file(*entries: tuple[str, str]) -> str:
    """A file of the catalogue."""
    asked, said = ("".join(part) for part in zip(*entries, strict=True))
    return f'version: "3.1"\nnlu:\n{asked}responses:\n{said}'


ONLINE = entry(
    "procuration/en_ligne",
    "Comment faire une procuration en ligne ?",
    "En ligne",
    "Faites la demande sur maprocuration.gouv.fr, puis présentez-vous avec une pièce d’identité.",
    "procuration par internet|maprocuration comment ça marche|jpeu faire ma procu en ligne",
    f"      link: '{ELECTIONS}'\n      link_title: 'Procuration de vote'\n",
)
ABROAD = entry(
    "procuration/etranger",
    "Comment voter par procuration depuis l’étranger ?",
    "Depuis l’étranger",
    "Allez à l’ambassade ou au consulat.",
    "je vis à Montréal et je vote à Lyon|expatrié, procuration",
)
HEIGHT = entry(
    "recrutement_aptitude/taille",
    "Faut-il une taille minimale pour devenir gardien ?",
    "Taille minimale",
    "Non, aucune taille minimale n’est exigée.",
    "je mesure 1m55|taille mini gardien de la paix|trop petit pr la police ?",
)
IGPN = entry(
    "reclamation_police/igpn_delai",
    "En combien de temps l’IGPN répond-elle ?",
    "Délai de l’IGPN",
    "L’IGPN ne donne pas de délai.",
    "igpn combien de temps|réponse igpn délai",
)
ROBOT = entry(
    "salutation/robot",
    "Est-ce un robot ?",
    "Un robot ?",
    "Je suis un assistant automatique.",
    "t un robot|je parle à une machine ?",
)
FOR_CADETS = """  - text: |-
      Pour un cadet non plus.
    condition:
    - type: slot
      name: corps
      value: cadet
"""


def catalogue() -> Catalogue:
    """The questions."""
    text = file(ONLINE, ABROAD, IGPN, ROBOT, (HEIGHT[0], HEIGHT[1] + FOR_CADETS))
    return Catalogue({one.id: one for one in parse(FILE, text).questions})


def search() -> CatalogueSearch:
    """As the console looks into them."""
    return CatalogueSearch(catalogue())

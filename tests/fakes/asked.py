"""A small catalogue of questions, in the form of `data/answers/<intent>.yml`."""

from __future__ import annotations

from bot.core import catalogue
from bot.core.catalogue import Catalogue

ONLINE, LATE, LICENCE = "plainte_comment/en_ligne", "contravention/majoree_delai", "armes/permis_chasse"
WORDS = {
    ONLINE: ("Plainte en ligne", "Comment porter plainte en ligne\u202f?"),
    LATE: ("Amende majorée", "Combien de temps ai-je pour contester une amende majorée\u202f?"),
    LICENCE: ("Permis de chasse", "Faut-il un permis pour chasser\u202f?"),
}


def file(name: str) -> str:
    """A file that holds one question of `WORDS`."""
    title, question = WORDS[name]
    return f"""nlu:
- intent: {name}
  examples: |
    - {question}
responses:
  utter_{name}:
  - text: |-
      Voici la réponse.
    metadata:
      title: {title}
      question: {question}
      source: https://www.service-public.gouv.fr/particuliers/vosdroits/F1435
"""


def small() -> Catalogue:
    """Three questions."""
    files = [catalogue.parse(f"{name}.yml", file(name)) for name in WORDS]
    return Catalogue({one.id: one for read in files for one in read.questions})

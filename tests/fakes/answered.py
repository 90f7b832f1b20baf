"""A catalogue of two questions without any fault, for the small project of `tests.fakes.checked`."""

from __future__ import annotations

from bot.trainer.project import Project
from tests.fakes.project import AUTHOR

FILE = "data/answers/animaux.yml"
ROOMS = ["garage", "cave", "grenier", "jardin", "balcon", "cuisine", "salon", "parking"]
YARDS = ["étang", "rivière", "forêt", "prairie", "colline", "plage", "dune", "falaise"]


def question(id_: str, examples: list[str]) -> str:
    """The examples of a question as they stand in a file."""
    return f"- intent: {id_}\n  examples: |\n" + "".join(f"    - {each}\n" for each in examples)


def answer(id_: str, title: str, related: str) -> str:
    """Its answer."""
    return f"""  utter_{id_}:
  - text: |-
      Appelez la mairie : elle tient la fourrière.
      Elle garde un animal 8 jours.
    metadata:
      title: '{title}'
      question: 'Que faire, {title.lower()}\u202f?'
      source: 'https://www.service-public.gouv.fr/particuliers/vosdroits/F1'
      seen: '26/03/2024'
      checked: null
      review_by: '2027-11-01'
      link: 'https://www.service-public.gouv.fr/particuliers/vosdroits/F1'
      link_title: 'La fiche'
      related: ['{related}']
"""


CATALOGUE = (
    'version: "3.1"\nnlu:\n'
    + question("animaux/chat_perdu", [f"mon chat a disparu {room}" for room in ROOMS])
    + question("animaux/morsure", [f"mordue pendant une balade {yard}" for yard in YARDS])
    + "responses:\n"
    + answer("animaux/chat_perdu", "Chat perdu", "animaux/morsure")
    + answer("animaux/morsure", "Morsure", "animaux/chat_perdu")
)


def with_answers(project: Project, text: str = CATALOGUE) -> Project:
    """The project with this catalogue, recorded."""
    (project.root / FILE).parent.mkdir(parents=True, exist_ok=True)
    project.write(FILE, text)
    project.git("add", ".")
    project.git("commit", "--quiet", "--message", "Catalogue", author=AUTHOR)
    return project

"""A small project without any fault, which a test makes wrong on purpose."""

from __future__ import annotations

from pathlib import Path

from bot.trainer.project import Project
from tests.fakes.project import AUTHOR

# Each says another thing in other words: nothing here is like anything else.
THINGS = """
furet loutre héron castor blaireau hérisson chouette perdrix faisan lièvre sanglier chevreuil renard belette fouine martre
putois vison ragondin écureuil marmotte bouquetin chamois mouflon lynx ours loup chacal genette cygne canard oie dindon pintade
caille pigeon corbeau pie geai merle grive moineau mésange pinson rougegorge hirondelle martinet épervier buse milan faucon
aigle vautour tortue lézard couleuvre vipère grenouille crapaud salamandre triton carpe brochet truite perche silure anguille
"""
PLACES = """
garage cave grenier jardin cour balcon cuisine salon chambre couloir parking trottoir square étang rivière forêt prairie colline
vallée plage dune falaise port quai pont tunnel gare stade école crèche mairie marché boulangerie pharmacie hôpital église
cimetière château moulin ferme grange étable verger vigne potager serre atelier usine entrepôt chantier carrière barrage phare
refuge camping hôtel auberge musée théâtre cinéma piscine
"""


def block(intent: str, *examples: str) -> str:
    """An intent as it stands in a file."""
    return f"  - intent: {intent}\n    examples: |\n" + "".join(f"      - {each}\n" for each in examples)


def animals() -> list[str]:
    """Sixty examples."""
    return [f"un {thing} trouvé" for thing in THINGS.split()[:60]]


def proxies() -> list[str]:
    """Sixty others."""
    return [f"vote depuis {place}" for place in PLACES.split()[:60]]


def clean(root: Path) -> Project:
    """Two intents with all that they need, one commit, and the code of this project beside it."""
    for name in ("data/fonds", "docs", "tests/gold"):
        (root / name).mkdir(parents=True)
    texts = {
        "data/nlu.yml": 'version: "3.1"\nnlu:\n'
        + block("animaux", *animals())
        + block("procuration", *proxies())
        + LISTS,
        "data/fonds/un.yml": "nlu:\n" + block("animaux", "ma perruche bleue s’est envolée hier soir"),
        "data/rules.yml": RULES,
        "data/stories.yml": STORIES,
        "data/precisions.yml": "precisions:\n- reponse: utter_animaux\n  au_lieu_de: [utter_procuration]\n  mots:\n  - chien\n",
        "data/danger.yml": "groupes:\n- un\n",
        "domain.yml": DOMAIN,
        "config.yml": "language: fr\nassistant_id: essai\nrecipe: default.v1\npipeline: []\npolicies: []\n",
        "docs/guide-formateur.md": "#### animaux\n**Une bête.**\n#### procuration\n**Voter pour un autre.**\n",
        "tests/gold/jeu.tsv": "text\tintent\tsecond\troute\nqui vote à ma place si je pars en voyage ?\tprocuration\t\tanswer\n",
        ".gitignore": "/models/\n",
    }
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")
    project = Project(root)
    project.git("init", "--quiet", "--initial-branch=main")
    project.git("add", ".")
    project.git("commit", "--quiet", "--message", "Début", author=AUTHOR)
    return project


LISTS = """  - lookup: ville
    examples: |
      - Lyon
      - Lille
  - lookup: corps
    examples: |
      - officier
  - synonym: officier
    examples: |
      - capitaine
"""
RULES = """version: "3.1"
rules:
- rule: animaux
  steps:
  - intent: animaux
  - action: action_repondre
- rule: procuration
  steps:
  - intent: procuration
  - action: action_repondre
- rule: incompris
  steps:
  - intent: nlu_fallback
  - action: action_clarify
"""
STORIES = """version: "3.1"
stories:
- story: une bête puis un vote
  steps:
  - intent: animaux
    entities:
    - ville: Lyon
  - action: action_repondre
  - intent: procuration
  - action: action_repondre
"""
DOMAIN = """version: "3.1"
intents:
- animaux
- procuration
entities:
- ville
- corps
slots:
  ville:
    type: text
    influence_conversation: false
    mappings:
    - type: from_entity
      entity: ville
actions:
- action_repondre
- action_clarify
responses:
  utter_animaux:
  - text: Une bête.
  utter_procuration:
  - text: Un vote.
"""

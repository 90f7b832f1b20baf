"""A new intent is written into all files at once, as training wants it, or into none."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bot.engine.check import check
from bot.policy.intents import policy_of
from bot.trainer.corpus import NLU, Corpus, Operation, apply
from bot.trainer.errors import Changed, TrainerError
from bot.trainer.guide import definitions
from bot.trainer.intent_removal import removable, remove
from bot.trainer.intents import Wanted, create, take_back
from bot.trainer.project import Project
from tests.fakes.project import AUTHOR, copied

TEXTS = [f"permis de chasse, question inventée numéro {n}" for n in range(12)]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The real files, without the background."""
    return copied(tmp_path / "project", small=True)


def changed(project: Project) -> dict[str, tuple[int, int]]:
    """File → (lines added, removed)."""
    told = project.git("diff", "--numstat").splitlines()
    return {name: (int(plus), int(minus)) for plus, minus, name in (line.split("\t") for line in told)}


def test_a_new_intent_is_whole_and_can_be_trained(project: Project) -> None:
    standing = Corpus.read(project).of("armes")[3]
    wanted = Wanted(
        "armes", "armes_chasse", "Le permis de chasse.", [*TEXTS, standing.text], "autres armes\u00a0: `armes`."
    )
    before = {name: project.read(name) for name in ("domain.yml", NLU)}
    created = create(project, wanted)
    counts = changed(project)
    assert {name: minus for name, (_, minus) in counts.items()} == {
        "domain.yml": 0,
        "data/rules.yml": 0,
        "docs/guide-formateur.md": 0,
        NLU: 1,  # the example that moved
    }
    assert counts["data/rules.yml"] == (5, 0)
    assert counts[NLU] == (len(TEXTS) + 1 + 2, 1)
    corpus = Corpus.read(project)
    assert {e.text for e in corpus.of("armes_chasse")} == {*TEXTS, standing.text}
    assert standing.text not in {e.text for e in corpus.of("armes")}
    domain = YAML(typ="safe").load(project.read("domain.yml"))
    assert domain["intents"][domain["intents"].index("armes") + 1] == "armes_chasse"
    assert domain["responses"]["utter_armes_chasse"] == domain["responses"]["utter_armes"]
    rules = YAML(typ="safe").load(project.read("data/rules.yml"))["rules"]
    (rule,) = [one for one in rules if one["rule"] == "armes_chasse"]
    assert rule["steps"] == [{"intent": "armes_chasse"}, {"action": "action_repondre"}]
    assert definitions(project)["armes_chasse"] == "Le permis de chasse."
    assert policy_of("armes_chasse") == policy_of("armes")
    check(project.root)  # what training asks first
    take_back(project, created)
    assert {name: project.read(name) for name in before} == before
    assert changed(project) == {}


def test_what_was_created_is_removed_without_a_trace(project: Project) -> None:
    standing = Corpus.read(project).of("armes")[3]
    create(project, Wanted("armes", "armes_chasse", "Le permis de chasse.", [*TEXTS, standing.text]))
    apply(project, [Operation("add", "armes_chasse", "un exemple de plus")])
    seen = removable(project, "armes_chasse")
    apply(project, [Operation("add", "armes_chasse", "un autre exemple")])
    with pytest.raises(Changed, match="a changé depuis"):
        remove(project, "armes_chasse", seen, lambda marked: None)
    done = remove(project, "armes_chasse", removable(project, "armes_chasse"), lambda marked: None)
    assert changed(project) == {}
    assert "un autre exemple" in project.git("cat-file", "-p", done.kept)
    take_back(project, done)
    assert "un autre exemple" in {e.text for e in Corpus.read(project).of("armes_chasse")}


def test_an_intent_that_is_recorded_or_that_a_story_names_stays(project: Project) -> None:
    assert removable(project, "armes") == removable(project, "n_importe_quoi") == ""
    create(project, Wanted("armes", "armes_chasse", "Le permis de chasse.", TEXTS))
    stories = project.read("data/stories.yml")
    project.write("data/stories.yml", stories + "  # armes_chasse viendra\n  - intent: armes_chasse\n")
    whole = changed(project)
    with pytest.raises(TrainerError, match=rf"data/stories.yml, ligne {stories.count(chr(10)) + 2}, emploie encore"):
        remove(project, "armes_chasse", removable(project, "armes_chasse"), lambda marked: None)
    assert changed(project) == whole
    project.write("data/stories.yml", stories)
    project.git("commit", "--quiet", "--all", "-m", "Publié", author=AUTHOR)
    assert removable(project, "armes_chasse") == ""


def test_of_a_handed_off_one_the_rule_hands_off(project: Project) -> None:
    create(project, Wanted("signalement_trafic", "signalement_trafic_rodeo", "Les rodéos", TEXTS))
    rules = YAML(typ="safe").load(project.read("data/rules.yml"))["rules"]
    (rule,) = [one for one in rules if one["rule"] == "signalement_trafic_rodeo"]
    assert rule["steps"][1] == {"action": "action_handoff"}
    check(project.root)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted("armes", "armes_Chasse", "x", TEXTS), "n’est pas un nom d’intention"),
        (Wanted("armes", "armes_chasse à courre", "x", TEXTS), "armes_chasse_a_courre"),
        (Wanted("armes", "chasse", "x", TEXTS), "doit commencer par"),
        (Wanted("inconnue", "inconnue_x", "x", TEXTS), "cas particulier"),
        (Wanted("danger_immediat", "danger_immediat_feu", "x", TEXTS), "ne se dédouble pas"),
        (Wanted("armes", "armes_chasse", " ", TEXTS), "La définition manque"),
        (Wanted("armes", "armes_chasse", "x", [*TEXTS[:4], *TEXTS[:4], ""]), "4 exemples"),
        (Wanted("armes", "armes_chasse", "x", [*TEXTS, "vu à [Lyon](vile)"]), "n’existe pas"),
        (Wanted("perte_vol_documents", "perte_vol_documents_vole", "x", TEXTS), "déjà le nom d’une réponse"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(project: Project, wanted: Wanted, said: str) -> None:
    with pytest.raises(TrainerError) as caught:
        create(project, wanted)
    assert said in str(caught.value).replace("\u00a0", " ")
    assert changed(project) == {}


def test_the_same_name_twice_is_refused(project: Project) -> None:
    create(project, Wanted("armes", "armes_chasse", "x", TEXTS))
    with pytest.raises(TrainerError, match="existe déjà"):
        create(project, Wanted("armes", "armes_chasse", "x", [f"{text} encore" for text in TEXTS]))

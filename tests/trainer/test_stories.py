"""Stories and tests made of conversations: one block added, style kept, refused when they contradict what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bot.trainer import stories
from bot.trainer.checks import rasa
from bot.trainer.errors import BadFile, Changed
from bot.trainer.project import Project
from bot.trainer.stories import STORIES, BadStory, Turn
from tests.engine import test_stories as player
from tests.fakes import project as projects


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return projects.copied(tmp_path_factory.mktemp("stories") / "project", small=True)


@pytest.fixture
def project(fresh: Project) -> Project:
    fresh.git("checkout", "--quiet", ".")
    fresh.git("clean", "--quiet", "-fd", "tests", "data")
    return fresh


ASKED = Turn("j'ai perdu mes papiers", "perte_vol_documents", "answer")
PASSPORT = Turn("mon passeport", "perte_vol_documents", "answer", entities={"document": "passeport"})
LOST = Turn("euh", "hors_perimetre", "clarify", lost=True)
HUMAN = Turn("un humain", "parler_humain", "handoff", category="request")


def loaded(text: str) -> Any:
    return YAML(typ="safe").load(text)


def test_a_story_is_one_block_more_and_taken_back_nothing_is_left(project: Project) -> None:
    before = project.read(STORIES)
    draft = stories.story(project, "papiers : perdus, puis l'agent", [ASKED, PASSPORT, LOST, HUMAN])
    stories.add(project, draft)
    after = project.read(STORIES)
    assert after == before + "\n" + draft.text
    assert loaded(after)["stories"][-1] == {
        "story": "papiers : perdus, puis l'agent",
        "steps": [
            {"intent": "perte_vol_documents"},
            {"action": "action_documents"},
            {"intent": "perte_vol_documents", "entities": [{"document": "passeport"}]},
            {"action": "action_documents"},
            {"intent": "nlu_fallback"},
            {"action": "action_clarify"},
            {"intent": "parler_humain"},
            {"action": "action_handoff"},
        ],
    }
    stories.remove(project, draft)
    assert project.read(STORIES) == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("stories:\n- story: a\n  steps:\n  - intent: armes\n  - action: action_repondre", ""),
        ("stories:\n  - story: a\n    steps:\n    - intent: armes\n    - action: action_repondre\n\n\n", ""),
        (
            "stories:\n# un\n- story: a # deux\n  steps:\n  - intent: armes\n  - action: action_repondre\n",
            "\n# --- Les règles\nrules:\n- rule: x\n  steps:\n  - intent: armes\n  - action: action_repondre\n",
        ),
    ],
)
def test_whatever_the_files_style_everything_else_stays(project: Project, before: str, after: str) -> None:
    text = 'version: "3.1"\n\n' + before + after
    project.write(STORIES, text)
    draft = stories.story(project, "suite", [PASSPORT])
    stories.add(project, draft)
    now = project.read(STORIES)
    old, new = loaded(text), loaded(now)
    assert new == {**old, "stories": [*old["stories"], *loaded("stories:\n" + draft.text)["stories"]]}
    for line in text.splitlines():
        assert line in now.splitlines()


@pytest.mark.parametrize(
    "name",
    ["oui", "true", "- x", "a: b", "« à l’heure »", "# non", "l'été", "null", "a | b", "12 jours", "*x", "&x", "x:"],
)
def test_names_are_kept_as_they_are(project: Project, name: str) -> None:
    draft = stories.story(project, name, [PASSPORT, HUMAN])
    stories.add(project, draft)
    assert loaded(project.read(STORIES))["stories"][-1]["story"] == name


def test_a_value_that_is_in_no_list_is_replaced(project: Project) -> None:
    town = Turn("à Trifouilly", "commissariat_contact_horaires", "answer", entities={"ville": "Karim", "inconnu": "x"})
    text = stories.story(project, "une ville", [town]).text
    assert "Karim" not in text
    assert "inconnu" not in text
    assert "- ville: Agen" in text
    known = Turn("à Lyon", "commissariat_contact_horaires", "answer", entities={"ville": "Lyon"})
    assert "- ville: Lyon" in stories.story(project, "lyon", [known]).text


def test_a_slot_that_weighs_in_the_dialogue_is_carried(project: Project) -> None:
    domain = project.read("domain.yml")
    cut = domain.index("  document:\n    type: text\n    influence_conversation: false")
    project.write("domain.yml", domain[:cut] + domain[cut:].replace("conversation: false", "conversation: true", 1))
    text = stories.story(project, "papier pesant", [PASSPORT]).text
    assert "  - slot_was_set:\n    - document: passeport\n" in text


@pytest.mark.parametrize(
    ("turns", "why"),
    [
        ([], "Aucun message n’est choisi"),
        ([ASKED] * 21, "21 messages"),
        ([Turn("x", "danger_immediat", "emergency")], "n’y a pas répondu de lui-même"),
        ([Turn("x", None, "answer")], "n’y a pas répondu de lui-même"),
        ([Turn("x", "intention_disparue", "answer")], "n’est plus dans domain.yml"),
    ],
)
def test_what_is_no_story(project: Project, turns: list[Turn], why: str) -> None:
    with pytest.raises(BadStory, match=why):
        stories.story(project, "suite", turns)


def test_the_same_story_and_the_same_name_are_told(project: Project) -> None:
    stories.add(project, stories.story(project, "papiers puis humain", [PASSPORT, HUMAN]))
    with pytest.raises(BadStory, match=r"déjà dans les histoires.*papiers puis humain"):
        stories.story(project, "autrement", [PASSPORT, HUMAN])
    with pytest.raises(BadStory, match="s’appelle déjà"):
        stories.story(project, "Papiers, puis humain !", [HUMAN, HUMAN])
    with pytest.raises(BadStory, match="s’appelle déjà"):  # a rule's name
        stories.story(project, "Salutation", [HUMAN])


def test_a_story_that_contradicts_another_is_refused(project: Project) -> None:
    other = (
        "\n- story: autrement\n  steps:\n  - intent: procuration\n  - action: action_clarify\n"
        "  - intent: armes\n  - action: action_handoff\n"
    )
    project.write(STORIES, project.read(STORIES) + other)
    with pytest.raises(BadStory, match=r"contredit l’histoire.*autrement"):
        stories.story(project, "suite", [Turn("x", "procuration", "answer"), HUMAN])


@pytest.mark.parametrize("name", ["", "  ", "12", "---", "\u200b", "a\x07b", "x" * 81])
def test_what_is_no_name(project: Project, name: str) -> None:
    with pytest.raises(BadStory):
        stories.story(project, name, [PASSPORT])


def test_an_intent_without_a_rule_is_told(project: Project) -> None:
    project.write("data/rules.yml", project.read("data/rules.yml").replace("intent: parler_humain", "intent: armes"))
    with pytest.raises(BadStory, match="aucune règle"):
        stories.story(project, "suite", [HUMAN])


@pytest.mark.parametrize("file", ["data/stories.yml", "data/rules.yml", "domain.yml", "data/nlu.yml"])
def test_a_damaged_file_is_refused_and_untouched(project: Project, file: str) -> None:
    project.write(file, project.read(file) + "\n\tcassé: [")
    before = project.read(STORIES)
    with pytest.raises(BadFile, match=file):
        stories.story(project, "suite", [PASSPORT])
    assert project.read(STORIES) == before


def test_what_was_changed_since_stays(project: Project) -> None:
    draft = stories.story(project, "suite", [PASSPORT, HUMAN])
    stories.add(project, draft)
    project.write(STORIES, project.read(STORIES).replace("- story: suite", "- story: la suite"))
    with pytest.raises(Changed):
        stories.remove(project, draft)
    made = stories.played(project, "un test", [PASSPORT])
    stories.add(project, made)
    with pytest.raises(Changed):
        stories.add(project, made)
    project.write(made.file, made.text + "\n")
    with pytest.raises(Changed):
        stories.remove(project, made)


def test_a_test_is_what_the_player_reads(project: Project) -> None:
    reply = loaded(project.read("domain.yml"))["responses"]["utter_perte_vol_documents"][0]["text"]
    turns = [
        Turn('j\'ai "perdu" : mes\npapiers # hier', "perte_vol_documents", "answer", replies=("Bonjour. " + reply,)),
        Turn("", "plainte_comment", "answer", payload='/perte_vol_documents{"document": "passeport"}'),
        LOST,
        Turn("ah", "procuration", "handoff", lost=True),
        Turn("nul", "insulte_troll", "answer", silent=True),
        Turn("il me frappe", "violences_conjugales", "handoff", category="sensitive"),
    ]
    draft = stories.played(project, "Papiers : perdus", turns)
    assert draft.file == "tests/engine/conversations/01_papiers_perdus.yml"
    stories.add(project, draft)
    steps = loaded(Path(project.path(draft.file)).read_text("utf-8"))
    assert [step.get("user", step.get("payload")) for step in steps] == [t.payload or t.words for t in turns]
    assert steps[0]["expect"]["responses_contain"][0] in reply
    # The player of tests/engine understands each expectation, and an answer of that kind meets it.
    answers = [
        turn("perte_vol_documents", said=reply),
        turn("plainte_comment"),
        turn("hors_perimetre", clarify=True),
        turn("procuration", handoff={"category": "request"}),
        turn("insulte_troll", silence=True),
        turn("violences_conjugales", handoff={"category": "sensitive"}),
    ]
    for step, answer in zip(steps, answers, strict=True):
        assert [player._wrong(key, wanted, answer) for key, wanted in step["expect"].items()] == [""] * len(
            step["expect"]
        )
    assert player._wrong("intent", steps[5]["expect"]["intent"], answers[0])
    with pytest.raises(BadStory, match="s’appelle déjà"):
        stories.played(project, "papiers perdus", turns)
    stories.remove(project, draft)
    assert not project.path(draft.file).exists()


def turn(
    intent: str, said: str = "", handoff: Any = None, clarify: bool = False, silence: bool = False
) -> dict[str, Any]:
    return {
        "understanding": {"intent": intent},
        "replies": [{"text": said, "quick_replies": []}],
        "handoff": handoff,
        "clarify": clarify,
        "silence": silence,
    }


def test_tests_are_numbered_after_those_there_are(project: Project) -> None:
    folder = project.path("tests/engine/conversations")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "75_humain_redemande.yml").write_text("[]")
    assert stories.played(project, "Œuvre d’été", [PASSPORT]).file.endswith("/76_oeuvre_d_ete.yml")


def test_rasa_takes_a_story_of_ours(project: Project) -> None:
    """The engine's own validation, in its own environment: some ten seconds."""
    stories.add(project, stories.story(project, "papiers, agent : « la suite »", [ASKED, PASSPORT, LOST, HUMAN]))
    strange = "\n- story: inconnue\n  steps:\n  - intent: intention_inconnue\n  - action: action_clarify\n"
    project.write(STORIES, project.read(STORIES) + strange)  # Rasa does read to the end of the file
    found = [one for one in rasa.check(project) if one.severity == "error"]
    assert found
    assert all("intention_inconnue" in one.what for one in found), found

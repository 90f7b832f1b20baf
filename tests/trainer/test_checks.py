"""Each check finds what it is for, and nothing in a project that is sound; a damaged file costs its own checks only."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from bot.trainer.checks import Context, Finding, check_all, check_example, families
from bot.trainer.checks.finding import ordered, typeset, warning
from bot.trainer.checks.rasa import translated
from bot.trainer.gold import SCRIPT_NAMES
from bot.trainer.project import Project
from tests.fakes.checked import PLACES, THINGS, animals, block, clean, proxies

DAY = date(2026, 1, 15)
NLU = "data/nlu.yml"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A sound project."""
    return clean(tmp_path / "project")


def found(project: Project) -> list[Finding]:
    """All but the replies' findings, which have their own tests."""
    return [one for one in check_all(project, today=DAY) if not one.code.startswith("reply-")]


def put(project: Project, name: str, old: str, new: str) -> None:
    """Change a file; the old words must stand in it."""
    text = project.read(name)
    assert old in text
    project.write(name, text.replace(old, new, 1))


def test_a_sound_project_has_no_finding(project: Project) -> None:
    assert found(project) == []


def test_every_finding_has_a_place_a_remedy_and_a_family(project: Project) -> None:
    put(project, NLU, "- un furet trouvé", "- UN LYNX TROUVÉ\n      - voter pour [mamie](personne)")
    put(project, "data/rules.yml", "rule: procuration", "rule: animaux")
    for one in check_all(project, today=DAY):
        assert one.what.endswith(".")
        assert one.remedy[:1].isupper()
        assert project.path(one.file).exists()
        assert families.of(one.code) is not families.OTHER, one.code


# file, what stands there, what stands there then → severity, code, file, line (None: whole file), part of the sentence
Wrong = tuple[str, str, str, str, str, str, int | None, str]
WRONG: tuple[Wrong, ...] = (
    (NLU, "- un furet trouvé", "- Un LYNX, trouvé !", "error", "duplicate", NLU, 29, "est déjà un exemple (data/nlu.yml:5)"),
    (NLU, "- vote depuis garage", "- Un lynx trouvé", "error", "duplicate", NLU, 67, "est déjà un exemple de animaux"),
    (
        NLU, "- un furet trouvé", "- ma perruche bleue s’est envolée hier matin très tôt", "error", "frame",
        "data/fonds/un.yml", 4, "reprend 6 mots à la suite (« ma perruche bleue s est envolee »)",
    ),
    (
        NLU, "- un furet trouvé", "- bonjour ma peruche bleu s’est anvolé hier soir", "warning", "near-duplicate",
        "data/fonds/un.yml", 4, "dit presque la même chose que data/nlu.yml:5",
    ),
    (
        NLU, "- vote depuis garage", "- ma perruche s’est envolée hier soir", "warning", "nearer-elsewhere", NLU, 67,
        "(procuration) ressemble surtout à un exemple de animaux",
    ),
    (NLU, "- vote depuis garage", "- voter pour [mamie](personne)", "error", "entity", NLU, 67, "« personne » n’existe pas"),
    (NLU, "- un furet trouvé", f"- {'trouvé ' * 130}un furet", "warning", "overlong", NLU, 5, "caractères"),
    (NLU, "- un furet trouvé", f"- {'trouvé ' * 330}un furet", "error", "overlong", NLU, 5, "plus de 2000"),
    (NLU, "- un furet trouvé", "- furet : appelez le 06 12 34 56 78", "error", "personal", NLU, 5, "un numéro de téléphone"),
    (NLU, "- un furet trouvé", "- furet, écrivez à jean.dupuis@exemple.fr", "error", "personal", NLU, 5, "adresse électronique"),
    (
        NLU, "- vote depuis garage", "- QUI VOTE A MA PLACE si je pars en voyage", "error", "leak", NLU, 67,
        "redit un message du jeu de mesure (tests/gold/jeu.tsv:2)",
    ),
    ("tests/gold/jeu.tsv", "\t\tanswer", "\t\thandoff", "error", "gold-row", "tests/gold/jeu.tsv", 2, "la table dit « answer »"),
    (
        "tests/gold/jeu.tsv", "\t\tanswer\n", "\t\tanswer\nQui vote à ma place quand je pars en voyage\tprocuration\t\tanswer\n",
        "error", "gold-row", "tests/gold/jeu.tsv", 3, "est déjà en tests/gold/jeu.tsv:2",
    ),
    (NLU, "      - un furet trouvé\n", "", "warning", "thin", NLU, 3, "n’a que 59 exemples : il en faut 60"),
    (
        "domain.yml", "- procuration\n", "- procuration\n- armes\n", "error", "no-example", "domain.yml", 5,
        "« armes » n’a aucun exemple",
    ),
    ("domain.yml", "- procuration\n", "", "error", "intent-unknown", NLU, 65, "« procuration » n’existe pas"),
    (
        "domain.yml", "utter_procuration:", "utter_vote:", "error", "no-reply", "domain.yml", 4,
        "n’a pas de réponse « utter_procuration »",
    ),
    (
        "data/rules.yml", "- rule: animaux\n  steps:\n  - intent: animaux\n  - action: action_repondre\n", "", "error", "no-rule",
        "data/rules.yml", None, "« animaux » n’a pas de règle",
    ),
    (
        "data/rules.yml", "nlu_fallback", "procuration", "error", "no-rule", "data/rules.yml", None, "nlu_fallback",
    ),
    (
        "docs/guide-formateur.md", "#### procuration", "#### autre", "warning", "no-guideline", "docs/guide-formateur.md", None,
        "« procuration » n’est pas expliquée",
    ),
    (
        "data/rules.yml", "  - intent: nlu_fallback\n", "  - intent: animaux\n", "error", "contradiction", "data/rules.yml", 14,
        "fait action_clarify pour « animaux », la règle de la ligne 3 fait action_repondre",
    ),
    (
        "data/stories.yml", "  - action: action_repondre\n", "  - action: action_clarify\n", "error", "contradiction",
        "data/stories.yml", 8, "après « animaux », la règle (data/rules.yml:3) fait action_repondre",
    ),
    ("data/stories.yml", "- intent: animaux", "- intent: autruche", "error", "step-unknown", "data/stories.yml", 5, "« autruche »"),
    ("data/stories.yml", "action_repondre", "action_danser", "error", "step-unknown", "data/stories.yml", 8, "« action_danser »"),
    (
        "data/stories.yml", "  - action: action_repondre\n", "  - slot_was_set:\n    - inconnu: oui\n  - action: action_repondre\n",
        "error", "step-unknown", "data/stories.yml", 8, "l’emplacement « inconnu »",
    ),
    ("data/stories.yml", "- ville: Lyon", "- pays: Lyon", "error", "step-unknown", "data/stories.yml", 5, "l’entité « pays »"),
    ("data/rules.yml", "rule: procuration", "rule: animaux", "warning", "story-name", "data/rules.yml", 7, "déjà le nom"),
    (
        "data/stories.yml", "story: une bête puis un vote\n  steps:", "story: vide\n  steps: []\n  autre:", "error", "story-form",
        "data/stories.yml", 3, "pas d’étapes",
    ),
    ("data/stories.yml", "stories:", "histoires:", "error", "story-form", "data/stories.yml", 1, "« stories: » manque"),
    ("domain.yml", "entity: ville", "entity: pays", "error", "slot", "domain.yml", 13, "attend l’entité « pays »"),
    (NLU, "      - officier\n", "      - LILLE\n", "error", "two-lists", NLU, 133, "est déjà dans la liste « ville »"),
)  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong[4]}-{wrong[2][:20]}")
def test_each_fault_is_found_at_its_place(project: Project, wrong: Wrong) -> None:
    name, old, new, severity, code, file, line, told = wrong
    put(project, name, old, new)
    (one, *others) = [one for one in found(project) if one.code == code and told in one.what]
    assert others == []
    assert (one.severity, one.file, one.line) == (severity, file, line)


# Words of the file → severity, code, line, part of the sentence.
SCRIPTS = "data/scripts.yml"
THEIRS: tuple[tuple[str, str, str, str, int | None, str], ...] = (
    (
        "- script: witness",
        "- script: temoin",
        "error",
        "script-unknown",
        11,
        "« temoin » n’est le nom d’aucune réponse",
    ),
    ("- script: witness", "- script: temoin", "error", "script-thin", None, "« witness » n’a aucun exemple"),
    ("    - garage dans la nuit\n", "", "error", "script-thin", 4, "« own_danger » n’a que 4 exemples : il en faut 5"),
    (
        "- garage dans la nuit",
        "- Cave, DANS la nuit !",
        "error",
        "duplicate",
        7,
        "est déjà un exemple (data/scripts.yml:6)",
    ),
    (
        "- garage dans la nuit",
        "- Crèche dans la nuit",
        "error",
        "duplicate",
        45,
        "est déjà un exemple de own_danger (data/scripts.yml:6)",
    ),
    ("- garage dans la nuit", "- appelez le 06 12 34 56 78", "error", "personal", 6, "un numéro de téléphone"),
    (
        "- garage dans la nuit",
        "- qui vote a ma place si je pars en voyage",
        "error",
        "leak",
        6,
        "(tests/gold/jeu.tsv:2)",
    ),
    ("- garage dans la nuit", f"- {'garage ' * 330}", "error", "overlong", 6, "plus de 2000"),
    ('moi: "je"', 'moi: "***"', "error", "file", 2, "« *** », dans le groupe « moi »"),
    ("scripts:", "exemples:", "error", "file", 1, "« scripts: » manque"),
)


@pytest.mark.parametrize("wrong", THEIRS, ids=lambda wrong: f"{wrong[3]}-{wrong[1][:20]}")
def test_what_teaches_the_words_for_an_emergency_is_checked(
    project: Project, wrong: tuple[str, str, str, str, int | None, str]
) -> None:
    old, new, severity, code, line, told = wrong
    words = iter(f"{PLACES} {THINGS}".split())
    listed = "".join(
        f"- script: {name}\n  examples: |\n" + "".join(f"    - {next(words)} dans la nuit\n" for _ in range(5))
        for name in SCRIPT_NAMES
    )
    project.write(SCRIPTS, f'mots:\n  moi: "je"\nscripts:\n{listed}')
    project.git("add", ".")
    project.git("commit", "--quiet", "--message", "Mots", author="É <e@localhost>")
    assert found(project) == []
    put(project, SCRIPTS, old, new)
    (one,) = [one for one in found(project) if one.code == code and told in one.what.replace("\u00a0", " ")]
    assert (one.severity, one.file, one.line, one.intent) == (severity, SCRIPTS, line, None)
    assert families.of(one.code) is not families.OTHER


def test_an_intent_that_outgrows_the_others(project: Project) -> None:
    # Two intents of sixty and one of sixty make the median; a fourth of three hundred is too much.
    word = [
        f"{a}{b}{c}"
        for a in "bdfg"
        for b in ("alo", "umi", "eta", "osi")
        for c in ("nk", "rv", "pst", "gl", "tz")
        for _ in "x"
    ]
    many = [f"{one} {two}" for one in word[:40] for two in word[40:48]]
    put(project, NLU, LISTS_BEGIN, block("armes", *many) + LISTS_BEGIN)
    put(project, "domain.yml", "- procuration\n", "- procuration\n- armes\n")
    (one,) = [one for one in found(project) if one.code == "unbalanced"]
    assert (one.severity, one.intent) == ("warning", "armes")
    assert "a 320 exemples, les autres 60" in one.what


LISTS_BEGIN = "  - lookup: ville\n"


def test_two_stories_that_part_at_the_same_moment(project: Project) -> None:
    put(project, "data/rules.yml", "- rule: animaux\n  steps:\n  - intent: animaux\n  - action: action_repondre\n", "")
    text = project.read("data/stories.yml")
    project.write(
        "data/stories.yml",
        text + "- story: une bête autrement\n  steps:\n  - intent: animaux\n    entities:\n    - ville: Lille\n"
        "  - action: action_clarify\n",
    )
    (one,) = [one for one in found(project) if one.code == "contradiction"]
    assert (one.file, one.line) == ("data/stories.yml", 16)
    assert "« une bête autrement » fait action_clarify au moment où « une bête puis un vote »" in one.what


def test_short_forms_are_no_near_duplicates(project: Project) -> None:
    put(project, NLU, "- un furet trouvé", "- bjr\n      - bjr bjr\n      - slt bjr")
    assert [one.code for one in found(project)] == []


def test_names_are_looked_for_in_what_is_new(project: Project) -> None:
    named = "mon voisin Kevin Delattre a perdu son furet"
    put(project, NLU, "- un furet trouvé", f"- {named}")
    (one,) = found(project)
    assert (one.severity, one.code, one.line) == ("warning", "personal", 5)
    assert "Kevin" not in one.what + one.remedy
    project.git("commit", "--quiet", "--all", "--message", "Lu", author="É <e@localhost>")
    assert found(project) == []


# -- damaged files ---------------------------------------------------------------------------------------------------------

BOMB = "a: &a [x, x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(8))
DAMAGED: tuple[tuple[str, bytes, int | None], ...] = (
    (NLU, b"nlu:\n  - intent: [", 2),
    (NLU, "nlu:\n  - intent: écureuil\n    examples: |\n      - oui\n".encode(), 2),
    (NLU, b"nlu:\n  - intent: animaux\n    examples: |\n      - caf\xe9\n", 4),
    (NLU, b"", 1),
    ("data/fonds/un.yml", b"\xff\xfen\x00l\x00u\x00", 1),
    ("data/rules.yml", BOMB.encode(), 1),
    ("data/stories.yml", b"stories:\n\t- story: x\n", 2),
    ("domain.yml", b"- une\n- liste\n", 1),
    ("data/precisions.yml", b"precisions: !!python/object:os.system x\n", 1),
    ("config.yml", b"pipeline:\n- name: x\n  name: y\n", 3),
    ("data/danger.yml", b"x" * 20_000, 1),
)


@pytest.mark.parametrize(("name", "raw", "line"), DAMAGED, ids=lambda value: str(value)[:24])
def test_a_damaged_file_is_one_finding_and_the_others_are_checked(
    project: Project, name: str, raw: bytes, line: int | None
) -> None:
    put(project, "tests/gold/jeu.tsv", "\t\tanswer", "\t\thandoff")
    project.path(name).write_bytes(raw)
    seen = check_all(project, today=DAY)
    (one,) = [one for one in seen if one.code == "file"]
    assert (one.severity, one.file, one.line) == ("error", name, line)
    assert seen[0].is_error
    assert any(other.code == "gold-row" for other in seen)


def test_a_missing_file_and_a_missing_folder(project: Project) -> None:
    project.path("data/stories.yml").unlink()
    project.path("tests/gold/jeu.tsv").unlink()
    told = {(one.code, one.file) for one in found(project)}
    assert told == {("file", "data/stories.yml"), ("gold-row", "tests/gold")}


# -- one example, for a page -----------------------------------------------------------------------------------------------

ONE: tuple[tuple[str, str, list[str]], ...] = (
    ("procuration", "mamie veut élire le maire depuis son lit", []),
    ("procuration", "", ["empty"]),
    ("procuration", " - ", ["empty"]),
    ("procuration", "VOTE DEPUIS UN GARAGE", ["near-duplicate"]),
    ("procuration", "Vote depuis garage !", ["duplicate"]),
    ("procuration", "Un lynx trouvé", ["duplicate"]),
    ("animaux", "depuis mardi ma perruche bleue s’est envolée hier", ["frame"]),
    ("animaux", "bonjour ma peruche bleu s’est anvolé hier soir", ["near-duplicate"]),
    ("procuration", "ma perruche s’est envolée hier soir", ["nearer-elsewhere"]),
    ("procuration", "qui vote à ma place si je pars en voyage", ["leak"]),
    ("procuration", "voter pour [mamie](personne) en ville", ["entity"]),
    ("procuration", "voter pour [mamie]{personne", ["entity"]),
    ("procuration", "ma carte d’électeur, appelez le 06 12 34 56 78", ["personal"]),
    ("procuration", "isoloir " * 120, ["overlong"]),
)


@pytest.mark.parametrize(("intent", "marked", "codes"), ONE, ids=lambda value: str(value)[:30])
def test_an_example_that_is_being_written(project: Project, intent: str, marked: str, codes: list[str]) -> None:
    told = check_example(Context.of(project), intent, marked)
    assert [one.code for one in told] == codes
    assert all(one.line is None for one in told)


def test_an_example_is_no_double_of_itself(project: Project) -> None:
    context = Context.of(project)
    stands = next(each for each in context.corpus.examples if each.text == "un furet trouvé")
    assert check_example(context, stands.intent, stands.marked, stands) == []
    assert [one.code for one in check_example(context, stands.intent, stands.marked)] == ["duplicate"]


def test_the_context_follows_the_files(project: Project) -> None:
    marked = "mon canari est sorti par la fenêtre"
    assert check_example(Context.of(project), "animaux", marked) == []
    put(project, NLU, "- un furet trouvé", f"- {marked}")
    (one,) = check_example(Context.of(project), "animaux", marked)
    assert "(data/nlu.yml:5)" in one.what
    # What only moved is told at its new line.
    put(project, NLU, f"- {marked}", f"- une otarie trouvée\n      - {marked}")
    (one,) = check_example(Context.of(project), "animaux", marked)
    assert "(data/nlu.yml:6)" in one.what


# -- what Rasa says --------------------------------------------------------------------------------------------------------

HEAD = "\x1b[93m/x/rasa/shared/utils/io.py:100: UserWarning: "
LOG = "\x1b[0m2026-11-25 19:57:10 "
SAID = f"""{HEAD}The utterance 'utter_armes' is not used in any story or rule.
{HEAD}The following duplicated intents have been found across multiple domain files: armes, animaux
  More info at https://rasa.com/docs/rasa/domain
{HEAD}Issue found in 'data/stories.yml':
Found intent 'autruche' in stories which is not part of the domain.
  More info at https://rasa.com/docs/rasa/stories
{HEAD}The action 'action_danser' is used in the 'bal' block, but it is not listed in the domain file. You should add it!
  More info at https://rasa.com/docs/rasa/domain
{HEAD}The intent 'armes' is listed in the domain file, but is not found in the NLU training data.
/x/y.py:1: DeprecationWarning: something of no interest 'here'
{LOG}INFO     rasa.validator  - Validating intents...
{LOG}ERROR    rasa.shared.core.trackers  - Tried to set non existent slot 'inconnu'. Make sure.
Processed story blocks: 100%|███| 26/26\r{LOG}WARNING  rasa.validator  - Story structure conflict after intent 'animaux':
  action_a predicted in 'un'
  action_b predicted in 'deux' and 'trois'
{HEAD}Something quite new about 'zèbre'.

\x1b[91mProject validation completed with errors.\x1b[0m
"""


def lines(file: str, name: str) -> int | None:
    """Where each name stands, as a file would say."""
    return {
        ("data/stories.yml", "autruche"): 5,
        ("data/rules.yml", "action_danser"): 9,
        ("data/stories.yml", "deux"): 20,
    }.get((file, name))


def test_what_rasa_prints_is_told_in_french_with_its_place() -> None:
    told = list(translated(SAID, 1, lines))
    assert [(one.severity, one.file, one.line) for one in told] == [
        ("error", "data/stories.yml", 5),
        ("error", "data/rules.yml", 9),
        ("error", "domain.yml", None),
        ("error", "data/stories.yml", None),
        ("error", "data/stories.yml", 20),
        ("warning", "domain.yml", None),
    ]
    whole = " ".join(one.what for one in told)
    assert "« animaux » : action_a dans « un » ; action_b dans « deux », « trois »." in whole
    assert "à propos de « zèbre »" in whole
    for english in ("found", "domain file", "predicted", "quite new", "conflict"):
        assert english not in whole


def test_what_is_known_already_is_not_told_twice() -> None:
    first = list(translated(SAID, 1, lines))
    assert list(translated(SAID, 1, lines, first)) == []


def test_a_trace_becomes_one_sentence() -> None:
    trace = "Traceback (most recent call last):\n  File \"/x/y.py\", line 3\nrasa.exceptions.Bad: no slot 'vide' in domain.yml\n"
    (one,) = translated(trace, 1, lambda file, name: 7)
    assert (one.severity, one.file, one.line) == ("error", "domain.yml", 7)
    assert "Traceback" not in one.what + one.remedy
    assert "« vide »" in one.what


def test_without_the_engine_rasa_is_a_warning(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.core.program.ROOT", project.root)
    (one,) = [one for one in check_all(project, today=DAY, with_rasa=True) if one.code == "rasa"]
    assert (one.severity, one.remedy) == ("warning", "Faites : make install")


# -- small things ----------------------------------------------------------------------------------------------------------


def test_order_and_typography() -> None:
    late, early = warning("thin", "data/nlu.yml", 9, "b.", "B."), warning("thin", "data/nlu.yml", 2, "a.", "A.")
    assert ordered([late, early, late]) == [early, late]
    assert typeset("« oui » : non ; si ?") == "«\u00a0oui\u00a0»\u00a0: non\u202f; si\u202f?"


def test_the_words_of_the_fake_are_all_different() -> None:
    """What makes a sound project sound."""
    assert len(set(animals())) == len(set(proxies())) == 60
    assert len(PLACES.split()) >= 60

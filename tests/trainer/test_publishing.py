"""Publishing and going back over real files, git and PostgreSQL; engines are scripted (real ones: scenario/test_handover.py)."""

from __future__ import annotations

import asyncio
import errno
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from bot.app import train
from bot.console import workbench_models_words
from bot.core.clock import FrozenClock
from bot.policy import scripts
from bot.store.accounts import Accounts
from bot.store.db import Database
from bot.store.workbench.proposals import Proposals
from bot.store.workbench.publications import PUBLISH, Asked, PublicationError, reloaded
from bot.trainer import engines, grave, publishing
from bot.trainer.candidates import CANDIDATES, SUFFIX
from bot.trainer.project import Project
from tests.fakes import checked
from tests.fakes.project import copied
from tests.fakes.publishing import Launcher, World


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that each test copies."""
    return copied(tmp_path_factory.mktemp("publishing") / "projet", small=True).root


@pytest.fixture
async def world(template: Path, tmp_path: Path, database: Database, frozen_clock: FrozenClock) -> World:
    """A model in service, one example more since."""
    shutil.copytree(template, tmp_path / "projet", symlinks=True)
    made = World(Project(tmp_path / "projet"), tmp_path / "var", database, frozen_clock)
    made.user = await Accounts(database, "secret").add("Inès", "trainer", None)
    made.change("on m'a volé mon vélo électrique")
    return made


@pytest.fixture
async def launcher(world: World) -> AsyncIterator[Launcher]:
    """Engines that do what they are asked."""
    async with Launcher(world.var, world.models, world.first).running() as running:
        yield running


async def test_a_publication_records_moves_and_hands_over(world: World, launcher: Launcher, database: Database) -> None:
    candidate = await world.candidate()
    done = await world.publish(candidate)
    assert (done.state, done.failure, done.warning) == ("done", "", "")
    assert world.serving == launcher.serving == candidate
    assert launcher.wished == [candidate]
    assert {path.name for path in world.models.glob(f"{candidate}.*")} == {
        f"{candidate}.tar.gz",
        f"{candidate}.danger.json",
        f"{candidate}.json",
        f"{candidate}.files",
    }
    assert not list((world.models / CANDIDATES).glob("*.tar.gz"))
    assert done.commit == world.project.head()
    assert done.previous == world.first
    said = world.project.git("show", "-s", "--format=%an <%ae>%n%B").strip().splitlines()
    assert said == [
        "Inès <atelier@planton.invalid>",
        "Vélos volés",
        "",
        f"Modèle : {candidate}",
        f"Publication : {done.id}",
    ]
    assert world.dirty() == []
    assert publishing.fingerprint(world.project) == candidate  # `planton train` finds nothing to do
    async with database.begin() as connection:
        lines = (await connection.exec_driver_sql("SELECT action, detail->>'model' FROM audit")).all()
    assert ("model_published", candidate) in [tuple(line) for line in lines]


DOMAIN = """responses:
  utter_plainte_comment:
  - text: |-
      Allez au commissariat.
      En danger, appelez le 17.
    buttons:
    - title: Autre
      payload: /autre
  utter_violences_conjugales:
  - text: Appelez le 3919.
  utter_nuit_grave:
  - text: Un agent vous lira.
"""
LEXICON = "# remarque\ndangers:\n- nom: couteau\n"
PRECISIONS = "precisions:\n- reponse: utter_animaux\n  au_lieu_de: [utter_hors_perimetre]\n  mots: [z]\n"
PRECISIONS += "- reponse: utter_nuit_grave\n  au_lieu_de: [utter_plainte_comment]\n  mots: [a]\n"
RULES = "rules:\n- rule: r\n  steps:\n  - intent: violences_conjugales\n  - action: utter_violences_conjugales\n"
SCRIPTS = (
    'mots:\n  moi: "je, me"\nscripts:\n- script: partner_victim\n  examples: |\n    - il me frappe\n    - il m’a frappée\n'
    "- script: partner_author\n  examples: |\n    - je la frappe\n"
)
CONFIG = "pipeline:\n- name: bot.engine.classifier.X\n  strength: 1\n- name: f\n  grave_threshold: 0.2\n  doubt: 0.2\n"


@pytest.mark.parametrize(
    ("file", "old", "new", "touched"),
    [
        ("domain.yml", "Allez au", "Venez au", []), ("domain.yml", "le 17.", "le 18.", ["utter_plainte_comment"]),
        ("domain.yml", "\n      En danger, appelez le 17.", "", ["utter_plainte_comment"]),
        ("domain.yml", "Allez", "Pour un jeune de 17 à 25 ans, allez", []),
        ("domain.yml", "Allez", "Perdu ? Le 116 000. Allez", ["utter_plainte_comment"]),
        ("domain.yml", "Appelez le 3919", "Téléphonez au 3919", ["utter_violences_conjugales"]),
        ("domain.yml", "vous lira", "lira", ["utter_nuit_grave"]),
        ("domain.yml", "utter_nuit_grave", "utter_autre", ["utter_nuit_grave"]),
        ("domain.yml", "responses:", "responses: [", ["domain.yml"]),
        ("data/danger.yml", "remarque", "autre remarque", []), ("data/danger.yml", "couteau", "lame", ["data/danger.yml"]),
        ("data/precisions.yml", "[a]", "[b]", ["utter_plainte_comment"]),
        ("data/precisions.yml", "utter_hors_perimetre", "utter_plainte_comment", ["utter_plainte_comment"]),
        ("data/precisions.yml", "[z]", "[y]", []), ("data/precisions.yml", "mots", "# une ligne\n  mots", []),
        ("data/rules.yml", "action: utter_violences_conjugales", "action: utter_plainte_comment", ["violences_conjugales"]),
        ("data/rules.yml", "rule: r", "rule: s", []),
        ("data/rules.yml", "  - action: u", "  - action: action_salutation\n  - action: u", ["violences_conjugales"]),
        ("data/rules.yml", "  steps", "  condition:\n  - slot_was_set: [a]\n  steps", ["violences_conjugales"]),
        ("config.yml", "grave_threshold: 0.2", "grave_threshold: 0.9", ["config.yml"]),
        ("config.yml", "doubt: 0.2", "doubt: 1", ["config.yml"]),
        ("data/scripts.yml", "    - il m’a frappée\n", "", ["partner_victim"]),
        ("data/scripts.yml", "je la frappe", "je le frappe", ["partner_author"]),
        ("data/scripts.yml", "- script: partner_author", "- script: child", ["partner_author", "child"]),
        ("data/scripts.yml", "je, me", "je", ["mots"]), ("data/scripts.yml", "mots:", "# une ligne\nmots:", []),
        ("data/scripts.yml", "scripts:", "exemples:", ["data/scripts.yml"]),
        ("config.yml", "strength: 1", "strength: 2", []), ("config.yml", "pipeline", "# remarque\npipeline", []),
    ],
)  # fmt: skip
def test_what_victims_and_people_in_danger_are_told_is_noticed(
    file: str, old: str, new: str, touched: list[str]
) -> None:
    before = {
        "domain.yml": DOMAIN,
        "data/danger.yml": LEXICON,
        "data/precisions.yml": PRECISIONS,
        "data/rules.yml": RULES,
        "data/scripts.yml": SCRIPTS,
        "config.yml": CONFIG,
    }
    assert old in before[file]
    after = {**before, file: before[file].replace(old, new, 1)}
    raw = [{name: text.encode() for name, text in files.items()} for files in (before, after)]
    found = grave.found(raw[0], raw[1])
    assert [one.name for one in found] == touched
    assert (grave.digest(found) == grave.digest(())) is not touched


def test_what_decides_the_words_for_a_danger_is_shown_line_by_line() -> None:
    more = SCRIPTS.replace("    - il m’a frappée\n", "    - il m’a giflée\n")
    (one,) = grave.found({"data/scripts.yml": SCRIPTS.encode()}, {"data/scripts.yml": more.encode()})
    assert (one.kind, one.after) == ("script", " il me frappe\n-il m’a frappée\n+il m’a giflée")
    assert workbench_models_words.differing(one)[1:] == [("-", "il m’a frappée"), ("+", "il m’a giflée")]
    assert workbench_models_words.KINDS[one.kind] == "Choix des mots d’une urgence"
    whole = grave.found({}, {"data/scripts.yml": SCRIPTS.encode()})  # a project that had none
    assert [each.name for each in whole] == ["partner_victim", "partner_author", "mots"]


@pytest.mark.parametrize(
    ("name", "is_grave"),
    [
        ("utter_danger_probable", True),
        ("utter_detresse_probable", True),
        ("utter_agent_lira", True),
        ("utter_filet", True),
    ]
    + [(one.reply, True) for one in scripts.SCRIPTS.values()]
    + [("utter_agent_arrive", False), ("utter_plainte_comment", False)],
)
def test_the_replies_to_a_danger_are_grave(name: str, is_grave: bool) -> None:
    assert grave.is_grave(name) is is_grave


def test_scripts_that_git_does_not_know_yet_are_read_by_a_second_person(tmp_path: Path) -> None:
    project = checked.clean(tmp_path / "projet")
    models = project.root / "models"
    models.mkdir()
    archive = models / "candidat.tar.gz"
    assert grave.touches(project, models, "", archive) == ()
    project.write("data/scripts.yml", SCRIPTS)
    assert len(grave.touches(project, models, "", archive)) == 3
    project.git("add", ".")
    project.git("commit", "--quiet", "--message", "Mots", author="É <e@localhost>")
    assert grave.touches(project, models, "", archive) == ()
    project.write("data/scripts.yml", SCRIPTS.replace("je la frappe", "je le frappe"))
    assert [one.name for one in grave.touches(project, models, "", archive)] == ["partner_author"]


def test_a_lexicon_that_changed_much_is_shown_and_signed_whole() -> None:
    lexicons = [LEXICON + "".join(f"- nom: {word}{n}\n" for n in range(900)) for word in ("a", "b")]
    lexicons.append(lexicons[1] + "- nom: dernier\n")
    first, second, third = ({"data/danger.yml": text.encode()} for text in lexicons)
    (less,), (more,) = grave.found(first, second), grave.found(first, third)
    assert more.after.endswith("\n+- nom: dernier")
    assert len(less.after.split("\n")) >= 1800
    assert grave.digest((less,)) != grave.digest((more,))


async def test_whatever_asks_for_it_nothing_grave_serves_that_one_person_alone_has_read(
    world: World, launcher: Launcher, database: Database
) -> None:
    world.reword("le 119 les enfants.", "le 118 les enfants.")
    candidate = await world.candidate()
    made = world.models / CANDIDATES / f"{candidate}{SUFFIX}"
    first = world.models / f"{world.first}{SUFFIX}"
    assert "utter_violences_sexuelles" in train.unread(world.project, first, made)[0]  # by `planton train`: it is said
    assert train.unread(world.project, first, first) == []
    failed = await world.publish(candidate)  # as a console would that knows nothing of second persons
    assert failed.state == "failed"
    assert "personne d’autre ne l’a relue" in failed.failure
    assert (world.serving, launcher.wished) == (world.first, [])
    assert world.user is not None
    second, now, proposals = (
        await Accounts(database, "secret").add("Malo", "trainer", None),
        world.clock.now(),
        Proposals(database),
    )
    asked = Asked(PUBLISH, candidate, world.first, "Un numéro")
    number = await proposals.propose(now, world.user, asked, ["utter_violences_conjugales"])
    with pytest.raises(PublicationError):
        await proposals.propose(now, world.user, asked, ["utter_violences_conjugales"])
    with pytest.raises(PublicationError):
        await proposals.approve(now, world.user, number)
    done = await world._done(await proposals.approve(now, second, number))
    assert (done.state, done.failure, done.author) == ("done", "", "Inès")
    with pytest.raises(PublicationError):
        await proposals.approve(now, second, number)
    assert (await world.back(world.first)).state == "done"  # at once, by whoever sees what is wrong
    assert "le 119 les enfants." in world.project.read("domain.yml")
    world.reword("le 119 les enfants.", "le 118 les enfants.")
    assert world.project.git("diff", "--name-only", "HEAD").split() == ["domain.yml"]
    again = await world.candidate()
    assert (await world.publish(again)).state == "failed"  # what was agreed to once is read again
    world.alone = True
    assert (await world.publish(again)).state == "done"


async def test_files_that_changed_since_the_training_stop_it(world: World, launcher: Launcher) -> None:
    candidate = await world.candidate()
    world.change("encore une phrase")
    before = (world.project.head(), world.dirty())
    done = await world.publish(candidate)
    assert done.state == "failed"
    assert "Les fichiers ont changé depuis l’essai" in done.failure
    assert (world.project.head(), world.dirty()) == before
    assert (world.serving, launcher.wished) == (world.first, [])


async def test_the_gate_is_asked_again_when_it_is_done(world: World, launcher: Launcher) -> None:
    """Whatever the page let through."""
    worse = await world.candidate(missed=True)
    done = await world.publish(worse, reason="")
    assert done.state == "failed"
    assert "« au secours il a un couteau »" in done.failure
    assert (world.serving, launcher.wished, world.recorded()) == (world.first, [], ["Début"])


async def test_only_an_administrator_overrides_and_only_a_fallen_intent(
    world: World, launcher: Launcher, database: Database
) -> None:
    fallen = await world.candidate(fallen=True)
    with pytest.raises(PublicationError):
        await world.ask(fallen, reason="C’est voulu.")
    assert (await world.publish(fallen)).state == "failed"
    world.user = await Accounts(database, "secret").add("Alix", "administrator", None)
    done = await world.publish(fallen, reason="C’est voulu.")
    assert (done.state, done.reason) == ("done", "C’est voulu.")
    async with database.begin() as connection:
        kept = (await connection.exec_driver_sql("SELECT detail FROM audit WHERE action = 'gate_overridden'")).all()
    assert [row.detail for row in kept] == [{"model": fallen, "intents": ["plainte_comment"]}]
    world.change("une autre phrase")
    worse = await world.candidate(missed=True, fallen=True)
    assert (await world.publish(worse, reason="C’est voulu aussi.")).state == "failed"


async def test_engines_that_refuse_leave_everything_as_it_was(world: World, launcher: Launcher) -> None:
    candidate = await world.candidate()
    launcher.refuses[candidate] = "le nouveau moteur n’a pas démarré (mémoire)"
    done = await world.publish(candidate)
    assert done.state == "failed"
    assert done.failure == "Le modèle n’a pas changé : le nouveau moteur n’a pas démarré (mémoire)."
    assert world.serving == launcher.serving == world.first
    assert (world.models / CANDIDATES / f"{candidate}{SUFFIX}").is_file()
    assert world.recorded(2)[0].startswith("Publication abandonnée")
    assert world.recorded(2)[1] == "Vélos volés"
    assert world.project.git("diff", "HEAD~2", "--stat") != ""
    assert world.project.git("diff", "HEAD~2", "HEAD", "--stat") == ""  # the record is as before
    assert world.dirty() == [" M data/nlu.yml"]  # and the work is not lost
    launcher.refuses.clear()
    assert (await world.publish(candidate)).state == "done"


async def test_a_comparison_with_another_model_does_not_count(world: World) -> None:
    """No engine runs here: what somebody trained meanwhile in a terminal is what the next start will take."""
    candidate = await world.candidate()
    world._model(world.models, "f" * 16)
    done = await world.publish(candidate)
    assert "n’est plus celui auquel ce candidat a été comparé" in done.failure


async def test_a_comparison_by_other_messages_or_another_program_does_not_count(
    world: World, launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = await world.candidate()
    number = await world.ask(candidate)
    gold = world.project.root / "tests/gold/emergency.tsv"
    gold.write_text(gold.read_text(encoding="utf-8") + "on me suit\tdanger_immediat\temergency\n", encoding="utf-8")
    assert await world.publisher.work()
    found = await world.publications.get(number)
    assert found is not None
    assert found.state == "failed"
    assert "elle est à refaire" in found.failure
    assert found.remedy == publishing.AGAIN
    assert (world.serving, world.recorded()) == (world.first, ["Début"])
    await world.compare(candidate)
    code = tmp_program(world)
    monkeypatch.setattr(publishing.yardstick, "DECIDES", (*publishing.yardstick.DECIDES, code))
    assert "elle est à refaire" in (await world.publish(candidate)).failure


def tmp_program(world: World) -> str:
    """Code that decides, which was not there when it was compared; the folder's name."""
    (world.project.root / "models" / "program").mkdir()
    (world.project.root / "models" / "program" / "rule.py").write_text("ROOM = 1\n")
    return "models/program"


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"sets": [], "intents": {}}', '{"sets": {}, "intents": {"clean": {"a": 1}}}', "\udcff"]
)
async def test_reference_figures_that_cannot_be_read_keep_it_shut(
    world: World, launcher: Launcher, content: str
) -> None:
    candidate = await world.candidate()
    (world.project.root / publishing.BASELINE).write_bytes(content.encode(errors="surrogateescape"))
    done = await world.publish(candidate)
    assert done.state == "failed"
    assert "tests/gold/baseline.json" in done.failure
    assert "make test-nlu ACCEPTER=1" in done.failure or "git" in done.failure
    assert world.serving == world.first


async def test_one_at_a_time(world: World) -> None:
    candidate = await world.candidate()
    await world.ask(candidate)
    with pytest.raises(PublicationError, match="déjà en cours"):
        await world.ask(candidate)


async def test_without_engines_here_it_is_taken_at_the_next_start(world: World) -> None:
    candidate = await world.candidate()
    done = await world.publish(candidate)
    assert done.state == "done"
    assert world.serving == candidate
    assert "prochain démarrage" in done.warning


async def test_without_a_repository_nothing_is_done(world: World, launcher: Launcher) -> None:
    candidate = await world.candidate()
    shutil.rmtree(world.project.root / ".git")
    done = await world.publish(candidate)
    assert done.state == "failed"
    assert "dépôt git" in done.failure
    assert "git init" in done.remedy
    assert world.serving == world.first


async def test_one_click_brings_model_and_data_back_and_another_one_forward(world: World, launcher: Launcher) -> None:
    published = []
    texts = [world.project.git("show", "HEAD:data/nlu.yml")]
    for n in range(3):
        world.change(f"phrase numéro {n}", ("armes", "animaux", "procuration")[n])
        published.append((await world.publish(await world.candidate(), f"Pas {n}")).model)
        texts.append(world.project.read("data/nlu.yml"))
    world.change("pas encore publiée", "contravention")

    back = await world.back(published[0])
    assert (back.state, back.failure) == ("done", "")
    assert world.serving == launcher.serving == published[0]
    assert world.project.git("show", "HEAD:data/nlu.yml") == texts[1]
    assert world.recorded(2) == [f"Retour au modèle {published[0]}", "Pas 2"]
    assert "pas encore publiée" in world.project.read("data/nlu.yml")
    assert "phrase numéro 2" not in world.project.read("data/nlu.yml")
    assert world.dirty() == [" M data/nlu.yml"]

    forward = await world.back(published[2])  # the roll-back itself is taken back
    assert forward.state == "done"
    assert world.serving == published[2]
    assert world.project.git("show", "HEAD:data/nlu.yml") == texts[3]

    first = await world.back(world.first)
    assert first.state == "done"
    assert world.project.git("show", "HEAD:data/nlu.yml") == texts[0]
    assert world.serving == world.first


async def test_lines_changed_by_hand_since_stop_a_return_and_nothing_is_half_done(
    world: World, launcher: Launcher
) -> None:
    published = (await world.publish(await world.candidate())).model
    text = world.project.read("data/nlu.yml")
    world.project.write("data/nlu.yml", text.replace("on m'a volé mon vélo électrique", "on m'a volé mon scooter"))
    world.by_hand()
    before = (world.project.head(), world.project.read("data/nlu.yml"))
    done = await world.back(world.first)
    assert done.state == "failed"
    assert "les mêmes lignes ont été changées depuis" in done.failure
    assert "rien n’a été changé" in done.remedy
    assert (world.project.head(), world.project.read("data/nlu.yml")) == before
    assert world.serving == launcher.serving == published


async def test_engines_that_refuse_to_go_back_leave_everything_as_it_was(world: World, launcher: Launcher) -> None:
    published = (await world.publish(await world.candidate())).model
    text = world.project.read("data/nlu.yml")
    launcher.refuses[world.first] = "le nouveau moteur n’a pas démarré"
    done = await world.back(world.first)
    assert done.state == "failed"
    assert world.serving == launcher.serving == published
    assert world.project.read("data/nlu.yml") == text
    assert world.dirty() == []


async def test_a_version_that_is_gone_is_said(world: World, launcher: Launcher) -> None:
    done = await world.back("e" * 16)
    assert done.state == "failed"
    assert "les dix dernières sont gardées" in done.failure


async def test_what_is_recorded_is_sent_and_a_remote_that_is_away_does_not_stop_it(
    world: World, launcher: Launcher, tmp_path: Path
) -> None:
    bare = tmp_path / "distant.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(bare)], check=True)
    world.project.git("remote", "add", "origin", str(bare))
    done = await world.publish(await world.candidate())
    assert done.warning == ""
    there = subprocess.run(
        ["git", "rev-parse", "planton/atelier"], cwd=bare, check=True, capture_output=True, text=True
    )
    assert there.stdout.strip() == done.commit
    bare.rename(tmp_path / "ailleurs.git")
    world.change("encore une")
    done = await world.publish(await world.candidate())
    assert done.state == "done"
    assert "git push origin HEAD:refs/heads/planton/atelier" in done.warning


async def test_a_part_that_could_not_read_again_is_named(world: World, launcher: Launcher, database: Database) -> None:
    async with database.begin() as connection:
        await reloaded(connection, "gateway", "ici", world.clock.now(), world.first, "domain.yml ne se lit pas.")
    done = await world.publish(await world.candidate())
    assert done.state == "done"
    assert "gateway : domain.yml ne se lit pas." in done.warning


@pytest.mark.parametrize("step", ["record", "engines"])
async def test_cut_short_before_the_model_serves_it_is_undone_at_the_next_start(
    world: World, launcher: Launcher, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As kill -9 of the role: no word is said, no line of ours runs afterwards."""
    candidate = await world.candidate()
    number = await world.ask(candidate)
    launcher.hold, noted = asyncio.Event(), asyncio.Event()
    if step == "record":  # between the commit and its note in the database

        async def gone(*_: object, **__: object) -> None:
            noted.set()
            await asyncio.Event().wait()

        real = world.publications.step

        async def note(number: int, step: str, **kept: str) -> None:
            await (gone() if "commit_id" in kept else real(number, step, **kept))

        monkeypatch.setattr(world.publications, "step", note)
    killed = asyncio.create_task(world.publisher.work())
    while not (launcher.wished if step == "engines" else noted.is_set()):  # git has ended
        await asyncio.sleep(0.02)
    assert world.recorded() == ["Vélos volés"]
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    monkeypatch.undo()
    launcher.refuses[candidate] = "le nouveau moteur n’a pas démarré"
    launcher.hold.set()
    await world.publisher.recover()
    launcher.refuses.clear()
    found = await world.publications.get(number)
    assert found is not None
    assert (found.state, "interrompue par un redémarrage" in found.failure) == ("failed", True)
    assert world.serving == world.first
    assert launcher.serving == world.first
    assert world.project.git("diff", "HEAD~2", "HEAD", "--stat") == ""
    assert world.dirty() == [" M data/nlu.yml"]
    assert (await world.publish(candidate)).state == "done"


AWAY = OperationalError("UPDATE publications", {}, psycopg.OperationalError("server closed the connection"))
FULL = OSError(errno.ENOSPC, "No space left on device")


def failing(real: Callable[..., Any], errors: Sequence[Exception], when: Callable[..., bool]) -> Callable[..., Any]:
    """The same, which raises each of these once before it works again, where `when` says so."""
    left = list(errors)

    async def later(*given: Any, **kept: Any) -> Any:
        if left and when(*given, **kept):
            raise left.pop(0)
        return await real(*given, **kept)

    def now(*given: Any, **kept: Any) -> Any:
        if left and when(*given, **kept):
            raise left.pop(0)
        return real(*given, **kept)

    return later if asyncio.iscoroutinefunction(real) else now


@pytest.mark.parametrize("step", ["record", "engines"])
async def test_a_database_that_goes_away_before_the_model_serves_leaves_nothing_behind(
    world: World, launcher: Launcher, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    candidate = await world.candidate()
    number = await world.ask(candidate)
    publisher = world.publisher
    monkeypatch.setattr(
        world.publications,
        "step",
        failing(world.publications.step, [AWAY], lambda _number, name, **kept: name == step),
    )
    with pytest.raises(OperationalError):
        await publisher.work()
    running = await world.publications.running()
    assert running is not None
    assert running.id == number
    with pytest.raises(PublicationError, match="déjà en cours"):
        await world.ask(candidate)
    assert not await publisher.work()  # the role's next turn
    found = await world.publications.get(number)
    assert found is not None
    assert (found.state, "arrêtée sur une erreur (OperationalError)" in found.failure) == ("failed", True)
    assert (world.serving, launcher.serving, world.dirty()) == (world.first, world.first, [" M data/nlu.yml"])
    assert world.recorded()[0].startswith("Publication abandonnée") is (step == "engines")
    assert "volé mon vélo électrique" not in world.project.git("show", "HEAD:data/nlu.yml")
    assert (await world.publish(candidate)).state == "done"


@pytest.mark.parametrize("method", ["step", "succeed"])
async def test_a_database_that_goes_away_once_the_model_serves_ends_in_a_publication(
    world: World, launcher: Launcher, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The engines have changed: all that lacks is to say so (`step`: in the row it is still « engines »)."""
    candidate = await world.candidate()
    number = await world.ask(candidate)
    publisher = world.publisher
    monkeypatch.setattr(
        world.publications,
        method,
        failing(
            getattr(world.publications, method),
            [AWAY, AWAY],
            lambda *given, **_: "reload" in given[1:] or method != "step",
        ),
    )
    for _ in range(2):
        with pytest.raises(OperationalError):
            await publisher.work()
    assert not await publisher.work()
    found = await world.publications.get(number)
    assert found is not None
    assert (found.state, found.commit, found.failure) == ("done", world.project.head(), "")
    assert world.serving == launcher.serving == candidate
    assert launcher.wished == [candidate]


async def test_a_refusal_that_could_not_be_written_down_is_said_later(
    world: World, launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await world.ask(await world.candidate(missed=True))
    publisher = world.publisher
    monkeypatch.setattr(world.publications, "fail", failing(world.publications.fail, [AWAY], lambda *_: True))
    with pytest.raises(OperationalError):
        await publisher.work()
    assert not await publisher.work()
    found = await world.publications.get(number)
    assert found is not None
    assert (found.state, "« au secours il a un couteau »" in found.failure) == ("failed", True)


async def test_a_full_disk_is_undone_and_undone_again_until_it_is(
    world: World, launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = await world.candidate()
    number = await world.ask(candidate)
    publisher = world.publisher
    monkeypatch.setattr(publishing, "move", failing(publishing.move, [FULL], lambda *_: True))
    monkeypatch.setattr(publishing.record, "take_back", failing(publishing.record.take_back, [FULL], lambda *_: True))
    with pytest.raises(OSError, match="No space left"):
        await publisher.work()
    assert await world.publications.running() is not None
    assert not await publisher.work()
    found = await world.publications.get(number)
    assert found is not None
    assert (found.state, "(OSError) ; elle a été défaite" in found.failure) == ("failed", True)
    assert world.recorded(2) == ["Publication abandonnée : le modèle n’a pas pris son service", "Vélos volés"]
    assert (world.serving, world.dirty()) == (world.first, [" M data/nlu.yml"])


async def test_what_cannot_be_undone_is_said_in_the_end(
    world: World, launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = await world.candidate()
    launcher.refuses[candidate] = "le nouveau moteur n’a pas démarré"
    number = await world.ask(candidate)
    publisher = world.publisher
    monkeypatch.setattr(
        publishing.record, "take_back", failing(publishing.record.take_back, [FULL] * publishing.TRIES, lambda *_: True)
    )
    for _ in range(publishing.TRIES - 1):
        with pytest.raises(OSError, match="No space left"):
            await publisher.work()
    assert not await publisher.work()
    found = await world.publications.get(number)
    assert found is not None
    assert found.state == "failed"
    assert "Elle n’a pas pu être défaite entièrement" in found.failure
    assert "git log" in found.remedy
    assert world.serving == launcher.serving == world.first


async def test_two_roles_do_not_settle_each_others_publication(world: World, launcher: Launcher) -> None:
    candidate = await world.candidate()
    number = await world.ask(candidate)
    launcher.hold = asyncio.Event()
    working = asyncio.create_task(world.publisher.work())
    while not launcher.wished:
        await asyncio.sleep(0.02)
    await world.publisher.recover()
    assert not await world.publisher.work()
    launcher.hold.set()
    assert await working
    found = await world.publications.get(number)
    assert found is not None
    assert found.state == "done"


async def test_cut_short_once_the_model_serves_it_is_finished_at_the_next_start(
    world: World, launcher: Launcher
) -> None:
    candidate = await world.candidate()
    number = await world.ask(candidate)
    publisher = world.publisher
    waiting = asyncio.Event()

    async def never(*_: object) -> None:
        waiting.set()
        await asyncio.Event().wait()

    publisher.publications.reload = never  # type: ignore[method-assign]
    killed = asyncio.create_task(publisher.work())
    await waiting.wait()
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    del publisher.publications.reload
    await world.publisher.recover()
    found = await world.publications.get(number)
    assert found is not None
    assert (found.state, world.serving, found.commit) == ("done", candidate, world.project.head())


async def test_ten_models_are_kept_with_the_one_in_service_and_the_one_before(world: World) -> None:
    for n in range(13):
        world._model(world.models, f"{n:016x}")
    engines.touch(world.models / f"{world.first}{SUFFIX}", 1.0)  # the oldest of all
    gone = publishing.forget(world.models, (f"{12:016x}", world.first))
    kept = {path.name.removesuffix(SUFFIX) for path in world.models.glob(f"*{SUFFIX}")}
    assert kept == {world.first, *(f"{n:016x}" for n in range(3, 13))}
    assert set(gone) == {f"{n:016x}" for n in range(3)}
    assert not (world.models / f"{0:016x}.json").exists()
    assert not (world.models / f"{0:016x}.danger.json").exists()

"""The documentation says what is: every setting, command, intent and make target is in it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from bot.app.cli import parser
from bot.console.navigation import WORKBENCH
from bot.policy import degree
from bot.policy.intents import INTENTS
from bot.settings import KNOWN

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATOR = (ROOT / "docs" / "exploitation.md").read_text(encoding="utf-8")
AGENT = (ROOT / "docs" / "guide-agent.md").read_text(encoding="utf-8")
TRAINER = (ROOT / "docs" / "guide-formateur.md").read_text(encoding="utf-8")
WATCHER = (ROOT / "docs" / "surveillance.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", KNOWN)
def test_every_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in OPERATOR


@pytest.mark.parametrize("name", [n for n, (default, _) in KNOWN.items() if default is not None])
def test_the_documented_default_is_the_real_one(name: str) -> None:
    row = next(line for line in OPERATOR.splitlines() if line.startswith("|") and f"`{name}`" in line)
    assert str(KNOWN[name][0]) in row


@pytest.mark.parametrize("intent", INTENTS)
def test_every_intent_is_in_the_trainers_guide(intent: str) -> None:
    assert intent in TRAINER


def commands() -> list[str]:
    actions = next(a for a in parser()._actions if a.choices and "run" in a.choices)
    assert actions.choices is not None
    return [str(name) for name in actions.choices]


@pytest.mark.parametrize("command", commands())
def test_every_command_is_in_the_readme(command: str) -> None:
    assert re.search(rf"`{command}\b", README)


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    assert len(README.splitlines()) <= 150
    for link in re.findall(r"\]\(([^)#]+)\)", README + OPERATOR):
        if not link.startswith("http"):
            assert (ROOT / link).exists(), link


def test_one_order_of_updating_is_told() -> None:
    """An updated sender refuses what a gateway of before asks (docs/decisions/emergency-lane.md, « Updates »)."""
    several = (ROOT / "docs" / "passage-a-l-echelle.md").read_text(encoding="utf-8")
    found = re.search(r"Dans l’ordre : ([^;]+) ;", several)
    assert found is not None
    assert found[1].replace("\n", " ").split(", ") == ["workers", "passerelles", "expéditeurs", "consoles"]
    assert "passerelles et workers d’abord, les expéditeurs ensuite" in OPERATOR
    assert "workers et passerelles d’abord, expéditeurs ensuite" in OPERATOR
    assert several.index("planton migrate") < found.start()


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_row_is_cut_out_of_its_table(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    heads = [at for at, line in enumerate(lines) if line.startswith("|") and not lines[at - 1].startswith("|")]
    assert [lines[at] for at in heads if not re.match(r"\|[\s:|-]*-[\s:|-]*$", lines[at + 1])] == []


def one_line(text: str) -> str:
    """Text with one kind of space."""
    return " ".join(re.sub(r"&nbsp;|&#8239;|\\u00a0|\\u202f", " ", text).split())


def said_by_the_console() -> str:
    """What stands in templates, without their code and markup, and in the modules that have words."""
    pages = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "bot/console/templates").rglob("*.html"))
    pages = re.sub(r"<[^<>]*>", "", re.sub(r"{%.*?%}", "", pages, flags=re.DOTALL))
    modules = [
        *ROOT.glob("bot/console/*.py"),
        *ROOT.glob("bot/console/static/js/*.js"),
        *ROOT.glob("bot/store/desk/*.py"),
    ]
    return one_line(" ".join([pages, *(path.read_text(encoding="utf-8") for path in modules)]))


def test_the_agents_guide_has_the_words_of_the_console() -> None:
    said = said_by_the_console()
    quoted = re.findall(r"« ([^»]+) »", one_line(AGENT))
    assert len(quoted) > 50
    assert [words for words in quoted if words.strip("… ") not in said] == []


def course() -> str:
    """The part of the trainers' guide that speaks of pages: before the rules of writing."""
    return TRAINER.split("\n## Les fichiers", 1)[0]


def test_the_trainers_course_has_the_words_of_the_workbench() -> None:
    sandbox = (ROOT / "bot" / "sandbox" / "templates" / "sandbox.html").read_text(encoding="utf-8")
    said = said_by_the_console() + one_line(sandbox)
    quoted = re.findall(r"« ([^»]+) »", one_line(course()))
    assert len(quoted) >= 40
    # A sentence may begin with words that stand in the middle of one on the page.
    assert [q for q in quoted if q.strip("… ").lower() not in said.lower()] == []


def test_the_trainers_first_correction_takes_ten_minutes() -> None:
    first = course().split("\n## ")[1]
    assert first.startswith("Votre première correction en dix minutes")
    assert len(re.findall(r"[\w’]+", first)) < 700
    tabs = {place.label for place in WORKBENCH}
    assert {tab for tab in tabs if f"### {tab}\n" not in course()} == set()
    for picture in re.findall(r"images/[\w-]+\.png", course()):
        assert (ROOT / "docs" / picture).stat().st_size < 150_000


def test_the_agents_guide_is_read_in_ten_minutes_and_its_pictures_are_light() -> None:
    assert len(re.findall(r"[\w’]+", AGENT)) < 2_400
    pictures = set(re.findall(r"images/[\w-]+\.png", AGENT))
    assert 6 <= len(pictures) <= 9
    shown = {f"images/{path.name}" for path in (ROOT / "docs" / "images").glob("*.png")}
    assert pictures | set(re.findall(r"images/[\w-]+\.png", README + TRAINER + WATCHER)) == shown
    for picture in shown:
        assert (ROOT / "docs" / picture).stat().st_size < 150_000


def test_make_help_lists_every_target() -> None:
    said = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert targets
    for target in targets:
        assert f"make {target}" in said


def test_the_emergencies_page_has_the_limits_of_the_degrees() -> None:
    page = one_line((ROOT / "docs" / "urgences.md").read_text(encoding="utf-8"))

    def said(limit: float) -> str:
        return f"{limit:g}".replace(".", ",")

    for sentence in (
        f"| seul, dès {said(degree.ALONE_SURE)} ;",
        f"le moteur seul dès {said(degree.ALONE_SURE)}, "
        f"ou dès {said(degree.AGREED_DANGER)} si le score en voit {said(degree.AGREED_SCORE)}, "
        f"ou dès {said(degree.BACKED_SURE)} si le lexique",
        f"**probable** : le moteur dès {said(degree.ALONE_LIKELY)}, "
        f"ou l’ensemble avec ce qui précède dès {said(degree.TOGETHER_LIKELY)}, "
        f"sauf face à un sujet ordinaire ({said(degree.ORDINARY)})",
        f"dès {said(degree.BACKED_LIKELY)} avec une entrée du lexique",
        f"dès {said(degree.BOTH)} si le score en voit autant et qu’aucun sujet ordinaire n’atteint {said(degree.UNLIKELY)} ;",
        f"dès {said(degree.FAINT)} si un danger est sa première idée",
        f"l’ensemble avec ce qui précède, dès {said(degree.FAINT)}, face à un sujet ordinaire ({said(degree.ORDINARY)})",
        f"une trace de danger ({said(degree.TRACE)})",
        f"ni dès {said(degree.VERY_SURE)} ;",
        f"sans danger (moins de {said(degree.TOGETHER_HARMLESS)})",
        f"le voit à moins de {said(degree.TOGETHER_DOUBTFUL)} sinon",
    ):
        assert sentence in page, sentence

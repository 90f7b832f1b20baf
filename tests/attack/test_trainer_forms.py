"""Trainers' forms: what is typed becomes one example, one name, one reply, never another line of a file nor another file."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from bot.trainer.corpus import NLU, Corpus
from bot.trainer.project import Project
from bot.trainer.pseudonyms import pseudonymiser
from tests.contract.test_workbench_examples import (  # noqa: F401 (fixtures)
    INTENT,
    REPLY,
    RULE,
    TEXTS,
    diff,
    ines,
    project,
    send,
)
from tests.fakes.console import Browser

PATH = "/atelier/exemples"


def read(project: Project, name: str = NLU) -> Any:  # noqa: F811
    """The file as YAML, read by another reader than ours."""
    return YAML(typ="safe", pure=True).load(project.read(name))


def names(project: Project) -> list[str]:  # noqa: F811
    """What the file declares."""
    return [f"{kind}:{value}" for block in read(project)["nlu"] for kind, value in block.items() if kind != "examples"]


TRICKS = (
    "votez\n  - intent: pirate\n    examples: |\n      - volé",
    "votez\r- intent: pirate",
    "votez\u2028  - intent: pirate\u2029    examples: |",
    "votez\x85  - intent: pirate",
    "| votez pour moi",
    "&ancre votez pour moi",
    "*ancre",
    "<<: *tout",
    "!!python/object/apply:os.system [id]",
    "# votez en commentaire",
    "- - - votez",
    "{{ 7*7 }} votez {% raw %}",
    "---",
    "%YAML 1.2",
    "\tvotez avec une tabulation",
    "[Lyon](ville:x\n  - lookup: pirate)",
    '[Lyon]{"entity": "ville", "role": "x\\n- intent: pirate"}',
    "votez\\n- intent: pirate",
)


async def test_an_example_is_no_yaml(ines: Browser, project: Project) -> None:  # noqa: F811
    pseudonymiser().leftovers(
        "bonjour"
    )  # the French model is read once a process, which takes its time on a busy machine
    declared, kept = names(project), 0
    for trick in TRICKS:
        before, known = project.read(NLU), {e.text for e in Corpus.read(project).of(INTENT)}
        answer = await send(ines, f"{PATH}/{INTENT}", geste="ajouter", texte=trick)
        assert answer.status in (200, 422), (trick, answer.status)
        assert names(project) == declared, trick
        if project.read(NLU) == before:
            continue
        kept += 1
        # Only lines of examples were added, and each is read back as what somebody typed on one line.
        assert all(line.startswith("+      - ") for line in diff(project)), trick
        typed = {part.strip() for part in trick.splitlines()}
        fresh = {e.text for e in Corpus.read(project).of(INTENT)} - known
        assert all(any(text in one or one in text for one in typed) for text in fresh), (trick, fresh)
        project.write(NLU, before)
    assert kept >= 3


NO_NAMES = (
    "x\n- intent: pirate", "../../../etc/x", "x: y", "x y", "é", "x/y", "-x", "{{x}}", "x\x00", "x" * 200, "x#y", "!x",
)  # fmt: skip


async def test_a_name_is_a_name(ines: Browser, project: Project) -> None:  # noqa: F811
    project.write("data/rules.yml", RULE)
    project.write("domain.yml", project.read("domain.yml") + REPLY)
    before = {name: project.read(name) for name in (NLU, "data/rules.yml", "domain.yml")}
    for suffix in NO_NAMES:
        wanted = {"parente": "animaux", "suite": suffix, "definition": "Les nids.", "exemples": "\n".join(TEXTS)}
        assert (await send(ines, "/atelier/intentions/nouvelle", **wanted)).status == 422, suffix
        assert {name: project.read(name) for name in before} == before, suffix


async def test_a_definition_stays_in_its_place(ines: Browser, project: Project) -> None:  # noqa: F811
    project.write("data/rules.yml", RULE)
    project.write("domain.yml", project.read("domain.yml") + REPLY)
    guide = "docs/guide-formateur.md"
    headings = [line for line in project.read(guide).splitlines() if line.startswith("#")]
    hostile = "Les nids.\n#### pirate\n**Autre.**\n```\n<script>alert(1)</script>"
    answer = await send(
        ines, "/atelier/intentions/nouvelle", parente="animaux", suite="frelons", definition=hostile,
        frontieres="a\n- intent: pirate", exemples="\n".join(TEXTS),
    )  # fmt: skip
    now = [line for line in project.read(guide).splitlines() if line.startswith("#")]
    assert now in (headings, [*headings, "#### animaux_frelons"]), (answer.status, now)
    assert set(read(project, "domain.yml")["intents"]) <= {INTENT, "animaux", "animaux_frelons"}
    assert "<script>alert" not in (await ines.get(f"{PATH}/animaux_frelons")).page


OUTSIDE = (
    "../dehors.yml",
    "/etc/passwd",
    "data/../../dehors.yml",
    ".git/config",
    "data/nlu.yml/../../.git/config",
    "\x00",
)


async def test_no_form_reaches_another_file(ines: Browser, project: Project, tmp_path: Path) -> None:  # noqa: F811
    outside = tmp_path / "dehors.yml"
    outside.write_text("à moi", encoding="utf-8")
    config = (project.root / ".git" / "config").read_bytes()
    for name in OUTSIDE:
        for path, fields in (
            ("/atelier/changements/abandonner", {"fichier": name, "vu": "0" * 64, "confirme": "oui"}),
            ("/atelier/changements/ligne", {"signe": "-", "fichier": name, "intention": INTENT, "exemple": "à moi"}),
            ("/atelier/changements/ligne", {"signe": "+", "fichier": name, "intention": INTENT, "exemple": "à moi"}),
            (f"{PATH}/{INTENT}", {"geste": "retirer", "cle": f"{name}:3:x", "fichier": name}),
            ("/atelier/essayer/demarrer", {"candidat": name}),
        ):
            answer = await send(ines, path, **fields)
            assert answer.status in (200, 404, 409, 422), (path, name, answer.status)
            assert "à moi" not in html.unescape(answer.page) or fields.get("exemple") == "à moi"
            assert "root:x:0" not in answer.page
        odd = "".join(f"%{byte:02x}" for byte in name.encode())
        for path in (f"{PATH}/{odd}", f"/atelier/reponses/{odd}", f"/atelier/essayer?candidat={odd}"):
            shown = await ines.get(path)
            assert shown.status in (200, 404, 503), (path, shown.status)
            assert "root:x:0" not in shown.page
        for act in ("publier", "revenir"):
            csrf = (await ines.get(PATH)).hidden("csrf")
            assert (await ines.post(f"/atelier/modeles/{odd}/{act}", csrf=csrf, message="x")).status in (403, 404)
    assert outside.read_text(encoding="utf-8") == "à moi"
    assert (project.root / ".git" / "config").read_bytes() == config
    assert diff(project) == []

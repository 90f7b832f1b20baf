"""Whose words messages get, measured: a set is read, judged by engine and policy, counted, held against the reference."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from bot.app import baseline, evaluate_scripts
from bot.app.cli import main
from bot.app.route import ENGINE_PYTHON
from bot.core.dialogue import HandoffRequest, Reply, Turn, Understanding
from bot.core.errors import SetupError
from bot.core.examples import script_blocks
from bot.core.program import ROOT
from bot.core.yaml_text import Damaged
from bot.policy.intents import HANDOFF, policy_of
from bot.policy.script_score import NAMES
from bot.trainer.gold import ScriptCase, read_scripts
from bot.trainer.script_figures import ScriptJudged, measure
from scripts.examples import Example, examples, script_examples

HEAD = "text\tscript\tsecond\n"
ROWS = [
    ("il me suit avec un couteau dans la rue au secours", "own_danger", "silent", "danger_immediat", 0.95),
    ("une affaire de couple", "partner_victim", "", "violences_conjugales", 0.0),
    ("un film avec des coups", "none", "", "hors_perimetre", 0.0),
    ("les collègues m’ont mal parlé", "none", "", "reclamation_police", 0.0),
    ("on a sonné hier", "old_emergency", "", "salutation", 0.0),
]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ROWS as a set, and an engine that knows them."""
    monkeypatch.setattr("bot.app.policy.scripts", lambda _path: None)  # as in a model of before
    monkeypatch.setattr("bot.app.policy.score", lambda _path: None)

    def turns(texts: Iterable[str], *_: object) -> Iterator[Turn]:
        for _text, (_, _, _, intent, danger) in zip(texts, ROWS, strict=True):
            policy = policy_of(intent)
            request = HandoffRequest(policy.category, policy.priority, intent) if policy.route == HANDOFF else None
            yield Turn(Understanding(intent, 0.9, ((intent, 0.9),), {}, danger), (Reply("…"),), request)

    monkeypatch.setattr(evaluate_scripts, "turns", turns)
    path = tmp_path / "mots.tsv"
    path.write_text(HEAD + "".join("\t".join(row[:3]) + "\n" for row in ROWS), encoding="utf-8")
    return path


def test_a_set_of_scripts_is_judged_by_whose_words_go_out(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", str(file), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    # The alarm without scripts says the general words; a couple's victim reads the intent's own; a complaint is no emergency's.
    assert (figures["n"], figures["right"], figures["harmful"], figures["wrong_lines"]) == (5, 0.8, 0, [6])
    assert figures["confusion"] == [{"script": "old_emergency", "sent": "none", "n": 1}]
    assert main(["eval", str(file), "--dossier", str(tmp_path / "ici")]) == 0
    assert "old_emergency : mots de none" in capsys.readouterr().out.replace("\u00a0", " ")
    assert "on a sonné hier" in (tmp_path / "ici" / "erreurs.tsv").read_text(encoding="utf-8")
    assert main(["eval", str(file), "--bruit", "sms"]) == 2


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("x\trien\t\n", "ligne 2 : réponse inconnue « rien »"),
        (" \tchild\t\n", "ligne 2 : le message est vide"),
        ("x\tchild\trien\n", "réponse inconnue « rien »"),
        ("x\tchild\t\ten trop\n", "réponse inconnue « en trop »"),
        ("x\trien\t\n" * 7, "… et 2 autres lignes"),
        ("", "ne contient aucun message"),
    ],
)
def test_what_is_no_row_of_scripts_is_told_with_its_line(tmp_path: Path, lines: str, told: str) -> None:
    path = tmp_path / "mots.tsv"
    path.write_text(HEAD + lines, encoding="utf-8")
    with pytest.raises(SetupError, match=told):
        read_scripts(path)


def judged(
    script: str, sent: str, chosen: str = "", second: str = "", loud: bool = True, listens: bool = True
) -> ScriptJudged:
    return ScriptJudged(ScriptCase("x", script, second), sent, loud, chosen or sent, listens)


def test_right_and_harmful_words() -> None:
    figures = measure([
        judged("partner_author", "partner_victim", "partner_author"),  # harms, and would not if it were recognised
        judged("child", "partner_minor", second="partner_minor"),
        judged("witness", "none", "own_distress", loud=False),
        judged("none", "partner_author"),
        judged("none", "officer", loud=False),
    ])  # fmt: skip
    assert (figures["right"], figures["harmful"]) == (0.4, 2)
    assert (figures["right_if_recognised"], figures["harmful_if_recognised"]) == (0.6667, 1)
    assert figures["per_script"]["none"] == {"n": 2, "right": 1, "right_if_recognised": None}
    assert measure([])["right"] is None


def test_a_distress_without_the_3114_is_counted_and_may_not_become_more() -> None:
    without = [judged(script, "own_danger", listens=False) for script in ("own_distress", "relative_act", "witness")]
    without.append(judged("own_distress", "none", second="none", listens=False))
    assert measure([*without, judged("own_distress", "any_distress")])["unheard"] == 2
    before, now = (baseline.snapshot({}, {"scripts.tsv": rows}) for rows in ([*without[1:]] * 100, without * 100))
    assert any("détresses sans le 3114, 100 → 200" in line for line in baseline.falls(before, now))
    del before["scripts"]["scripts.tsv"]["unheard"]  # a reference of before it was counted
    assert not any("3114" in line for line in baseline.falls(before, now))


def test_a_reference_holds_right_and_harmful_words() -> None:
    def made(right: int, harmful: int, other: int = 0) -> baseline.Baseline:
        rows = [judged("partner_author", "partner_author")] * right + [
            judged("partner_author", "partner_victim")
        ] * harmful
        return baseline.snapshot({}, {"scripts.tsv": [*rows, *[judged("partner_author", "own_danger")] * other]})

    assert baseline.falls(made(97, 0, 3), made(95, 0, 5)) == []  # two points
    assert any(
        "mots justes, 97,0\u00a0% → 94,0\u00a0%" in line for line in baseline.falls(made(97, 0, 3), made(94, 0, 6))
    )
    assert any("mots nuisibles, 0 → 1" in line for line in baseline.falls(made(97, 0, 3), made(97, 1, 2)))
    assert any("pour partner_author, 30 → 26 sur 30" in line for line in baseline.falls(made(30, 0), made(26, 0, 4)))
    assert baseline.falls(made(3, 0), baseline.snapshot({})) == ["scripts.tsv : n’est plus mesuré"]
    assert baseline.falls(baseline.snapshot({}), made(3, 0)) == []  # a reference of before
    assert baseline.notes(baseline.snapshot({}), made(3, 0)) == ["scripts.tsv : pas encore dans la référence"]
    assert "mots justes 100,0\u00a0%" in baseline.table(made(3, 0))


def test_the_examples_name_every_script_and_what_is_wrong_is_told() -> None:
    text = (ROOT / "data" / "scripts.yml").read_text(encoding="utf-8")
    blocks, groups = script_blocks(text)
    assert [block.name for block in blocks] == list(NAMES)
    assert all(len(block.items) >= 100 for block in blocks)
    assert "mari" in groups["conjoint"]
    for damaged, told in (
        (text.replace("- script: witness", "- reponse: witness"), "aucune réponse"),
        (text.replace("- script: child", "- script: witness"), "a déjà un bloc"),
        (text.replace("mots:", "groupes:"), "les groupes de mots"),
        (text.replace('  on: "on"', '  on: ""'), "est vide"),
        (text.replace('  on: "on"', '  on: ","'), "est vide"),
        (text.replace('  on: "on"', '  on: "on, ***"'), "«\u00a0***\u00a0», dans le groupe «\u00a0on\u00a0»"),
        (text.replace('  on: "on"', '  on: "on, f*rap"'), "«\u00a0f*rap\u00a0»"),
        (text.replace("scripts:", "exemples:"), "scripts:"),
    ):
        with pytest.raises(Damaged) as found:
            script_blocks(damaged)
        assert told in found.value.what


DRIVER = """
import contextlib, io, json, sys
from bot.engine.script_learning import main
for arguments in json.load(sys.stdin):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main(arguments)
    print(json.dumps([code, said.getvalue()]))
"""


def test_the_command_says_what_it_cannot_learn_from(tmp_path: Path) -> None:
    text = (ROOT / "data" / "scripts.yml").read_text(encoding="utf-8")
    head = text[: text.index("- script: own_danger")]
    wrong = {
        "absent": (None, "n’existe pas"),
        "rien": (f"{head}- script: rien\n  examples: |\n    - x\n", "réponse inconnue « rien »"),
        "peu": (f"{head}- script: child\n  examples: |\n    - x\n", "il faut au moins 5 exemples de « own_danger »"),
        "tiret": (text.replace("    - SOS\n", "    SOS\n"), "cette ligne n’est pas un exemple"),
    }
    for name, (content, _) in wrong.items():
        if content is not None:
            (tmp_path / name).write_text(content, encoding="utf-8")
    asked = json.dumps([[str(tmp_path / name)] for name in wrong])
    done = subprocess.run(
        [str(ENGINE_PYTHON), "-c", DRIVER], cwd=ROOT, input=asked, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for line, (_, told) in zip(done.stdout.splitlines(), wrong.values(), strict=True):
        code, said = json.loads(line)
        assert code == 2
        assert told in said


def test_learning_and_export_are_read_back_by_the_policy() -> None:
    """A few examples of each, learnt and judged in the engine's own environment."""
    code = """
import json, sys
from bot.engine import script_learning as learning
from bot.policy.script_score import ScriptScore
whole = learning.read()
few, seen = [], {}
for text, script in whole.lines:
    seen[script] = seen.get(script, 0) + 1
    if seen[script] <= 15:
        few.append((text, script))
lexicon = learning.read_lexicon()
learnt = learning.learn(learning.Examples(tuple(few), whole.groups), lexicon)
score = ScriptScore.from_mapping(json.loads(json.dumps(learnt.exported)))
right = [max(found := score.chances(t, [h.entry for h in lexicon.entries_in(t)]), key=found.get) == s for t, s in few]
print(sum(right) / len(right), len(learnt.unseen) == len(few))
"""
    done = subprocess.run([str(ENGINE_PYTHON), "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    share, whole = done.stdout.split()
    assert float(share) > 0.9  # what it was taught
    assert whole == "True"


def test_scripts_are_learnt_from_meanings_believed_by_those_apart_and_read_back(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
import numpy as np
from bot.engine.script_head import FILE, ScriptHead
from bot.engine.script_learning import learn_by_meaning
from bot.policy.script_score import NAMES
dice, folder = np.random.default_rng(1), Path(sys.argv[1])
scripts = [name for name in NAMES for _ in range(40)]
middles = dice.normal(size=(len(NAMES), 24))
meanings = np.array([middles[NAMES.index(name)] for name in scripts]) + dice.normal(size=(len(scripts), 24)) * 0.6
unread = np.arange(len(scripts)) % 4 == 0
talk = dice.normal(size=(1, 24)) + dice.normal(size=(200, 24)) * 0.6
head = learn_by_meaning(scripts, meanings, unread, talk)
astray = meanings.copy()
astray[unread] = dice.permutation(meanings[unread])  # those apart say that the meaning tells nothing
doubtful = learn_by_meaning(scripts, astray, unread, talk[:0])
head.save(folder)
again = ScriptHead.read(folder)
right = [again.look(meaning)[0][0][0] == name for name, meaning in zip(scripts, meanings)]
sure, unsure = (np.mean([one.look(meaning)[0][0][1] for meaning in meanings]) for one in (head, doubtful))
print(np.mean(right) > 0.9, again.look(meanings[0]) == head.look(meanings[0]), sure > unsure + 0.1)
told = [head.look(meaning)[1] for name, meaning in zip(scripts, meanings) if name != "none"]
calm = [head.look(meaning)[1] for meaning in [*talk, *meanings[[name == "none" for name in scripts]]]]
print(np.mean(np.array(told) > 0.9) > 0.9, np.mean(np.array(calm) < 0.1) > 0.9, doubtful.look(talk[0])[1] == 0.0)
kept = dict(np.load(folder / FILE))
np.savez(folder / FILE, **{**kept, "names": np.array([*NAMES[1:], "another"])})
print(ScriptHead.read(folder), ScriptHead.read(folder / "nowhere"))
"""
    done = subprocess.run(
        [str(ENGINE_PYTHON), "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True"] * 6 + ["None", "None"]


@pytest.mark.parametrize("read", [script_examples, lambda path: examples([path])])
def test_examples_saved_in_another_encoding_are_told_with_their_line(
    tmp_path: Path, read: Callable[[Path], Iterator[Example]]
) -> None:
    path = tmp_path / "exemples.yml"
    path.write_bytes("mots: x\nscripts:\n- script: child\n  examples: |\n    - frappé\n".encode("cp1252"))
    with pytest.raises(SetupError) as found:
        list(read(path))
    assert f"{path}:5 : ce n’est pas de l’UTF-8" in found.value.what

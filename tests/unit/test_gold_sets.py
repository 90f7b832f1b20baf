"""The measuring sets that name something else than intents are of the form that they say."""

from __future__ import annotations

from pathlib import Path

from ruamel.yaml import YAML

from bot.trainer.checks.gold import SCRIPT_COLUMNS, SCRIPTS, Finding, Script, misplaced, rows
from bot.trainer.gold import sets

GOLD = Path(__file__).resolve().parents[2] / "tests" / "gold"


def test_sets_of_scripts_are_read_by_their_first_line_and_are_no_labelled_sets(tmp_path: Path) -> None:
    head = "\t".join(SCRIPT_COLUMNS)
    text = (
        f"{head}\non me suit\town_danger\t\nil crie\twitness\tpersonne\nmdr\trien\t\nil crie\twitness\twitness\nseul\n"
    )
    (tmp_path / "scripts.tsv").write_text(text, encoding="utf-8")
    (tmp_path / "intents.tsv").write_text("text\tintent\tsecond\troute\n", encoding="utf-8")
    assert [path.name for path in sets(tmp_path)] == ["intents.tsv"]
    found = list(rows("scripts.tsv", text))
    assert [misplaced(row) for row in found if isinstance(row, Script)] == [
        None,
        "seconde réponse inconnue ou redite « personne »",
        "réponse inconnue « rien »",
        "seconde réponse inconnue ou redite « witness »",
    ]
    assert [one.line for one in found if isinstance(one, Finding)] == [6]


def test_every_script_is_measured() -> None:
    kept = list(rows("scripts.tsv", (GOLD / "scripts.tsv").read_text(encoding="utf-8")))
    scripts = [row.script for row in kept if isinstance(row, Script)]
    assert len(scripts) == len(kept) >= 600
    assert all(scripts.count(name) >= 25 for name in SCRIPTS)


def test_the_chains_are_talks_of_two_to_five_turns_and_say_where_a_danger_is_known() -> None:
    chains = YAML(typ="safe").load((GOLD / "chains.yml").read_text(encoding="utf-8"))["chains"]
    assert len({one["name"] for one in chains}) == len(chains) >= 200
    for one in chains:
        assert set(one) <= {"name", "danger", "at", "note", "turns"}, one["name"]
        assert 2 <= len(one["turns"]) <= 5, one["name"]
        assert all(isinstance(turn, str) and turn.strip() for turn in one["turns"]), one["name"]
        assert one["danger"] == ("at" in one), one["name"]
        assert 1 <= one.get("at", 1) <= len(one["turns"]), one["name"]
    assert min(sum(one["danger"] for one in chains), sum(not one["danger"] for one in chains)) >= 80

"""The command line speaks French, says one line an error, and loads only what a command needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bot.app.cli import main, parser
from bot.app.say import typeset

ROOT = Path(__file__).resolve().parents[2]
ENGLISH = re.compile(r"\b(usage|error|argument|required|invalid|choose|show this|positional|unrecognized|expected)\b")


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """What the command says on standard error when it refuses."""
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.replace("\u00a0", " ").splitlines()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["partir"], "« partir » n’est pas possible"),
        (
            ["run", "facteur"],
            "RÔLE : « facteur » n’est pas possible (choix : gateway, worker, sender, engine, console, trainer, "
            "monitor)",
        ),
        (["run", "--vite"], "en trop : --vite"),
        (["users"], "il manque : ACTION"),
        (["users", "add", "Zoé"], "il manque : --role, --password-stdin"),
        (["users", "add", "Zoé", "--role"], "--role : il manque une valeur"),
        (["users", "add", "Zoé", "--role", "chef", "--password-stdin"], "« chef » n’est pas possible"),
        (["route", "--at", "demain"], "« demain » n’est pas une date (exemple : 2026-01-15T02:30)"),
        (["eval"], "il manque : FICHIER"),
        (["eval", "jeu.tsv", "--bruit", "pluie"], "(choix : accents, fautes, majuscules, sms, tous)"),
        (["doctor", "--json=1"], "--json"),
        (["seed", "--messages", "beaucoup"], "--messages : « beaucoup » n’est pas un nombre entier"),
        (["seed", "--conversations", "0"], "--conversations : « 0 » n’est pas un nombre entier"),
        (["seed", "--conversations", "-5"], "n’est pas un nombre entier"),
        (["seed", "--graine"], "--graine : il manque une valeur"),
    ],
)
def test_an_error_is_one_french_line(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    lines = told(capsys, *arguments)
    assert len(lines) == 1
    assert lines[0].startswith("planton : ")
    assert words in lines[0]
    assert "--help" in lines[0]
    assert not ENGLISH.search(lines[0])


@pytest.mark.parametrize(
    "command", ["", "run", "demo", "train", "route", "eval", "users", "users add", "doctor", "seed"]
)
def test_every_help_is_in_french(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as left:
        main([*command.split(), "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert "utilisation\u00a0: planton" in shown
    assert not ENGLISH.search(shown)


def test_every_command_of_the_contract_is_there() -> None:
    shown = parser().format_help()
    for command in ("run", "demo", "train", "route", "eval", "users", "doctor"):
        assert re.search(rf"^ +{command}\b", shown, re.MULTILINE), command


def test_run_without_a_role_means_all() -> None:
    assert parser().parse_args(["run"]).roles == []
    assert parser().parse_args(["run", "worker", "sender"]).roles == ["worker", "sender"]


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "COMMANDE" in capsys.readouterr().out


def test_the_command_line_itself_loads_no_web_server_and_no_engine() -> None:
    code = "import sys, bot.app.cli; print([m for m in ('sanic', 'rasa', 'sqlalchemy', 'aiohttp') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_interruption_is_one_french_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bot.app.purge.main", interrupted)
    assert main(["purge"]) == 130
    assert capsys.readouterr().err.replace("\u00a0", " ") == "planton : interrompu ; rien n’est perdu, relancez.\n"


def test_french_spaces() -> None:
    assert typeset("Planton : « oui » ; non ?") == "Planton\u00a0: «\u00a0oui\u00a0»\u00a0; non\u00a0?"
    assert typeset("http://127.0.0.1:8080") == "http://127.0.0.1:8080"

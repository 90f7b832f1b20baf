"""`planton eval` on real files, with an engine whose answers are known: the figures are those that a hand counts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.app import evaluate, report
from bot.app.cli import main
from bot.core.dialogue import HandoffRequest, Reply, Turn, Understanding
from bot.core.errors import SetupError
from bot.policy.intents import HANDOFF, policy_of
from bot.trainer.figures import Judged, matrix, measure, top
from bot.trainer.gold import Case, read

HEAD = "text\tintent\tsecond\troute\n"
KEYS = (
    "n", "accuracy", "route_accuracy", "answer_precision", "answer_coverage", "sensitive_recall", "emergency_recall",
    "alarm_recall", "false_alarm_rate", "second_net", "unwarned_rate", "net_cost", "per_intent", "confusion",
)  # fmt: skip

# Message, gold intent, second, gold route; what the engine believes, how much, its probability of danger.
ROWS: list[tuple[str, str, str, str, str, float, float]] = [
    ("mon chat est perdu", "animaux", "", "answer", "animaux", 0.95, 0.0),
    ("un chien errant", "animaux", "", "answer", "animaux", 0.85, 0.0),
    ("le chien du voisin aboie", "animaux", "nuisances_sonores", "answer", "nuisances_sonores", 0.95, 0.0),
    ("trop de bruit", "nuisances_sonores", "", "answer", "animaux", 0.65, 0.0),
    ("euh", "salutation", "", "answer", "salutation", 0.05, 0.0),
    ("mon ex me surveille", "violences_conjugales", "", "handoff", "violences_conjugales", 0.75, 0.0),
    ("une main aux fesses", "violences_sexuelles", "", "handoff", "animaux", 0.75, 0.0),
    ("il a garé sa voiture devant", "danger_immediat", "", "emergency", "danger_immediat", 0.9, 0.95),
    ("bientôt la fin", "detresse_suicide", "", "emergency", "salutation", 0.55, 0.1),
    ("le film était bien", "hors_perimetre", "", "answer", "danger_immediat", 0.6, 0.95),
]  # fmt: skip


def turn_of(intent: str, confidence: float, danger: float) -> Turn:
    """What the engine answers when it understood this: below a tenth, it asks."""
    policy = policy_of(intent)
    request = HandoffRequest(policy.category, policy.priority, intent) if policy.route == HANDOFF else None
    understanding = Understanding(intent, confidence, ((intent, confidence),), {}, danger)
    return Turn(understanding, (Reply("…"),), request, clarify=confidence < 0.1)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """An engine that knows ROWS, however they are written; the lists of texts it was asked."""
    monkeypatch.setattr("bot.app.policy.score", lambda _path: None)
    asked: list[list[str]] = []

    def turns(texts: Iterable[str], *_: object) -> Iterator[Turn | None]:
        asked.append(list(texts))
        known = len(ROWS)
        for place, text in enumerate(asked[-1]):
            _, _, _, _, intent, confidence, danger = ROWS[place % known]
            if text.isupper() and intent == "animaux":  # this engine does not read capitals well
                intent, confidence = "armes", 0.5
            yield turn_of(intent, confidence, danger)

    monkeypatch.setattr(evaluate, "turns", turns)
    return asked


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """ROWS as a file of labelled messages."""
    path = tmp_path / "jeu.tsv"
    path.write_text(HEAD + "".join("\t".join(row[:4]) + "\n" for row in ROWS), encoding="utf-8")
    return path


def figures_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The JSON that the command prints, which is all that it prints."""
    assert main(["eval", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("engine")
def test_the_figures_are_those_that_a_hand_counts(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    figures = figures_of(capsys, str(file))
    assert set(KEYS) <= set(figures)
    assert figures["n"] == 10
    assert figures["accuracy"] == 0.6  # six, the second label counted
    assert figures["route_accuracy"] == 0.6  # « euh » is asked about, « fesses » and « fin » answered, « film » alarms
    assert figures["answer_precision"] == 0.5  # of six answered: chat, chien, aboie
    assert figures["answer_coverage"] == 0.6667  # of six to answer: all but « euh » and « film »
    assert figures["sensitive_recall"] == 0.5
    assert figures["emergency_recall"] == 0.5
    assert figures["false_alarm_rate"] == 0.125
    assert figures["second_net"] == 1.0  # the one that is missed: a trace of danger, and little confidence
    assert (figures["unwarned_rate"], figures["unwarned_emergencies"]) == (0.0, [])
    assert figures["net_cost"] == 0.0  # none of the five harmless ones that set off no alarm has a trace of danger
    assert (figures["missed_emergencies"], figures["false_alarms"], figures["missed_sensitive"]) == ([10], [11], [8])


@pytest.mark.usefixtures("engine")
def test_figures_by_route_and_by_intent(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    figures = figures_of(capsys, str(file))
    assert figures["routes"]["answer"] == {"n": 6, "taken": 6, "recall": 0.6667, "precision": 0.6667}
    assert figures["routes"]["emergency"] == {"n": 2, "taken": 2, "recall": 0.5, "precision": 0.5}
    assert figures["routes"]["clarify"] == {"n": 0, "taken": 1, "recall": None, "precision": 0.0}
    assert figures["per_intent"]["animaux"] == {
        "n": 3, "accuracy": 1.0, "recall": 0.6667, "precision": 0.5, "route_accuracy": 1.0
    }  # fmt: skip
    assert figures["confusion"] == [
        {"intent": "nuisances_sonores", "read_as": "animaux", "n": 1},
        {"intent": "violences_sexuelles", "read_as": "animaux", "n": 1},
        {"intent": "detresse_suicide", "read_as": "salutation", "n": 1},
        {"intent": "hors_perimetre", "read_as": "danger_immediat", "n": 1},
    ]


@pytest.mark.usefixtures("engine")
def test_calibration(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    figures = figures_of(capsys, str(file))
    bins = [(row["from"], row["n"], row["confidence"], row["accuracy"]) for row in figures["calibration"]]
    assert bins == [
        (0.0, 1, 0.05, 1.0),
        (0.5, 1, 0.55, 0.0),
        (0.6, 2, 0.625, 0.0),
        (0.7, 2, 0.75, 0.5),
        (0.8, 1, 0.85, 1.0),
        (0.9, 3, 0.9333, 1.0),
    ]
    assert figures["ece"] == pytest.approx((0.95 + 0.55 + 1.25 + 0.5 + 0.15 + 0.2) / 10, abs=1e-4)
    squares = 0.05**2 + 0.15**2 + 0.05**2 + 0.65**2 + 0.95**2 + 0.25**2 + 0.75**2 + 0.1**2 + 0.55**2 + 0.6**2
    assert figures["brier"] == pytest.approx(squares / 10, abs=1e-4)


@pytest.mark.usefixtures("engine")
def test_the_table_speaks_french_and_shows_each_part(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    assert main(["eval", str(file), "--bruit", "majuscules"]) == 0
    shown = capsys.readouterr().out.replace("\u00a0", " ")
    for part in (
        "intention juste", "précision de ce que Planton répond seul", "urgences reconnues", "rappel   choisie  précision",
        "animaux                                   3  100,0 %   66,7 %    50,0 %  100,0 %",
        "nuisances_sonores lu comme animaux", "erreur de calibration (ECE) : 36,0 %", "Urgences manquées, lignes : 10",
        "Cas sensibles restés sans humain, lignes : 8",
    ):  # fmt: skip
        assert part in shown


def test_under_noise_the_engine_is_started_once(
    capsys: pytest.CaptureFixture[str], file: Path, engine: list[list[str]]
) -> None:
    figures = figures_of(capsys, str(file), "--bruit", "tous")
    assert list(figures["noise"]) == ["accents", "fautes", "majuscules", "sms"]
    [asked] = engine
    assert len(asked) == 5 * len(ROWS)
    assert asked[10 + 8] == "bientot la fin"
    assert asked[30 + 8] == "BIENTÔT LA FIN"
    assert figures["noise"]["accents"]["route_change"] == 0.0
    assert figures["noise"]["majuscules"]["accuracy"] == 0.4  # the two animals are not read in capitals
    assert figures["noise"]["majuscules"]["missed_emergencies"] == [10]


@pytest.mark.usefixtures("engine")
def test_files_are_written(
    capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "draw", lambda *_: [])
    folder = tmp_path / "a" / "b"
    printed = figures_of(capsys, str(file), "--dossier", str(folder))
    assert json.loads((folder / "resultat.json").read_text(encoding="utf-8")) == printed
    errors = [line.split("\t") for line in (folder / "erreurs.tsv").read_text(encoding="utf-8").splitlines()]
    assert errors[0] == ["line", "text", "intent", "read_as", "route", "chosen", "confidence"]
    assert errors[1] == ["5", "trop de bruit", "nuisances_sonores", "animaux", "answer", "answer", "0.65"]
    assert [row[0] for row in errors[1:]] == ["5", "6", "8", "10", "11"]


def test_a_folder_that_cannot_be_is_refused_before_anything_is_read(
    capsys: pytest.CaptureFixture[str], file: Path, engine: list[list[str]]
) -> None:
    assert main(["eval", str(file), "--dossier", str(file / "ici")]) == 2
    assert "n’est pas un dossier où écrire" in capsys.readouterr().err
    assert engine == []


def test_the_plots_are_pictures(tmp_path: Path) -> None:
    cases = [Case("a", "animaux", "", "answer"), Case("b", "armes", "", "answer"), Case("c", "armes", "", "answer")]
    judged = [Judged(case, "animaux", "answer", "animaux", 0.9) for case in cases]
    written = report.draw(tmp_path, "jeu.tsv", measure(judged), judged)
    assert [path.name for path in written] == ["confusion.png", "fiabilite.png"]
    for path in written:
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        assert min(int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) > 400


def test_the_matrix_has_the_tables_order_and_second_labels_on_its_diagonal() -> None:
    judged = [
        Judged(Case("a", "armes", "animaux", "answer"), "animaux", "answer", None, 0.0),
        Judged(Case("b", "armes", "", "answer"), "animaux", "answer", None, 0.0),
        Judged(Case("c", "contravention", "", "answer"), None, "clarify", None, 0.0),
    ]
    assert matrix(judged) == (["contravention", "armes", "animaux"], [[0, 0, 0], [0, 1, 1], [0, 0, 0]])


def test_an_intent_that_data_split_counts_as_the_one_above_it() -> None:
    case = Case("un fusil de chasse", "armes", "", "answer")
    assert Judged(case, "armes_chasse", "answer", None, 0.0).right
    assert not Judged(case, "animaux_chasse", "answer", None, 0.0).right
    assert (top("armes_chasse"), top("pre_plainte_en_ligne"), top("inconnue")) == (
        "armes", "pre_plainte_en_ligne", "inconnue"
    )  # fmt: skip
    assert set(measure([Judged(case, "armes_chasse", "answer", None, 0.0)])["per_intent"]) == {"armes"}


def judged(intent: str, route: str, chosen: str, net: bool) -> Judged:
    return Judged(Case("x", intent, "", route), intent, chosen, intent, 0.9, net)


def test_the_second_net_counts_the_missed_emergencies_that_meet_the_numbers() -> None:
    rows = [
        judged("danger_immediat", "emergency", "emergency", True),
        judged("danger_immediat", "emergency", "emergency", False),  # recognised: nothing for a net to catch
        judged("danger_immediat", "emergency", "answer", True),
        judged("danger_immediat", "emergency", "clarify", True),
        judged("detresse_suicide", "emergency", "answer", False),
    ]
    figures = measure(rows)
    assert (figures["second_net"], figures["unwarned_rate"], figures["net_cost"]) == (0.6667, 0.2, None)
    shown = report.table(figures).replace("\u00a0", " ")
    assert re.search(r"second filet : urgences manquées, 17 et 114 dits +66,7 %", shown)
    assert "Urgences sans alerte ni numéros, lignes : 0" in shown
    assert measure(rows[:2])["second_net"] is None


def test_the_cost_of_the_net_is_counted_on_harmless_messages_alone() -> None:
    rows = [
        judged("procuration", "answer", "answer", False),
        judged("procuration", "answer", "answer", True),
        judged("remerciements", "handoff", "handoff", False),
        judged("remerciements", "handoff", "answer", True),
        judged("procuration", "answer", "emergency", True),  # a false alarm, counted as one
        judged("violences_conjugales", "handoff", "handoff", True),  # the numbers are due
    ]
    assert measure(rows)["net_cost"] == 0.5


def test_nothing_to_count_is_no_figure() -> None:
    figures = measure([Judged(Case("a", "animaux", "", "answer"), "animaux", "clarify", None, 0.0)])
    assert [figures[key] for key in ("answer_precision", "sensitive_recall", "emergency_recall", "ece")] == [None] * 4
    assert "—" in report.table(figures)


# --- files as editors and spreadsheets leave them ---

ROW = "un chat\tanimaux\t\tanswer\n"


@pytest.mark.parametrize(
    "content",
    [
        HEAD + ROW,
        "\ufeff" + HEAD + ROW,
        (HEAD + ROW).replace("\n", "\r\n"),
        HEAD + ROW.rstrip("\n"),
        HEAD + "\n" + ROW + "\n  \n",
        "text\tintent\troute\nun chat\tanimaux\tanswer\n",
        "text\tintent\troute\tsecond\nun chat\tanimaux\tanswer\n",  # an empty last column is easily lost
        "route\tnote\ttext\tintent\nanswer\tvu\tun chat\tanimaux\n",
        HEAD + "un chat\t animaux \t\tanswer \n",
    ],
    ids=["plain", "bom", "crlf", "no last newline", "blank lines", "no second", "lost tab", "other order", "spaces"],
)
def test_a_file_is_read(tmp_path: Path, content: str) -> None:
    path = tmp_path / "jeu.tsv"
    path.write_bytes(content.encode())
    [case] = read(path)
    assert (case.text, case.intent, case.second, case.route) == ("un chat", "animaux", "", "answer")


def test_quotes_and_odd_line_ends_belong_to_the_message(tmp_path: Path) -> None:
    path = tmp_path / "jeu.tsv"
    path.write_bytes((HEAD + '"un chat\u2028noir" ""\tanimaux\t\tanswer\n').encode())
    assert read(path)[0].text == '"un chat\u2028noir" ""'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (HEAD + ROW + "x\tanimal\t\tanswer\n", "ligne 3 : intention inconnue « animal »."),
        (HEAD + "x\t\t\tanswer\n", "ligne 2 : l’intention manque."),
        (HEAD + "x\tanimaux\tchat\tanswer\n", "ligne 2 : seconde intention inconnue « chat »."),
        (
            HEAD + "\nx\tanimaux\t\trépondre\n",
            "ligne 3 : route inconnue « répondre » (choix : answer, handoff, emergency, clarify).",
        ),
        (HEAD + "x\tanimaux\t\t\n", "ligne 2 : la route manque."),
        (HEAD + "  \tanimaux\t\tanswer\n", "ligne 2 : le message est vide."),
        (HEAD + "x\tanimaux\n", "ligne 2 : 2 colonnes au lieu de 4 (il manque route)."),
        (HEAD + "x\ty\tanimaux\t\tanswer\n", "ligne 2 : 5 colonnes au lieu de 4."),
        ("texte\tintent\troute\n", "ligne 1 : colonnes absentes : text."),
        ("text\tintent\troute\ttext\n", "ligne 1 : colonnes en double : text."),
        ("", "ligne 1 : colonnes absentes : text, intent, route."),
        (HEAD, "ne contient aucun message."),
    ],
)
def test_a_slip_in_the_file_is_told_with_its_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, engine: list[list[str]], content: str, told: str
) -> None:
    path = tmp_path / "jeu.tsv"
    path.write_text(content, encoding="utf-8")
    assert main(["eval", str(path), "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert told in captured.err.replace("\u00a0", " ")
    assert engine == []


def test_many_slips_are_counted_and_the_first_ones_told(tmp_path: Path) -> None:
    path = tmp_path / "jeu.tsv"
    path.write_text(HEAD + "x\tanimal\t\tanswer\n" * 9, encoding="utf-8")
    with pytest.raises(SetupError) as refused:
        read(path)
    lines = str(refused.value).splitlines()
    assert [line.split(" : ")[0].split()[-1] for line in lines[:5]] == ["2", "3", "4", "5", "6"]
    assert lines[5:] == ["… et 4 autres lignes à corriger."]


def absent(folder: Path) -> Path:
    return folder / "absent.tsv"


def a_folder(folder: Path) -> Path:
    return folder


def latin(folder: Path) -> Path:
    path = folder / "latin.tsv"
    path.write_bytes(HEAD.encode() + ROW.encode() + "été\tanimaux\t\tanswer\n".encode("latin-1"))
    return path


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (absent, "n’existe pas"),
        (a_folder, "est un dossier, pas un fichier"),
        (latin, "ligne 3 : ce n’est pas de l’UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_in_plain_french(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, make: Callable[[Path], Path], told: str
) -> None:
    assert main(["eval", str(make(tmp_path))]) == 2
    said = capsys.readouterr().err.replace("\u00a0", " ")
    assert told in said
    assert "Error" not in said


@pytest.mark.usefixtures("engine")
def test_every_figure_is_defined_in_the_trainers_guide(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "guide-formateur.md").read_text(encoding="utf-8")
    figures = figures_of(capsys, str(file), "--bruit", "accents")
    for key in {*figures, *figures["noise"]["accents"]} - {"n"}:
        assert f"`{key}`" in guide, key

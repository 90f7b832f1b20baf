"""`planton eval` as it is run: a file in, figures, files and plots out, by the trained model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = (
    ("Bonjour, comment porter plainte pour un vol de vélo ?", "plainte_comment", "", "answer"),
    ("comment faire une procuration pour voter", "procuration", "", "answer"),
    ("il me reste combien de points sur mon permis ?", "permis_points", "", "answer"),
    ("merci à la patrouille qui m'a aidée hier soir", "remerciements", "", "handoff"),
    ("mon mari me frappe depuis des mois", "violences_conjugales", "", "handoff"),
    ("au secours, il a un couteau et il force ma porte", "danger_immediat", "", "emergency"),
)


@pytest.mark.usefixtures("trained")
def test_figures_files_and_plots(tmp_path: Path) -> None:
    file, folder = tmp_path / "jeu.tsv", tmp_path / "mesure"
    rows = ["text\tintent\tsecond\troute", *("\t".join(row) for row in MESSAGES)]
    file.write_bytes(("\ufeff" + "\r\n".join(rows) + "\r\n").encode())
    done = subprocess.run(
        [sys.executable, "-m", "bot", "eval", file, "--json", "--bruit", "majuscules", "--dossier", folder],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["n"] == len(MESSAGES)
    assert figures["emergency_recall"] == 1.0
    assert figures["false_alarm_rate"] == 0.0
    assert figures["accuracy"] >= 0.8
    assert sum(row["n"] for row in figures["calibration"]) == len(MESSAGES)
    assert figures["noise"]["majuscules"]["emergency_recall"] == 1.0
    assert json.loads((folder / "resultat.json").read_text(encoding="utf-8")) == figures
    assert {path.name for path in folder.iterdir()} == {
        "resultat.json", "erreurs.tsv", "confusion.png", "fiabilite.png"
    }  # fmt: skip

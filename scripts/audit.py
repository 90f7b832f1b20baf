"""`make audit`: known weaknesses and licences of everything that is installed, and what it is made of (CycloneDX).

What cannot be asked is never called sound: a package that the service does not know, or a service that does not answer,
is told apart and ends with code 2. Accepted findings stand in `requirements/audit.toml`, each with its reason and its end.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import tomllib

from bot.app.say import typeset
from bot.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".venv-audit" / "bin"
ACCEPTED = ROOT / "requirements" / "audit.toml"
# What is installed, by the name under which it is told.
PYTHONS = {"application": ROOT / ".venv", "moteur": ROOT / ".venv-engine"}
SOUND, WEAK, UNKNOWN = 0, 1, 2  # exit codes
PATIENCE = 600  # seconds for one tool


@dataclass(frozen=True)
class Weakness:
    """A known weakness of what is installed. `names`: its identifiers; `fixed`: versions without it."""

    place: str
    package: str
    version: str
    names: frozenset[str]
    fixed: tuple[str, ...] = ()


@dataclass
class Seen:
    """What one tool found in one place. `unasked`: packages that nobody could say anything of; `failure`: why nothing was found."""

    place: str
    asked: int = 0
    weaknesses: list[Weakness] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    failure: str = ""


@dataclass(frozen=True)
class Acceptance:
    """A finding that we live with: why, and until when."""

    name: str
    package: str
    reason: str
    until: date


@dataclass(frozen=True)
class Rules:
    """`requirements/audit.toml`, read. `licences`: names that need no reason; `exceptions`: package → (licence, reason)."""

    findings: tuple[Acceptance, ...]
    licences: frozenset[str]
    exceptions: Mapping[str, tuple[str, str]]


def rules(text: str) -> Rules:
    """Parse `audit.toml`. Raises ValueError or KeyError when an entry lacks its reason or its end."""
    read = tomllib.loads(text)
    findings = [Acceptance(one["id"], one["package"], one["reason"], one["until"]) for one in read.get("finding", ())]
    licences = read["licences"]
    exceptions = {name: (one["licence"], one["reason"]) for name, one in licences.get("exceptions", {}).items()}
    if any(not one.reason.strip() or not isinstance(one.until, date) for one in findings):
        raise ValueError("audit.toml : chaque constat accepté a une raison (reason) et une fin (until = AAAA-MM-JJ)")
    return Rules(tuple(findings), frozenset(plain(one) for one in licences["accepted"]), exceptions)


# -- what the tools say --------------------------------------------------------------------------------------------


def of_pip_audit(place: str, text: str) -> Seen:
    """pip-audit's JSON."""
    try:
        packages = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Seen(place, failure="pip-audit n’a rien rendu de lisible")
    seen = Seen(place, len(packages))
    for one in packages:
        if "skip_reason" in one:
            seen.unasked.append(one["name"])
        for weakness in one.get("vulns", ()):
            names = frozenset((weakness["id"], *weakness.get("aliases", ())))
            fixed = tuple(weakness.get("fix_versions", ()))
            seen.weaknesses.append(Weakness(place, one["name"], one["version"], names, fixed))
    return seen


def of_npm(place: str, text: str) -> Seen:
    """`npm audit --json`, version 2. An advisory has its address as a name (…/GHSA-…)."""
    try:
        read = json.loads(text)
        found, packages = read["vulnerabilities"], read["metadata"]["dependencies"]["total"]
    except (ValueError, KeyError, TypeError):
        return Seen(place, failure="le registre npm ne répond pas aux demandes d’audit")
    seen = Seen(place, packages)
    for one in found.values():
        for cause in one["via"]:
            if isinstance(cause, Mapping):  # text: the weakness of another package of the list
                name = str(cause.get("url", "")).rsplit("/", 1)[-1] or str(cause["source"])
                seen.weaknesses.append(Weakness(place, one["name"], one.get("range", ""), frozenset({name})))
    return seen


def plain(licence: str) -> str:
    """A licence's name without the ways in which packages spell the same one."""
    return re.sub(r"[^a-z0-9.]+", " ", licence.lower().replace("license", "").replace("licence", "")).strip()


def refused(packages: Iterable[Mapping[str, str]], known: Rules) -> list[str]:
    """Packages whose licence nobody accepted. Several licences (AND, OR, ;) must each be known."""
    wrong = []
    for one in packages:
        name, licence = one["Name"].lower().replace("_", "-"), one["License"]
        if name in known.exceptions and licence.startswith(known.exceptions[name][0]):
            continue
        if not all(plain(part) in known.licences for part in re.split(r" AND | OR |;", licence)):
            wrong.append(f"{one['Name']} {one['Version']} : {' '.join(licence.split())[:60]}")
    return wrong


def judged(
    seen: Sequence[Seen], known: Rules, today: date
) -> tuple[list[Weakness], list[Acceptance], list[Acceptance]]:
    """Weaknesses that nobody accepted, acceptances that have ended, and those that no longer meet anything."""
    current = [one for one in known.findings if one.until >= today]
    found = [weakness for one in seen for weakness in one.weaknesses]
    open_ = [w for w in found if not any(a.name in w.names and a.package == w.package for a in current)]
    ended = [one for one in known.findings if one.until < today]
    idle = [a for a in current if not any(a.name in w.names and a.package == w.package for w in found)]
    return open_, ended, idle


# -- running them --------------------------------------------------------------------------------------------------


def run(command: Sequence[str | Path]) -> str:
    """What a tool prints; its exit code says the same as its answer."""
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"  # npm comes with the environment
    said = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=PATIENCE
    )
    return said.stdout


def site_packages(environment: Path) -> Path:
    """Where an environment's packages stand."""
    return next((environment / "lib").glob("python3.*/site-packages"))


def weaknesses() -> list[Seen]:
    """Ask about everything that is installed."""
    seen = [
        of_pip_audit(place, run([TOOLS / "pip-audit", "--path", site_packages(where), "--format", "json"]))
        for place, where in PYTHONS.items()
    ]
    return [*seen, of_npm("pages", run(["npm", "audit", "--json"]))]


def licences(where: Path) -> list[dict[str, str]]:
    """Every package of an environment: Name, Version, License."""
    command = [TOOLS / "pip-licenses", "--python", where / "bin" / "python", "--format=json", "--with-system"]
    packages: list[dict[str, str]] = json.loads(run(command))
    return packages


def bill(folder: Path) -> list[Path]:
    """Write what each part is made of as CycloneDX files; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    wrote = []
    for place, where in PYTHONS.items():
        wrote.append(folder / f"sbom-{place}.json")
        run([TOOLS / "cyclonedx-py", "environment", where, "--of", "JSON", "--output-reproducible", "-o", wrote[-1]])
    wrote.append(folder / "sbom-pages.json")
    wrote[-1].write_text(run(["npm", "sbom", "--sbom-format", "cyclonedx"]), encoding="utf-8")
    for path in wrote:
        if json.loads(path.read_text(encoding="utf-8")).get("bomFormat") != "CycloneDX":
            raise ValueError(f"{path.name} : ce n’est pas une nomenclature CycloneDX")
    return wrote


def report(seen: Sequence[Seen], known: Rules, wrong: Sequence[str], today: date) -> tuple[list[str], int]:
    """Lines for the operator and the exit code."""
    open_, ended, idle = judged(seen, known, today)
    lines = []
    for one in seen:
        sure = one.asked - len(one.unasked)
        lines.append(
            f"{one.place} : {one.failure}" if one.failure else f"{one.place} : {sure} paquets vérifiés sur {one.asked}"
        )
    lines += [
        f"FAILLE {w.place} : {w.package} {w.version}, {', '.join(sorted(w.names))}"
        + (f" ; corrigée dans {', '.join(w.fixed)}" if w.fixed else "")
        for w in open_
    ]
    lines += [f"ACCEPTATION FINIE {a.package} {a.name} (le {a.until}) : {a.reason}" for a in ended]
    lines += [f"acceptation sans objet, à retirer : {a.package} {a.name}" for a in idle]
    lines += [f"LICENCE {one}" for one in wrong]
    unknown = [one for one in seen if one.failure or one.unasked]
    if open_ or ended or wrong:
        lines.append(
            "Mettez à jour ce qui peut l’être, ou acceptez dans requirements/audit.toml, avec une raison et une fin."
        )
        return lines, WEAK
    if unknown:
        lines.append(
            "Tout n’a pas pu être vérifié : le service des failles connues ne répond pas d’ici. "
            "Relancez là où pypi.org et registry.npmjs.org répondent."
        )
        return lines, UNKNOWN
    return lines, SOUND


def main() -> int:
    """Audit everything. The exit code: 0 sound, 1 something to mend, 2 not everything could be asked."""
    known = rules(ACCEPTED.read_text(encoding="utf-8"))
    installed: dict[str, Any] = {place: licences(where) for place, where in PYTHONS.items()}
    wrong = [f"{place}, {one}" for place, packages in installed.items() for one in refused(packages, known)]
    folder = Settings(os.environ).var_dir / "audit"
    wrote = bill(folder)
    table = folder / "licences.json"
    table.write_text(json.dumps(installed, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")
    lines, code = report(weaknesses(), known, wrong, datetime.now().astimezone().date())
    lines.append("Nomenclatures et licences : " + ", ".join(str(path) for path in (*wrote, table)))
    print("\n".join(typeset(line) for line in lines))
    return code


if __name__ == "__main__":
    sys.exit(main())

"""What deploy/ holds for systemd and for the operator's shell: systemd accepts it, and what it locks stays locked."""

from __future__ import annotations

import os
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from bot.app.entitled import NEEDS
from bot.app.required import ROLES
from bot.settings import KNOWN, PREFIX, SECRETS, Settings
from scripts import deploy_walk

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
EXPOSED = 20  # of systemd's own measure times ten, 0 (nothing exposed) to 100; below it, « OK » or better
OPTIONAL = {"OIDC_CLIENT_SECRET"}  # by a drop-in, where there is an identity provider


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units as they would stand where this copy is installed."""
    folder = tmp_path_factory.mktemp("units")
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8").replace("/opt/planton", str(ROOT))
        (folder / unit.name).write_text(text, encoding="utf-8")
    return folder


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; nothing of ours needs to run."""
    return subprocess.run(
        list(words), capture_output=True, text=True, timeout=60, env={**os.environ, **environ} if environ else None
    )


def told(unit: Path) -> dict[str, list[str]]:
    """What a unit's section [Service] says; a name may stand several times."""
    found: dict[str, list[str]] = defaultdict(list)
    section = unit.read_text(encoding="utf-8").partition("[Service]\n")[2].partition("\n[Install]")[0]
    for line in section.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[name].append(value)
    return found


def service(role: str) -> dict[str, list[str]]:
    """The unit of a role."""
    return told(DEPLOY / "systemd" / f"planton-{role}{'@' if role == 'worker' else ''}.service")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_accepts_it(unit: Path, here: Path) -> None:
    done = run("systemd-analyze", "--no-pager", "verify", "--man=no", "--recursive-errors=no", str(here / unit.name))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_it_exposes_little(unit: Path, here: Path) -> None:
    words = ("security", "--offline=yes", f"--threshold={EXPOSED}", str(here / unit.name))
    done = run("systemd-analyze", "--no-pager", *words)
    assert done.returncode == 0, done.stdout[-400:] + done.stderr
    assert "Overall exposure level" in done.stdout


@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_a_unit_that_starts_it_and_gives_it_its_own_secrets(role: str) -> None:
    unit = service(role)
    assert unit["ExecStart"] == [f"/opt/planton/.venv/bin/python -m bot run {role}"]
    loaded = dict(one.split(":", 1) for one in unit["LoadCredential"])
    assert loaded == {name: f"/etc/planton/secrets/{name}" for name in loaded}
    needed = set(NEEDS.get(role, ())) & set(SECRETS) - {"DATABASE_URL"} - OPTIONAL
    assert set(loaded) == needed


def test_the_page_token_is_loaded_by_the_sender_alone() -> None:
    holders = [unit.name for unit in SERVICES if "META_PAGE_TOKEN" in unit.read_text(encoding="utf-8")]
    assert holders == ["planton-sender.service"]


def test_each_role_has_an_account_of_its_own_and_what_it_writes_to_is_its_own() -> None:
    accounts = {role: service(role)["User"][0] for role in ROLES}
    assert accounts.pop("trainer") == accounts["console"]  # both write the trainers' files
    assert len(set(accounts.values())) == len(accounts)
    for role in ROLES:
        unit = service(role)
        assert unit["Group"] == unit["User"]
        assert unit["ProtectSystem"] == ["strict"]
        assert unit["MemoryMax"] and unit["MemorySwapMax"] == ["0"] and unit["TasksMax"]
        if role not in ("console", "trainer"):
            assert not unit["ReadWritePaths"]
            assert unit["ReadOnlyPaths"] == ["/opt/planton"]
        if role != "engine":
            assert unit["StateDirectory"] == [unit["User"][0]]
            assert f"{PREFIX}VAR_DIR=/var/lib/{unit['User'][0]}" in unit["Environment"]


@pytest.mark.parametrize("role", ["gateway", "worker", "trainer", "engine"])
def test_who_needs_no_other_machine_reaches_none(role: str) -> None:
    unit = service(role)
    assert (unit["IPAddressDeny"], unit["IPAddressAllow"]) == (["any"], ["localhost"])


def test_the_engine_gets_no_network_no_secret_and_nothing_to_write() -> None:
    unit = service("engine")
    assert not {"EnvironmentFile", "LoadCredential", "ReadWritePaths", "StateDirectory"} & set(unit)
    assert "/etc/planton" in unit["InaccessiblePaths"][0]
    assert {one.partition("=")[0] for one in unit["Environment"]} == {PREFIX + "ENGINE_URL", PREFIX + "ENGINES_DIR"}


def test_every_account_that_a_unit_or_a_folder_names_is_made(tmp_path: Path) -> None:
    done = run("systemd-sysusers", f"--root={tmp_path}", str(DEPLOY / "sysusers.d" / "planton.conf"))
    assert done.returncode == 0, done.stderr
    made = {line.split(":")[0] for line in (tmp_path / "etc" / "passwd").read_text(encoding="utf-8").splitlines()}
    named = {told(unit)["User"][0] for unit in SERVICES}
    folders = (DEPLOY / "tmpfiles.d" / "planton.conf").read_text(encoding="utf-8").splitlines()
    named |= {line.split()[3] for line in folders if line and not line.startswith("#")} - {"root"}
    assert named <= made
    assert "planton-engine:x:" in (groups := (tmp_path / "etc" / "group").read_text(encoding="utf-8"))
    assert re.search(r"^planton-engine:x:\d+:planton-console$", groups, re.M)


def test_the_ports_of_metrics_are_the_same_in_units_example_and_page() -> None:
    header = (DEPLOY / "systemd" / "planton-worker@.service").read_text(encoding="utf-8").partition("[Unit]")[0]
    page = (ROOT / "docs" / "surveillance.md").read_text(encoding="utf-8")
    assert "PLANTON_METRICS_PORT=9464" in header
    ports = set(re.findall(r"\b\d{4}\b", header))
    assert ports == {"9464", "9465", "9466"}
    assert "PLANTON_METRICS_PORT=9464" in page and ports <= set(re.findall(r"\b\d{4}\b", page))
    scraped = (DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    assert '"127.0.0.1:9464"' in scraped


def test_the_settings_of_all_parts_are_known_and_no_secret() -> None:
    text = (DEPLOY / "planton.env").read_text(encoding="utf-8")
    given = dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))
    assert {name.removeprefix(PREFIX) for name in given} <= set(KNOWN)
    assert set(SECRETS) & {name.removeprefix(PREFIX) for name in given} == {"DATABASE_URL"}
    assert "@/planton?host=/run/postgresql" in given[f"{PREFIX}DATABASE_URL"]  # by the account, without a password
    assert Settings(given).console_proxies == 1


def test_the_walk_knows_the_page_that_it_replays() -> None:
    steps = deploy_walk.blocks()  # it fails when what a person types there has changed
    assert len(steps) == 10
    assert "systemctl start planton.target planton-backup.timer" in steps[6]
    enabled = next(line for line in steps[6].splitlines() if line.startswith("systemctl enable"))
    units = {f"planton-{role}@1" if role == "worker" else f"planton-{role}" for role in ROLES}
    assert units | {"planton.target", "planton-backup.timer"} == set(enabled.split()[2:])


# -- the operator's command ------------------------------------------------------------------------------------------

GIVEN = {
    "DATA_KEY": "clé",
    "SECRET_KEY": "neuve\nancienne",
    "META_APP_SECRET": "secret d’application",
    "META_PAGE_TOKEN": "jeton",
    "METRICS_TOKEN": "mesures",
}


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """Folders like those of a machine, with programs that only say what they were given."""
    secrets = tmp_path / "etc" / "secrets"
    secrets.mkdir(parents=True)
    for name, value in GIVEN.items():
        (secrets / name).write_text(value + "\n", encoding="utf-8")
    (tmp_path / "etc" / "planton.env").write_text(
        '# une remarque\nPLANTON_OIDC_NAME="Portail $(agents) d\'ici"\nPLANTON_DEBOUNCE_MS=500\n', encoding="utf-8"
    )
    (tmp_path / "etc" / "monitor.env").write_text("PLANTON_ALERT_URLS=json://u:p@h\n", encoding="utf-8")
    python = tmp_path / "opt" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "arguments $*"\nenv | grep ^PLANTON_\n')
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "id").write_text("#!/bin/sh\necho 0\n")
    (programs / "setpriv").write_text('#!/bin/sh\necho "$*"\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    for program in (python, *programs.iterdir()):
        program.chmod(0o755)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PLANTON_ROOT": str(tmp_path / "opt"),
        "PLANTON_ETC": str(tmp_path / "etc"),
        "PLANTON_LIB": "/var/lib",
    }


@pytest.mark.parametrize(
    ("command", "account", "secrets"),
    [
        ("doctor --json", "planton", {"DATA_KEY", "SECRET_KEY"}),
        ("users add x --role agent --password-stdin", "planton", {"DATA_KEY"}),
        ("backup", "planton", {"DATA_KEY"}),
        ("meta status", "planton-sender", {"DATA_KEY", "SECRET_KEY", "META_APP_SECRET", "META_PAGE_TOKEN"}),
        ("catchup", "planton-sender", {"DATA_KEY", "SECRET_KEY", "META_APP_SECRET", "META_PAGE_TOKEN"}),
        ("person export 1", "planton-gateway", {"DATA_KEY"}),
        ("alert test", "planton-monitor", set()),
        ("train", "planton-console", {"DATA_KEY"}),
    ],
)
def test_a_command_runs_under_the_account_it_needs_with_its_secrets(
    machine: dict[str, str], command: str, account: str, secrets: set[str]
) -> None:
    done = run("sh", str(DEPLOY / "planton"), *command.split(), **machine)
    assert done.returncode == 0, done.stderr
    privileges, arguments, *environ = done.stdout.splitlines()
    assert f"--reuid={account} --regid={account} --init-groups" in privileges
    assert not [value for value in GIVEN.values() if value in privileges]  # a command line is everybody's to read
    assert arguments == f"arguments -m bot {command}"
    given = dict(line.split("=", 1) for line in environ)
    held = {name for name in SECRETS if given.get(PREFIX + name, "(donné)") != "(donné)"}
    assert held == secrets
    assert given["PLANTON_OIDC_NAME"] == "Portail $(agents) d'ici"
    assert ("PLANTON_ALERT_URLS" in given) == (account == "planton-monitor")
    assert "PLANTON_ROOT" not in given
    if "SECRET_KEY" in secrets:
        assert Settings(given).secrets("SECRET_KEY") == ["neuve", "ancienne"]
    assert (given.get("PLANTON_META_PAGE_TOKEN") == "(donné)") == (command == "doctor --json")


def test_roles_are_left_to_systemd(machine: dict[str, str]) -> None:
    done = run("sh", str(DEPLOY / "planton"), "run", **machine)
    assert (done.returncode, done.stdout) == (2, "")
    assert "systemctl start planton.target" in done.stderr

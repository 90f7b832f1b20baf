"""What deploy/ holds for systemd and for the operator's shell: systemd accepts it, and what it locks stays locked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.app.entitled import NEEDS, environ_of
from bot.app.launcher import engine_environ
from bot.app.required import ROLES
from bot.settings import DATABASE_URLS, KNOWN, PREFIX, SECRETS, Settings
from bot.store.grants import PARTS, role_of
from scripts import deploy_walk

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
EXPOSED = 20  # of systemd's own measure times ten, 0 (nothing exposed) to 100; below it, « OK » or better
STARTING_ENGINES = {"planton-console": 23, "planton-trainer": 23}  # which wall off what they start, by namespaces
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
    most = STARTING_ENGINES.get(unit.stem, EXPOSED)
    words = ("security", "--offline=yes", f"--threshold={most}", str(here / unit.name))
    done = run("systemd-analyze", "--no-pager", *words)
    assert done.returncode == 0, done.stdout[-400:] + done.stderr
    assert "Overall exposure level" in done.stdout


@pytest.mark.parametrize("role", ["console", "trainer"])
def test_a_unit_that_starts_engines_lets_bubblewrap_wall_them_off(role: str) -> None:
    unit = service(role)
    assert set(unit["RestrictNamespaces"][0].split()) == {"user", "mnt", "pid", "net", "ipc"}
    assert "AF_NETLINK" in unit["RestrictAddressFamilies"][0].split()
    assert set(unit["SystemCallFilter"][-1].split()) == {"mount", "umount2", "pivot_root", "capset"}
    assert unit["NoNewPrivileges"] == ["true"]
    assert unit["CapabilityBoundingSet"] == [""]


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
        assert unit["ReadOnlyPaths"] == ["/opt/planton"]
        assert unit["ReadWritePaths"] == (["/srv/planton"] if role in ("console", "trainer") else [])
        if role != "engine":
            assert unit["StateDirectory"] == [unit["User"][0]]
            assert f"{PREFIX}VAR_DIR=/var/lib/{unit['User'][0]}" in unit["Environment"]


@pytest.mark.parametrize("role", ["gateway", "worker", "trainer", "engine"])
def test_who_needs_no_other_machine_reaches_none(role: str) -> None:
    unit = service(role)
    assert (unit["IPAddressDeny"], unit["IPAddressAllow"]) == (["any"], ["localhost"])


def test_what_takes_in_and_what_sends_come_first() -> None:
    weights = {role: (service(role)["CPUWeight"] or ["100"])[0] for role in ROLES}  # 100: systemd's own
    assert weights.pop("trainer") == "idle"
    assert {role for role, weight in weights.items() if int(weight) > 100} == {"gateway", "sender"}
    assert min(map(int, weights.values())) == 100


def test_the_engine_gets_no_network_no_secret_and_nothing_to_write() -> None:
    unit = service("engine")
    assert not {"EnvironmentFile", "LoadCredential", "ReadWritePaths", "StateDirectory"} & set(unit)
    assert "/etc/planton" in unit["InaccessiblePaths"][0]
    ours = {one.partition("=")[0] for one in unit["Environment"] if one.startswith(PREFIX)}
    assert ours == {PREFIX + name for name in ("ENGINE_URL", "ENGINES_DIR", "PROJECT_DIR")}


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
    assert set(SECRETS) & {name.removeprefix(PREFIX) for name in given} == {"DATABASE_URL", *DATABASE_URLS}
    for part in ("", *PARTS):  # by the account, without a password
        url = given[f"{PREFIX}DATABASE_URL{part and '_' + part.upper()}"]
        assert url == f"postgresql://{role_of(part) if part else 'planton'}@/planton?host=/run/postgresql"
    assert Settings(given).console_proxies == 1


def test_the_walk_knows_the_page_that_it_replays() -> None:
    steps = deploy_walk.blocks()  # it fails when what a person types there has changed
    assert len(steps) == 10
    assert "systemctl start planton.target planton-backup.timer" in steps[6]
    enabled = next(line for line in steps[6].splitlines() if line.startswith("systemctl enable"))
    units = {f"planton-{role}@1" if role == "worker" else f"planton-{role}" for role in ROLES}
    assert units | {"planton.target", "planton-backup.timer"} == set(enabled.split()[2:])


def commands(heading: str) -> list[str]:
    """The commands of a part of docs/exploitation.md, a line each."""
    page = (ROOT / "docs" / "exploitation.md").read_text(encoding="utf-8")
    part = re.split(r"\n(?:#|\*\*Fichiers des formateurs)", page.partition(heading)[2], maxsplit=1)[0]
    return [line for block in re.findall(r"^```\n(.*?)^```$", part, re.M | re.S) for line in block.splitlines()]


def test_an_update_renews_or_compares_every_file_that_the_installation_put(tmp_path: Path) -> None:
    first, update = commands(deploy_walk.HEADING), commands("\n**Sous systemd**")
    for folder in ("nginx/conf.d", "nginx/sites-available", "postgresql/17/main/conf.d", "planton", "systemd/system"):
        (tmp_path / "etc" / folder).mkdir(parents=True)  # the packages' own

    def here(line: str) -> subprocess.CompletedProcess[str]:
        line = re.sub(r" (/etc|/usr/local/bin)/", rf" {tmp_path}\1/", line)
        assert not re.search(r"(?<![\w.-])/", line.replace(f"{tmp_path}/", "")), line  # root runs this too
        return subprocess.run(["sh", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=60)

    (tmp_path / "usr" / "local" / "bin").mkdir(parents=True)
    for line in first:
        if line.startswith(("install ", "cp ", "mkdir ")):
            assert here(line).returncode == 0, line
    placed = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert len(placed) > 18
    for line in [line for line in update if line.startswith("diff ")]:
        same = here(line)
        assert (same.returncode, same.stdout) == (0, ""), line
    for path in placed:
        path.write_text("# ancien\n", encoding="utf-8")
    compared = [here(line) for line in update if line.startswith("diff ")]
    assert all(one.returncode == 1 and "< # ancien" in one.stdout for one in compared)
    renewed = [here(line).returncode for line in update if line.startswith(("install ", "cp "))]
    assert renewed and not any(renewed)
    old = {path.relative_to(tmp_path).as_posix() for path in placed if path.read_text(encoding="utf-8") == "# ancien\n"}
    assert old == {line.split()[1].lstrip("/") for line in update if line.startswith("diff ")}
    assert update.index("nginx -t") < update.index("systemctl reload nginx")


# -- the operator's command ------------------------------------------------------------------------------------------

GIVEN = {
    "DATA_KEY": "clé",
    "SECRET_KEY": "neuve\nancienne",
    "SENDER_KEY": "neuve\nancienne",
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
    python.write_text('#!/bin/sh\necho "arguments $*"\nenv | grep -E "^(PLANTON_|PYTHON)"\n')
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
        ("doctor --json", "planton", {"DATA_KEY", "SECRET_KEY", "SENDER_KEY"}),
        ("users add x --role agent --password-stdin", "planton", {"DATA_KEY"}),
        ("backup", "planton", {"DATA_KEY"}),
        ("meta status", "planton-sender", {"DATA_KEY", "SENDER_KEY", "META_APP_SECRET", "META_PAGE_TOKEN"}),
        ("catchup", "planton-sender", {"DATA_KEY", "SENDER_KEY", "META_APP_SECRET", "META_PAGE_TOKEN"}),
        ("person export 1", "planton", {"DATA_KEY"}),
        ("alert test", "planton-monitor", set()),
        ("train", "planton-console", {"DATA_KEY"}),
        ("top --once", "planton", {"METRICS_TOKEN"}),
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
    assert "PYTHONSAFEPATH=1" in environ and f"PYTHONPATH={machine['PLANTON_ROOT']}" in environ
    given = dict(line.split("=", 1) for line in environ)
    held = {name for name in SECRETS if given.get(PREFIX + name, "(donné)") != "(donné)"}
    assert held == secrets
    assert given["PLANTON_OIDC_NAME"] == "Portail $(agents) d'ici"
    assert ("PLANTON_ALERT_URLS" in given) == (account == "planton-monitor")
    assert "PLANTON_ROOT" not in given
    assert given["PLANTON_PROJECT_DIR"] == "/srv/planton"
    for name in {"SECRET_KEY", "SENDER_KEY"} & secrets:
        assert Settings(given).secrets(name) == ["neuve", "ancienne"]
    assert (given.get("PLANTON_META_PAGE_TOKEN") == "(donné)") == (command == "doctor --json")


def test_roles_are_left_to_systemd(machine: dict[str, str]) -> None:
    done = run("sh", str(DEPLOY / "planton"), "run", **machine)
    assert (done.returncode, done.stdout) == (2, "")
    assert "systemctl start planton.target" in done.stderr


def test_git_in_the_trainers_files_is_their_accounts_own(machine: dict[str, str]) -> None:
    for name, script in (("setsid", 'shift\nexec "$@"'), ("env", 'echo "env $*"')):
        program = Path(machine["PATH"].partition(":")[0]) / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    done = run("sh", str(DEPLOY / "planton"), "git", "pull", "/opt/planton", "HEAD", **machine)
    assert done.returncode == 0, done.stderr
    privileges, command = done.stdout.splitlines()
    assert "--reuid=planton-console --regid=planton-console" in privileges and "--no-new-privs" in privileges
    assert command.startswith("env -i ")
    assert command.endswith(" git -C /srv/planton pull /opt/planton HEAD")


# -- who may write what ----------------------------------------------------------------------------------------------

PROGRAM = ("bot/__init__.py", "actions/__init__.py", "Makefile", "scripts/planton", "tests/conftest.py", "README.md")
FILES = (
    ".gitattributes",
    ".gitignore",
    "config.yml",
    "domain.yml",
    "endpoints.yml",
    "credentials.yml",
    "data/nlu.yml",
    "data/fonds/a.yml",
    "docs/guide-formateur.md",
    "tests/gold/intents.tsv",
    "tests/engine/conversations/a.yml",
)
CHOWN = """#!{python}
import os, sys
words = [word for word in sys.argv[1:] if not word.startswith("-")]
whole = any(word.startswith("-") and "R" in word for word in sys.argv[1:])
with open({log!r}, "a") as log:
    for name in words[1:]:
        place = os.path.abspath(name)
        if words[0] == "root:root" and os.geteuid() == 0:
            os.lchown(place, 0, 0)  # git looks at it
        found = [place]
        if whole:
            found += [os.path.join(at, one) for at, folders, files in os.walk(place) for one in (*folders, *files)]
        log.writelines(f"{{words[0]}}\\t{{one}}\\n" for one in found)
"""


@dataclass(frozen=True)
class Installed:
    """A machine's two folders after rights.sh. `given`: to whom each path was given last, as it was called then."""

    program: Path
    files: Path
    environ: dict[str, str]
    log: Path

    def settle(self) -> subprocess.CompletedProcess[str]:
        """Run it."""
        return run("sh", str(self.program / "deploy" / "rights.sh"), **self.environ)

    def owner(self, path: Path) -> str:
        """Whose a path is: as it was given, else as it is."""
        moved = str(path).replace(str(self.files), f"{self.files}.new")
        given = dict(reversed(line.split("\t")) for line in self.log.read_text().splitlines())
        status = path.lstat()
        return given.get(str(path)) or given.get(moved) or f"{status.st_uid}:{status.st_gid}"


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    """A program as its keeper's careless hands left it, in git, with a model."""
    program, log = tmp_path / "opt", tmp_path / "given"
    for name in (*PROGRAM, *FILES):
        (program / name).parent.mkdir(parents=True, exist_ok=True)
        (program / name).write_text("models/\n" if name == ".gitignore" else f"{name}\n", encoding="utf-8")
    (program / "deploy").mkdir()
    shutil.copy(DEPLOY / "rights.sh", program / "deploy")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "chown").write_text(CHOWN.format(python=sys.executable, log=str(log)))
    (programs / "chown").chmod(0o755)
    log.touch()
    environ = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PLANTON_PROJECT_DIR": str(tmp_path / "srv"),
        "GIT_CONFIG_SYSTEM": str(tmp_path / "gitconfig"),
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    git = ("git", "-C", str(program), "-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "un")):
        assert run(*git, *words, **environ).returncode == 0
    assert run(*git, "remote", "add", "origin", "https://git.exemple.fr/planton.git").returncode == 0
    (program / "models").mkdir()
    (program / "models" / "a.tar.gz").write_bytes(b"a")
    for path in (program, program / "bot", program / "bot" / "__init__.py", program / "Makefile", program / ".git"):
        path.chmod(0o777)
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
    return Installed(program, tmp_path / "srv", environ, log)


def test_no_account_may_write_what_a_role_imports_or_root_executes(installed: Installed) -> None:
    done = installed.settle()
    assert done.returncode == 0, done.stderr
    found = [installed.program, *installed.program.rglob("*")]
    assert len(found) > 40  # git's folder is among them: its hooks are root's
    for path in found:
        assert installed.owner(path) in ("root:root", "0:0"), path
        assert path.is_symlink() or path.lstat().st_mode & 0o022 == 0, path
        assert path.is_symlink() or path.lstat().st_mode & 0o044 == 0o044, path
    for unit in SERVICES:
        says = told(unit)
        assert says["WorkingDirectory"] == ["/opt/planton"]
        assert says["ExecStart"][0].startswith("/opt/planton/.venv/bin/python -m bot ")
        assert says["ReadOnlyPaths"] == ["/opt/planton"]
        assert "PYTHONPATH=/opt/planton PYTHONSAFEPATH=1" in says["Environment"]
        assert f"{PREFIX}PROJECT_DIR=/srv/planton" in says["Environment"]
        assert not [one for one in says["ReadWritePaths"] if "/opt/planton" in one]


def test_secrets_that_stand_beside_the_program_stay_closed(installed: Installed) -> None:
    names = ("var/secrets/data_key", "deploy/secrets/META_PAGE_TOKEN", "deploy/certificates/a.pem", "deploy/backups/a")
    for name in names:
        (secret := installed.program / name).parent.mkdir(parents=True, mode=0o700)
        secret.touch(mode=0o600)
    assert installed.settle().returncode == 0
    for name in ("var", "deploy/secrets", "deploy/certificates", "deploy/backups"):
        kept = [path for path in (installed.program / name).rglob("*") if path.is_file()]
        assert [path.stat().st_mode & 0o777 for path in kept] == [0o600]


def test_the_trainers_files_are_a_clone_without_the_program(installed: Installed) -> None:
    assert installed.settle().returncode == 0
    found = [path for path in installed.files.rglob("*") if ".git" not in path.parts]
    names = {path.relative_to(installed.files).as_posix() for path in found if path.is_file()}
    assert names == {*FILES, "models/a.tar.gz"}
    assert not (installed.program / "models").exists()
    for path in (installed.files, *installed.files.rglob("*")):
        assert installed.owner(path) == "planton-console:planton-console", path
        assert path.is_dir() or path.lstat().st_nlink == 1, path  # no other name of what is root's
    config = (installed.files / ".git" / "config").read_text(encoding="utf-8")
    assert "url = https://git.exemple.fr/planton.git" in config
    assert f"driver = '{installed.program}/.venv/bin/planton' _merge-nlu %O %A %B" in config
    # Their account may read root's repository; root's git trusts none but root's.
    trusted = run("git", "config", "--system", "--get-all", "safe.directory", **installed.environ)
    assert trusted.stdout.split() == [f"{installed.program}/.git"]


def test_it_leaves_the_trainers_files_alone_afterwards(installed: Installed) -> None:
    assert installed.settle().returncode == 0
    (installed.files / "domain.yml").write_text("à eux\n", encoding="utf-8")
    installed.log.write_text("", encoding="utf-8")
    assert installed.settle().returncode == 0
    assert (installed.files / "domain.yml").read_text(encoding="utf-8") == "à eux\n"
    assert str(installed.files) not in installed.log.read_text(encoding="utf-8")


def test_a_new_version_comes_to_the_trainers_files_by_git(installed: Installed) -> None:
    assert installed.settle().returncode == 0
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "safe.directory=*")
    for name in ("data/nlu.yml", "bot/__init__.py"):
        (installed.program / name).write_text("neuf\n", encoding="utf-8")
    (installed.files / "domain.yml").write_text("à eux\n", encoding="utf-8")
    for folder in (installed.program, installed.files):
        assert run(*git, "-C", str(folder), "commit", "-qam", "deux", **installed.environ).returncode == 0
    words = ("pull", "--quiet", "--no-rebase", "--no-edit", str(installed.program), "HEAD")
    done = run(*git, "-C", str(installed.files), *words, **installed.environ)
    assert done.returncode == 0, done.stderr
    assert (installed.files / "data" / "nlu.yml").read_text(encoding="utf-8") == "neuf\n"
    assert (installed.files / "domain.yml").read_text(encoding="utf-8") == "à eux\n"
    assert not (installed.files / "bot").exists()


def test_a_folder_that_was_open_to_the_console_is_refused(installed: Installed) -> None:
    script = installed.program / "deploy" / "rights.sh"
    mine = installed.program.owner()
    script.write_text(script.read_text(encoding="utf-8").replace("account=planton-console", f"account={mine}"))
    done = installed.settle()
    assert done.returncode == 2
    assert "Mettre à jour" in done.stderr
    assert not installed.files.exists()


def test_the_folder_that_a_role_is_started_from_decides_nothing(here: Path, tmp_path: Path) -> None:
    for name in ("argparse.py", "aiohttp.py", "bot.py", "sitecustomize.py"):
        (tmp_path / name).write_text("import os; os._exit(42)\n")
    says = told(here / "planton-sender.service")  # all say the same (above)
    environ = dict(pair.split("=", 1) for line in says["Environment"] for pair in line.split())
    python, *words = says["ExecStart"][0].split()[:3]
    command = [python, *words, "--help"]

    def started(given: dict[str, str]) -> int:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", PREFIX))}
        return subprocess.run(command, cwd=tmp_path, env={**clean, **given}, capture_output=True, timeout=60).returncode

    assert started(environ) == 0
    assert started({"PYTHONPATH": environ["PYTHONPATH"]}) == 42  # as it would be without


def test_what_a_role_starts_keeps_to_it() -> None:
    given = {"PYTHONPATH": "/opt/planton", "PYTHONSAFEPATH": "1", f"{PREFIX}PROJECT_DIR": "/srv/planton"}
    for role in set(ROLES) - {"engine"}:
        keys = {f"{PREFIX}{name}": "x" * 40 for name in ("SECRET_KEY", "METRICS_TOKEN", "META_PAGE_TOKEN")}
        settings = Settings({**given, **keys, f"{PREFIX}DATA_KEY": "A" * 43 + "=", f"{PREFIX}META_PAGE_ID": "1"})
        kept = environ_of(role, settings, "postgresql://x@/y")
        assert given.items() <= kept.items(), role
    kept = engine_environ({**given})  # Python 3.10 knows no safe path: its folder, /opt/planton, is root's
    assert kept["PYTHONPATH"] == "/opt/planton"

"""The images and the Compose file: a linter and the specification accept them; a container gets what its role needs, no more."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bot.app.entitled import NEEDS
from bot.app.required import ROLES
from bot.settings import ADDRESSES, KNOWN, METERED, PREFIX, SECRETS, Settings
from bot.store.grants import PARTS, role_of

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE = YAML(typ="safe").load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(set(SERVICES) & set(ROLES))
ROLE_NAMES = [role_of(part) for part in PARTS if part != "trainer"]
OUT = {"sender", "console", "monitor"}  # Meta; attachments and log-ins; alerts
OPTIONAL = {"OIDC_CLIENT_SECRET"}
CLOSED = {*SECRETS, *ADDRESSES}
# What the containers' own layout decides, so that settings.env cannot.
FIXED = {
    *("GATEWAY_PORT", "SENDER_PORT", "CONSOLE_PORT"),
    *("VAR_DIR", "ENGINE_URL", "SENDER_URL", "GATEWAY_HOST", "SENDER_HOST", "CONSOLE_HOST", "METRICS_HOST"),
    *("CONSOLE_PROXIES", "ALERT_SERVICES", "ALERT_URLS_FILE", "BACKUP_DIR"),
}
TOLD = sorted(set(OURS) - {"engine"} | {"backup"})  # who reads settings.env


def environ(service: str, **given: str) -> dict[str, str]:
    """What a container gets of a settings.env: what Compose says of the service goes before it (the specification's rule)."""
    said: dict[str, str] = SERVICES[service].get("environment", {})
    told = {PREFIX + name: value for name, value in given.items()} if "env_file" in SERVICES[service] else {}
    return {**told, **said}


def run(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A program of this environment."""
    return subprocess.run(
        [Path(sys.executable).with_name(program), *words], cwd=DEPLOY, capture_output=True, text=True, timeout=60
    )


def test_the_linter_has_nothing_to_say() -> None:
    done = run("hadolint", "--no-color", "Containerfile")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_linter_would_say_it(tmp_path: Path) -> None:
    bad = tmp_path / "Containerfile"
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    bad.write_text(text.replace("# hadolint ignore=DL3008\n", "").replace("USER 33:33", "USER root"), encoding="utf-8")
    done = run("hadolint", "--no-color", str(bad))
    assert done.returncode == 1
    assert {"DL3002", "DL3008"} <= set(done.stdout.split())


def test_it_follows_the_specification(tmp_path: Path) -> None:
    done = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml", "compose.oidc.yaml")
    assert done.returncode == 0, done.stdout
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    (wrong := tmp_path / "compose.yaml").write_text(text.replace("read_only: true", "readonly: true"), encoding="utf-8")
    assert run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(wrong)).returncode == 1


def test_every_role_but_the_trainer_has_a_container() -> None:
    assert set(OURS) == set(ROLES) - {"trainer"}
    for role in OURS:
        assert SERVICES[role]["command"] == ["run", role]


@pytest.mark.parametrize("role", OURS)
def test_a_container_is_given_its_roles_secrets_as_files_and_no_others(role: str) -> None:
    service = SERVICES[role]
    mounted = set(service.get("secrets", ()))
    needed = set(NEEDS.get(role, ())) & set(SECRETS) - OPTIONAL
    if "DATABASE_URL" in needed:  # under its own PostgreSQL role; the owner's is for `migrate` alone
        needed = needed - {"DATABASE_URL"} | {f"DATABASE_URL_{role.upper()}"}
        assert service["environment"][f"{PREFIX}DATABASE_URL_FILE"] == f"/run/secrets/DATABASE_URL_{role.upper()}"
    assert mounted == (needed | {"ALERT_URLS"} if role == "monitor" else needed)
    said: dict[str, str] = service.get("environment", {})
    files = {value.removeprefix("/run/secrets/") for name, value in said.items() if name.endswith("_FILE")}
    assert files == mounted
    assert {name.removeprefix(PREFIX) for name in said} <= set(KNOWN) | {f"{name}_FILE" for name in SECRETS}
    assert not any(said.get(PREFIX + name) for name in SECRETS)
    assert set(mounted) <= set(COMPOSE["secrets"])


def test_a_backup_has_what_it_needs_and_reaches_nobody_else() -> None:
    service = SERVICES["backup"]
    assert service["command"][0] == "backup"
    assert service["profiles"] == ["backup"] and service["restart"] == "no"  # it runs when it is asked for
    assert set(service["secrets"]) == {"DATABASE_URL_BACKUP", "DATA_KEY"}
    assert service["networks"] == ["data"]
    folder = service["environment"][f"{PREFIX}BACKUP_DIR"]
    assert [one.rpartition(":")[2] for one in service["volumes"]] == [folder]  # all else is read-only
    # The image has what encrypts: sealing.py looks for it by this name.
    app = (
        (DEPLOY / "Containerfile")
        .read_text(encoding="utf-8")
        .partition("FROM ${BASE} AS app\n")[2]
        .partition("\nFROM ")[0]
    )
    packages = re.search(r"apt-get install -y --no-install-recommends (.+) \\", app)
    assert packages is not None and "age" in packages[1].split()


def test_the_owner_of_the_database_migrates_and_no_part_is_a_superuser(tmp_path: Path) -> None:
    owners = [name for name, service in SERVICES.items() if "DATABASE_URL" in service.get("secrets", ())]
    assert owners == ["migrate", "command"]
    assert SERVICES["command"]["profiles"] == ["command"]  # only when somebody asks for it
    assert SERVICES["migrate"]["command"] == ["migrate"] and SERVICES["migrate"]["restart"] == "no"
    database = SERVICES["database"]
    assert database["environment"]["POSTGRES_USER"] == "postgres"  # the image's superuser
    assert "POSTGRES_PASSWORD" not in {
        one for name in (*OURS, "migrate", "backup") for one in SERVICES[name].get("secrets", ())
    }
    for name in (*OURS, "backup"):
        if name != "engine":
            assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    # What the image runs on an empty volume.
    assert any(str(one).endswith("roles.sh:/docker-entrypoint-initdb.d/roles.sh:ro") for one in database["volumes"])
    (passwords := tmp_path / "passwords").write_text("".join(f"{one} 0a1b\n" for one in ("planton", *ROLE_NAMES)))
    (psql := tmp_path / "psql").write_text("#!/bin/sh\ncat\n")
    psql.chmod(0o755)
    given = {"POSTGRES_USER": "postgres", "POSTGRES_DB": "planton", "DATABASE_PASSWORDS_FILE": str(passwords)}
    path = f"{tmp_path}:{os.environ['PATH']}"
    script = ["sh", str(DEPLOY / "postgresql" / "roles.sh")]
    done = subprocess.run(script, capture_output=True, text=True, env={"PATH": path, **given}, check=True)
    created = re.findall(r"CREATE ROLE (\w+) LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '0a1b';", done.stdout)
    assert created == ["planton", *ROLE_NAMES]
    assert f"GRANT {', '.join(ROLE_NAMES)} TO planton;\nALTER DATABASE planton OWNER TO planton;" in done.stdout
    passwords.write_text("planton x';DROP\n")
    assert subprocess.run(script, capture_output=True, env={"PATH": path, **given}, check=False).returncode == 1


@pytest.mark.parametrize("service", TOLD)
def test_a_setting_of_the_file_reaches_whoever_may_need_it(service: str) -> None:
    assert SERVICES[service]["env_file"] == ["${PLANTON_SETTINGS:-./settings.env}"]
    given = {name: f"value of {name}" for name in KNOWN}
    got = environ(service, **given)
    assert {name for name in KNOWN if got[PREFIX + name] != given[name]} <= FIXED | CLOSED
    settings = Settings(environ(service, SEND_CEILING="17", METRICS_PORT="9464", META_PAGE_ID="1"))
    assert (settings.send_ceiling, settings.metrics_port("console")) == (17, 9465)


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_secret_in_the_file_of_settings_reaches_no_container(service: str) -> None:
    got = environ(service, **{name: f"https://secret-{name}" for name in CLOSED})
    assert not [name for name, value in got.items() if "secret-" in value]
    if service in TOLD:
        for name in CLOSED - {"HEARTBEAT_URL"}:  # the monitor's, of whoever runs Compose
            assert not Settings({**got, f"{PREFIX}{name}_FILE": ""}).has(name), name


def test_the_model_of_the_file_has_no_secret_and_nothing_that_compose_decides() -> None:
    text = (DEPLOY / "containers.env").read_text(encoding="utf-8")
    names = set(re.findall(rf"^(?:# )?{PREFIX}(\w+)=", text, re.M))
    assert {"META_PAGE_ID", "CONSOLE_URL", "BACKUP_RECIPIENTS", "METRICS_PORT"} <= names <= set(KNOWN) - CLOSED - FIXED
    ignored = (DEPLOY.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "/deploy/settings.env" in ignored


def test_no_variable_of_compose_is_named_as_the_setting_that_it_fills() -> None:
    """podman-compose 1.3 would give the container « ${NAME:-} » itself."""
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert f"${{{name}" not in str(value)


def test_an_identity_providers_secret_is_the_consoles() -> None:
    more: dict[str, Any] = YAML(typ="safe").load((DEPLOY / "compose.oidc.yaml").read_text(encoding="utf-8"))
    assert set(more["services"]) == {"console"}
    assert more["services"]["console"]["secrets"] == list(more["secrets"]) == ["OIDC_CLIENT_SECRET"]
    path = more["services"]["console"]["environment"][f"{PREFIX}OIDC_CLIENT_SECRET_FILE"]
    assert path == "/run/secrets/OIDC_CLIENT_SECRET"


def test_prometheus_finds_every_part_with_metrics_on_one_network() -> None:
    for service in ("gateway", "worker", "sender", "console"):
        assert "data" in SERVICES[service]["networks"]
        host = "METRICS" if service in METERED else service.upper()
        assert SERVICES[service]["environment"][f"{PREFIX}{host}_HOST"] == "0.0.0.0"


@pytest.mark.parametrize("role", [*OURS, "proxy", "backup"])
def test_a_container_has_no_privilege_and_cannot_change_its_image(role: str) -> None:
    service = SERVICES[role]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert "privileged" not in service and "cap_add" not in service


def test_who_has_no_business_outside_has_no_way_out() -> None:
    networks: dict[str, dict[str, Any]] = COMPOSE["networks"]
    open_ = {name for name, network in networks.items() if not (network or {}).get("internal")}
    assert open_ == {"exit", "edge"}
    for name, service in SERVICES.items():
        assert bool(open_ & set(service["networks"])) == (name in OUT | {"proxy"}), name
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    # IPv6 would arrive through the engine's own proxy, from an address that the console's site lets in.
    assert SERVICES["proxy"]["ports"] == ["0.0.0.0:80:80", "0.0.0.0:443:443"]
    assert not (COMPOSE["networks"]["edge"] or {}).get("enable_ipv6")
    assert SERVICES["engine"]["networks"] == ["engines"]


def test_images_run_without_root_and_are_made_of_what_is_listed() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    final = [
        part for part in text.split("\nFROM ") if part.partition("\n")[0].split()[-1] in ("app", "engine", "proxy")
    ]
    assert len(final) == 3
    for part in final:
        assert "\nUSER " in part and "\nUSER 0" not in part
    assert text.count("--require-hashes") == 2
    allowed = (DEPLOY / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert allowed[1] == "*"
    assert not {"!var", "!.git", "!deploy", "!deploy/secrets", "!."} & set(allowed)

"""The images and the Compose file: a linter and the specification accept them; a container gets what its role needs, no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bot.app.entitled import NEEDS
from bot.app.required import ROLES
from bot.settings import KNOWN, PREFIX, SECRETS

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE = YAML(typ="safe").load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(set(SERVICES) & set(ROLES))
OUT = {"sender", "console", "monitor"}  # Meta; attachments and log-ins; alerts
OPTIONAL = {"OIDC_CLIENT_SECRET"}


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
    done = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")
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
    assert mounted == (needed | {"ALERT_URLS"} if role == "monitor" else needed)
    environ: dict[str, str] = service.get("environment", {})
    files = {value.removeprefix("/run/secrets/") for name, value in environ.items() if name.endswith("_FILE")}
    assert files == mounted
    assert {name.removeprefix(PREFIX) for name in environ} <= set(KNOWN) | {f"{name}_FILE" for name in SECRETS}
    assert not {PREFIX + name for name in SECRETS} & set(environ)
    assert set(mounted) <= set(COMPOSE["secrets"])


@pytest.mark.parametrize("role", [*OURS, "proxy"])
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

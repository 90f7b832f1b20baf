"""Settings: each default works, each wrong value is one clear line in French that names it."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
from datetime import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.app.ports import listeners
from bot.app.required import ROLES, faults
from bot.core.errors import SettingsError
from bot.policy.retention import DEFAULT, Class
from bot.settings import KNOWN, Settings

WORKING = {
    "PLANTON_META_APP_SECRET": "s",
    "PLANTON_META_VERIFY_TOKEN": "v",
    "PLANTON_META_PAGE_ID": "1",
    "PLANTON_META_PAGE_TOKEN": "t",
}
READ = {
    "DATABASE_URL": lambda s: s.database_url,
    "GATEWAY_PORT": lambda s: s.port("GATEWAY_PORT"),
    "CONSOLE_PORT": lambda s: s.port("CONSOLE_PORT"),
    "SANDBOX_PORT": lambda s: s.port("SANDBOX_PORT"),
    "SENDER_PORT": lambda s: s.port("SENDER_PORT"),
    "SENDER_URL": lambda s: s.sender_url,
    "ENGINE_URL": lambda s: s.engine_urls,
    "ENGINE_HOST": lambda s: s.engine_host,
    "SENDER_HOST": lambda s: s.host("SENDER_HOST"),
    "META_APP_SECRET": lambda s: s.app_secrets,
    "ACCOUNTS": lambda s: s.accounts(),
    "META_GRAPH_URL": lambda s: s.graph_url,
    "ATTACHMENT_HOSTS": lambda s: s.attachment_hosts,
    "TIMEZONE": lambda s: s.zone,
    "NIGHT_START": lambda s: s.wall("NIGHT_START"),
    "NIGHT_END": lambda s: s.wall("NIGHT_END"),
    "DESK_HOURS": lambda s: s.desk_hours,
    "DEBOUNCE_MS": lambda s: s.debounce_ms,
    "SEND_CEILING": lambda s: s.send_ceiling,
    "CONSOLE_PROXIES": lambda s: s.console_proxies,
    **{f"RETENTION_{of.name}": lambda s: s.retention for of in Class},
    "PURGE_HOURS": lambda s: s.purge_hours,
}


def settings(**values: str) -> Settings:
    return Settings({f"PLANTON_{name}": value for name, value in values.items()})


def test_the_defaults_are_those_of_the_documentation() -> None:
    plain = settings()
    assert plain.embedded
    assert plain.var_dir == Path("var").absolute()
    assert [plain.port(f"{n}_PORT") for n in ("GATEWAY", "CONSOLE", "SANDBOX", "SENDER")] == [8080, 8090, 8070, 8060]
    assert plain.host("GATEWAY_HOST") == plain.host("CONSOLE_HOST") == "127.0.0.1"
    assert plain.engine_urls == ["http://127.0.0.1:5005"]
    assert plain.sender_url == "http://127.0.0.1:8060"
    assert plain.zone.key == "Europe/Paris"
    assert (plain.wall("NIGHT_START"), plain.wall("NIGHT_END")) == (time(0), time(6))
    assert plain.desk_hours == (time(6), None)
    assert (plain.debounce_ms, plain.send_ceiling) == (1500, 40)
    assert plain.graph_url.startswith("https://graph.facebook.com/v")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://x"),
        ("GATEWAY_PORT", "0"),
        ("GATEWAY_PORT", "65536"),
        ("CONSOLE_PORT", "http"),
        ("SANDBOX_PORT", "-1"),
        ("SENDER_PORT", "８０８０"),
        ("SENDER_URL", "sender:8060"),
        ("SENDER_URL", "http://a:8060,b:8060"),
        ("ENGINE_URL", "127.0.0.1:5005"),
        ("ENGINE_URL", "http://127.0.0.1:99999"),
        ("ENGINE_URL", ","),
        ("ENGINE_URL", "http://127.0.0.1:5005,http://8.8.8.8:5005"),
        ("ENGINE_URL", "http://[2606:4700::1111]:5005"),
        ("ENGINE_HOST", "8.8.8.8"),
        ("SENDER_HOST", "2606:4700::1111"),
        ("META_APP_SECRET", "a,b,c"),
        ("META_APP_SECRET", " , "),
        ("ACCOUNTS", "/nowhere/accounts.toml"),
        ("META_GRAPH_URL", "https://graph.facebook.com"),
        ("META_GRAPH_URL", "graph.facebook.com/v26.0"),
        ("ATTACHMENT_HOSTS", "https://fbcdn.net"),
        ("ATTACHMENT_HOSTS", "fbcdn.net,127.0.0.1"),
        ("ATTACHMENT_HOSTS", ","),
        ("TIMEZONE", "Paris"),
        ("TIMEZONE", "../../etc/passwd"),
        ("NIGHT_START", "24:00"),
        ("NIGHT_END", "6h"),
        ("DESK_HOURS", "06:00"),
        ("DESK_HOURS", "06:00-25:00"),
        ("DEBOUNCE_MS", "1,5"),
        ("DEBOUNCE_MS", "60001"),
        ("SEND_CEILING", "0"),
        ("CONSOLE_PROXIES", "oui"),
        ("SEND_CEILING", "beaucoup"),
        ("RETENTION_EVERYDAY", "0"),
        ("RETENTION_EVERYDAY", "9"),
        ("RETENTION_EVERYDAY", "jamais"),
        ("RETENTION_COMPLAINTS", "2 ans"),
        ("RETENTION_RAW", "-1"),
        ("RETENTION_AUDIT", "89"),
        ("RETENTION_AUDIT", "729"),
        ("RETENTION_STATISTICS", "99999"),
        ("PURGE_HOURS", "02:30"),
        ("PURGE_HOURS", "02:30-02:30"),
        ("PURGE_HOURS", "02:30-25:00"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        READ[name](settings(**{name: value}))
    assert wrong.value.what.startswith(f"PLANTON_{name}\u00a0: ")
    assert "\n" not in str(wrong.value)


def test_sender_and_engines_listen_for_other_machines_only_where_told() -> None:
    plain, told = settings(), settings(SENDER_HOST="0.0.0.0", ENGINE_HOST="10.0.0.4", SENDER_URL="http://sender:8060/")
    assert [(one.host, one.port) for role in ("sender", "engine") for one in listeners(plain, role)] == [
        ("127.0.0.1", 8060),
        ("127.0.0.1", 5005),
    ]
    assert [one.host for role in ("sender", "engine") for one in listeners(told, role)] == ["0.0.0.0", "10.0.0.4"]
    assert told.sender_url == "http://sender:8060"
    for inside in ("10.0.0.4", "fd00::4", "0.0.0.0", "moteur1"):
        assert settings(ENGINE_HOST=inside, SENDER_HOST=inside).engine_host == inside
    assert settings(ENGINE_URL="https://8.8.8.8/").engine_urls == ["https://8.8.8.8"]
    assert settings(SENDER_URL="http://a:8060/, http://b:8060").sender_url == "http://a:8060,http://b:8060"


@given(st.sampled_from(sorted(READ)), st.text(max_size=40))
def test_no_value_makes_a_setting_raise_anything_else(name: str, value: str) -> None:
    told = ""
    try:
        READ[name](settings(**{name: value}))
    except SettingsError as wrong:
        told = wrong.what
    assert "\n" not in told


def test_retention_has_defaults_and_what_may_stay_for_ever() -> None:
    assert settings().retention == DEFAULT
    assert settings().purge_hours == (time(2, 30), time(5))
    given = settings(
        RETENTION_AUDIT="jamais", RETENTION_STATISTICS="jamais", RETENTION_EVERYDAY="30", PURGE_HOURS="jamais"
    )
    assert (given.retention.audit, given.retention.statistics, given.retention.everyday) == (None, None, 30)
    assert given.purge_hours is None


def test_an_empty_value_is_the_default() -> None:
    assert settings(DEBOUNCE_MS="  ").debounce_ms == 1500
    assert settings(DATABASE_URL="").embedded


def test_typing_errors_are_found() -> None:
    assert settings(DEBOUCE_MS="3", PORT="1", TIMEZONE="Europe/Paris").unknown() == [
        "PLANTON_DEBOUCE_MS",
        "PLANTON_PORT",
    ]


def test_two_secrets_during_a_rotation() -> None:
    assert settings(META_APP_SECRET=" new , old ").app_secrets == ["new", "old"]


def test_several_pages_come_from_a_file_and_only_the_sender_sees_tokens(tmp_path: Path) -> None:
    file = tmp_path / "pages.toml"
    file.write_text('[[page]]\nid = "1"\ninstagram = "2"\ntoken = "tok"\n[[page]]\nid = "3"\ntoken = "tik, old"\n')
    with pytest.raises(SettingsError, match="chmod 600"):
        settings(ACCOUNTS=str(file)).accounts()
    file.chmod(0o600)
    given = settings(ACCOUNTS=str(file))
    assert [(a.page_id, a.ig_id, a.token) for a in given.accounts()] == [("1", "2", None), ("3", None, None)]
    assert [a.tokens for a in given.accounts(with_tokens=True)] == [("tok",), ("tik", "old")]
    assert "tok" not in repr(given.accounts(with_tokens=True))


@pytest.mark.parametrize(
    "content",
    ["", "page = 3", "[[page]]\n", '[[page]]\nid = "1"\n', "[[page]", "\xff", 'page = ["x"]', "[page]\nid = 1"],
)
def test_a_wrong_file_of_pages_is_one_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "pages.toml"
    file.write_bytes(content.encode("latin-1"))
    file.chmod(0o600)
    with pytest.raises(SettingsError) as wrong:
        settings(ACCOUNTS=str(file)).accounts(with_tokens=True)
    assert "PLANTON_ACCOUNTS" in wrong.value.what


def test_secrets_are_made_once_beside_the_embedded_database(tmp_path: Path) -> None:
    given = settings(VAR_DIR=str(tmp_path / "var"))
    key = given.secret("DATA_KEY")
    assert len(base64.b64decode(key)) == 32
    code = "from bot.settings import Settings; print(Settings().secret('DATA_KEY'))"
    environ = {**os.environ, "PLANTON_VAR_DIR": str(tmp_path / "var")}
    others = [subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True) for _ in "ab"]
    assert {one.stdout.strip() for one in others} == {key}
    file = tmp_path / "var" / "secrets" / "data_key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_secrets_are_required_with_a_given_database(tmp_path: Path) -> None:
    given = settings(VAR_DIR=str(tmp_path / "var"), DATABASE_URL="postgresql://u@h/d")
    for name in ("METRICS_TOKEN", "SECRET_KEY", "SENDER_KEY", "DATA_KEY"):
        with pytest.raises(SettingsError) as wrong:
            given.secret(name)
        assert f"PLANTON_{name}" in wrong.value.what
    assert not (tmp_path / "var").exists()


def test_an_update_shuts_nobody_out_before_there_is_a_sender_key(tmp_path: Path) -> None:
    given = settings(VAR_DIR=str(tmp_path / "var"), DATABASE_URL="postgresql://u@h/d", SECRET_KEY="neuve,ancienne")
    assert given.lacks_sender_key
    assert given.secrets("SENDER_KEY") == ["neuve", "ancienne"]
    own = settings(SECRET_KEY="neuve", SENDER_KEY="porte")
    assert (own.lacks_sender_key, own.secrets("SENDER_KEY")) == (False, ["porte"])


@pytest.mark.parametrize("older", [True, False])
def test_a_sender_key_is_made_with_the_key_of_older_marks_beside_it(tmp_path: Path, older: bool) -> None:
    """Meta tells us what the version before sent: an echo that is not known for ours would read as a human's."""
    given = settings(VAR_DIR=str(tmp_path))
    console = given.secret("SECRET_KEY")
    if older:
        (tmp_path / "postgres").mkdir()
        (tmp_path / "postgres" / "PG_VERSION").write_text("17")
    made = given.secrets("SENDER_KEY")
    assert made[1:] == ([console] if older else [])
    assert made[0] != console


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "secret_key").write_text("x")
    (folder / "secret_key").chmod(0o644)
    with pytest.raises(SettingsError) as wrong:
        settings(VAR_DIR=str(tmp_path)).secret("SECRET_KEY")
    assert "chmod 600" in wrong.value.remedy


def test_working_settings_have_no_fault(tmp_path: Path) -> None:
    assert faults(Settings({**WORKING, "PLANTON_VAR_DIR": str(tmp_path)}), ROLES) == []


def test_every_fault_of_the_chosen_roles_is_told_once(tmp_path: Path) -> None:
    given = Settings({"PLANTON_VAR_DIR": str(tmp_path), "PLANTON_TIMEZONE": "Mars", "PLANTON_DATA_KEY": "court"})
    told = [error.what for error in faults(given, ROLES)]
    assert len(told) == len(set(told))
    for name in ("META_APP_SECRET", "META_VERIFY_TOKEN", "META_PAGE_ID", "META_PAGE_TOKEN", "TIMEZONE", "DATA_KEY"):
        # A page without id hides its token until the id is there.
        assert any(f"PLANTON_{name}" in line for line in told) or name == "META_PAGE_TOKEN"
    assert faults(given, ["engine"]) == []


def test_every_setting_has_a_meaning_in_french() -> None:
    assert all(meaning and meaning[0].islower() for _, meaning in KNOWN.values())


# -- the console --------------------------------------------------------------------------------------------------

PROVIDER = {
    "CONSOLE_URL": "https://console.exemple.fr/",
    "OIDC_ISSUER": "https://idp.exemple.fr/realm",
    "OIDC_CLIENT_ID": "planton",
}


def test_an_identity_provider(tmp_path: Path) -> None:
    assert settings().oidc is None
    secret = tmp_path / "secret"
    secret.write_text("mot secret\n")
    secret.chmod(0o600)
    plain = settings(**PROVIDER)
    assert plain.console_url == "https://console.exemple.fr"
    assert plain.oidc is not None
    assert (plain.oidc.name, plain.oidc.secret, plain.oidc.new_role) == ("idp.exemple.fr", None, None)
    full = settings(
        **PROVIDER, OIDC_CLIENT_SECRET_FILE=str(secret), OIDC_NAME="Portail", OIDC_NEW_ROLE="agent",
        OIDC_SECOND_FACTOR="acr:eidas2 amr:mfa amr:otp",
    ).oidc  # fmt: skip
    assert full is not None
    assert (full.secret, full.name, full.new_role) == ("mot secret", "Portail", "agent")
    assert (full.acr, full.amr) == (frozenset({"eidas2"}), frozenset({"mfa", "otp"}))
    assert "mot secret" not in repr(full)
    secret.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        _ = settings(**PROVIDER, OIDC_CLIENT_SECRET_FILE=str(secret)).oidc


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"OIDC_ISSUER": "http://idp.exemple.fr"}, "OIDC_ISSUER"),
        ({"OIDC_ISSUER": "idp"}, "OIDC_ISSUER"),
        ({"CONSOLE_URL": ""}, "CONSOLE_URL"),
        ({"CONSOLE_URL": "http://console.exemple.fr"}, "CONSOLE_URL"),
        ({"CONSOLE_URL": "https://console.exemple.fr/sous/dossier"}, "CONSOLE_URL"),
        ({"OIDC_CLIENT_ID": ""}, "OIDC_CLIENT_ID"),
        ({"OIDC_CLIENT_SECRET_FILE": "/nulle/part"}, "OIDC_CLIENT_SECRET_FILE"),
        ({"OIDC_SCOPES": "profile email"}, "OIDC_SCOPES"),
        ({"OIDC_SECOND_FACTOR": "mfa"}, "OIDC_SECOND_FACTOR"),
        ({"OIDC_NEW_ROLE": "administrator"}, "OIDC_NEW_ROLE"),
    ],
)
def test_what_is_wrong_about_a_provider_is_named(wrong: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError) as error:
        _ = settings(**{**PROVIDER, **wrong}).oidc
    assert error.value.what.startswith(f"PLANTON_{named}\u00a0:")

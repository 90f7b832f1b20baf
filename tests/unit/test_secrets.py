"""Where secrets come from, and who gets which."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from bot.app import launcher
from bot.app.entitled import NEEDS, environ_of
from bot.app.required import faults
from bot.core.errors import SettingsError
from bot.settings import KNOWN, SECRETS, Settings

ROOT = Path(__file__).resolve().parents[2]
PLAIN = {"META_PAGE_ID": "1", "META_IG_ID": "2"}


def settings(environ: dict[str, str] | None = None, /, **values: str) -> Settings:
    return Settings({**(environ or {}), **{f"PLANTON_{name}": value for name, value in values.items()}})


def secret(path: Path, words: str, mode: int = 0o600) -> str:
    path.write_text(words)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_may_stand_in_a_private_file_or_be_a_credential(tmp_path: Path, name: str) -> None:
    assert settings(**{f"{name}_FILE": secret(tmp_path / "one", "le-secret\n")}).raw(name) == "le-secret"
    secret(tmp_path / name, "par-systemd", 0o440)  # systemd's access list shows as the group's bits
    assert settings({"CREDENTIALS_DIRECTORY": str(tmp_path)}).raw(name) == "par-systemd"
    assert settings(**{f"{name}_FILE": "x"}).unknown() == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = secret(tmp_path / "token", "jeton-lisible", mode)
    with pytest.raises(SettingsError) as wrong:
        settings(META_PAGE_TOKEN_FILE=path, **PLAIN).accounts(with_tokens=True)
    assert wrong.value.what == f"PLANTON_META_PAGE_TOKEN_FILE\u00a0: {path} est lisible par d’autres."
    assert wrong.value.remedy == f"Faites : chmod 600 {path}"
    secret(tmp_path / "META_PAGE_TOKEN", "jeton", 0o644)
    with pytest.raises(SettingsError, match="lisible par d’autres"):
        settings({"CREDENTIALS_DIRECTORY": str(tmp_path)}, **PLAIN).accounts(with_tokens=True)


def test_what_is_wrong_with_a_file_is_told_and_never_its_content(tmp_path: Path) -> None:
    for what, path in (
        ("ne se lit pas", "/nulle/part"),
        ("n’est pas un fichier", str(tmp_path)),
        ("est vide", secret(tmp_path / "empty", " \n")),
        ("est trop long", secret(tmp_path / "long", "x" * 70_000)),
    ):
        with pytest.raises(SettingsError, match=what) as wrong:
            settings(SECRET_KEY_FILE=path).secret("SECRET_KEY")
        assert wrong.value.remedy
        assert "xxx" not in str(wrong.value)
    with pytest.raises(SettingsError, match="donné deux fois"):
        settings(SECRET_KEY="un", SECRET_KEY_FILE=secret(tmp_path / "two", "deux")).secret("SECRET_KEY")


def test_two_secrets_are_two_lines_or_a_comma(tmp_path: Path) -> None:
    path = secret(tmp_path / "keys", "nouvelle\nancienne\n")
    for given in (settings(SECRET_KEY_FILE=path), settings(SECRET_KEY="nouvelle, ancienne")):
        assert given.secrets("SECRET_KEY") == ["nouvelle", "ancienne"]
        assert given.secret("SECRET_KEY") == "nouvelle"
    with pytest.raises(SettingsError, match="plus de deux"):
        settings(METRICS_TOKEN="a,b,c").secrets("METRICS_TOKEN")


def test_tokens_of_several_pages_stand_in_files_that_the_sender_alone_reads(tmp_path: Path) -> None:
    pages = tmp_path / "pages.toml"
    pages.write_text(
        '[[page]]\nid = "1"\ninstagram = "9"\ntoken_file = "first"\n[[page]]\nid = "2"\ntoken_file = "second"\n'
    )
    pages.chmod(0o644)  # it holds no secret
    secret(tmp_path / "first", "jeton-1\njeton-1-ancien")
    folder = tmp_path / "credentials"
    folder.mkdir()
    secret(folder / "second", "jeton-2", 0o440)
    given = settings({"CREDENTIALS_DIRECTORY": str(folder)}, ACCOUNTS=str(pages))
    assert [a.tokens for a in given.accounts(with_tokens=True)] == [("jeton-1", "jeton-1-ancien"), ("jeton-2",)]
    assert [(a.page_id, a.ig_id, a.tokens) for a in given.accounts()] == [("1", "9", ()), ("2", None, ())]
    (tmp_path / "first").chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        given.accounts(with_tokens=True)
    assert len(given.accounts()) == 2  # who needs no token looks at none


def test_each_role_gets_its_own_secrets_and_no_other(tmp_path: Path) -> None:
    """Deny by default: what the table does not name stays out, be it a setting of tomorrow."""
    key = base64.b64encode(b"k" * 32).decode()
    values = {name: f"valeur-{name}" for name in KNOWN} | {"DATA_KEY": key}
    given = settings(
        {"CREDENTIALS_DIRECTORY": str(tmp_path), "PATH": "/bin"},
        **{**values, "ACCOUNTS": "", "SECRET_OF_TOMORROW": "s", "OTHER_FILE": "/x"},
    )
    for role, needs in NEEDS.items():
        environ = environ_of(role, given, "postgresql://u@h/d")
        known = {name for name in SECRETS if f"PLANTON_{name}" in environ or f"PLANTON_{name}_FILE" in environ}
        assert known == set(needs) & set(SECRETS), role
        assert ("CREDENTIALS_DIRECTORY" in environ) == (role == "sender")
        assert not {"PLANTON_SECRET_OF_TOMORROW", "PLANTON_OTHER_FILE"} & set(environ)
        assert environ["PATH"] == "/bin"
        assert ("PLANTON_ALERT_URLS" in environ) == (role == "monitor")
        assert environ["PLANTON_TIMEZONE"] == "valeur-TIMEZONE"


def test_who_speaks_to_the_sender_does_not_hold_the_consoles_key(tmp_path: Path) -> None:
    """Nor the console theirs: what a stolen gateway signs opens the sender's door, and nothing of the console's."""
    given = settings(SECRET_KEY="console", SENDER_KEY="porte", VAR_DIR=str(tmp_path))
    for role in NEEDS:
        environ = environ_of(role, given, "postgresql://u@h/d")
        assert ("console" in environ.values()) == (role in ("console", "sandbox")), role
        assert ("porte" in environ.values()) == (role in ("gateway", "worker", "sender")), role


def test_only_the_sender_is_told_where_tokens_are(tmp_path: Path) -> None:
    pages = tmp_path / "pages.toml"
    pages.write_text('[[page]]\nid = "1"\ninstagram = "9"\ntoken = "jeton-1"\n[[page]]\nid = "2"\ntoken = "jeton-2"\n')
    pages.chmod(0o600)
    given = settings(ACCOUNTS=str(pages), META_APP_SECRET="s", META_VERIFY_TOKEN="v", VAR_DIR=str(tmp_path / "var"))
    for role in NEEDS:
        environ = environ_of(role, given, "postgresql://u@h/d")
        if role == "sender":
            assert [a.token for a in Settings(environ).accounts(with_tokens=True)] == ["jeton-1", "jeton-2"]
            continue
        assert "jeton" not in str(environ)
        assert str(pages) not in str(environ)
        if role in ("gateway", "worker"):
            assert [(a.page_id, a.ig_id) for a in Settings(environ).accounts()] == [("1", "9"), ("2", None)]
    # A gateway that runs without the sender would have to open the file itself.
    assert [f"{f}" for f in faults(given, ("gateway",)) if "token_file" in f.remedy]
    assert not faults(given, ("console",))
    assert not [f for f in faults(given, ("gateway", "sender")) if "ACCOUNTS" in f.what]


def test_a_role_finds_the_folders_that_were_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a role starts in the program's folder
    environ = environ_of("worker", settings(VAR_DIR="donnees", PROJECT_DIR="fichiers"), "postgresql://u@h/d")
    given = Settings(environ)
    monkeypatch.chdir("/")
    assert (given.var_dir, given.project_dir) == (tmp_path / "donnees", tmp_path / "fichiers")
    assert not {"PLANTON_VAR_DIR", "PLANTON_PROJECT_DIR"} & set(environ_of("worker", settings(), "postgresql://u@h/d"))


_TWO_OF_ONE_USER = """
import ctypes, os, sys, time
from bot.app.entitled import close_memory

def ordinary():
    if os.getuid() == 0:
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        ctypes.CDLL(None).prctl(4, 1)  # a change of user closes the memory as well: open again

read, write = os.pipe()
holder = os.fork()
if holder == 0:
    ordinary()
    if sys.argv[1] == "closed":
        close_memory()
    os.write(write, b".")
    time.sleep(60)
os.read(read, 1)
if os.fork() == 0:
    ordinary()
    for name in ("environ", "maps", "fd"):
        try:
            path = f"/proc/{holder}/{name}"
            os.listdir(path) if name == "fd" else open(path, "rb").read(10)
            print(name)
        except PermissionError:
            pass
    sys.stdout.flush()
    os._exit(0)
os.wait()
os.kill(holder, 9)
"""


@pytest.mark.parametrize(("how", "seen"), [("open", ["environ", "maps", "fd"]), ("closed", [])])
def test_another_process_of_the_same_user_cannot_read_a_closed_memory(how: str, seen: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", _TWO_OF_ONE_USER, how], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == seen


@pytest.mark.parametrize(("role", "asks"), [("monitor", False), ("worker", True)])
def test_only_who_opens_what_is_sealed_is_asked_for_the_data_key(
    monkeypatch: pytest.MonkeyPatch, role: str, asks: bool
) -> None:
    monkeypatch.setattr(launcher, "migrate", lambda url: True)
    asked: list[str] = []
    monkeypatch.setattr(launcher, "check_key", lambda url, settings: asked.append(url))
    url = "postgresql://planton@/planton"
    assert launcher.Launcher(settings(DATABASE_URL=url), (role,))._start_storage() == url
    assert bool(asked) == asks

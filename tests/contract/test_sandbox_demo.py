"""`planton demo`: what it refuses, what it sets, and that its sandbox and its sender agree on the token."""

from __future__ import annotations

import socket
from pathlib import Path

import aiohttp
import pytest

from bot.app import demo
from bot.app.required import ROLES, faults
from bot.core.clock import SystemClock
from bot.core.errors import SettingsError
from bot.core.messages import Platform
from bot.meta.send_api import GraphError, Outgoing, SendApi
from bot.settings import Settings
from bot.store.codec import Codec
from bot.store.db import Database


def given(tmp_path: Path, **more: str) -> Settings:
    return Settings({"PLANTON_VAR_DIR": str(tmp_path), **{f"PLANTON_{name}": value for name, value in more.items()}})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_HOST", "0.0.0.0"),
        ("GATEWAY_HOST", "planton.example"),
        ("CONSOLE_HOST", "::"),
        ("CONSOLE_HOST", "192.168.1.4"),
        ("DATABASE_URL", "postgresql://planton@db/planton"),
        ("META_GRAPH_URL", "https://graph.facebook.com/v25.0"),
        ("META_PAGE_TOKEN", "EAAreal"),
        ("ACCOUNTS", "pages.toml"),
    ],
)
def test_a_real_setting_is_refused_in_one_line(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        demo.demo_settings(given(tmp_path, **{name: value}))
    lines = str(refused.value).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"PLANTON_{name} : ")
    assert value not in lines[0] or name.endswith("HOST")
    assert list(tmp_path.iterdir()) == []  # nothing was begun


def test_everything_wrong_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLANTON_VAR_DIR", str(tmp_path))
    monkeypatch.setenv("PLANTON_GATEWAY_HOST", "0.0.0.0")
    monkeypatch.setenv("PLANTON_META_PAGE_TOKEN", "EAAreal")
    assert demo.main() == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert all(line.startswith("planton\u00a0: PLANTON_") for line in told)
    assert "EAAreal" not in "".join(told)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_loopback_is_accepted(tmp_path: Path, host: str) -> None:
    assert demo.refusals(given(tmp_path, GATEWAY_HOST=host, CONSOLE_HOST=host)) == []


def test_the_demo_has_its_own_folder_and_all_that_the_roles_need(tmp_path: Path) -> None:
    settings = demo.demo_settings(given(tmp_path))
    assert settings.var_dir == tmp_path / "demo"
    assert settings.embedded
    assert settings.environ["PLANTON_DEMO"] == "1"
    assert settings.graph_url.startswith("http://127.0.0.1:")
    assert faults(settings, (*ROLES, "sandbox")) == []
    secrets = {settings.app_secrets[0], settings.verify_token, settings.accounts(with_tokens=True)[0].token}
    assert len(secrets) == 3
    assert not [path for path in tmp_path.iterdir() if path.name != "demo"]
    other = demo.demo_settings(given(tmp_path / "other"))
    assert other.app_secrets != settings.app_secrets


async def test_sandbox_and_sender_agree_on_the_token(tmp_path: Path, database: Database, codec: Codec) -> None:
    settings = demo.demo_settings(given(tmp_path))
    token = settings.accounts(with_tokens=True)[0].token
    without = {name: value for name, value in settings.environ.items() if name != "PLANTON_META_PAGE_TOKEN"}
    app = demo.sandbox_app(Settings(without), database, codec, SystemClock())  # as the launcher starts it
    listening = socket.create_server(("127.0.0.1", 0))
    server = await app.create_server(sock=listening, return_asyncio_server=True, access_log=False)
    assert server is not None
    await server.startup()
    await server.before_start()
    try:
        async with aiohttp.ClientSession() as session:
            person = app.ctx.sandbox.citizen.phones[Platform.MESSENGER].person
            api = SendApi(session, settings.graph_url, demo.PAGE_ID, str(token), settings.app_secrets[0])
            assert (await api.send(Platform.MESSENGER, person, Outgoing("Bonjour"))).message_id.startswith("m_")
            with pytest.raises(GraphError):
                await SendApi(session, settings.graph_url, demo.PAGE_ID, "EAAother").send(
                    Platform.MESSENGER, person, Outgoing("Bonjour")
                )
        assert [b.text for b in app.ctx.sandbox.citizen.phones[Platform.MESSENGER].bubbles] == ["Bonjour"]
    finally:
        await server.before_stop()
        server.close()
        await server.after_stop()

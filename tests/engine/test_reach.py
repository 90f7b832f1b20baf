"""The engine's libraries are old: it works without a network, and whoever took it over would find no secret in it."""

from __future__ import annotations

from pathlib import Path

import psutil

from bot.settings import KNOWN
from tests.engine.conftest import EngineProcess, alone


def test_it_works_without_a_network_of_its_own(engine: EngineProcess) -> None:
    assert engine.understand("comment porter plainte ?")["intent"] == "plainte_comment"
    interfaces = [line.split(":")[0].strip() for line in _proc(engine, "net/dev").splitlines()[2:]]
    assert not alone() or interfaces == ["lo"]
    assert not alone() or _proc(engine, "net/route").splitlines()[1:] == []
    for one in psutil.Process(engine.process.pid).net_connections("inet"):
        assert one.laddr.ip == "127.0.0.1", one
        assert not one.raddr or one.raddr.ip == "127.0.0.1", one


def test_its_environment_holds_nothing_of_ours(engine: EngineProcess) -> None:
    names = {entry.split("=")[0] for entry in _proc(engine, "environ").split("\0")}
    assert not names & {f"PLANTON_{name}" for name in KNOWN if name != "TIMEZONE"}


def test_it_opens_nothing_to_write_but_its_output(engine: EngineProcess) -> None:
    engine.turn("je veux devenir policier")
    written = [
        one.path for one in psutil.Process(engine.process.pid).open_files() if "w" in one.mode or "a" in one.mode
    ]
    assert [path for path in written if path != str(engine.output)] == []


def test_it_has_not_loaded_what_only_neural_networks_need(engine: EngineProcess) -> None:
    loaded = _proc(engine, "maps")
    assert "/onnxruntime/" in loaded
    assert "/tensorflow/" not in loaded


def _proc(engine: EngineProcess, name: str) -> str:
    return (Path("/proc") / str(engine.process.pid) / name).read_text(encoding="utf-8", errors="replace")

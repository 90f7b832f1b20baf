"""The bench on several hosts: what of it needs neither root nor a network."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

import pytest

from scripts import hosts, machines
from scripts.benchmark import page
from scripts.machines import Line, Step
from tests.scenario.processes import ROOT, Account


def test_nginx_is_ours_for_each_gateway(tmp_path: Path) -> None:
    conf = machines.nginx_conf(tmp_path, "10.77.0.3", ["10.77.0.21", "10.77.0.22"])
    upstream = conf[conf.index("upstream planton_gateway") :]
    upstream = upstream[: upstream.index("}")]
    servers = re.findall(r"^\s*server (\S+):8080 .*max_fails=\d+ fail_timeout=\d+s;$", upstream, re.MULTILINE)
    assert servers == ["10.77.0.21", "10.77.0.22"]
    assert "non_idempotent" in conf, "a gateway that dies in the middle is passed over"
    assert "proxy_connect_timeout" in (machines.NGINX / "planton-proxy.conf").read_text()
    assert not re.search(r"^\s*limit_", conf, re.MULTILINE)


def test_what_is_missing_is_said_in_french(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", "/nowhere")
    assert [line.split(" ")[0] for line in hosts.missing()] == ["Il", "La", "nginx"]
    assert machines.main([]) == 2
    assert "Il faut être root" in capsys.readouterr().err


def test_the_first_table_compares_with_one_worker_and_one_engine() -> None:
    table = machines.scale_table([Step(1, 1, 10.0, (11.0, 13.0)), Step(2, 2, 19.0, (11.5, 13.2))], 0.12)
    assert table.splitlines()[2].split() == ["2", "2", "19.0", "1.90", "11.5", "13.2"]
    assert "12%" in table


def test_the_second_table_adds_up() -> None:
    lines = [
        Line(Account("one", 10, 1, 2, 3, danger=0.5), 8.0, 0.4, 1.2, 7),
        Line(Account("two", 20, 0, 1, 0), 8.0, 0.4, 1.2, 0),
    ]
    assert machines.fault_table(lines).splitlines()[3].split() == ["all", "30", "1", "3", "3"]


@pytest.mark.parametrize("name", ["pannes", "ajouts", "disque"])
def test_the_page_has_a_place_for_each_table(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "page.md"
    copy.write_text(machines.PAGE_MD.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(machines, "PAGE_MD", copy)
    for table in ("a  b", "c  d"):
        machines.put(name, table, f"measured as {table}")
    text = copy.read_text(encoding="utf-8")
    assert f"<!-- {name} -->\nmeasured as c  d\n\n```\nc  d\n```\n<!-- fin {name} -->" in text
    assert "a  b" not in text
    real = (ROOT / "docs" / "passage-a-l-echelle.md").read_text(encoding="utf-8")
    before, after = (re.sub(r"(?s)<!-- (\w+) -->.*?<!-- fin \1 -->", "", one) for one in (real, text))
    assert before == after, "nothing else changed"


def test_each_event_has_a_name_and_touches_machines_that_there_are() -> None:
    assert len({name for name, _ in machines.FAULTS.values()}) == len(machines.FAULTS)
    assert set(machines.ROLES) | {"edge", "db"} == set(machines.NUMBERS)


def test_what_is_written_says_how_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an engine of a few lines, no model is told."""
    monkeypatch.setattr(page, "_commit", lambda: "`abc1234`")
    monkeypatch.setattr(page, "_engine_version", lambda: "3.10.13 (Rasa 3.6.21)")
    monkeypatch.setattr(page, "model", lambda: Path("0123456789abcdef.tar.gz"))
    for words, rasa in ((["--only", "scale", "--write"], True), (["--light", "--write"], False)):
        options = argparse.Namespace(words=words, light=not rasa)
        said = machines._measured(options, page.Stolen())
        assert said.startswith(f"`python -m scripts.machines {' '.join(words)}`, le 2")
        assert "version `abc1234`" in said
        assert ("Rasa 3.6.21" in said, "`01234567`" in said) == (rasa, rasa)

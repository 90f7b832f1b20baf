"""deploy/prometheus and deploy/grafana: promtool takes them, each alert rings and falls silent, and each name is real."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bot.app.launcher import Launcher
from bot.app.required import ROLES
from scripts import dashboard
from tests.unit.test_metrics import told, webhooks

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
PAGE = (ROOT / "docs" / "surveillance.md").read_text(encoding="utf-8")


def read(name: str) -> Any:
    return YAML(typ="safe").load((PROMETHEUS / name).read_text(encoding="utf-8"))


FILES = ("planton", "planton-machine")  # the second asks for exporters of Debian's
RULES = [rule for name in FILES for group in read(f"{name}.rules.yml")["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
# What prometheus-node-exporter 1.9.0 and prometheus-process-exporter 0.8.5 told on a Debian 13, of what we ask them.
FOREIGN = {
    "node_systemd_unit_state": {"name", "state", "type"},
    "namedprocess_namegroup_cpu_seconds_total": {"groupname", "mode"},
    "namedprocess_namegroup_memory_bytes": {"groupname", "memtype"},
    "namedprocess_namegroup_num_procs": {"groupname"},
    "namedprocess_namegroup_oldest_start_time_seconds": {"groupname"},
}
QUERIES = [query for _, row in dashboard.ROWS for panel in row for query in panel.queries]


@pytest.fixture(scope="module")
def promtool() -> str:
    """Promtool, installed by apt when we are root and it is missing."""
    there = subprocess.run(["sh", "scripts/promtool.sh"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert there.returncode == 0, there.stderr.strip()
    return "promtool"


def run(*words: str) -> str:
    done = subprocess.run(words, cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def test_promtool_takes_configuration_and_rules(promtool: str) -> None:
    assert "valid" in run(promtool, "check", "config", "--syntax-only", "prometheus.yml")
    loaded = read("prometheus.yml")["rule_files"]
    assert loaded == [f"{name}.rules.yml" for name in FILES]
    said = run(promtool, "check", "rules", "--lint-fatal", *loaded)
    assert sum(map(int, re.findall(r"SUCCESS: (\d+) rules found", said))) == len(RULES)


def test_each_alert_rings_and_falls_silent(promtool: str) -> None:
    files = [f"tests/{name}.test.yml" for name in FILES]
    assert "SUCCESS" in run(promtool, "test", "rules", *files)
    tried = [one for file in files for test in read(file)["tests"] for one in test["alert_rule_test"]]
    for rule in ALERTS:
        outcomes = {bool(one["exp_alerts"]) for one in tried if one["alertname"] == rule["alert"]}
        assert outcomes == {True, False}, rule["alert"]


def test_each_alert_says_in_french_what_to_do_and_where_it_is_written() -> None:
    assert len(ALERTS) == 25 + 5
    for rule in ALERTS:
        said, name = rule["annotations"], rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert said["summary"].endswith(".")
        assert said["remedy"].endswith((".", "»."))
        assert said["runbook"] == f"docs/surveillance.md#{name.lower()}"
        assert f"\n### {name}\n" in PAGE
    assert re.findall(r"^### (Planton\w+)$", PAGE, re.MULTILINE) == [rule["alert"] for rule in ALERTS]
    for path in re.findall(r"`(docs/[\w./-]+)`", PAGE):
        assert (ROOT / path).exists(), path


def test_the_alert_counts_every_webhook_that_meta_sends_again() -> None:
    rule = next(rule for rule in ALERTS if rule["alert"] == "PlantonWebhooksRenvoyes")
    counted = re.search(r'outcome=~"([^"]+)"', rule["expr"])
    assert counted is not None
    assert set(counted[1].split("|")) == {name for name, status in webhooks().items() if status == 503}


def used(query: str) -> set[str]:
    """The metrics that a query names."""
    plain = re.sub(r'"[^"]*"|\[[^\]]*\]|\{\{.*?\}\}', "", query)
    return set(re.findall(r"\b(?:planton[:_]|process_|node_|namedprocess_|up\b)[\w:]*", plain))


async def test_each_query_names_metrics_that_exist() -> None:
    names = {*re.findall(r"^(\w+)[{ ]", await told(), re.MULTILINE), "up", *FOREIGN}
    names |= {rule["record"] for rule in RULES if "record" in rule}
    for query in [rule["expr"] for rule in RULES] + QUERIES:
        assert used(query), query
        assert used(query) <= names, query
        for metric, labels in re.findall(r"\b((?:node|namedprocess)_\w+)\{([^}]*)\}", query):
            assert set(re.findall(r"(\w+)(?:=~|!=|=)", labels)) <= FOREIGN[metric], query


def counted(*command: str) -> str | None:
    """The group that prometheus-process-exporter counts a command line to: the first that fits."""
    line = " ".join(command)
    for one in read("processes.yml")["process_names"]:
        found = [re.search(pattern, line) for pattern in one["cmdline"]]
        if all(found):
            name: str = one["name"]
            return name.replace("{{.Matches.Role}}", (found[0].groupdict() if found[0] else {}).get("Role", ""))
    return None


def test_each_role_is_counted_by_its_command_line_and_each_group_of_a_query_is_one() -> None:
    nobody: Any = None  # what the launcher starts does not depend on it
    groups = {role: counted(*Launcher.role_command(nobody, role)) for role in ROLES if role != "engine"}
    groups["engine"] = counted(*Launcher.engine_command(nobody, nobody), "--fd", "7", "--ready", "9")
    assert groups == {role: f"planton-{role}" for role in ROLES}
    assert counted(*Launcher.engine_command(nobody, nobody), "--port", "7") is None  # a candidate: its parent's
    assert counted("/opt/planton/.venv/bin/python", "-m", "bot", "run", "engine") == "planton-launcher"
    assert counted("/opt/planton/.venv/bin/python", "-m", "bot", "doctor") is None
    named = {name for query in QUERIES for name in re.findall(r'groupname=~"planton-\(([\w|]+)\)"', query)}
    assert named == {"engine|trainer|monitor"}


def test_each_query_of_the_dashboard_parses(promtool: str, tmp_path: Path) -> None:
    """As recording rules, which promtool parses whole."""
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(QUERIES)
    ]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    assert f"SUCCESS: {len(QUERIES)} rules found" in run(promtool, "check", "rules", str(file))


def test_the_dashboard_is_what_its_script_writes() -> None:
    assert dashboard.FILE.read_text(encoding="utf-8") == dashboard.text(), "python -m scripts.dashboard"


def test_the_dashboard_fits_its_grid_and_says_what_each_panel_shows() -> None:
    panels = dashboard.dashboard()["panels"]
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= dashboard.WIDTH
        assert not own & cells, panel["title"]
        cells |= own
        if panel["type"] != "row":
            assert panel["description"].endswith(".")
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert len({panel["id"] for panel in panels}) == len(panels)

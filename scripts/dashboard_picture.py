"""The picture of the dashboard in docs/surveillance.md: `python -m scripts.dashboard_picture [--seconds 75]`.

Planton runs here in real processes, a Prometheus scrapes it each second with deploy/prometheus/prometheus.yml and our rules, and
a small crisis is played. Then each panel of scripts/dashboard.py is asked of that Prometheus and drawn. It is not Grafana that
draws, for want of one among the packages that we install from; queries, units, legends and places are the dashboard's own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import html
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import async_playwright
from ruamel.yaml import YAML

from scripts.dashboard import ROOT, ROWS, WIDTH, Panel
from tests.fakes.graph import ScriptedGraph
from tests.fakes.ports import free_port, free_ports
from tests.scenario.processes import HELP, QUESTIONS, Meta, Planton, until

PICTURE = ROOT / "docs" / "images" / "tableau-de-bord.png"
COLUMN = 40  # pixels of one of the 24 columns
CALM, CRISIS = 3, 15  # messages a second
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2")
Series = dict[str, list[tuple[float, float]]]


def main() -> int:
    """Play, ask, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=75)
    return asyncio.run(run(parser.parse_args().seconds))


async def run(seconds: int) -> int:
    """Everything."""
    with tempfile.TemporaryDirectory() as folder:
        metrics = free_ports(2)
        changes = {"METRICS_PORT": str(metrics), "METRICS_TOKEN": "jeton-de-la-photo", "SEND_CEILING": "40"}
        async with (
            ScriptedGraph(latency=0.1) as graph,
            Planton(Path(folder), graph.url, **changes) as planton,
            aiohttp.ClientSession() as session,
        ):
            await planton.ready(240)
            with prometheus(Path(folder), planton, metrics) as url:
                await until(lambda: answers(session, url), 20, "Prometheus")
                start = time.time()
                await play(planton, graph, seconds)
                panels = [(title, [(one, await asked(session, url, one, start)) for one in row]) for title, row in ROWS]
    await draw(page(panels, seconds))
    print(f"{PICTURE.relative_to(ROOT)} : {PICTURE.stat().st_size // 1000} ko")
    return 0


@contextlib.contextmanager
def prometheus(folder: Path, planton: Planton, metrics: int) -> Iterator[str]:
    """A Prometheus with the configuration of deploy/, its addresses and its pace changed; its address."""
    deploy = ROOT / "deploy" / "prometheus"
    yaml = YAML()
    config: Any = yaml.load((deploy / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(deploy / "planton.rules.yml")]
    del config["alerting"]
    (folder / "token").write_text("jeton-de-la-photo")
    ports = {
        "planton-gateway": planton.environ["PLANTON_GATEWAY_PORT"],
        "planton-sender": planton.environ["PLANTON_SENDER_PORT"],
        "planton-worker": metrics,
        "planton-console": metrics + 1,
    }
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] in ports]
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]
        if "authorization" in job:
            job["authorization"]["credentials_file"] = str(folder / "token")
    with (folder / "prometheus.yml").open("w") as file:
        yaml.dump(config, file)
    port = free_port()
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


async def answers(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether Prometheus is ready."""
    try:
        async with session.get(f"{url}/-/ready") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def play(planton: Planton, graph: ScriptedGraph, seconds: int) -> None:
    """Calm, a crisis in the middle, calm again; one in thirty asks for help."""
    meta, pick = Meta(planton, graph), random.Random(7)
    start, number = time.monotonic(), 0
    try:
        while (at := time.monotonic() - start) < seconds:
            rate = CRISIS if 0.3 < at / seconds < 0.7 else CALM
            number += 1
            meta.write(f"p{number}", HELP if number % 30 == 0 else pick.choice(QUESTIONS))
            await asyncio.sleep(pick.expovariate(rate))
    finally:
        meta.echoes = False
        await meta.close()


async def asked(session: aiohttp.ClientSession, url: str, panel: Panel, start: float) -> Series:
    """A panel's series: legend → (seconds from the beginning, value)."""
    found: Series = {}
    for query, legend in panel.queries.items():
        params = {
            "query": query.replace("$__rate_interval", "10s"),
            "start": f"{start + 2:.0f}",
            "end": f"{time.time():.0f}",
            "step": "1",
        }
        async with session.get(f"{url}/api/v1/query_range", params=params) as response:
            told = await response.json()
        assert told["status"] == "success", told
        for one in told["data"]["result"]:
            name = legend
            for label, value in one["metric"].items():
                name = name.replace(f"{{{{{label}}}}}", value)
            found[name] = [(float(at) - start, float(value)) for at, value in one["values"] if value != "NaN"]
    return {name: points for name, points in found.items() if any(value for _, value in points)} or found


# -- drawing -----------------------------------------------------------------------------------------------------


def page(rows: Sequence[tuple[str, Sequence[tuple[Panel, Series]]]], seconds: int) -> str:
    """The whole dashboard."""
    body = "".join(
        f"<h2>{html.escape(title)}</h2><div class=row>"
        + "".join(stat(*one) if one[0].stat else chart(*one, seconds) for one in row)
        + "</div>"
        for title, row in rows
    )
    style = (
        f"body{{margin:12px;width:{COLUMN * WIDTH}px;font:11px 'DejaVu Sans',sans-serif;background:#f4f5f5;color:#222}}"
        "h2{font-size:13px;margin:10px 0 4px}.row{display:flex;flex-wrap:wrap}"
        ".panel{background:#fff;border:1px solid #d8d9da;box-sizing:border-box;padding:4px 6px}"
        ".title{font-weight:bold}.big{font-size:19px;color:#fff;text-align:center;padding:8px 0;margin-top:4px}"
    )
    return f"<!doctype html><meta charset=utf-8><style>{style}</style>{body}"


def stat(panel: Panel, series: Series) -> str:
    """One number, the highest of the whole time."""
    value = max((value for points in series.values() for _, value in points), default=0.0)
    colour = "#c4162a" if panel.bad is not None and value >= panel.bad else "#37872d"
    return (
        f"<div class=panel style='width:{panel.width * COLUMN}px'><div class=title>{html.escape(panel.title)}</div>"
        f"<div class=big style='background:{colour}'>{amount(value, panel.unit)}</div></div>"
    )


def chart(panel: Panel, series: Series, seconds: int) -> str:
    """Lines, or areas one on the other."""
    width, height, left, bottom = panel.width * COLUMN - 14, 124, 48, 106
    lines = stacked(series) if panel.stacked else dict(series)
    top = max((value for points in lines.values() for _, value in points), default=0.0) or 1.0

    def x(at: float) -> float:
        return left + (width - left - 4) * min(1.0, at / seconds)

    def y(value: float) -> float:
        return bottom - (bottom - 8) * value / top

    drawn = [
        f"<line x1={left} x2={width} y1={y(top * part):.1f} y2={y(top * part):.1f} stroke='#e4e5e6'/>"
        f"<text x={left - 4} y={y(top * part) + 4:.1f} text-anchor=end fill='#555'>{amount(top * part, panel.unit)}</text>"
        for part in (0, 0.5, 1)
    ]
    drawn += [
        f"<text x={x(at):.0f} y={bottom + 14} text-anchor=middle fill='#555'>{at} s</text>"
        for at in range(0, seconds, max(1, seconds // 4))
    ]
    for index, (_, points) in enumerate(reversed(lines.items())):
        colour = COLOURS[(len(lines) - 1 - index) % len(COLOURS)]
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
        if panel.stacked and points:
            edge = f"{x(points[-1][0]):.1f},{bottom} {x(points[0][0]):.1f},{bottom}"
            drawn.append(f"<polygon points='{path} {edge}' fill='{colour}' fill-opacity=.55 />")
        drawn.append(f"<polyline points='{path}' fill=none stroke='{colour}' stroke-width=1.5 />")
    legend = " ".join(
        f"<span style='color:{COLOURS[index % len(COLOURS)]}'>■</span> {html.escape(name)}"
        for index, name in enumerate(series)
    )
    return (
        f"<div class=panel style='width:{panel.width * COLUMN}px'><div class=title>{html.escape(panel.title)}</div>"
        f"<svg width={width} height={height} font-size=10>{''.join(drawn)}</svg><div>{legend}</div></div>"
    )


def stacked(series: Series) -> Series:
    """Each with those before it."""
    sums: dict[float, float] = {}
    lines: Series = {}
    for name, points in series.items():
        lines[name] = []
        for at, value in points:
            sums[round(at)] = sums.get(round(at), 0.0) + value
            lines[name].append((at, sums[round(at)]))
    return lines


def amount(value: float, unit: str) -> str:
    """A number as people read it."""
    if unit == "s":
        return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s".replace(".", ",")
    if unit == "percentunit":
        return f"{value * 100:.0f} %"
    if unit == "bytes":
        return f"{value / 1e6:.0f} Mo"
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}".replace(".", ",")


async def draw(text: str) -> None:
    """As a picture, by Chromium."""
    chromium = subprocess.run(["sh", "scripts/chromium.sh"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: ASYNC221
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium.stdout.strip(), args=["--no-sandbox"])
        tab = await browser.new_page(viewport={"width": COLUMN * WIDTH + 24, "height": 800})
        await tab.set_content(text)
        await tab.screenshot(path=str(PICTURE), full_page=True)
        await browser.close()


if __name__ == "__main__":
    sys.exit(main())

"""`planton demo`, whole: a citizen writes on a simulated phone, an agent answers from the console, everything real but Meta."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from scripts.screenshots import PORTS, ROOT, ready, say
from tests.fakes.ports import free_port


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[str]:
    """A demo of its own, on free ports; the sandbox's address."""
    subprocess.run([sys.executable, "-m", "bot", "train"], cwd=ROOT, check=True, capture_output=True)
    ports = {name: free_port() for name in PORTS}
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PLANTON_")}
    environ |= {f"PLANTON_{name}": str(port) for name, port in ports.items()}
    environ |= {"PLANTON_VAR_DIR": str(tmp_path), "PLANTON_ENGINE_URL": f"http://127.0.0.1:{free_port()}"}
    demo = subprocess.Popen([sys.executable, "-m", "bot", "demo"], cwd=ROOT, env=environ)
    try:
        await ready(f"http://127.0.0.1:{ports['GATEWAY_PORT']}/readyz", demo)
        yield f"http://127.0.0.1:{ports['SANDBOX_PORT']}/"
    finally:
        demo.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(demo.wait, 25) == 0


async def test_citizen_and_agent_in_two_windows(sandbox: str, page: Page) -> None:
    await page.goto(sandbox)
    await page.select_option("#hour-choice", "15:00")
    await page.get_by_role("button", name="Régler").click()
    await page.wait_for_timeout(2500)
    thread = page.get_by_test_id("thread-instagram")
    await say(page, "instagram", "un policier m'a mal parlé pendant un contrôle, je veux faire une réclamation")
    await expect(thread).to_contain_text("assistant automatique")

    async with page.context.expect_page() as opened:
        await page.get_by_test_id("open-console").click()
    console = await opened.value
    row = console.get_by_test_id("queue-row")
    await expect(row).to_have_count(1, timeout=60_000)
    await row.get_by_role("link").first.click()
    await console.get_by_test_id("take").click()
    await console.get_by_test_id("composer").fill("Bonjour, à quelle heure était-ce ?")
    await console.get_by_test_id("send").click()
    await expect(thread).to_contain_text("à quelle heure était-ce", timeout=60_000)

    help_thread = page.get_by_test_id("thread-messenger")
    await say(page, "messenger", "au secours il défonce la porte avec une hache")
    await expect(help_thread).to_contain_text("Écrire ici n’alerte personne")
    await expect(help_thread).to_contain_text("114")

    await page.select_option("#hour-choice", "02:30")
    await page.get_by_role("button", name="Régler").click()
    await page.wait_for_timeout(2500)
    await page.get_by_role("button", name="Nouveau citoyen sur Messenger").click()
    await page.wait_for_timeout(1000)
    await say(page, "messenger", "comment porter plainte pour un vol ?")
    await expect(help_thread).to_contain_text("La nuit")
    await page.select_option("#hour-choice", "06:01")
    await page.get_by_role("button", name="Régler").click()
    await expect(help_thread).to_contain_text("plainte", timeout=60_000)
    await expect(help_thread).to_contain_text("masecurite", timeout=60_000)

"""The pictures of README and guides, taken from a real demo: `python scripts/screenshots.py` (about a minute)."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright, expect

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
PORTS = ("GATEWAY_PORT", "CONSOLE_PORT", "SANDBOX_PORT", "SENDER_PORT")


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def ready(url: str, demo: subprocess.Popen[bytes]) -> None:
    """Wait until the gateway says that everything answers."""
    for _ in range(600):
        if demo.poll() is not None:
            raise SystemExit("planton demo ended")
        try:
            await asyncio.to_thread(urllib.request.urlopen, url, timeout=2)
            return
        except OSError:
            await asyncio.sleep(0.3)
    raise SystemExit("planton demo is not ready after three minutes")


async def say(page: Page, platform: str, words: str) -> None:
    """Type as a citizen, and wait for the reply."""
    thread = page.get_by_test_id(f"thread-{platform}")
    count = await thread.locator("[data-bubbles] > li").count()
    await page.get_by_test_id(f"text-{platform}").fill(words)
    await page.get_by_test_id(f"send-{platform}").click()
    await expect(thread.locator("[data-bubbles] > li")).not_to_have_count(count + 1, timeout=15_000)
    await page.wait_for_timeout(4000)


async def take_pictures(browser: Browser, sandbox: str) -> None:
    """Play a citizen on both platforms, then an agent."""
    context = await browser.new_context(
        locale="fr-FR", timezone_id="Europe/Paris", viewport={"width": 1280, "height": 800}
    )
    page = await context.new_page()
    await page.goto(sandbox)
    await page.select_option("#hour-choice", "15:00")
    await page.get_by_role("button", name="Régler").click()
    await page.wait_for_timeout(2500)
    await say(page, "messenger", "slt c koi lé condition pr devenir policier ?")
    await say(page, "instagram", "votre collègue m'a mal parlé pendant un contrôle hier à Lyon")
    await page.screenshot(path=IMAGES / "bac-a-sable.png")
    async with context.expect_page() as opened:
        await page.get_by_test_id("open-console").click()
    console = await opened.value
    await console.wait_for_load_state()
    await say(page, "messenger", "je veux parler à un agent")
    await expect(console.get_by_test_id("queue-row")).to_have_count(2, timeout=15_000)
    await console.wait_for_timeout(1500)
    await console.screenshot(path=IMAGES / "file.png")
    await console.get_by_test_id("queue-row").first.get_by_role("link").first.click()
    await console.get_by_test_id("take").click()
    await console.get_by_test_id("composer").fill(
        "Bonjour, je suis désolée de ce que vous décrivez. À quelle heure était-ce ?"
    )
    await console.wait_for_timeout(1500)
    await console.screenshot(path=IMAGES / "conversation.png")


async def main() -> None:
    """Start a demo of its own, take the pictures, end it."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    chromium = subprocess.run(["sh", "scripts/chromium.sh"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: ASYNC221
    with tempfile.TemporaryDirectory(prefix="planton-images-") as var:
        ports = {name: free_port() for name in PORTS}
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PLANTON_")}
        environ |= {f"PLANTON_{name}": str(port) for name, port in ports.items()}
        environ |= {"PLANTON_VAR_DIR": var, "PLANTON_ENGINE_URL": f"http://127.0.0.1:{free_port()}"}
        demo = subprocess.Popen([sys.executable, "-m", "bot", "demo"], cwd=ROOT, env=environ)  # noqa: ASYNC220
        try:
            await ready(f"http://127.0.0.1:{ports['GATEWAY_PORT']}/readyz", demo)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=chromium.stdout.strip(), args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
                )
                await take_pictures(browser, f"http://127.0.0.1:{ports['SANDBOX_PORT']}/")
                await browser.close()
        finally:
            demo.send_signal(signal.SIGTERM)
            await asyncio.to_thread(demo.wait, 30)


if __name__ == "__main__":
    asyncio.run(main())

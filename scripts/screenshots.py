"""The pictures of README and guides: `.venv/bin/python scripts/screenshots.py [console] [workbench] [demo]` (three minutes).

`console`, `workbench`: the console's own pages over invented conversations, no model needed; `demo`: the sandbox, from a real
demo. Without a word, all. Pictures are reduced to a palette, so that each stays under 150 kB.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright, expect

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for the pictures, which use the tests' own console
IMAGES = ROOT / "docs" / "images"
AT_MOST = 150_000  # bytes a picture
# A page has few colours: the most frequent stay as they are, the rest go to the nearest. Pillow comes with the engine.
PALETTE = """
import sys
from PIL import Image
for path in sys.argv[1:]:
    with Image.open(path) as taken:
        picture = taken.convert("RGB")
    colours = sorted(picture.getcolors(picture.width * picture.height), reverse=True)[:256]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, colour in colours for part in colour])
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
"""
PORTS = ("GATEWAY_PORT", "CONSOLE_PORT", "SANDBOX_PORT", "SENDER_PORT")


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


async def sandbox_pictures(browser: Browser, sandbox: str) -> None:
    """Play a citizen on both platforms."""
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


async def of_the_demo(browser: Browser) -> None:
    """Start a demo of its own, take the pictures, end it."""
    from tests.fakes.ports import free_port

    with tempfile.TemporaryDirectory(prefix="planton-images-") as var:
        ports = {name: free_port() for name in PORTS}
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PLANTON_")}
        environ |= {f"PLANTON_{name}": str(port) for name, port in ports.items()}
        environ |= {"PLANTON_VAR_DIR": var, "PLANTON_ENGINE_URL": f"http://127.0.0.1:{free_port()}"}
        demo = subprocess.Popen([sys.executable, "-m", "bot", "demo"], cwd=ROOT, env=environ)  # noqa: ASYNC220
        try:
            await ready(f"http://127.0.0.1:{ports['GATEWAY_PORT']}/readyz", demo)
            await sandbox_pictures(browser, f"http://127.0.0.1:{ports['SANDBOX_PORT']}/")
        finally:
            demo.send_signal(signal.SIGTERM)
            await asyncio.to_thread(demo.wait, 30)


def reduce(since: float) -> None:
    """Give the pictures taken since then a palette. Raises SystemExit when one stays too big."""
    taken = [path for path in sorted(IMAGES.glob("*.png")) if path.stat().st_mtime >= since]
    python = ROOT / ".venv-engine" / "bin" / "python"
    if python.exists():
        subprocess.run([python, "-c", PALETTE, *taken], check=True)
    for path in taken:
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")
    big = [path.name for path in taken if path.stat().st_size > AT_MOST]
    if big:
        raise SystemExit(f"more than {AT_MOST // 1000} kB: {', '.join(big)}")


async def main(wanted: list[str]) -> None:
    """Take the pictures that are wanted."""
    if set(wanted) - {"console", "workbench", "demo"}:
        raise SystemExit(__doc__)
    IMAGES.mkdir(parents=True, exist_ok=True)
    since = time.time()
    chromium = subprocess.run(["sh", "scripts/chromium.sh"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: ASYNC221
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium.stdout.strip(), args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        if "console" in wanted or not wanted:
            from scripts import console_pictures

            await console_pictures.take_pictures(browser, IMAGES)
        if "workbench" in wanted or not wanted:
            from scripts import workbench_pictures

            await workbench_pictures.take_pictures(browser, IMAGES)
        if "demo" in wanted or not wanted:
            await of_the_demo(browser)
        await browser.close()
    reduce(since)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))

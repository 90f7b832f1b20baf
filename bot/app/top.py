"""`planton top`: what happens now, in a terminal: queue, rates, delays, ceilings. It reads and changes nothing."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import curses
import json
import locale
import sys
from collections.abc import AsyncIterator, Callable
from zoneinfo import ZoneInfo

import aiohttp

from bot.app.access import reach
from bot.app.launcher import recall
from bot.app.top_look import Eyes, Frame
from bot.app.top_screen import HELP, screen
from bot.core.errors import SetupError
from bot.settings import Settings

ONCE = 1.0  # seconds between the two looks of --once: delays are those of the time between
_QUIT, _PAUSE, _HELP = ("q", "Q", "\x1b"), (" ",), ("?", "h", "H")


def main(parsed: argparse.Namespace) -> int:
    """Live until « q », or one frame; 0, and 1 where the database left meanwhile."""
    settings = recall(Settings())
    once = parsed.once or parsed.json
    if not once and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SetupError("Il faut un terminal.", "Pour une image seule : planton top --once (ou --json).")
    zone = settings.zone
    with reach(settings, create=False) as url:
        if once:
            frame = asyncio.run(_once(settings, url))
            print(
                json.dumps(frame.as_json(), ensure_ascii=False)
                if parsed.json
                else "\n".join(screen(frame, zone, height=10_000))
            )
            return 0 if frame.live is not None else 1
        locale.setlocale(locale.LC_ALL, "")
        try:
            curses.wrapper(lambda window: asyncio.run(_live(window, settings, url, zone, parsed.toutes_les)))
        except KeyboardInterrupt:  # as « q »
            return 0
        except curses.error:
            raise SetupError(
                "Ce terminal ne se pilote pas (variable TERM).",
                "Essayez : TERM=xterm planton top, ou planton top --once.",
            ) from None
    return 0


async def _once(settings: Settings, url: str) -> Frame:
    async with _eyes(settings, url) as eyes:
        await eyes.frame(await eyes.now())
        await asyncio.sleep(ONCE)
        return await eyes.frame(await eyes.now())


@contextlib.asynccontextmanager
async def _eyes(settings: Settings, url: str) -> AsyncIterator[Eyes]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        eyes = Eyes(settings, url, session)
        try:
            yield eyes
        finally:
            await eyes.close()


class Keys:
    """What the keys have asked for."""

    def __init__(self) -> None:
        self.over = self.paused = self.helping = False

    def press(self, key: str) -> None:
        """One key; others do nothing."""
        if key in _QUIT:
            self.over = True
        elif key in _PAUSE:
            self.paused = not self.paused
        elif key in _HELP:
            self.helping = not self.helping


async def _live(window: curses.window, settings: Settings, url: str, zone: ZoneInfo, every: float) -> None:
    with contextlib.suppress(curses.error):
        curses.curs_set(0)
    window.nodelay(True)
    keys = Keys()
    async with _eyes(settings, url) as eyes:
        frame, next_look = await eyes.frame(await eyes.now()), 0.0
        loop = asyncio.get_running_loop()
        while not keys.over:
            moment = loop.time()
            if not keys.paused and moment >= next_look:
                frame, next_look = await eyes.frame(await eyes.now()), moment + every
            draw(window, frame, zone, keys, every)
            await _wait_for_key(window.get_wch, keys)


async def _wait_for_key(read: Callable[[], int | str], keys: Keys) -> None:
    """At most a tenth of a second."""
    try:
        key = read()
    except curses.error:  # none was pressed
        await asyncio.sleep(0.1)
        return
    if isinstance(key, str):
        keys.press(key)


def draw(window: curses.window, frame: Frame, zone: ZoneInfo, keys: Keys, every: float) -> None:
    """The screen, or the help, as large as the window is."""
    height, width = window.getmaxyx()
    pause = f"{every:g}".replace(".", ",")
    status = "FIGÉ · espace : reprendre" if keys.paused else f"toutes les {pause} s · q ? espace"
    lines = [f"planton top{'? : retour':>{max(12, width - 12)}}", "", *HELP] if keys.helping else []
    lines = lines or screen(frame, zone, width - 1, height, status)
    window.erase()
    for row, line in enumerate(lines[:height]):
        strong = row == 0 or line.lstrip().startswith("!") or line[:1].isupper()
        with contextlib.suppress(curses.error):  # the last cell of a window, or one that has just become smaller
            window.addnstr(row, 0, line, width - 1, curses.A_BOLD if strong else curses.A_NORMAL)
    window.refresh()

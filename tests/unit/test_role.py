"""What a role has loaded is out of the garbage collector's way."""

from __future__ import annotations

import gc
import subprocess
import sys

from bot.app import role

ASK = """
import asyncio, gc, sys
from bot.app import role
from bot.settings import Settings

async def run(name, settings):
    while not gc.get_freeze_count():
        await asyncio.sleep(0.01)
    print(*gc.get_threshold())

role.LOADED = 0.05
sys.exit(role.main("worker", Settings({}), run))
"""


def test_what_is_loaded_is_frozen_once() -> None:
    gc.unfreeze()
    role.keep_loaded()  # for the tests that follow too
    assert gc.get_freeze_count() > 10_000


def test_each_role_collects_seldom_and_freezes_what_it_loaded() -> None:
    ended = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, timeout=60)
    assert ended.stdout.split() == [str(one) for one in role.COLLECT], ended.stderr
    assert ended.returncode == 1  # a role that ends by itself

"""The process of one role: a graceful end on SIGTERM, an immediate one when the launcher is gone.

Immediate, because a new launcher may start a second later; what was in hand is a lease that runs out.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable

from bot.app.entitled import close_memory
from bot.app.logs import configure, describe
from bot.app.say import complain
from bot.core.errors import Explained
from bot.settings import PREFIX, Settings

GRACE = 5.0  # seconds to end in; the launcher kills after six
LOADED = 20.0  # seconds after the start: what a role has loaded by then stays as long as it
# New objects until the collector looks at them, and how many such looks until it looks at older ones (docs/vitesse.md).
COLLECT = (20_000, 20, 20)

Role = Callable[[str, Settings], Awaitable[None]]
log = logging.getLogger("planton.role")


def main(name: str, settings: Settings | None = None, role: Role | None = None) -> int:
    """Run a role until SIGTERM; the exit code."""
    if name == "sender":
        close_memory()  # page tokens are its own
    configure(name)
    try:
        settings = settings or Settings()
        configure(name, settings.log_format, settings.log_level)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_until_stopped(name, settings, role or _wired()))
    except Explained as error:
        complain(error)
        return 2
    except Exception as error:
        log.critical("the role ended: %s", describe(error))
        return 1


def _wired() -> Role:
    from bot.app.wiring import run_role  # late: it brings every part with it

    return run_role


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _until_stopped(name: str, settings: Settings, role: Role) -> int:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(role(name, settings))
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            loop.call_later(GRACE, os._exit, 0)
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    gc.set_threshold(*COLLECT)
    loop.call_later(LOADED, keep_loaded)
    watch = asyncio.create_task(_watch_parent())
    try:
        await task
    except asyncio.CancelledError:
        if not stopped:
            raise
    except Exception as error:
        if not stopped:
            raise
        log.info("while ending: %s", describe(error))  # the database may leave at the same moment
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
    if not stopped:
        log.error("the role ended by itself")
        return 1
    sys.stderr.flush()
    return 0


def keep_loaded() -> None:
    """Take what there is now out of the garbage collector's sight: lexicon, score, templates and modules are no garbage, and
    going through them takes a quarter of a second in which nobody is answered."""
    gc.collect()
    gc.freeze()


async def _watch_parent() -> None:
    """A second net beside the kernel's signal."""
    while not orphaned():  # noqa: ASYNC110 (nothing in this process tells us)
        await asyncio.sleep(1)
    os._exit(1)


def orphaned() -> bool:
    """Whether the launcher that started us is gone."""
    parent = os.environ.get(PREFIX + "PARENT")
    return parent is not None and parent.isdigit() and os.getppid() != int(parent)

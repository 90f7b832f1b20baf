"""The workbench at its full size: 10,000 messages that wait, all 31,000 examples of the project, 50,000 messages read.

Invents conversations in a database of its own and a copy of the trainers' files, leaves as many readings waiting as asked, serves
a console in this process, and asks for its pages; then adds an example, again and again. Prints medians and the slowest
beside what is promised. The engine is away: its reasons cost another 50 ms.

    python scripts/bench_workbench.py [--waiting 10000] [--times 10]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import re
import secrets
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot.app import seed  # noqa: E402
from bot.console.app import create_console  # noqa: E402
from bot.console.deps import ConsoleDeps  # noqa: E402
from bot.console.workbench_search import seal_words  # noqa: E402
from bot.core.clock import SystemClock  # noqa: E402
from bot.store.accounts import Accounts  # noqa: E402
from bot.store.codec import Codec  # noqa: E402
from bot.store.db import CONSOLE, Database, Listener  # noqa: E402
from bot.store.embedded import Embedded  # noqa: E402
from bot.trainer.project import Project  # noqa: E402
from scripts.bench_console import PASSWORD, Client, hidden  # noqa: E402
from tests.fakes.project import copied  # noqa: E402

PROMISED = 1000  # milliseconds
SECRET = "bench of the workbench"
PAGES = (
    "/atelier",
    "/atelier?page=40",
    "/atelier?raison=low",
    "/atelier?reseau=instagram&raison=close",
    "/atelier/exemples",
    "/atelier/exemples/plainte_comment",
    "/atelier/exemples/plainte_comment?page=10",
    "/atelier/reponses",
    "/atelier/reponses/utter_procuration",
    "/atelier/verifications",
    "/atelier/changements",
    "/atelier/essais",
    "/atelier/modeles",
    "/atelier/suivi",
    "/atelier/conversations",
    "/atelier/essayer",
)
INTENT = "/atelier/exemples/procuration"


async def _measure(url: str, codec: Codec, project: Project, times: int) -> int:
    database, slow = Database(url, size=5), 0
    await Accounts(database, SECRET).add("Mesure", "trainer", PASSWORD)
    deps = ConsoleDeps(
        database=database,
        codec=codec,
        listener=Listener(url, (CONSOLE,)),
        clock=SystemClock(),
        secret_key=SECRET,
        secure_cookies=False,
        texts={"utter_agent_arrive": "", "utter_assistant_revient": ""},
        demo=False,
        project=project,
    )
    app = create_console(deps)
    listening = socket.create_server(("127.0.0.1", 0))
    server = await app.create_server(sock=listening, return_asyncio_server=True, access_log=False)
    assert server is not None
    await server.startup()
    await server.before_start()
    client = Client(f"http://127.0.0.1:{listening.getsockname()[1]}")
    try:
        await client.log_in("Mesure")
        _, _, page, _ = await client.page("/atelier")
        message = re.findall(r'href="(/atelier/messages/\d+)"', page)[0]
        first, *_ = await client.page(message)
        print(f"first message of the process (examples and spaCy are read): {first:.0f} ms")
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        found = f"/atelier/exemples?r={seal_words(codec, 'commissariat')}"
        for path in (*PAGES, found, message):
            slow += await _asked(client, path, times)
        slow += await _added(client, times)
        slow += await _asked(client, "/atelier/changements", times)
    finally:
        await client.session.close()
        await server.before_stop()
        server.close()
        await server.after_stop()
        await database.close()
    return slow


async def _asked(client: Client, path: str, times: int) -> bool:
    """Ask for a page; whether it is slower than promised. The first answer of each fills caches and is not counted."""
    taken = []
    for _ in range(times + 1):
        spent, status, _, _ = await client.page(path)
        assert status == 200, (path, status)
        taken.append(spent)
    return _told(path, taken[1:])


async def _added(client: Client, times: int) -> bool:
    """Add examples, one after the other, to the page that is shown again."""
    taken = []
    for number in range(times):
        _, _, page, _ = await client.page(INTENT)
        words = f"mon cousin {secrets.token_hex(3)} part en mer le {number + 1}e dimanche, un proche vote à sa place ?"
        fields = {"csrf": hidden(page, "csrf"), "geste": "ajouter", "texte": words}
        start = time.perf_counter()
        async with client.session.post(client.url + INTENT, data=fields) as response:
            shown = await response.text()
        taken.append((time.perf_counter() - start) * 1000)
        assert response.status == 200, response.status
        assert words.split()[2] in shown
    return _told(f"add to {INTENT}, and its page", taken)


def _told(what: str, taken: list[float]) -> bool:
    median = statistics.median(taken)
    over = "  SLOW" if median > PROMISED else ""
    print(f"{what:<52}{median:>7.0f} ms{max(taken):>7.0f} ms   {PROMISED} ms{over}")
    return median > PROMISED


def main() -> int:
    """1 when a page is slower than promised."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--waiting", type=int, default=10_000)
    options.add_argument("--times", type=int, default=10)
    given = options.parse_args()
    codec = Codec(base64.b64encode(secrets.token_bytes(32)).decode())
    with tempfile.TemporaryDirectory(prefix="planton-workbench-") as folder, Embedded(Path(folder) / "pg") as embedded:
        url = embedded.url
        asyncio.run(_migrated(url))
        seed.fill(url, codec, given.waiting // 2, given.waiting * 5)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE readings SET decision_id = NULL")
            connection.execute(
                """UPDATE readings SET weight = 0 WHERE event_id NOT IN (
                       SELECT event_id FROM readings WHERE weight > 0 ORDER BY at DESC LIMIT %s)""",
                (given.waiting,),
            )
            connection.execute("VACUUM (ANALYZE) readings")
            row = connection.execute(
                "SELECT count(*), count(DISTINCT group_id) FROM readings WHERE weight > 0"
            ).fetchone()
            assert row is not None
            print(f"{row[0]} messages wait, in {row[1]} groups")
        return int(asyncio.run(_measure(url, codec, copied(Path(folder) / "project", quick=False), given.times)) > 0)


async def _migrated(url: str) -> None:
    database = Database(url, size=1)
    await database.migrate()
    await database.close()


if __name__ == "__main__":
    raise SystemExit(main())

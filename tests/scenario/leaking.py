"""Words that are planted everywhere, and everything that the running system writes, shows or stores in their reach."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import psutil

from bot.meta.signature import HEADER, sign
from bot.sandbox.graph import Mood, Script
from bot.store.embedded import _find_binaries
from tests.fakes.console import Browser
from tests.fakes.graph import SECRET
from tests.fakes.leaks import check, leaks
from tests.scenario.faults import World
from tests.scenario.processes import Planton, command, settled, until

NAME = "Éléonore Marqueur-d’Été"
PASSWORD = "cheval-batterie-agrafe-correcte"
WRONG = "mot-de-passe-essayé-en-vain"
WORDS = {
    "text": "mon voisin Zébulon Quatorzepain m’a menacé au 12 rue des Marqueurs",
    "number": "rappelez-moi au 06 39 98 71 42 ou marqueuse.ete@exemple.test",
    "danger": "au secours Barnabébus est en train de défoncer la porte avec une hache",
    "badly": "mots d’un webhook mal signé, Philomarque",
    "broken": "mots d’un webhook cassé, Théomarque",
    "refused": "bonjour je voudrais une procuration, Anémarque",
    "reply": "Un équipage passera chez Marquinou demain.",
    "note": "Rappeler la gardienne Marquéline de l’immeuble.",
    "draft": "Brouillon pour Marquissime",
}


def everyones() -> set[str]:
    """What nobody may find: sentences, and the telling word of each."""
    telling = {
        word for said in (*WORDS.values(), NAME) for word in re.findall(r"\w*[Mm]arqu\w+|Zébulon|Barnabébus", said)
    }
    return {*WORDS.values(), NAME, *telling, "06 39 98 71 42", "marqueuse.ete@exemple.test", PASSWORD, WRONG}


async def plant(world: World) -> None:
    """Citizens write, Meta refuses, strangers knock, an agent works: all with telling words."""
    planton, meta, graph = world.planton, world.meta, world.graph
    for person in ("marked", "marked-2", "marked-3"):
        graph.graph.person_wrote(person, name=NAME)
    graph.script(
        Script(Mood.ERROR, code=100, person="marked-refused"),
        Script(Mood.ERROR, times=2, status=500, person="marked-2"),
    )
    planton.words |= everyones()
    messages = [
        meta.write("marked", WORDS["text"]),
        meta.write("marked-2", WORDS["number"]),
        meta.write("marked-3", WORDS["danger"]),
        meta.write("marked-refused", WORDS["refused"]),
    ]
    await meta.acknowledged(messages, 20)
    await settled(planton, messages, 60)
    for raw, secret, status in (
        (json.dumps({"object": "page", "entry": [WORDS["badly"]]}).encode(), "another-secret", 403),
        (b'{"object": "page", "entry": [' + WORDS["broken"].encode(), SECRET, 400),
    ):
        url = f"{planton.url}/webhooks/meta"
        async with planton.session.post(url, data=raw, headers={HEADER: sign(secret, raw)}) as answer:
            assert answer.status == status

    async def named() -> bool:
        return bool(
            await planton.rows("SELECT 1 FROM conversations WHERE person LIKE 'marked%%' AND profile IS NOT NULL")
        )

    await until(named, 30, "the person's name is known")
    await _works(planton)


async def _works(planton: Planton) -> None:
    added = await asyncio.create_subprocess_exec(
        *_planton(), "users", "add", "Claire", "--role", "agent", "--password-stdin",
        env=planton.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await added.communicate(PASSWORD.encode())
    assert added.returncode == 0, out.decode()
    check("planton users add", out, [PASSWORD])
    console: Any = SimpleNamespace(url=f"http://127.0.0.1:{planton.environ['PLANTON_CONSOLE_PORT']}")
    async with Browser(console) as claire:
        assert (await claire.log_in("Claire", WRONG)).status != 303
        assert (await claire.log_in("Claire", PASSWORD)).status == 303
        number = (
            await planton.rows(
                "SELECT id FROM conversations WHERE person = 'marked-3'"
            )  # the danger waits for an agent
        )[0]["id"]
        await claire.act(number, "prendre")
        await claire.act(number, "repondre", message=WORDS["reply"])
        await claire.act(number, "note", note=WORDS["note"])
        await claire.get("/nulle/part?mots=" + "x")
    rows = await planton.rows("SELECT 1 FROM notes UNION ALL SELECT 1 FROM outbox WHERE author = 'agent'")
    assert len(rows) == 2


def _planton() -> tuple[str, ...]:
    return sys.executable, "-m", "bot"


async def shown(planton: Planton) -> dict[str, bytes]:
    """Everything that the system says of itself."""
    found: dict[str, bytes] = {"output": (planton.folder / "output").read_bytes()}
    token = (planton.var / "secrets" / "metrics_token").read_text()
    console = f"http://127.0.0.1:{planton.environ['PLANTON_CONSOLE_PORT']}"
    for url, headers in (
        (f"{planton.url}/healthz", {}),
        (f"{planton.url}/readyz", {}),
        (f"{planton.url}/metrics", {"Authorization": f"Bearer {token}"}),
        (f"{planton.url}/metrics", {}),
        (f"{planton.sender_url}/healthz", {}),
        (f"{planton.sender_url}/metrics", {}),
        *((f"http://127.0.0.1:{int(planton.environ['PLANTON_METRICS_PORT']) + place}/metrics", {}) for place in (0, 1)),
        (f"{console}/connexion", {}),
        (f"{console}/nulle-part", {}),
    ):
        async with planton.session.get(url, headers=headers, timeout=aiohttp.ClientTimeout(total=20)) as answer:
            found[f"{url} {bool(headers)}"] = str(answer.headers).encode() + await answer.read()
    looks = (("doctor",), ("doctor", "--json"), ("top", "--once"), ("top", "--json"))
    for words in (*looks, ("keys", "status"), ("purge", "--simuler")):
        _, out, err = await command(planton.environ, *words, seconds=120)
        found["planton " + " ".join(words)] = (out + err).encode()
    lines = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            lines.append(" ".join(one.cmdline()))
    found["ps"] = "\n".join(lines).encode()
    for path in planton.var.iterdir():
        if path.is_file():
            found[path.name] = path.read_bytes()
    return found


def dumped(planton: Planton) -> bytes:
    """The database as `pg_dump` writes it."""
    program: Path = _find_binaries() / "pg_dump"
    done = subprocess.run([str(program), "--dbname", planton.database], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"COPY public.events" in done.stdout
    return done.stdout


async def backed_up(planton: Planton) -> dict[str, bytes]:
    """A back-up in the clear, as its files and as `pg_restore` writes it."""
    folder = planton.folder / "copies"
    folder.mkdir()
    code, out, err = await command(planton.environ, "backup", "--en-clair", "--vers", str(folder), seconds=120)
    assert code == 0, err
    found = {"planton backup": (out + err).encode()}
    for path in folder.iterdir():
        found[path.name] = path.read_bytes()
        if found[path.name].startswith(b"PGDMP"):
            done = subprocess.run(
                [str(_find_binaries() / "pg_restore"), "--file=-", str(path)], capture_output=True, check=True
            )
            assert b"COPY public.events" in done.stdout
            found["pg_restore"] = done.stdout
    assert "pg_restore" in found
    return found


def holders(planton: Planton, secret: str) -> set[str]:
    """The roles whose process has a secret: in its environment, its memory, or an open or mapped file."""
    found = set()
    for role, processes in planton.tree().items():
        if role == "postgres":
            continue
        for one in processes:
            if _has(one.pid, secret.encode()):
                found.add(role)
    return found


def _has(pid: int, secret: bytes) -> bool:
    base = Path(f"/proc/{pid}")
    if secret in (base / "environ").read_bytes():
        return True
    files = [path.resolve() for path in (base / "fd").iterdir()]
    with (base / "maps").open() as maps, (base / "mem").open("rb", 0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            low, high = (int(part, 16) for part in span.split("-"))
            if rights.startswith("rw"):
                with contextlib.suppress(OSError, ValueError, OverflowError):
                    memory.seek(low)
                    if secret in memory.read(high - low):
                        return True
    regular = [path for path in files if path.is_file() and path.stat().st_size < 5_000_000]
    return any(secret in path.read_bytes() for path in regular)


__all__ = ["WORDS", "backed_up", "check", "dumped", "everyones", "holders", "leaks", "plant", "shown"]

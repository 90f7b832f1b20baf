"""One of everything that has a number, and what the database holds, to tell whether an attack changed it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from bot.core.messages import Attachment
from tests.fakes import talks
from tests.fakes.console import Browser, RunningConsole

REPLY = "Bonjour, votre réclamation est transmise."


@dataclass(frozen=True)
class World:
    """Numbers of what there is. `taken`: Claire's; `free`: nobody's; `submission`: hers, waiting for the head of service."""

    taken: int
    free: int
    event: int
    submission: int
    canned: int
    team: int
    user: int
    session: int
    reading: int
    talk: int


async def furnished(console: RunningConsole, claire: Browser) -> World:
    """A console that holds one of everything."""
    await console.execute("UPDATE validation_rules SET steps = '{service}' WHERE category = 'complaint'")
    taken = await console.says(
        "p1", "on m’a mal parlé", Attachment("image", "https://ailleurs.example/a.png"), mid="m1"
    )
    await console.hand_off(taken, "complaint", "reclamation_police")
    assert (await claire.act(taken, "prendre")).status == 303
    page = await claire.get(f"/conversations/{taken}")
    note = await claire.post(
        f"/conversations/{taken}/note", csrf=page.hidden("csrf"), cle="n", note="une note de Claire"
    )
    assert note.status == 303
    assert (await claire.act(taken, "soumettre", message=REPLY)).status == 303
    draft = await claire.act(taken, "brouillon", message="un brouillon de Claire")
    assert draft.status == 200
    free = await console.waiting("p2")
    talk, reading = await talks.turn(console, "p3", "j'ai perdu mon passeport", "perte_vol_documents", "Voici.")
    await console.execute("INSERT INTO teams (name) VALUES ('Réclamations')")
    await console.execute(
        "INSERT INTO canned_replies (shortcut, title, body, updated_at) VALUES ('attaque', 'Merci', 'Merci.', now())"
    )

    async def number(query: str) -> int:
        return int((await console.rows(query))[0].id)

    return World(
        taken=taken,
        free=free,
        event=await number("SELECT id FROM events WHERE mid = 'm1'"),
        submission=await number("SELECT max(id) AS id FROM submissions"),
        canned=await number("SELECT max(id) AS id FROM canned_replies"),
        team=await number("SELECT max(id) AS id FROM teams"),
        user=console.users["Claire"].id,
        session=await number("SELECT max(id) AS id FROM sessions"),
        reading=reading,
        talk=talk,
    )


async def dump(console: RunningConsole, but: Collection[str] = ()) -> dict[str, tuple[int, str]]:
    """Of each table, how many rows it has and a digest of them all. `but`: tables that may change."""
    tables = await console.rows("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    held = {}
    for table in tables:
        if table.name in but:
            continue
        digest = "md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), ''))"
        row = (await console.rows(f'SELECT count(*) AS n, {digest} AS d FROM "{table.name}" t'))[0]
        held[table.name] = (int(row.n), str(row.d))
    return held

"""Other people's things: whoever may do something, but not to this one, changes nothing by its number."""

from __future__ import annotations

from bot.core.messages import Attachment
from tests.attack.world import REPLY, World, dump
from tests.fakes.console import Answer, Browser, RunningConsole


async def held(browser: Browser, world: World) -> dict[str, str]:
    """What the page of Claire's conversation holds for whoever reads it."""
    page = await browser.get(f"/conversations/{world.taken}")
    assert page.status == 200
    return {"csrf": page.hidden("csrf") or (await browser.get("/file")).hidden("csrf"), "vu": str(10**9), "cle": "k"}


async def test_a_colleagues_conversation(console: RunningConsole, world: World, yanis: Browser) -> None:
    fields = await held(yanis, world)
    to_me = f"user-{console.users['Yanis'].id}"
    before = await dump(console, ("audit", "drafts"))  # what a refusal keeps is one's own draft
    for action, more, status in (
        ("repondre", {"message": "une réponse de Yanis"}, 409),
        ("soumettre", {"message": "une réponse de Yanis"}, 409),
        ("rendre", {}, 409),
        ("clore", {}, 409),
        ("transferer", {"a": to_me}, 409),
        ("attribuer", {"a": to_me, "tenue_par": str(world.user)}, 403),
        ("reporter", {"pour": "demain"}, 409),
        ("indesirable", {}, 409),
        ("bloquer", {"motif": "injures"}, 409),
        ("prendre", {"tenue_par": ""}, 409),
        ("prendre", {"tenue_par": "999"}, 409),
        ("conservation", {"raison": "enquete"}, 403),
    ):
        answer = await yanis.post(f"/conversations/{world.taken}/{action}", **fields, **more)
        assert answer.status == status, (action, answer.status)
        assert await dump(console, ("audit", "drafts")) == before, action
    assert "un brouillon de Claire" not in (await yanis.get(f"/conversations/{world.taken}")).page
    kept = await console.rows("SELECT user_id FROM drafts WHERE conversation_id = :id ORDER BY 1", id=world.taken)
    assert {row.user_id for row in kept} <= {world.user, console.users["Yanis"].id}


async def test_a_colleagues_draft_for_validation(console: RunningConsole, world: World, yanis: Browser) -> None:
    fields = await held(yanis, world)
    before = await dump(console, ("audit",))
    for action, status in (("retirer", 409), ("confirmer", 409), ("reprendre", 409)):
        answer = await yanis.post(f"/validation/{world.submission}/{action}", **fields, lu=str(10**9))
        assert answer.status == status, (action, answer.status)
    for action in ("approuver", "amender", "refuser"):
        answer = await yanis.post(f"/validation/{world.submission}/{action}", **fields, etape="0", message="x", mot="y")
        assert answer.status == 403, action
    assert await dump(console, ("audit",)) == before


async def test_a_validation_beyond_ones_level(console: RunningConsole, world: World, denis: Browser) -> None:
    await console.execute("UPDATE submissions SET steps = '{cabinet}'")
    fields = await held(denis, world)
    before = await dump(console, ("audit",))
    for action in ("approuver", "amender", "refuser"):
        more = {"etape": "0", "lu": str(10**9), "message": "une autre", "mot": "un mot"}
        answer = await denis.post(f"/validation/{world.submission}/{action}", **fields, **more)
        assert answer.status == 403, action
    assert await dump(console, ("audit",)) == before
    assert REPLY not in str(await console.outgoing(world.taken))


async def test_sessions_under_another_account(
    console: RunningConsole, world: World, yanis: Browser, alix: Browser, claire: Browser
) -> None:
    csrf = (await yanis.get("/file")).hidden("csrf")
    await yanis.post("/mon-compte/sessions", csrf=csrf, session=str(world.session))
    other = console.users["Yanis"].id
    csrf = (await alix.get("/file")).hidden("csrf")
    await alix.post(f"/comptes/{other}/sessions", csrf=csrf, session=str(world.session))
    assert (await claire.get("/file")).path == "/file", "a session ends through its own account alone"
    assert (await yanis.get("/file")).path == "/file"


async def test_a_piece_of_another_conversation(console: RunningConsole, world: World, claire: Browser) -> None:
    await console.says("p9", "", Attachment("image", "https://ailleurs.example/b.png"), mid="m9")
    event = (await console.rows("SELECT id FROM events WHERE mid = 'm9'"))[0].id
    for path in (
        f"/conversations/{world.taken}/pieces/{event}/0",
        f"/conversations/{world.free}/pieces/{world.event}/0",
        f"/conversations/{world.taken}/pieces/{world.event}/1",
        f"/conversations/{world.taken}/pieces/{world.event}/99999999999999999999",
    ):
        assert (await claire.get(path)).status == 404, path


async def test_what_a_trainer_sees_here_opens_nothing_there(
    console: RunningConsole, world: World, trainer: Browser
) -> None:
    csrf = (await trainer.get("/file")).hidden("csrf")
    before = await dump(console, ("audit",))
    for path in (f"/conversations/{world.talk}", f"/conversations/{world.taken}/pieces/{world.event}/0", "/recherche"):
        assert (await trainer.get(path)).status == 403, path
    for action in ("prendre", "note", "brouillon", "repondre", "clore"):
        answer: Answer = await trainer.post(f"/conversations/{world.talk}/{action}", csrf=csrf, message="x", note="x")
        assert answer.status == 403, action
    assert await dump(console, ("audit",)) == before


EXTRA = {
    "role": "administrator", "niveau": "cabinet", "validation_level": "cabinet", "user_id": "1", "user": "1",
    "agent_id": "1", "owner": "bot", "id": "1", "author": "bot", "status": "sent", "lane": "emergency",
    "password_temporary": "false", "preferences": '{"role": "administrator"}', "stage": "open", "permissions": "*",
}  # fmt: skip


async def test_fields_that_no_form_has_change_nothing(
    console: RunningConsole, world: World, claire: Browser, alix: Browser
) -> None:
    def people() -> str:
        return "SELECT id, name, role, validation_level, email, disabled_at, password_hash FROM users ORDER BY id"

    before = await console.rows(people())
    page = await claire.get(f"/conversations/{world.free}")
    fields = {"csrf": page.hidden("csrf"), "vu": page.hidden("vu"), "cle": "k2"}
    mine = console.users["Claire"].id
    for action, more in (
        ("prendre", {}),
        ("note", {"note": "un mot"}),
        ("brouillon", {"message": "un début"}),
        ("repondre", {"message": "Bonjour."}),
    ):
        answer = await claire.post(f"/conversations/{world.free}/{action}", **{**EXTRA, **fields, **more})
        assert answer.status in (200, 303), (action, answer.status)
    for path in ("/mon-compte/preferences", "/mon-compte/mot-de-passe", "/mon-compte/codes", "/mon-compte/sessions"):
        assert (await claire.post(path, **{**EXTRA, "csrf": fields["csrf"]})).status in (303, 422), path
    assert await console.rows(people()) == before
    row = await console.conversation(world.free)
    assert (row.owner, row.agent_id) == ("agent", mine)
    assert [(lane, author) for lane, author, *_ in await console.outgoing(world.free)] == [
        ("agent", "system"),
        ("agent", "agent"),
    ]
    for table in ("notes", "drafts"):
        rows = await console.rows(f"SELECT user_id FROM {table} WHERE conversation_id = :id", id=world.free)
        assert {r.user_id for r in rows} <= {mine}
    # An account's own form takes what it shows: no number, no password, no way in.
    csrf = (await alix.get("/file")).hidden("csrf")
    odd = {k: v for k, v in EXTRA.items() if k not in ("role", "niveau")}
    answer = await alix.post(
        f"/comptes/{mine}/modifier", **odd, csrf=csrf, nom="Claire", role="agent", password_hash="x", disabled_at="now"
    )
    assert answer.status == 303
    assert await console.rows(people()) == before

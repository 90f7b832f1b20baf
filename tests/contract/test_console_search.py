"""The search over HTTP, without a script: what is found, by whom, and what stays unseen."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from bot.core.messages import Echo, Edit, Message, Platform, Unsend
from bot.policy.search import stems
from bot.store import search
from bot.store.people import People
from bot.store.reindex import Reindex, progress
from tests.conftest import of_part
from tests.fakes.console import Answer, Browser, RunningConsole

Look = Callable[..., Awaitable[Answer]]


async def look(browser: Browser, words: str, **fields: str) -> Answer:
    """Type words into the form and press « Chercher »."""
    page = await browser.get("/recherche")
    return await browser.post("/recherche", follow=True, csrf=page.hidden("csrf"), mots=words, **fields)


def rows(answer: Answer) -> list[tuple[int, str]]:
    """(conversation, excerpt) of each result."""
    found = re.findall(
        r'data-testid="search-row" data-conversation="(\d+)".*?<bdi dir="auto">(.*?)</bdi></p>', answer.page, re.DOTALL
    )
    return [(int(number), re.sub(r"</?mark>", "", text)) for number, text in found]


def marked(answer: Answer) -> list[str]:
    """What is highlighted."""
    return re.findall(r"<mark>(.*?)</mark>", answer.page)


async def test_words_are_found_whatever_their_form(console: RunningConsole, claire: Browser) -> None:
    one = await console.says("p1", "Mes PLAINTES ont été deposees hier")
    await console.says("p2", "je me plains du bruit")
    answer = await look(claire, "plainte déposée")
    assert answer.status == 200
    assert rows(answer) == [(one, "Mes PLAINTES ont été deposees hier")]
    assert marked(answer) == ["PLAINTES", "deposees"]
    link = re.search(rf'href="(/conversations/{one}\?le=\d+)#(e\d+)"', answer.page)
    assert link is not None
    assert f'id="{link[2]}"' in (await claire.get(link[1])).page


async def test_all_words_a_phrase_and_words_left_out(console: RunningConsole, claire: Browser) -> None:
    both = await console.says("p1", "carte d’identité volée avec mon vélo")
    apart = await console.says("p2", "ma carte, et mon identité, et le vélo")
    assert {number for number, _ in rows(await look(claire, "carte identité"))} == {both, apart}
    assert [number for number, _ in rows(await look(claire, '"cartes d\'identite"'))] == [both]
    assert [number for number, _ in rows(await look(claire, "vélo -volé"))] == [apart]
    assert [number for number, _ in rows(await look(claire, 'carte -"carte d’identité"'))] == [apart]
    nothing = await look(claire, "ident")
    assert rows(nothing) == []
    assert "Rien ne correspond." in nothing.page


async def test_names_notes_replies_and_the_assistant(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting("p1", "bonjour le commissariat")
    await People(of_part(console.database, "worker"), console.codec).keep_name(number, "Anaïs Le Goff")
    await claire.act(number, "prendre")
    await claire.act(number, "repondre", message="Un équipage passera demain.")
    await claire.act(number, "note", note="Rappeler la gardienne de l’immeuble.")
    await console.bot_says(number, "Le commissariat le plus proche est ouvert.")
    named = await look(claire, "anais goff")
    assert 'data-testid="search-name"' in named.page
    assert rows(named) == []
    assert 'data-author="name"' in (await look(claire, "goff", auteur="nom")).page
    for words, author, other in (
        ("équipages", "agent", "note"),
        ("gardien", "note", "citoyen"),
        ("commissariats", "assistant", "agent"),
        ("commissariats", "citoyen", "note"),
    ):
        assert [found for found, _ in rows(await look(claire, words, auteur=author))] == [number], words
        assert rows(await look(claire, words, auteur=other)) == []
    # The assistant says every word there is: it is looked for by name only.
    assert len(rows(await look(claire, "commissariat"))) == 1
    assert "Note privée de Claire" in (await look(claire, "gardienne")).page


async def test_a_new_name_takes_the_place_of_the_old(console: RunningConsole, claire: Browser) -> None:
    number = await console.says("p1", "bonjour")
    people = People(of_part(console.database, "worker"), console.codec)
    await people.keep_name(number, "Ancien Patronyme")
    await people.keep_name(number, "Nouvelle Identité")
    assert 'data-testid="search-row"' not in (await look(claire, "patronyme", auteur="nom")).page
    assert 'data-testid="search-row"' in (await look(claire, "nouvelle", auteur="nom")).page
    await people.keep_name(number, None)
    assert 'data-testid="search-row"' not in (await look(claire, "nouvelle", auteur="nom")).page


async def test_edits_are_found_and_what_is_withdrawn_is_not(console: RunningConsole, claire: Browser) -> None:
    number = await console.says("p1", "mon vélo a disparu", mid="m1")
    original = (await console.rows("SELECT id FROM events WHERE mid = 'm1'"))[0].id
    await console.event("p1", Edit("m1", "ma trottinette a disparu", 1))
    edited = await look(claire, "trottinette")
    assert [found for found, _ in rows(edited)] == [number]
    assert f"#e{original}" in edited.page
    assert "modifié" in edited.page
    await console.event("p1", Unsend("m1"))
    for words in ("vélo", "trottinette", "disparu"):
        assert rows(await look(claire, words)) == []
    assert await console.rows("SELECT 1 FROM search_documents") == []


async def test_our_own_echoes_are_not_found_twice(console: RunningConsole, claire: Browser) -> None:
    number = await console.says("p1", "bonjour")
    await console.event("p1", Echo("réponse de la boîte"))
    assert rows(await look(claire, "boîte")) == []
    await console.execute("UPDATE events SET reason = 'inbox_reply' WHERE kind = 'echo'")
    assert rows(await look(claire, "boîte", auteur="agent")) == [(number, "réponse de la boîte")]


async def test_filters(console: RunningConsole, claire: Browser) -> None:
    complaint = await console.says("p1", "un vélo rouge")
    await console.hand_off(complaint, "complaint")
    closed = await console.waiting("p2", "un vélo bleu")
    await claire.act(closed, "clore")
    free = await console.says("p3", "un vélo vert", platform=Platform.INSTAGRAM)

    async def found(**fields: str) -> set[int]:
        return {number for number, _ in rows(await look(claire, "vélo", **fields))}

    today = console.clock.now().date()
    assert await found() == {complaint, closed, free}
    assert await found(categorie="complaint") == {complaint}
    assert await found(etat="closed") == {closed}
    assert await found(etat="open") == {complaint}
    assert await found(etat="none") == {free}
    assert await found(plateforme="instagram") == {free}
    assert await found(plateforme="instagram", categorie="complaint") == set()
    assert await found(du=str(today), au=str(today)) == {complaint, closed, free}
    assert await found(au=str(today - timedelta(days=1))) == set()
    assert await found(du=str(today + timedelta(days=1))) == set()
    assert await found(categorie="inconnue") == {complaint, closed, free}


async def test_newest_first_page_by_page_and_nearest_first(console: RunningConsole, claire: Browser) -> None:
    start = console.clock.now()
    for number in range(45):
        await console.says(
            f"p{number}",
            f"vélos numéro {number} au milieu de bien d’autres choses",
            at=start - timedelta(days=3 * number),
        )
    await console.says("pile", "vélo", at=start - timedelta(days=400))
    answer, seen = await look(claire, "vélo"), []
    pages = 0
    while True:
        pages += 1
        seen += [text for _, text in rows(answer)]
        more = re.search(r'href="(/recherche\?r=[^"]+)" data-testid="next-page"', answer.page)
        if more is None:
            break
        answer = await claire.get(more[1].replace("&amp;", "&"))
    assert pages == 3
    assert len(seen) == len(set(seen)) == 46
    assert seen[0].startswith("vélos numéro 0 ")
    assert seen[44].startswith("vélos numéro 44 ")
    nearest = await look(claire, "vélo", tri="proche")
    assert rows(nearest)[0][1] == "vélo"
    more = re.search(r'href="(/recherche\?r=[^"]+)" data-testid="next-page"', nearest.page)
    assert more is not None
    assert len(rows(await claire.get(more[1].replace("&amp;", "&")))) == 20


async def test_a_crowd_in_one_hour_is_found_whole(
    console: RunningConsole, claire: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.store.desk import search as desk_search

    monkeypatch.setattr(desk_search, "SPAN_AT_MOST", 5)
    monkeypatch.setattr(desk_search, "EFFORT", 40)
    for number in range(12):
        await console.says(f"p{number}", f"alerte {number}", at=console.clock.now() - timedelta(days=9, minutes=number))
        await console.says(
            f"q{number}", f"alerte ancienne {number}", at=console.clock.now() - timedelta(days=90 + number)
        )
    answer, seen, reached = await look(claire, "alerte"), set(), 0
    for _ in range(20):
        seen |= {number for number, _ in rows(answer)}
        reached += "Chercher avant le" in answer.page
        more = re.search(r'href="(/recherche\?r=[^"]+)" data-testid="next-page"', answer.page)
        if more is None:
            break
        answer = await claire.get(more[1].replace("&amp;", "&"))
    assert len(seen) == 24
    assert reached, "a page that took too much effort says how far it came"


async def test_words_stand_in_no_address_no_index_and_no_audit(console: RunningConsole, claire: Browser) -> None:
    await console.says("p1", "Zoubida a disparu")
    answer = await look(claire, "Zoubida")
    assert len(rows(answer)) == 1
    assert answer.path.startswith("/recherche?r=")
    assert "oubida" not in answer.path.lower()
    again = await claire.get(answer.path)
    assert rows(again) == rows(answer)
    audit = await console.rows("SELECT detail FROM audit WHERE action = 'search' ORDER BY id")
    assert [row.detail["results"] for row in audit] == [1, 1]
    assert "oubida" not in json.dumps([row.detail for row in audit]).lower()
    stored = await console.rows("SELECT to_jsonb(d)::text AS all FROM search_documents d")
    assert stored
    assert not any("oubida" in row.all.lower() or "zoubid" in row.all for row in stored)


async def test_what_somebody_wrote_is_shown_as_text(console: RunningConsole, claire: Browser) -> None:
    await console.says("p1", "<script>alert(1)</script> \u202evélo\u202c <mark>faux</mark> & « guillemets »")
    answer = await look(claire, "vélo")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.page
    assert "&lt;mark&gt;faux&lt;/mark&gt;" in answer.page
    assert "\u202e" not in answer.page
    assert marked(answer) == ["vélo"]
    typed = await look(claire, '"><b>vélo')
    assert 'value="&#34;&gt;&lt;b&gt;vélo"' in typed.page


async def test_what_cannot_be_looked_for_is_said(console: RunningConsole, claire: Browser) -> None:
    for words, fields, told in (
        ("", {}, "Il manque les mots à chercher."),
        ("   \u200b ", {}, "Il manque les mots à chercher."),
        ("le de", {}, "presque tous les messages"),
        ("-vélo", {}, "que des mots à exclure"),
        ("x" * 201, {}, "201 caractères"),
        ("vélo", {"du": "hier"}, "Une date n’est pas comprise."),
        ("vélo", {"du": "2026-02-02", "au": "2026-02-01"}, "finit avant de commencer"),
        ("vélo", {"au": "0001-01-01"}, "hors du calendrier"),
    ):
        answer = await look(claire, words, **fields)
        assert answer.status == 422
        assert told in answer.page
        assert 'role="alert"' in answer.page
    for address in ("x", "AAAA", "é", "A" * 5000, "%00", "a=b"):
        answer = await claire.get(f"/recherche?r={address}")
        assert answer.status == 422
        assert "n’est plus lisible" in answer.page


async def test_a_spoilt_page_mark_begins_anew(console: RunningConsole, claire: Browser) -> None:
    number = await console.says("p1", "un vélo")
    answer = await look(claire, "vélo")
    for after in ("x", "1_2_3", "999999999999999999_event_1", "5_autre_1"):
        page = await claire.get(f"{answer.path}&apres={after}")
        assert page.status == 200
        assert rows(page) == [(number, "un vélo")]


async def test_who_may_read_may_search(
    console: RunningConsole, claire: Browser, odile: Browser, someone: Browser
) -> None:
    await console.says("p1", "un vélo")
    assert len(rows(await look(odile, "vélo"))) == 1
    await console.user("T", "trainer")
    await someone.log_in("T")
    assert (await someone.get("/recherche")).status == 403
    assert "/recherche" not in (await someone.get("/file")).page


async def test_what_is_purged_is_not_found(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting("p1", "un vélo")
    await claire.act(number, "note", note="un vélo aussi")
    await console.bot_says(number, "un vélo encore")
    assert len(await console.rows("SELECT 1 FROM search_documents")) == 3
    await console.execute("DELETE FROM events")
    await console.execute("DELETE FROM notes")
    assert len(await console.rows("SELECT 1 FROM search_documents")) == 1
    await console.execute("DELETE FROM conversations")
    assert await console.rows("SELECT 1 FROM search_documents") == []


async def test_what_a_citizen_wrote_has_no_token_of_what_anybody_else_may_have(
    console: RunningConsole, claire: Browser
) -> None:
    """Replies are public, canned ones lie in the same database: with the same tokens they would be a dictionary."""
    number = await console.waiting("p1", "un vélo volé")
    await claire.act(number, "prendre")
    await claire.act(number, "repondre", message="votre vélo, volé ?")
    await claire.act(number, "note", note="vélo volé")
    await console.bot_says(number, "le vélo volé")
    tapped = await console.event("p2", Message("Vélo volé", quick_reply="intent:vol"))
    assert [row.conversation_id for row in await console.rows("SELECT * FROM search_documents")].count(tapped) == 0

    async def hashes() -> dict[str, set[int]]:
        found = await console.rows("SELECT kind, tokens FROM search_documents WHERE tokens && CAST(:all AS bigint[])",
                                   all=[*search.AUTHORS.values(), *search.FORMER.values()])  # fmt: skip
        kinds: dict[str, set[int]] = {}
        for row in found:
            kinds.setdefault(row.kind, set()).update(one for one in row.tokens if not 0 < one < 4_000_000_000)
        return kinds

    async def found() -> list[int]:
        return [
            len(rows(await look(claire, "vélo", auteur=who))) for who in ("", "citoyen", "agent", "note", "assistant")
        ]

    now = await hashes()
    wanted = await found()
    assert min(wanted) >= 1
    assert not now["event"] & now["outbox"]
    assert not now["event"] & now["note"]
    assert not now["outbox"] & now["note"]

    # As the release before wrote them: one purpose for all. They are found, and get the tokens of today.
    former = [search.fingerprint(console.codec, stem) for stem in stems("vélo volé")]
    for kind, author in (("outbox", "agent"), ("note", "note")):
        for row in await console.rows("SELECT ref, at FROM search_documents WHERE kind = :kind", kind=kind):
            is_bot = kind == "outbox" and "agent" not in [
                one.author for one in await console.rows("SELECT author FROM outbox WHERE id = :id", id=row.ref)
            ]
            code = search.FORMER["automatic" if is_bot else author]
            tokens = [*former, code, *search.facets(row.at, "person")[1:]]
            await console.execute(
                "UPDATE search_documents SET tokens = CAST(:tokens AS bigint[]) WHERE kind = :kind AND ref = :ref",
                tokens=search.literal(tokens), kind=kind, ref=row.ref,
            )  # fmt: skip
    tap = (await console.rows("SELECT id, at FROM events WHERE kind = 'quick_reply'"))[0]
    await console.execute(
        """INSERT INTO search_documents (kind, ref, conversation_id, at, tokens)
           VALUES ('event', :id, :c, :at, CAST(:t AS bigint[]))""",
        id=tap.id, c=tapped, at=tap.at, t=search.literal([*former, *search.facets(tap.at, "person")]),
    )  # fmt: skip
    assert (await hashes())["event"] & (await hashes())["outbox"]
    assert [got >= had for got, had in zip(await found(), wanted, strict=True)] == [True] * 5
    reindex = Reindex(console.database, console.codec)
    while await reindex.step():
        pass
    assert await hashes() == now
    assert await found() == wanted
    # The release before, still running elsewhere, writes one more.
    await console.execute(
        "UPDATE search_documents SET tokens = CAST(:tokens AS bigint[]) WHERE kind = 'note'",
        tokens=search.literal([*former, search.FORMER["note"]]),
    )
    while await Reindex(console.database, console.codec).step():
        pass
    assert await hashes() == now


async def test_older_messages_are_brought_in_once_and_resumed(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting("p1", "un vélo volé", "Anaïs Le Goff")
    await claire.act(number, "note", note="vélo bleu")
    await console.bot_says(number, "votre vélo")
    await console.says("p2", "secret retiré", mid="m9")
    await console.event("p2", Unsend("m9"))
    await console.execute("DELETE FROM search_documents")
    assert rows(await look(claire, "vélo")) == []
    reindex = Reindex(of_part(console.database, "worker"), console.codec)
    assert await reindex.step()
    halfway = await progress(console.database)
    assert halfway is not None
    assert not halfway.over
    assert "se reconstruit" in (await look(claire, "vélo")).page
    while await Reindex(of_part(console.database, "worker"), console.codec).step():
        pass
    done = await progress(console.database)
    assert done is not None
    assert done.over
    assert "se reconstruit" not in (await look(claire, "vélo")).page
    assert len(rows(await look(claire, "vélo"))) == 2
    assert len(rows(await look(claire, "vélo", auteur="assistant"))) == 1
    assert 'data-testid="search-name"' in (await look(claire, "goff")).page
    assert rows(await look(claire, "secret")) == []
    before = await console.rows("SELECT kind, ref, at, tokens FROM search_documents ORDER BY 1, 2")
    await console.execute("DELETE FROM facts WHERE name = 'search_backfill'")
    while await reindex.step():
        pass
    assert await console.rows("SELECT kind, ref, at, tokens FROM search_documents ORDER BY 1, 2") == before

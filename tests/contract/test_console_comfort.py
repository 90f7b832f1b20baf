"""Help, preferences and shortcuts, over HTTP; both colour lists of the style hold together."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

import bot.console
from bot.console import dsfr
from bot.console.shortcuts import EVERYWHERE, SHORTCUTS, by_place, shortcut
from bot.core.clock import FrozenClock
from bot.policy.rights import Role
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.preferences import KNOWN, Preferences
from tests.fakes.console import Browser, RunningConsole, running_console

CONSOLE = Path(bot.console.__file__).parent
TEMPLATES = {path: path.read_text(encoding="utf-8") for path in (CONSOLE / "templates").rglob("*.html")}


def test_no_two_shortcuts_of_one_place_share_their_keys() -> None:
    for place, keys in by_place().items():
        here = [*keys, *(by_place()[EVERYWHERE] if place != EVERYWHERE else ())]
        assert [k for k, n in Counter(key.keys for key in here).items() if n > 1] == [], place
        begun = {key.keys for key in here if " " not in key.keys}
        assert not begun & {key.keys[0] for key in here if " " in key.keys}, "a key alone hides what begins with it"
    for name, key in SHORTCUTS.items():
        assert re.fullmatch(r"\S|[a-z] [a-z]", key.keys), name
        assert key.keys == key.keys.lower(), name


def test_every_shortcut_leads_somewhere_and_every_template_names_one_that_exists() -> None:
    written = {
        name for text in TEMPLATES.values() for name in re.findall(r'shortcut\("([a-z_.]+(?:%d)?)"(?:\)| %)', text)
    }
    # « inbox.pick%d » stands for its whole series.
    series = {name.removesuffix("%d") for name in written if name.endswith("%d")}
    used = {name for name in written if not name.endswith("%d")}
    used |= {name for name in SHORTCUTS if name.rstrip("0123456789") in series}
    assert used <= set(SHORTCUTS)
    assert {name for name in SHORTCUTS if not name.startswith("go.")} <= used
    assert not [path for path, text in TEMPLATES.items() if "data-shortcut=" in text], "write {{ shortcut(…) }}"
    assert 'data-shortcut-does="focus"' in shortcut("conversation.close")


@pytest.mark.parametrize("role", [role.value for role in Role])
async def test_everybody_has_help_and_preferences(console: RunningConsole, someone: Browser, role: str) -> None:
    await console.user("X", role)
    await someone.log_in("X")
    await console.open_sessions("X")
    page = await someone.get("/aide")
    assert page.status == 200
    for key in SHORTCUTS.values():
        assert f"<dd>{key.label}</dd>".replace("’", "&#39;") in page.page.replace("’", "&#39;")
    assert "30 min" in page.page  # a deadline as it stands
    done = await someone.post(
        "/mon-compte/preferences",
        csrf=page.hidden("csrf"),
        complet="1",
        theme="dark",
        son="1",
        sonnerie="urgent",
        follow=True,
    )
    assert "Vos préférences sont enregistrées." in done.page
    assert 'data-theme="dark"' in done.page
    assert 'data-sound="on"' in done.page
    assert 'data-keys="off"' in done.page  # the box was not ticked
    kept = (await console.rows("SELECT preferences FROM users WHERE name = 'X'"))[0].preferences
    assert kept == {
        "tour": True, "theme": "dark", "sound": True, "notifications": False, "keys": False, "ring": "urgent",
    }  # fmt: skip


async def test_a_choice_that_does_not_exist_changes_nothing(console: RunningConsole, claire: Browser) -> None:
    csrf = (await claire.get("/aide")).hidden("csrf")
    for fields in ({"theme": "rose"}, {"sonnerie": "'"}, {"complet": "1", "theme": "x"}):
        refused = await claire.post("/mon-compte/preferences", csrf=csrf, **fields)
        assert refused.status == 422
        assert "rien n’a été enregistré" in refused.page
    assert (await console.rows("SELECT preferences FROM users"))[0].preferences == {"tour": True}
    with pytest.raises(ValueError, match="no such preference"):
        await Preferences(console.database).change(console.users["Claire"], {"theme": "rose"})
    await console.execute('UPDATE users SET preferences = \'{"theme": 7, "sound": "x", "tour": true}\'')
    assert "data-theme" not in (await claire.get("/file")).page  # kept by another version: as if absent
    assert set(KNOWN) >= {"theme", "keys", "sound", "notifications", "tour"}


async def test_the_first_visit_has_a_tour_that_is_seen_once_and_again_on_demand(
    console: RunningConsole, claire: Browser
) -> None:
    await console.execute("UPDATE users SET preferences = '{}'")
    page = await claire.get("/file")
    assert page.page.count("data-step") == 3
    seen = await claire.post("/mon-compte/preferences", csrf=page.hidden("csrf"), visite="vue")
    assert seen.headers["Location"] == "/file"
    assert 'data-testid="tour"' not in (await claire.get("/file")).page
    assert 'data-testid="tour"' in (await claire.get("/file?visite=1")).page
    by_script = await claire.post(
        "/mon-compte/preferences", headers={"X-CSRF-Token": page.hidden("csrf")}, visite="vue", follow=False
    )
    assert by_script.status == 204


def test_browsers_without_light_dark_get_the_same_colours() -> None:
    style = (CONSOLE / "static/css/base.css").read_text(encoding="utf-8")
    pairs = re.findall(r"^  (--[a-z-]+): light-dark\((#\w+), (#\w+)\);", style, re.MULTILINE)
    fallback = style[style.index("@supports not") : style.index(":root:root:root")]
    lists = [dict(re.findall(r"(--[a-z-]+): (#\w+);", part)) for part in re.split(r":root[^{]*\{", fallback)[1:]]
    lists = [found for found in lists if found]
    light, dark = {name: a for name, a, _ in pairs}, {name: b for name, _, b in pairs}
    assert len(light) > 15
    assert lists == [light, dark, dark]


async def test_the_states_theme_is_loaded_once_its_terms_are_accepted_and_never_before(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, tmp_path: Path
) -> None:
    for name in dsfr.FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("/* the theme */")

    async def seen() -> tuple[str, str]:
        async with (
            running_console(database, database_url, codec, frozen_clock, dsfr=tmp_path) as console,
            Browser(console) as visitor,
        ):
            file = await visitor.get("/vendor/dsfr/core/core.main.min.css", follow=False)
            return (await visitor.get("/connexion")).page, file.page

    page, file = await seen()
    assert "dsfr" not in page
    assert "the theme" not in file
    accepted = dsfr.Acceptance("Nadia Ben", frozen_clock.now(), dsfr.VERSION, dsfr.TERMS)
    (tmp_path / dsfr.RECORD).write_text(accepted.written())
    page, file = await seen()
    assert 'data-fr-theme="light"' in page
    assert "République<br>Française" in page
    assert file == "/* the theme */"

"""The screen of `planton top`: what it says, that it fits, and the arithmetic behind its delays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from bot.app.top import Keys, draw
from bot.app.top_look import Frame, buckets, quantiles, since
from bot.app.top_screen import fit, screen, span
from bot.store.live import AccountUse, Live
from bot.watch.site import Queue, Site

PARIS = ZoneInfo("Europe/Paris")
SITE = Site(
    due={"danger": Queue(0), "live": Queue(1234, 2.34), "bundle": Queue(7, 75.0)},
    leased=16,
    later=41,
    outbox={"emergency": Queue(), "reply": Queue(12, 0.045), "agent": Queue()},
    in_flight=1300,
    handoffs={"emergency": Queue(2, 90.0), "complaint": Queue(30, 7300.0)},
    unread=Queue(1, 180.0),
    accounts={"ok": 1, "stopped": 1},
)
LIVE = Live(
    SITE,
    received=(103.2, 98.7),
    sent=(40.0, 39.5),
    accounts=(
        AccountUse("100200300400500", "messenger", "ok", 38),
        AccountUse("17841400000000000", "instagram", "stopped", 0),
    ),
    workers=(12, 1),
    alerts=(("critical", "1 urgence sans lecture par un agent depuis plus de 5 minutes."), ("warning", "Le disque.")),
)
FRAME = Frame(
    datetime(2026, 11, 26, 1, 2, 3, tzinfo=UTC),
    LIVE,
    {
        "acknowledge": (0.004, 0.012, 0.0301),
        "engine": None,
        "send": (0.1, 0.11, 0.2),
        "reply": (0.3, 0.9, 65.0),
        "emergency": None,
    },
    ("worker",),
    {"gateway": True, "sender": True, "console": False},
    (1, 2),
    0.42,
    40,
)


def said(frame: Frame = FRAME, width: int = 80, height: int = 24) -> str:
    return "\n".join(screen(frame, PARIS, width, height, "toutes les 2 s"))


def test_a_screen_of_80_by_24_says_everything() -> None:
    text = said()
    lines = text.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "26/11/2026 02:02:03" in lines[0]
    for words in (
        "en direct              1\u202f234    2,3 s",
        "paquets du matin           7   !1 min",
        "103,2     98,7",
        "4 ms  12 ms  30 ms",
        "demandes ouvertes : 32, la première non prise attend depuis 2 h",
        "! urgences que personne n’a lues : 1, depuis 3 min",
        "Messenger 100200300400500",
        "[################### ] 38/40",
        "! Instagram 17841400000000000",
        "ARRÊTÉ",
        "usage annoncé par Meta : 42 %",
        "SERVICES  base · passerelle · expéditeur · traitement (1 machine)",
        "! manquent : console, moteurs 1/2",
        "! 1 urgence sans lecture",
    ):
        assert words in text, words


def test_what_meta_counts_and_how_much_it_slows_replies_down_is_said_by_account() -> None:
    use = (AccountUse("1", "messenger", "ok", 9, 92, 3), AccountUse("2", "messenger", "ok", 9, 42, None))
    text = said(replace(FRAME, live=replace(LIVE, accounts=use)), height=100)
    assert "! Messenger 1                    [####                ] 9/40  Meta 92\u00a0%\n" in text
    assert "réponses ralenties à 3 par seconde, Meta compte 92\u00a0% de ses limites\n" in text
    assert "  Messenger 2                    [####                ] 9/40  Meta 42\u00a0%\n" in text


def test_a_database_that_is_away_is_said_and_the_rest_stays() -> None:
    text = said(replace(FRAME, live=None))
    assert "! La base de données ne répond pas" in text
    assert "! manquent : base, console" in text
    assert "4 ms" in text
    assert len(text.splitlines()) <= 24


@pytest.mark.parametrize("height", [1, 5, 12, 24])
@pytest.mark.parametrize("width", [20, 80, 200])
def test_it_fits_any_window(width: int, height: int) -> None:
    lines = screen(FRAME, PARIS, width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_what_does_not_fit_is_counted() -> None:
    assert fit(["a", "", "b"], 3) == ["a", "", "b"]
    assert fit(["a", "", "b"], 2) == ["a", "b"]
    assert fit(["a", "b", "c", "d"], 3) == ["a", "b", "… et 2 lignes : agrandissez la fenêtre"]


@pytest.mark.parametrize(
    ("seconds", "french"),
    [(0.0, "0 ms"), (0.0042, "4 ms"), (0.9996, "1,0 s"), (42.0, "42 s"), (180, "3 min"), (7300, "2 h"), (400_000, "5 j")],
)  # fmt: skip
def test_spans(seconds: float, french: str) -> None:
    assert span(seconds) == french


def test_delays_are_those_between_two_looks() -> None:
    registry = CollectorRegistry()
    seconds = Histogram("x_seconds", "X.", ["lane"], registry=registry, buckets=(0.1, 1, 10))
    seconds.labels("reply").observe(9)
    first = buckets(generate_latest(registry).decode(), "x_seconds", {"lane": "reply"})
    for value in [0.05] * 50 + [0.5] * 50:
        seconds.labels("reply").observe(value)
    seconds.labels("agent").observe(100)
    second = buckets(generate_latest(registry).decode(), "x_seconds", {"lane": "reply"})
    assert quantiles(since(second, first)) == pytest.approx((0.1, 0.91, 0.982))
    assert quantiles(since(first, first)) is None
    assert quantiles({}) is None
    assert since(first, second) == first  # a process that began anew
    everything = buckets(generate_latest(registry).decode(), "x_seconds", {})
    assert everything[float("inf")] == 102
    assert quantiles({1.0: 0.0, float("inf"): 5.0}) == (1.0, 1.0, 1.0)  # beyond the last edge


class _Window:
    """What curses gives us, as far as we use it."""

    def __init__(self, height: int, width: int) -> None:
        self.size, self.rows = (height, width), {}  # type: ignore[var-annotated]

    def getmaxyx(self) -> tuple[int, int]:
        return self.size

    def erase(self) -> None:
        self.rows.clear()

    def addnstr(self, row: int, column: int, text: str, most: int, attribute: int) -> None:
        self.rows[row] = text[:most]

    def refresh(self) -> None:
        """Nothing."""


def test_keys_freeze_help_and_quit() -> None:
    window: Any = _Window(24, 80)
    keys = Keys()
    draw(window, FRAME, PARIS, keys, 2.0)
    assert "toutes les 2 s" in window.rows[0]
    keys.press(" ")
    draw(window, FRAME, PARIS, keys, 2.0)
    assert "FIGÉ" in window.rows[0]
    keys.press("?")
    draw(window, FRAME, PARIS, keys, 2.0)
    assert "quitter" in window.rows[2]
    assert all(len(row) < 80 for row in window.rows.values())
    keys.press("x")
    assert not keys.over
    keys.press("q")
    assert keys.over

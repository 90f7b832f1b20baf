"""Whose large bodies find room in the gateway's memory."""

from __future__ import annotations

import pytest

from bot.gateway import room as rooms
from bot.gateway.room import BARRED, KNOWN, Room, Share, whose


class Now:
    """Seconds."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.mark.parametrize(
    ("connection", "forwarded", "whom"),
    [
        ("8.8.8.8", "", "8.8.8.8"),
        ("8.8.8.8", "9.9.9.9", "8.8.8.8"),  # from the internet: whatever it says of itself
        ("127.0.0.1", "9.9.9.9", "9.9.9.9"),
        ("10.0.0.3", "1.2.3.4, 9.9.9.9", "9.9.9.9"),  # what a client claimed stands before what the proxy saw
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "ceci n’est pas une adresse", "127.0.0.1"),
        ("2a03:2880:1:2:3:4:5:6", "", "2a03:2880:1:2::"),
        ("::1", "2a03:2880:1:2:9::", "2a03:2880:1:2::"),
        ("::ffff:8.8.8.8", "", "8.8.8.8"),
        ("", "9.9.9.9", ""),
    ],
)
def test_whose_body_it_is(connection: str, forwarded: str, whom: str) -> None:
    assert whose(connection, forwarded) == whom


def test_a_stranger_has_an_eighth_all_strangers_a_half_and_who_signs_has_it_all() -> None:
    room = Room(800_000, Now())
    room.signed("meta")
    assert not Share(room, "a").grow(100_001)
    strangers = [Share(room, name) for name in "abcd"]
    assert all(share.grow(100_000) for share in strangers)
    assert not Share(room, "a").grow(60_000)
    assert not Share(room, "e").grow(60_000)
    assert Share(room, "e").grow(50_000)  # small: no room is needed
    assert Share(room, "meta").grow(400_000)
    assert room.left == 0
    strangers[0].close()
    assert Share(room, "e").grow(60_000)
    assert room.left == 40_000


def test_a_share_gives_back_what_it_took_whatever_became_known_meanwhile() -> None:
    room = Room(800_000, Now())
    share = Share(room, "a")
    assert share.grow(90_000)
    room.signed("a")
    assert share.grow(10_000)
    share.close()
    assert room.left == 800_000
    others = [Share(room, name) for name in "bcde"]
    assert all(other.grow(100_000) for other in others)  # nothing of the strangers' half was kept


def test_signatures_are_remembered_for_a_while() -> None:
    now = Now()
    room = Room(800_000, now)
    room.forged("a")
    assert not Share(room, "a").grow(60_000)
    assert Share(room, "a").grow(50_000)
    now.at += BARRED
    assert Share(room, "a").grow(60_000)
    room.signed("b")
    room.forged("b")  # right ones come from there too
    now.at += KNOWN - 1
    assert Share(room, "b").grow(300_000)
    now.at += 1
    assert not Share(room, "b").grow(300_000)
    room.forged("b")
    room.signed("b")
    assert Share(room, "b").grow(300_000)


def test_no_more_addresses_are_remembered_than_there_is_place_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_ADDRESSES", 2)
    room = Room(800_000, Now())
    for address in ("a", "b", "a", "c"):
        room.signed(address)
    assert [room.knows(address) for address in "abc"] == [True, False, True]

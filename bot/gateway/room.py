"""How much of large bodies is in memory at once. Small ones, as nearly all webhooks are, always find room: whoever sends large
ones, signed or not, keeps nobody else out.

What a body is worth is known only once it is whole, as its signature is over all of it. So those whose signature was right
of late, Meta's addresses, have the whole room, and strangers a half of it together, an eighth each: however many they are,
they push out none of Meta's. A wrong signature costs a stranger large bodies for a while. A proxy that hides addresses makes all
of them one: that one signs, so it has the whole room.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

SMALL = 50_000  # bytes
STRANGERS, STRANGER = 2, 8  # the part of the room, as a divisor, for all strangers and for each
KNOWN, BARRED = 3600.0, 600.0  # seconds that a right signature and a wrong one are remembered
_ADDRESSES = 10_000  # remembered at once, of each kind; the oldest are let go


@lru_cache(4096)
def whose(connection: str, forwarded: str) -> str:
    """Whose body it is: the connection's address, or, from a proxy of ours, the one that it names last.

    Only a proxy on our own networks is believed. One address for a whole IPv6 network of 64 bits, as that is what
    one client has.
    """
    try:
        address = ip_address(connection)
        if forwarded and not address.is_global:
            address = ip_address(forwarded.rpartition(",")[2].strip())
    except ValueError:
        return connection
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))


class Room:
    """At most `most` bytes, of all shares together, of which `left` are free. `now`: seconds that only grow."""

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        self.left = most
        self._each = most // STRANGER
        self._strangers = most // STRANGERS
        self._held: Counter[str] = Counter()  # by strangers
        self._now = now
        self._known: OrderedDict[str, float] = OrderedDict()  # until when
        self._barred: OrderedDict[str, float] = OrderedDict()

    def signed(self, address: str) -> None:
        """A signature from there was right."""
        self._barred.pop(address, None)
        _remember(self._known, address, self._now() + KNOWN)

    def forged(self, address: str) -> None:
        """A signature from there was wrong. Where right ones come from too, it is not for that address to pay."""
        if not self.knows(address):
            _remember(self._barred, address, self._now() + BARRED)

    def knows(self, address: str) -> bool:
        """Whether a signature from there was right of late."""
        return self._known.get(address, 0.0) > self._now()

    def take(self, size: int, stranger: str | None = None) -> bool:
        """Whether there is room for so many bytes more; they are taken then."""
        if size > self.left:
            return False
        if stranger is not None and size:
            if self._barred.get(stranger, 0.0) > self._now():
                return False
            if size > self._strangers or self._held[stranger] + size > self._each:
                return False
            self._strangers -= size
            self._held[stranger] += size
        self.left -= size
        return True

    def give(self, size: int, stranger: str | None = None) -> None:
        """They are free again."""
        self.left += size
        if stranger is not None and size:
            self._strangers += size
            self._held[stranger] -= size
            if not self._held[stranger]:
                del self._held[stranger]


def _remember(addresses: OrderedDict[str, float], address: str, until: float) -> None:
    addresses[address] = until
    addresses.move_to_end(address)
    if len(addresses) > _ADDRESSES:
        addresses.popitem(last=False)


class Share:
    """What one body takes of a room. `address`: where it comes from."""

    def __init__(self, room: Room, address: str) -> None:
        self._room = room
        self._stranger = None if room.knows(address) else address  # as long as the body is here
        self._size = self._taken = 0

    @property
    def large(self) -> bool:
        """Whether it is more than what always finds room."""
        return self._size > SMALL

    def grow(self, size: int) -> bool:
        """The body grows by `size` bytes; False where there is no room for it."""
        self._size += size
        wanted = self._size if self.large else 0
        if not self._room.take(wanted - self._taken, self._stranger):
            return False
        self._taken = wanted
        return True

    def close(self) -> None:
        """The body is gone."""
        self._room.give(self._taken, self._stranger)
        self._size = self._taken = 0

"""How much of large bodies is in memory at once. Small ones, as nearly all webhooks are, always find room: whoever sends large
ones, signed or not, keeps nobody else out."""

from __future__ import annotations

SMALL = 50_000  # bytes


class Room:
    """At most `most` bytes, of all shares together."""

    def __init__(self, most: int) -> None:
        self._left = most

    def take(self, size: int) -> bool:
        """Whether there is room for so many bytes more; they are taken then."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give(self, size: int) -> None:
        """They are free again."""
        self._left += size


class Share:
    """What one body takes of a room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size = self._taken = 0

    def grow(self, size: int) -> bool:
        """The body grows by `size` bytes; False where there is no room for it."""
        self._size += size
        wanted = self._size if self._size > SMALL else 0
        if not self._room.take(wanted - self._taken):
            return False
        self._taken = wanted
        return True

    def close(self) -> None:
        """The body is gone."""
        self._room.give(self._taken)
        self._size = self._taken = 0

"""How large a picture says that it is, read from its headers alone: nothing is decoded, and no file makes us work for long.

A container may name several sizes (the canvas, its frames, the tiles of a grid): the largest counts. What cannot be read has
no size, and is not shown.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

STEPS = 150_000  # pieces of a file that are looked at; the largest real GIF that we take has two thirds of it
_SEGMENTS = 2_000  # of a JPEG before its frame; real ones have a dozen

Size = tuple[int, int]


class _Unreadable(ValueError):
    """The file is not built as its kind is."""


def pixels(extension: str, data: bytes) -> int | None:
    """Width times height of a picture (png, gif, jpg, webp, avif) or a film (mp4, mov), in pixels; None where none can be read."""
    reader = _READERS.get(extension)
    try:
        sizes = list(reader(data)) if reader else []
    except (struct.error, IndexError, _Unreadable):
        return None
    largest = max((width * height for width, height in sizes), default=0)
    return largest or None


def _png(data: bytes) -> Iterator[Size]:
    if data[12:16] != b"IHDR":
        raise _Unreadable
    yield struct.unpack_from(">II", data, 16)


def _gif(data: bytes) -> Iterator[Size]:
    """The screen, and every frame: browsers widen the screen to a frame that is larger."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    yield width, height
    at, steps = 13 + _palette(flags), [STEPS]
    while at < len(data):  # the end mark is often left out
        kind = data[at]
        if kind == 0x3B:
            return
        if kind == 0x21:
            at += 2
        elif kind == 0x2C:
            left, top, width, height, flags = struct.unpack_from("<HHHHB", data, at + 1)
            yield left + width, top + height
            at += 11 + _palette(flags)
        else:
            raise _Unreadable
        at = _after_blocks(data, at, steps)


def _palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int, left: list[int]) -> int:
    while at < len(data):
        left[0] -= 1
        if left[0] < 0:
            raise _Unreadable
        length = data[at]
        at += 1 + length
        if not length:
            break
    return at


def _jpeg(data: bytes) -> Iterator[Size]:
    """From the frame's header: the first SOF marker among the segments."""
    at = 2
    for _ in range(_SEGMENTS):
        if data[at] != 0xFF:
            raise _Unreadable
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            yield width, height
            return
        if marker == 0xFF:  # filling
            at += 1
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise _Unreadable


def _webp(data: bytes) -> Iterator[Size]:
    """The canvas of an extended file, its frames, and pictures of both codecs (RFC 9649)."""
    at = 12
    for _ in range(_SEGMENTS):
        if at + 8 > len(data):
            return
        name, length = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        body = at + 8
        if name == b"VP8X":
            yield _u24(data, body + 4) + 1, _u24(data, body + 7) + 1
        elif name == b"ANMF":
            yield _u24(data, body + 6) + 1, _u24(data, body + 9) + 1
        elif name == b"VP8 ":
            if data[body + 3 : body + 6] != b"\x9d\x01\x2a":
                raise _Unreadable
            width, height = struct.unpack_from("<HH", data, body + 6)
            yield width & 0x3FFF, height & 0x3FFF
        elif name == b"VP8L":
            if data[body] != 0x2F:
                raise _Unreadable
            bits = struct.unpack_from("<I", data, body + 1)[0]
            yield (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        at = body + length + (length & 1)
    raise _Unreadable


def _u24(data: bytes, at: int) -> int:
    return struct.unpack("<I", data[at : at + 3] + b"\0")[0] if at + 3 <= len(data) else _cut()


def _cut() -> int:
    raise _Unreadable


# Boxes of the ISO base media format that hold others, and how many bytes stand before these.
_HOLDERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0}


def _avif(data: bytes) -> Iterator[Size]:
    """Every size that it names: of pictures, of a grid and its tiles (`ispe`), of a sequence's tracks."""
    left = [STEPS]
    for name, start, end in _walk(data, 0, len(data), left):
        if name == b"ispe":
            yield struct.unpack_from(">II", data, start + 4)
        elif name == b"tkhd":
            width, height = struct.unpack_from(">II", data, end - 8)  # 16.16
            yield width >> 16, height >> 16
        elif name == b"stsd":
            for _, entry, _ in _boxes(data, start + 8, end, left):
                yield struct.unpack_from(">HH", data, entry + 24)


def _walk(data: bytes, start: int, end: int, left: list[int], deep: int = 0) -> Iterator[tuple[bytes, int, int]]:
    for name, body, after in _boxes(data, start, end, left):
        if name in _HOLDERS and deep < len(_HOLDERS):
            yield from _walk(data, body + _HOLDERS[name], after, left, deep + 1)
        else:
            yield name, body, after


def _boxes(data: bytes, start: int, end: int, left: list[int]) -> Iterator[tuple[bytes, int, int]]:
    """(name, where its content begins, where it ends) of each box there."""
    while start < end:
        left[0] -= 1
        length, name = struct.unpack_from(">I4s", data, start)
        head = 8
        if length == 1:
            length, head = struct.unpack_from(">Q", data, start + 8)[0], 16
        elif length == 0:
            length = end - start
        if length < head or start + length > end or left[0] < 0:
            raise _Unreadable
        yield name, start + head, start + length
        start += length


_READERS: dict[str, Callable[[bytes], Iterator[Size]]] = {
    "png": _png,
    "gif": _gif,
    "jpg": _jpeg,
    "webp": _webp,
    "avif": _avif,
    "mp4": _avif,
    "mov": _avif,
}

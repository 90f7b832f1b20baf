"""What a file is, by its first bytes alone: neither its name nor what a server says of it counts.

The patterns are those of the WHATWG MIME Sniffing Standard. Only what browsers show without running anything is shown
in the page; everything else, HTML and SVG included, is a file to download.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

HEAD = 64  # bytes that are looked at
SEGMENTS = 2_000  # of a JPEG before its frame; real ones have a dozen
PIXELS_AT_MOST = 100_000_000  # a small file may unfold into a picture that takes the browser down


@dataclass(frozen=True)
class Kind:
    """`family`: image, audio and video are shown or played in the page; a file is only downloaded."""

    mime: str
    family: str
    extension: str

    @property
    def inline(self) -> bool:
        """Whether a browser may show it by itself."""
        return self.family != "file"


FILE = Kind("application/octet-stream", "file", "bin")
_PDF = Kind("application/octet-stream", "file", "pdf")  # the type says: not to be opened by the browser
_ZIP = Kind("application/octet-stream", "file", "zip")
_MP4_AUDIO = Kind("audio/mp4", "audio", "m4a")
_MP4_VIDEO = Kind("video/mp4", "video", "mp4")
_AVIF = Kind("image/avif", "image", "avif")
# Brands of the ISO base media format that Meta's links bring; photos of phones (heic) are not shown by browsers.
_BRANDS = {
    b"M4A ": _MP4_AUDIO,
    b"M4B ": _MP4_AUDIO,
    b"avif": _AVIF,
    b"avis": _AVIF,
    b"qt  ": Kind("video/quicktime", "video", "mov"),
    b"heic": Kind("application/octet-stream", "file", "heic"),
    b"heix": Kind("application/octet-stream", "file", "heic"),
    b"mif1": Kind("application/octet-stream", "file", "heic"),
}

_RIFF = {
    b"WEBP": Kind("image/webp", "image", "webp"),
    b"WAVE": Kind("audio/wav", "audio", "wav"),
}
_BEGINS = (
    (b"\xff\xd8\xff", Kind("image/jpeg", "image", "jpg")),
    (b"\x89PNG\r\n\x1a\n", Kind("image/png", "image", "png")),
    (b"GIF87a", Kind("image/gif", "image", "gif")),
    (b"GIF89a", Kind("image/gif", "image", "gif")),
    (b"OggS\x00", Kind("audio/ogg", "audio", "ogg")),
    (b"ID3", Kind("audio/mpeg", "audio", "mp3")),
    (b"\x1aE\xdf\xa3", Kind("video/webm", "video", "webm")),
    (b"%PDF-", _PDF),
    (b"PK\x03\x04", _ZIP),
)


def _mpeg(head: bytes) -> Kind | None:
    """MP3 and AAC without a header of their own: a frame's sync word and a layer, a rate and a frequency that exist."""
    if len(head) < 4 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:
        return Kind("audio/aac", "audio", "aac")
    layer, rate, frequency = head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    if head[1] & 0xE0 == 0xE0 and layer == 1 and rate not in (0, 15) and frequency != 3:
        return Kind("audio/mpeg", "audio", "mp3")
    return None


def _boxes(head: bytes) -> Kind | None:
    return _BRANDS.get(head[8:12], _MP4_VIDEO) if head[4:8] == b"ftyp" else None


def _riff(head: bytes) -> Kind | None:
    return _RIFF.get(head[8:12]) if head[:4] == b"RIFF" else None


def _begins(head: bytes) -> Kind | None:
    return next((kind for begin, kind in _BEGINS if head.startswith(begin)), None)


_TESTS: tuple[Callable[[bytes], Kind | None], ...] = (_begins, _riff, _boxes, _mpeg)


def sniff(data: bytes, said: str = "") -> Kind:
    """What the file is. `said`: Meta's word for the attachment; a voice message comes in the same box as a video."""
    head = data[:HEAD]
    kind = next((found for test in _TESTS if (found := test(head))), FILE)
    if _pixels(kind, data) > PIXELS_AT_MOST:
        return Kind(FILE.mime, FILE.family, kind.extension)
    return _MP4_AUDIO if kind is _MP4_VIDEO and said == "audio" else kind


def _pixels(kind: Kind, data: bytes) -> int:
    """How many pixels the picture says that it has; 0 where it does not say."""
    try:
        width, height = _SIZES.get(kind.extension, _unsaid)(data)
    except (struct.error, IndexError):
        return 0
    return width * height


def _unsaid(data: bytes) -> tuple[int, int]:
    return 0, 0


def _png(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _jpeg(data: bytes) -> tuple[int, int]:
    """From the frame's header: the first SOF marker among the segments."""
    at = 2
    for _ in range(SEGMENTS):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        if marker == 0xFF:  # filling
            at += 1
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return 0, 0


# WebP holds at most 16,383 pixels a side.
_SIZES: dict[str, Callable[[bytes], tuple[int, int]]] = {"png": _png, "gif": _gif, "jpg": _jpeg}

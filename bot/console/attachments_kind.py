"""What a file is, by its first bytes alone: neither its name nor what a server says of it counts.

The patterns are those of the WHATWG MIME Sniffing Standard. Only what browsers show without running anything is shown
in the page; everything else, HTML and SVG included, is a file to download.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.console.attachments_size import pixels

BRANDS = 512  # bytes of a box of brands; browsers take a picture for what any of them says
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
    if head[4:8] != b"ftyp":
        return None
    brands = head[8 : min(int.from_bytes(head[:4], "big"), BRANDS)]
    others = {brands[at : at + 4] for at in range(8, len(brands), 4)}
    return _AVIF if others & {b"avif", b"avis"} else _BRANDS.get(head[8:12], _MP4_VIDEO)


def _riff(head: bytes) -> Kind | None:
    return _RIFF.get(head[8:12]) if head[:4] == b"RIFF" else None


def _begins(head: bytes) -> Kind | None:
    return next((kind for begin, kind in _BEGINS if head.startswith(begin)), None)


_TESTS: tuple[Callable[[bytes], Kind | None], ...] = (_begins, _riff, _boxes, _mpeg)


def sniff(data: bytes, said: str = "") -> Kind:
    """What the file is. `said`: Meta's word for the attachment; a voice message comes in the same box as a video."""
    head = data[:BRANDS]
    kind = next((found for test in _TESTS if (found := test(head))), FILE)
    if not _bearable(kind, data):
        return Kind(FILE.mime, FILE.family, kind.extension)
    return _MP4_AUDIO if kind is _MP4_VIDEO and said == "audio" else kind


def _bearable(kind: Kind, data: bytes) -> bool:
    """Whether a browser may unfold it. A picture that does not say how large it is may be of any size; a film is decoded piece by
    piece, in bounds of the browser's own, so that one whose size we cannot read is let through."""
    if kind.family not in ("image", "video"):
        return True
    found = pixels(kind.extension, data)
    return kind.family == "video" if found is None else found <= PIXELS_AT_MOST

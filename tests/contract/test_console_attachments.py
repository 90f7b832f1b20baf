"""What people attached, through the proxy: from where it may come, what it may be, what a browser gets, who saw it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence

import pytest

from bot.console.attachments_fetch import (
    AttachmentError,
    AttachmentRules,
    Elsewhere,
    Fetcher,
    Gone,
    PublicResolver,
    TooBig,
    Unreachable,
    public,
)
from bot.console.attachments_kind import sniff
from bot.core.clock import FrozenClock
from bot.core.messages import Attachment, Unsend
from bot.store.codec import Codec
from bot.store.db import Database
from tests.fakes.console import Browser, RunningConsole, running_console
from tests.fakes.media import FILES, Media, media_server, png, wav


@pytest.fixture
async def media() -> AsyncIterator[Media]:
    async with media_server() as server:
        yield server


def rules(media: Media, **changes: object) -> AttachmentRules:
    return AttachmentRules(**{"origins": (media.url,), "seconds": 2.0, **changes})  # type: ignore[arg-type]


# -- from where -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("https://scontent.xx.fbcdn.net/v/t1/1.jpg?oh=00_A%2Bb&oe=66", True),
        ("https://cdn.fbsbx.com/v/voix.mp4", True),
        ("https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=1&signature=Ab", True),
        ("https://scontent.cdninstagram.com:443/1.jpg", True),
        ("https://FBCDN.net/1.jpg", True),
        ("http://scontent.xx.fbcdn.net/1.jpg", False),
        ("https://scontent.xx.fbcdn.net:8443/1.jpg", False),
        ("https://fbcdn.net.example.org/1.jpg", False),
        ("https://notfbcdn.net/1.jpg", False),
        ("https://fbcdn.net@example.org/1.jpg", False),
        ("https://user:pass@fbcdn.net/1.jpg", False),
        ("https://example.org\\@fbcdn.net/1.jpg", False),
        ("https://example.org#@fbcdn.net/1.jpg", False),
        ("https://example.org/?fbcdn.net", False),
        ("https://fbcdn.net /1.jpg", False),
        ("https://fbcdn.net/1.jpg\r\nHost: x", False),
        ("https://fbcdn.nét/1.jpg", False),
        ("file:///etc/passwd", False),
        ("ftp://fbcdn.net/1.jpg", False),
        ("javascript:alert(1)", False),
        ("//fbcdn.net/1.jpg", False),
        ("https://", False),
        ("https://[::1]/", False),
        ("https://fbcdn.net:99999/", False),
        ("", False),
        ("https://fbcdn.net/" + "a" * 5000, False),
    ],
)
def test_addresses(address: str, allowed: bool) -> None:
    assert AttachmentRules().allows(address) is allowed


@pytest.mark.parametrize(
    "address",
    ["https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/",
     "https://[::ffff:127.0.0.1]/", "https://[fd00::1]/", "https://169.254.169.254/latest/meta-data/", "https://10.0.0.1/"],
)  # fmt: skip
def test_no_host_is_a_number_even_where_any_host_will_do(address: str) -> None:
    assert AttachmentRules(hosts=("*",)).allows("https://example.org/")
    assert not AttachmentRules(hosts=("*",)).allows(address)


@pytest.mark.parametrize(
    ("address", "open_"),
    [
        ("93.184.215.14", True), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True), ("64:ff9b::5db8:d70e", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False),
        ("255.255.255.255", False), ("240.0.0.1", False), ("198.18.0.1", False), ("192.0.2.1", False),
        ("::1", False), ("::", False), ("fe80::1%eth0", False), ("fd12::1", False), ("ff02::1", False),
        ("::ffff:10.0.0.1", False), ("64:ff9b::a00:1", False), ("2002:0a00:0001::1", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False), ("2001:db8::1", False), ("no address", False),
    ],
)  # fmt: skip
def test_public_addresses(address: str, open_: bool) -> None:
    assert public(address) is open_


async def test_the_connection_goes_to_the_addresses_that_were_checked() -> None:
    answers = [["93.184.215.14"], ["93.184.215.14", "10.0.0.1"], ["127.0.0.1"], []]
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers.pop(0)

    resolver = PublicResolver(frozenset(), resolve)
    found = await resolver.resolve("a.fbcdn.net", 443)
    assert [(each["host"], each["hostname"]) for each in found] == [("93.184.215.14", "a.fbcdn.net")]
    for _ in range(3):  # one private address among several is enough, and so is none at all
        with pytest.raises(OSError, match="public"):
            await resolver.resolve("a.fbcdn.net", 443)


async def test_a_known_name_that_leads_inside_is_refused(media: Media) -> None:
    async def inside(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    fetcher = Fetcher(AttachmentRules(seconds=2), inside)
    with pytest.raises(Elsewhere):
        await fetcher.get(1, f"https://scontent.fbcdn.net/{media.url.rpartition(':')[2]}")
    await fetcher.close()
    assert media.asked == []


# -- how much, how long -----------------------------------------------------------------------------------------------


async def test_time_size_and_redirections_are_bounded(media: Media) -> None:
    fetcher = Fetcher(rules(media, at_most=100_000, seconds=1.5))

    async def fails(name: str, error: type[AttachmentError]) -> None:
        with pytest.raises(error):
            await fetcher.get(name, f"{media.url}/{name}")

    await fails("sans-fin", TooBig)
    await fails("lent", Unreachable)
    await fails("vide", Gone)
    await fails("comprime", Unreachable)
    await fails("403", Gone)
    await fails("404", Gone)
    await fails("500", Unreachable)
    await fails("204", Unreachable)
    for inside in (
        "http://127.0.0.1:1/x",
        "https://localhost/x",
        "file:///etc/passwd",
        "//10.0.0.1/x",
        "https://evil.example/",
    ):
        await fails(f"ailleurs?vers={inside}", Elsewhere)
    await fails("boucle", Unreachable)
    assert await fetcher.get("r", f"{media.url}/ailleurs?vers=/photo.png") == png()
    await fetcher.close()
    assert media.asked.count("/boucle") == 4


async def test_one_file_is_fetched_once_for_those_who_ask_together(media: Media) -> None:
    fetcher = Fetcher(rules(media, kept=len(wav()) + 10))
    address = f"{media.url}/voix.wav"
    assert await asyncio.gather(*(fetcher.get("v", address) for _ in range(4))) == [wav()] * 4
    assert await fetcher.get("v", address) == wav()
    assert media.asked == ["/voix.wav"]
    assert not {"Cookie", "Referer", "Authorization"} & set(media.headers[0])
    await fetcher.get("p", f"{media.url}/photo.png")  # no room for both
    await fetcher.get("v", address)
    assert media.asked == ["/voix.wav", "/photo.png", "/voix.wav"]
    await fetcher.close()


# -- what it is -------------------------------------------------------------------------------------------------------


_JFIF = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_FTYP = b"\0\0\0\x18ftyp%bmif1miaf%b"


def jpeg(width: int, height: int) -> bytes:
    return _JFIF + b"\xff\xc2\x00\x11\x08" + struct.pack(">HH", height, width)


def gif(screen: tuple[int, int], *frames: tuple[int, int]) -> bytes:
    """A screen, a comment, and frames without a palette."""
    drawn = b"".join(b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02L\x01\x00" for frame in frames)
    return b"GIF89a" + struct.pack("<HHB", *screen, 0) + b"\0\0!\xfe\x03abc\0" + drawn + b";"


def webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def lossy(width: int, height: int) -> bytes:
    return chunk(b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + b"\0" * 9)


def lossless(width: int, height: int) -> bytes:
    return chunk(b"VP8L", b"/" + struct.pack("<I", width - 1 | height - 1 << 14) + b"\0" * 4)


def canvas(width: int, height: int) -> bytes:
    return chunk(b"VP8X", b"\2\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"))


def frame(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return chunk(b"ANMF", b"\0" * 6 + sides + b"\0" * 4 + lossy(16, 16))


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + name + body


def ispe(width: int, height: int) -> bytes:
    return box(b"ispe", b"\0" * 4, struct.pack(">II", width, height))


def avif(*properties: bytes, brand: bytes = b"avif", other: bytes = b"avif") -> bytes:
    meta = box(b"meta", b"\0" * 4, box(b"hdlr", b"\0" * 25), box(b"iprp", box(b"ipco", *properties), box(b"ipma")))
    return _FTYP % (brand, other) + meta + box(b"mdat", b"\0" * 9)


def sequence(width: int, height: int, brand: bytes = b"avis") -> bytes:
    """A track, whose sample entry says the size."""
    entry = box(b"av01", b"\0" * 24, struct.pack(">HH", width, height), b"\0" * 50)
    table = box(b"stbl", box(b"stsd", b"\0" * 7 + b"\1", entry))
    track = box(b"trak", box(b"tkhd", b"\0" * 84), box(b"mdia", box(b"minf", table)))
    return _FTYP % (brand, brand) + box(b"moov", track)


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (jpeg(9, 9), "image/jpeg"), (png()[:40], "image/png"), (gif((9, 9)), "image/gif"),
        (webp(lossy(9, 9)), "image/webp"), (avif(ispe(9, 9)), "image/avif"),
        (avif(ispe(9, 9), brand=b"isom"), "image/avif"),
        (b"\0\0\0\x20ftypisom", "video/mp4"), (b"\0\0\0\x20ftypM4A ", "audio/mp4"), (b"\x1aE\xdf\xa3", "video/webm"),
        (wav()[:40], "audio/wav"), (b"OggS\0\2", "audio/ogg"), (b"ID3\4", "audio/mpeg"),
        (b"\xff\xfb\x90\x00", "audio/mpeg"), (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"<svg xmlns=", "application/octet-stream"), (b"<!doctype html>", "application/octet-stream"),
        (b"  <html>", "application/octet-stream"), (b"%PDF-1.7", "application/octet-stream"),
        (b"RIFF\0\0\0\0AVI ", "application/octet-stream"), (b"\0\0\0\x20ftypheic", "application/octet-stream"),
        (b"GIF8", "application/octet-stream"), (b"\xff\xff\xff\xff", "application/octet-stream"),
        (b"\xff", "application/octet-stream"), (b"", "application/octet-stream"), (b"MZ\x90", "application/octet-stream"),
    ],
)  # fmt: skip
def test_a_file_is_what_its_bytes_say(head: bytes, mime: str) -> None:
    kind = sniff(head)
    assert kind.mime == mime
    assert kind.inline is (mime != "application/octet-stream")


def test_a_voice_message_in_a_films_box_is_a_sound() -> None:
    assert sniff(b"\0\0\0\x20ftypisom", "audio").mime == "audio/mp4"


# Ten thousand a side is as much as a browser is given.
@pytest.mark.parametrize(
    ("data", "inline"),
    [
        (png()[:16] + b"\x00\x00\xc3\x50" * 2 + png()[24:], False),  # 50,000 a side
        (png()[:16] + b"\x00\x00\x20\x00" * 2 + png()[24:], True),  # 8,192 a side
        (gif((65535, 65535), (9, 9)), False), (gif((9, 9), (9, 9), (10_000, 10_000)), True),
        (gif((9, 9), (9, 9), (10_000, 10_001)), False),  # a frame that is larger than the screen
        (gif((9, 9), (9, 9))[:-1], True),  # its end mark is left out
        (jpeg(65535, 65535), False), (jpeg(4000, 3000), True),
        (webp(lossy(10_000, 10_000)), True), (webp(lossy(10_001, 10_000)), False),
        (webp(lossless(10_000, 10_000)), True), (webp(lossless(16_383, 16_383)), False),
        (webp(canvas(300, 200), lossy(300, 200)), True), (webp(canvas(1 << 24, 1 << 24), lossy(9, 9)), False),
        (webp(canvas(9, 9), lossless(16_383, 16_383)), False),  # the canvas lies
        (webp(canvas(9, 9), frame(9, 9), frame(9, 9)), True), (webp(canvas(9, 9), frame(9, 9), frame(1 << 14, 1 << 14)), False),
        (avif(ispe(10_000, 10_000)), True), (avif(ispe(10_001, 10_000)), False),
        (avif(ispe(512, 512), ispe(40_000, 40_000), ispe(9, 9)), False),  # a grid: its tiles are small
        (avif(ispe(40_000, 40_000), brand=b"isom"), False),  # for a browser any brand makes a picture of it
        (sequence(9, 9), True), (sequence(20_000, 20_000), False),
        (sequence(3840, 2160, b"isom"), True), (sequence(20_000, 20_000, b"isom"), False),  # a film
    ],
)  # fmt: skip
def test_a_picture_that_would_take_the_browser_down_is_a_download(data: bytes, inline: bool) -> None:
    assert sniff(data).inline is inline


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff", _JFIF + b"\xff\xc0\x00", _JFIF + b"\xff\xe1\xff\xff", _JFIF + b"\x00", _JFIF + b"\xff" * 100_000,
        jpeg(0, 9), png()[:20], b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"GIF89a\x09", gif((0, 0)), gif((9, 9))[:-1] + b"?",
        b"GIF89a\x09\0\x09\0\0\0\0!\xfe" + b"\1x" * 200_000,  # a long way through small blocks
        webp(), webp(b"VP8 \xff\xff\xff\xff"), webp(chunk(b"VP8 ", b"\0" * 20)), webp(chunk(b"VP8L", b"\0" * 9)),
        webp(chunk(b"VP8X", b"\0" * 5)), webp(*[b"JUNK\0\0\0\0"] * 3_000),
        avif(), avif(ispe(9, 9))[:60], _FTYP % (b"avif", b"avif"), avif(ispe(0, 0)), avif(b"\0\0\0\1ispe"),
        avif(b"\0\0\0\x08free" * 200_000), _FTYP % (b"avis", b"avis") + b"\0\0\0\1moov" + b"\xff" * 8,
        _FTYP % (b"avif", b"avif") + b"\0\0\0\0meta" * 100,
    ],
    ids=lambda data: f"{len(data)} bytes",
)  # fmt: skip
def test_a_picture_that_does_not_say_its_size_is_a_download(data: bytes) -> None:
    assert not sniff(data).inline


# -- what the browser gets, and who saw it ----------------------------------------------------------------------------


@pytest.fixture
async def console(
    media: Media, database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, wall: FrozenClock
) -> AsyncIterator[RunningConsole]:
    async with running_console(
        database, database_url, codec, frozen_clock, wall, attachments=rules(media, at_most=200_000)
    ) as running:
        yield running


async def get(
    browser: Browser, console: RunningConsole, path: str, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    async with browser._client.get(console.url + path, headers=headers) as response:
        return response.status, await response.read(), {k.lower(): v for k, v in response.headers.items()}


async def test_pieces(console: RunningConsole, claire: Browser, odile: Browser, media: Media) -> None:
    names = ("photo.png", "ment.png", "voix.wav", "page.png", "dessin.png", "acte.pdf", "403", "sans-fin")
    pieces = [Attachment("image", f"{media.url}/{name}") for name in names]
    outside = Attachment("image", "https://ailleurs.example/x.png?secret=1")
    link = Attachment("fallback", f"{media.url}/photo.png", title="Un lien")
    heart, lost = Attachment("like_heart"), Attachment("audio")
    number = await console.says("p1", "regardez", *pieces, outside, link, heart, lost, mid="m1")
    other = await console.says("p2", "bonjour")
    event = (await console.rows("SELECT id FROM events WHERE mid = 'm1'"))[0].id
    page = (await claire.get(f"/conversations/{number}")).page
    base = f"/conversations/{number}/pieces/{event}"
    assert media.asked == [], "nothing is fetched before somebody asks"
    assert media.url not in page
    assert f'src="{base}/0"' in page
    assert f"{base}/8" not in page
    assert "ailleurs.example/x.png" in page
    assert "secret=1" not in page
    assert f"{base}/9" not in page
    assert "Planton n’ouvre pas les liens partagés" in page
    assert "Meta n’a pas donné de lien" in page

    status, body, headers = await get(claire, console, f"{base}/0")
    assert (status, body, headers["content-type"]) == (200, png(), "image/png")
    assert headers["content-disposition"] == f'inline; filename="piece-{number}-{event}-0.png"'
    assert headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "allow-" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert (await get(claire, console, f"{base}/1"))[2]["content-type"] == "image/png"
    assert (await get(claire, console, f"{base}/0?telecharger=1"))[2]["content-disposition"].startswith("attachment")
    for n in (3, 4, 5):  # HTML, SVG and PDF never open in the page, whatever they are called
        status, body, headers = await get(claire, console, f"{base}/{n}")
        assert (status, body) == (200, FILES[names[n]][0])
        assert headers["content-type"] == "application/octet-stream"
        assert headers["content-disposition"].startswith("attachment")

    # A picture's frame draws what it is given, whatever its type: a bomb called a file is one still.
    for n, dest, expected in (
        (0, "image", 200), (0, "document", 200), (0, "video", 415), (2, "image", 415), (2, "audio", 200), (3, "image", 415),
    ):  # fmt: skip
        assert (await get(claire, console, f"{base}/{n}", **{"Sec-Fetch-Dest": dest}))[0] == expected, (n, dest)

    sound = wav()
    for asked, first, last in (
        ("bytes=0-", 0, len(sound) - 1),
        ("bytes=10-19", 10, 19),
        ("bytes=-5", len(sound) - 5, None),
    ):
        status, body, headers = await get(claire, console, f"{base}/2", Range=asked)
        end = len(sound) - 1 if last is None else last
        assert (status, body) == (206, sound[first : end + 1])
        assert headers["content-range"] == f"bytes {first}-{end}/{len(sound)}"
    assert (await get(claire, console, f"{base}/2", Range="bytes=99999999-"))[0] == 416
    for odd in ("bytes=5-2", "bytes=-", "bytes=0-1,4-5", "octets=0-1"):
        assert (await get(claire, console, f"{base}/2", Range=odd))[0] == 200

    status, body, headers = await get(claire, console, f"{base}/6")
    assert (status, headers["content-type"]) == (410, "text/plain; charset=utf-8")
    assert "le lien de Meta a expiré" in body.decode()
    gone = await claire.get(f"{base}/6", Accept="text/html")
    assert "le lien de Meta a expiré" in gone.page
    assert "Revenir à la file" in gone.page
    assert (await get(claire, console, f"{base}/7"))[0] == 413
    status, body, _ = await get(claire, console, f"{base}/8")
    assert (status, "une adresse que Planton ne connaît pas" in body.decode()) == (403, True)
    for wrong in (
        f"{base}/10",
        f"{base}/11",
        f"{base}/12",
        f"{base}/99",
        f"/conversations/{other}/pieces/{event}/0",
        f"{base}999/0",
    ):
        assert (await get(claire, console, wrong))[0] == 404, wrong
    assert (await get(claire, console, f"/conversations/{number}/pieces/{'9' * 30}/0"))[0] == 404

    seen = await console.rows("SELECT detail FROM audit WHERE action = 'attachment_viewed' ORDER BY id")
    shown = {(row.detail["number"], row.detail["download"]) for row in seen}
    assert shown == {(0, False), (0, True), (1, False), (2, False), (3, True), (4, True), (5, True)}
    assert len(seen) == len(shown), "a player asks many times; that is one look"
    assert console.clock is not None
    assert isinstance(console.clock, FrozenClock)
    console.clock.advance(minutes=6)
    await get(odile, console, f"{base}/0")
    await get(claire, console, f"{base}/0")
    again = await console.rows("SELECT user_id FROM audit WHERE action = 'attachment_viewed' ORDER BY id")
    assert len(again) == len(seen) + 2

    before = len(media.asked)
    await console.event("p1", Unsend("m1"), "m1u")
    assert (await get(claire, console, f"{base}/0"))[0] == 404, "withdrawn, though it is still in memory"
    assert len(media.asked) == before


async def test_who_may_not_read_sees_no_piece(console: RunningConsole, someone: Browser, media: Media) -> None:
    number = await console.says("p1", "", Attachment("image", f"{media.url}/photo.png"), mid="m1")
    event = (await console.rows("SELECT id FROM events"))[0].id
    path = f"/conversations/{number}/pieces/{event}/0"
    assert (await someone.get(path, follow=False)).status == 303
    await console.user("T", "trainer")
    await someone.log_in("T")
    assert (await someone.get(path)).status == 403
    assert media.asked == []
    assert await console.rows("SELECT 1 FROM audit WHERE action = 'attachment_viewed'") == []

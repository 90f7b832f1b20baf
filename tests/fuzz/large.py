"""Bodies of the longest size that the gateway takes, each of one kind that could cost more than its length."""

from __future__ import annotations

import json
from collections.abc import Iterator

MOST = 5_000_000  # bytes: GatewayDeps.max_body

_ITEM = {"sender": {"id": "2"}, "recipient": {"id": "1"}, "timestamp": 1768467600000}
_HEAD = b'{"object":"page","entry":[{"id":"1","time":1,"messaging":['
_TAIL = b"]}]}"


def bodies() -> Iterator[bytes]:
    """One after the other: each takes much memory."""
    yield _text("x" * MOST)
    yield _text("e\u0301" * (MOST // 3))  # marks that compose
    yield _text("e" + "\u0301\u0316" * (MOST // 4))  # a pile of marks
    yield _text("\u0344" * (MOST // 2))  # a mark that becomes two
    yield _text("a" + " \n" * (MOST // 3) + "b")
    yield _text("couteau " * (MOST // 8))
    yield _text("aidez moi vite il va me tuer 🆘 " * (MOST // 35))
    yield _text("\\ud83d" * (MOST // 7), raw=True)
    yield _repeated(json.dumps({**_ITEM, "message": {"mid": "m", "text": "a"}}).encode())
    yield _repeated(json.dumps({**_ITEM, "reaction": {"mid": "m", "reaction": "love"}}).encode())
    yield _repeated(b'{"x":{}}')
    yield _repeated(b'{"x":{}}', 49_000)
    yield _repeated(b"0")
    yield _repeated(b"0", 49_000)
    yield _repeated(b"[]")
    yield b'{"object":"page","entry":[' + b",".join([b"0"] * (MOST // 2 - 20)) + b"]}"
    yield b'{"object":"page","entry":[' + b",".join([b'{"id":1,"messaging":[{}]}'] * (MOST // 27)) + b"]}"
    yield _text('"' + b"9".decode() * (MOST - 500) + '"', raw=True)
    yield b'{"object":"page","entry":' + b"9" * (MOST - 30) + b"}"
    yield b'{"object":"page","entry":' + b"[" * (MOST // 2) + b"]" * (MOST // 2 - 30) + b"}"
    yield b'{"object":"page",' + b",".join(b'"%d":0' % number for number in range(MOST // 11)) + b"}"
    yield b'{"a":' * (MOST // 5)
    yield b"\xff" * MOST
    mids = json.dumps({**_ITEM, "delivery": {"mids": ["m_1"] * (MOST // 8 - 60), "watermark": 1}}).encode()
    yield _HEAD + mids + _TAIL
    attachments = [{"type": "image", "payload": {"url": "https://x"}}] * (MOST // 55)
    yield _HEAD + json.dumps({**_ITEM, "message": {"mid": "m", "attachments": attachments}}).encode() + _TAIL


def _text(text: str, raw: bool = False) -> bytes:
    """A message of one text, as long as fits; `raw`: the JSON of the text, as it is to stand there."""
    item = json.dumps({**_ITEM, "message": {"mid": "m", "text": "@"}}).encode()
    told = text.encode() if raw else json.dumps(text, ensure_ascii=False).encode()
    told = told if told.startswith(b'"') else b'"' + told + b'"'
    return (_HEAD + item.replace(b'"@"', told) + _TAIL)[: MOST + 1000]


def _repeated(item: bytes, most: int = MOST) -> bytes:
    """As many items as fit, or `most`: as many as are read."""
    return _HEAD + b",".join([item] * min(most, (MOST - 200) // (len(item) + 1))) + _TAIL

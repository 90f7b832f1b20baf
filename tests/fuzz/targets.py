"""What is fuzzed: each target takes any bytes, tells in a word what became of them, and raises for a defect only.

An error that the code documents is an outcome like another (« refused »); any other exception, and an outcome that breaks
what the code promises (nothing that the database refuses, no signature that opens by chance), is a defect.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from bot.app import policy
from bot.core import examples, yaml_text
from bot.core.clean import clean, for_understanding
from bot.core.errors import BadPayload, BadSignature, SendError, SettingsError
from bot.core.messages import Event, Platform, body_from_json, body_to_json
from bot.gateway.metrics import GatewayMetrics
from bot.gateway.pieces import Pieces
from bot.gateway.reading import Reader
from bot.meta import conversations, metadata
from bot.meta.payloads import parse
from bot.meta.profile import profile
from bot.meta.send_api import Outgoing, SendApi
from bot.meta.signature import sign, verify
from bot.meta.subscription import subscribed
from bot.policy import emergency, search
from bot.policy.emergency import Detection
from bot.policy.language import is_french
from bot.policy.normalise import normalise
from bot.store.codec import Codec

ROOT = Path(__file__).resolve().parents[2]
PAYLOADS = ROOT / "tests" / "payloads"
RECEIVED = datetime(2026, 1, 15, 9, 0, 5, tzinfo=timezone.utc)
OLDEST, NEWEST = datetime(2010, 1, 1, tzinfo=timezone.utc), RECEIVED + timedelta(days=1)
SECRETS = ("new-secret", "app-secret")
ID_MOST = 1000  # characters that an index of the database takes
NEVER_STORED = re.compile("[\x00\ud800-\udfff]")


class Defect(Exception):
    """The outcome breaks a promise."""


def must(promise: bool, what: str) -> None:
    """Raise Defect unless the promise is kept."""
    if not promise:
        raise Defect(what)


@dataclass(frozen=True)
class Target:
    """`run`: one input's outcome in a word. `words`: what the mutations should know. `json`: inputs are JSON, mostly."""

    name: str
    run: Callable[[bytes], str]
    seeds: Callable[[], list[bytes]]
    words: tuple[str, ...] = ()
    json: bool = False
    share: float = 0.02  # inputs, as a share of the payload parser's
    per_byte: float = 2e-6  # seconds of processor time that a byte may take


# -- Webhook bodies --------------------------------------------------------------------------------------------------------


def payload(raw: bytes) -> str:
    """The parser: BadPayload or events that can be stored and read the same again."""
    try:
        events = parse(raw, RECEIVED)
    except BadPayload:
        return "refused"
    for event in events:
        must_be_storable(event)
    return "events" if events else "empty"


def must_be_storable(event: Event) -> None:
    """PostgreSQL takes it, within the length of an index, and it comes back as it was."""
    stored = json.dumps(body_to_json(event.body), ensure_ascii=False, allow_nan=False)
    ids = (event.account, event.person or "", event.key, event.mid or "")
    must(not any(map(NEVER_STORED.search, _strings(body_to_json(event.body)))), "NUL or surrogate in a body")
    must(not any(NEVER_STORED.search(one) for one in ids), "NUL or surrogate in an id")
    must(all(len(one) < ID_MOST for one in ids), "an id too long for an index")
    must(OLDEST <= event.at <= NEWEST, "an absurd time")
    must(body_from_json(json.loads(stored)) == event.body, "a body that is not read the same again")


def _strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _strings(inner)


def gateway(raw: bytes) -> str:
    """What the gateway does with a body before the store: events, each text looked at for danger, pieces put together."""
    reader, pieces, errors = _gateway()
    try:
        items = reader.read(raw, RECEIVED)
    except BadPayload:
        return "refused"
    found = pieces.joined(items)
    must(len(found) == len(items), "an event got lost among the pieces")
    must(errors() == 0, "the triage failed for a text")
    return "danger" if any(detection for _, detection in found) else "none"


@cache
def _gateway() -> tuple[Reader, Pieces, Callable[[], float]]:
    metrics = GatewayMetrics(CollectorRegistry(), lambda: 0)
    return (
        Reader(_triage, 3600.0, metrics),
        Pieces(_triage),
        lambda: metrics.untriaged.labels("error")._value.get(),
    )


def dangers(raw: bytes) -> str:
    """Lexicon, score and language over one text, cleaned as the gateway does and as nobody does."""
    text = raw.decode("utf-8", "surrogatepass" if raw.isascii() else "replace")
    found = _triage(clean(text))
    _triage(text)
    return found.kind if found else "none"


def _triage(text: str) -> Detection | None:
    lexicon, score = _detectors()
    is_french(text)
    return emergency.detect(text, lexicon, score)


@cache
def _detectors() -> tuple[Any, Any]:
    return policy.lexicon(), policy.score(policy.score_of(None))


def signature(raw: bytes) -> str:
    """First line: the header; the rest: the body. Only the body's own signature opens."""
    header, _, body = raw.partition(b"\n")
    told = header.decode("latin-1")
    try:
        verify(SECRETS, body, told)
    except BadSignature:
        must(told.strip() not in [sign(secret, body) for secret in SECRETS], "a right signature was refused")
        metadata.verify(b"key", told)
        return "refused"
    must(told.strip() in [sign(secret, body) for secret in SECRETS], "a wrong signature was accepted")
    return "accepted"


def cleaning(raw: bytes) -> str:
    """Any text, lone surrogates too: what comes out can be stored."""
    text = raw.decode("utf-16-le", "surrogatepass") if raw[:1] == b"\xff" and len(raw) % 2 == 0 else _text(raw)
    told = clean(text)
    must(NEVER_STORED.search(told) is None, "NUL or surrogate after cleaning")
    told.encode()
    must(len(for_understanding(told)) <= 2001, "more than what is understood")
    normalise(told)
    return "kept" if told else "empty"


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


# -- What is stored, what is typed, what trainers write --------------------------------------------------------------------

CODEC = Codec(base64.b64encode(bytes(range(32))).decode())


def codec(raw: bytes) -> str:
    """Stored values that nobody sealed: SettingsError, and nothing else; never content."""
    try:
        CODEC.open_json(raw, "events.body", *([] if raw[:1] != b"\x03" else [7, "m_1"]))
    except SettingsError:
        return "refused"
    return "opened"


def yaml(raw: bytes) -> str:
    """A trainers' file: read, or refused with the place."""
    try:
        text = yaml_text.decode(raw)
        found = examples.blocks(text)
    except yaml_text.Damaged as error:
        must(error.line >= 1 and error.column >= 1, "a refusal without its place")
        must(error.line <= raw.count(b"\n") + 1, "a place beyond the end of the file")
        must(bool(error.what and error.remedy), "a refusal without its remedy")
        return "refused"
    for block in found:
        for item in block.items:
            _marks(item)
    return "read"


def _marks(item: str) -> None:
    examples.without_marks(item)
    examples.words_of(item)
    try:
        text = examples.without_marks(item)
        for entity in examples.entities(item):
            must(0 <= entity.start < entity.end <= len(text), "an entity outside its text")
    except ValueError:
        return


def searching(raw: bytes) -> str:
    """First line: what is typed; the rest: a text that may hold it."""
    typed, _, text = _text(raw).partition("\n")
    query = search.parse(typed)
    must(len(query.terms) <= search.MOST_WORDS, "too many words to look for")
    search.stems(text)
    search.says(query, text)
    must(search.nearness(query, text) >= 0, "a negative nearness")
    parts = search.excerpt(query, text)
    must(sum(len(part.text) for part in parts) <= search.EXCERPT + 60, "an excerpt longer than was asked for")
    return "words" if query != search.Query() else "nothing"


# -- Meta's answers --------------------------------------------------------------------------------------------------------

MESSENGER = Platform.MESSENGER


class _Response:
    """An answer that was received."""

    def __init__(self, status: int, headers: Mapping[str, str], raw: bytes) -> None:
        self.status, self.headers, self._raw = status, headers, raw

    async def read(self) -> bytes:
        return self._raw


class _Session:
    """Answers each request with the same bytes."""

    def __init__(self, response: _Response) -> None:
        self._response = response

    @asynccontextmanager
    async def request(self, *_: object, **__: object) -> Any:
        yield self._response


def graph(raw: bytes) -> str:
    """The sender's reading of an answer: `{"status", "usage", "retry", "body"}`, or its body alone. A result, or SendError."""
    response = _response(raw)
    session: Any = _Session(response)
    api = SendApi(session, "http://graph", "1", "token", "secret", aiohttp.ClientTimeout())
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: api.send(MESSENGER, "2", Outgoing("Bonjour")),
        api.me,
        lambda: api.look("3"),
        lambda: profile(api, MESSENGER, "2"),
        lambda: profile(api, Platform.INSTAGRAM, "2"),
        lambda: subscribed(api, "1", "4"),
    ]
    return "refused" if [_ended(call) for call in calls].count(None) else "read"


def _response(raw: bytes) -> _Response:
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        return _Response(200, {}, raw)
    if not isinstance(told, dict) or "body" not in told:
        return _Response(200, {}, raw)
    status, usage = told.get("status"), _dumped(told.get("usage")).decode("latin-1")
    headers = {"X-App-Usage": usage, "X-Business-Use-Case-Usage": usage, "Retry-After": str(told.get("retry"))}
    return _Response(status if isinstance(status, int) else 400, headers, _dumped(told["body"]))


def _dumped(value: Any) -> bytes:
    """A text as it is, anything else as JSON."""
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "surrogatepass")


def threads(raw: bytes) -> str:
    """The catch-up's reading of the Conversations API, up to the webhook body that it makes of it."""
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return "refused"  # the client's own business: see `graph`

    async def ask(path: str, params: Mapping[str, str]) -> Any:
        return data

    reader = conversations.Reader(ask, "1", MESSENGER)
    found, _ = _now(reader.threads(None))
    for thread in [*found, _now(reader.open(conversations.Thread("t", None, (), None, None)))]:
        person = conversations.person_of(thread, {"1"}) or "2"
        older, _ = _now(reader.older(thread, "cursor"))
        said = [*(thread.said or ()), *older, *filter(None, [_now(reader.message(one)) for one in older[:3]])]
        body = conversations.webhook("1", MESSENGER, person, [(one, one.at or RECEIVED) for one in said], {"1"})
        for event in parse(body, RECEIVED):
            must_be_storable(event)
    return "threads" if found else "none"


def _ended(call: Callable[[], Awaitable[object]]) -> object:
    try:
        return _now(call()) or True
    except SendError:
        return None


def _now(work: Any) -> Any:
    """The result of a coroutine that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    work.close()
    raise asyncio.InvalidStateError("it waits")


# -- Seeds -----------------------------------------------------------------------------------------------------------------


def stored() -> list[bytes]:
    """The payloads of the tests."""
    return [path.read_bytes() for path in sorted(PAYLOADS.glob("*.json")) if path.stem != "index"]


def _texts() -> list[bytes]:
    said = [
        "il a un couteau", "je veux mourir", "he has a gun, help", "où est ma plainte", "aidez moi 🆘 vite", "1 7 ?",
        "j'ai envie d’en finir", "bjr c koi le num stp", "é" * 40, "a\u0301" * 20, "\ud83d", "ça mé tué 😂", "x" * 300,
    ]  # fmt: skip
    return [one.encode("utf-8", "surrogatepass") for one in said]


def _signed() -> list[bytes]:
    body = b'{"object":"page"}'
    right = [sign(secret, body).encode() + b"\n" + body for secret in SECRETS]
    return [*right, b"sha256=\n" + body, b"sha1=00\n", b"\n", b"sha256=" + b"0" * 64 + b"\n" + body, b"pl1.5.abc\n"]


def _sealed() -> list[bytes]:
    whole = CODEC.seal_json({"text": "bonjour"}, "events.body")
    bound = CODEC.seal_json({"text": "bonjour"}, "events.body", 7, "m_1")
    cut = [whole[:1], whole[:9], whole[:13], whole[:-1], bound[:5], bound[:17]]
    return [b"", *cut, whole, bound, whole + b"\0", b"\x02" + whole[1:], b"\x02" + bound[1:], bytes(29)]


def _files() -> list[bytes]:
    head = "version: '3.1'\nnlu:\n"
    block = (
        '- intent: salut\n  examples: |\n    - bonjour\n    - je suis à [Lyon](lieu:Lyon) et [ici]{"entity": "lieu"}\n'
    )
    words = "- lookup: ville\n  examples: |\n    - Lyon\n- synonym: eau\n  examples: |\n    - flotte\n"
    odd = [
        "",
        "nlu:",
        "- &a [*a]",
        "!!python/object x",
        "a: 'b",
        "a:\n\tb",
        "[" * 40,
        "{a: {b: {c: d}}}",
        '"\\x',
        "%TAG ! x",
    ]
    data = (ROOT / "data" / "nlu.yml").read_text(encoding="utf-8")[:3000]
    return [one.encode() for one in (head + block, head + block + words, head + block * 2, data, *odd)]


def _searches() -> list[bytes]:
    asked = ['plainte "perdu ma carte" -vol', "où déposer", '"', "-", '-"a b"', "aujourd'hui", "« mot »", "le la les"]
    text = "\nJ’ai perdu ma carte hier, où déposer plainte aujourd’hui ? Les voisines frappaient encore."
    return [(one + text).encode() for one in asked]


def _answers() -> list[bytes]:
    usages = (
        {"call_count": 28, "total_time": 91},
        {"1": [{"type": "messenger", "call_count": 100, "estimated_time_to_regain_access": 3}]},
        "[" * 10_000,
    )
    bodies = (
        {"message_id": "m_1", "recipient_id": "2"},
        {"error": {"code": 613, "error_subcode": 1, "is_transient": True, "fbtrace_id": "A", "message": "x"}},
        {"error": {"code": "190"}}, {"error": []}, "<html>", "", None, [], "[" * 10_000,
        {"id": "1", "first_name": "A", "last_name": None, "name": 3, "username": "u", "profile_pic": "https://x"},
        {"data": [{"id": "4", "name": "a", "subscribed_fields": ["messages", "standby"]}]},
    )  # fmt: skip
    return [
        json.dumps(
            {"status": 400 if "error" in (body or ()) else 200, "usage": usage, "retry": 17, "body": body}
        ).encode()
        for usage in usages
        for body in bodies
    ]


def _talks() -> list[bytes]:
    message = {
        "id": "m_1",
        "created_time": "2026-01-15T08:00:00+0000",
        "from": {"id": "2", "name": "x"},
        "to": {"data": [{"id": "1"}]},
        "message": "bonjour",
        "attachments": {
            "data": [{"id": "a", "mime_type": "image/png", "image_data": {"url": "https://x"}, "name": "n"}]
        },
        "shares": {"data": [{"link": "https://x", "name": "n"}]},
        "sticker": "https://s",
    }
    paging = {"cursors": {"after": "c", "before": "b"}, "next": "https://graph"}
    thread = {
        "id": "t_1",
        "updated_time": "2026-01-15T08:00:00+0000",
        "participants": {"data": [{"id": "1"}, {"id": "2"}]},
        "messages": {"data": [message], "paging": paging},
    }
    return [
        json.dumps(one).encode()
        for one in ({"data": [thread], "paging": paging}, thread, {"data": [message]}, message, {"data": [{"id": 5}]})
    ]


WORDS = ("couteau", "secours", "mourir", "suicide", "frappe", "tue", "help", "pas", "ne ", " film", "17", "3114")
FIELDS = (
    "object", "page", "instagram", "entry", "id", "time", "messaging", "standby", "changes", "field", "value", "sender",
    "recipient", "timestamp", "message", "mid", "text", "is_echo", "app_id", "metadata", "attachments", "type", "payload",
    "url", "coordinates", "lat", "long", "sticker_id", "title", "quick_reply", "reply_to", "story", "is_deleted",
    "is_unsupported", "message_edit", "num_edit", "postback", "referral", "ref", "source", "reaction", "action", "emoji",
    "read", "watermark", "delivery", "mids", "optin", "pass_thread_control", "take_thread_control", "app_roles",
    "request_thread_control", "previous_owner_app_id", "new_owner_app_id", "requested_owner_app_id",
    "policy_enforcement", "policy-enforcement", "reason", "user_ref", "nlp", "NaN", "Infinity", "1e999", "\\ud83d", "\\u0000",
)  # fmt: skip
_GRAPH = (
    "error",
    "code",
    "error_subcode",
    "is_transient",
    "fbtrace_id",
    "data",
    "paging",
    "cursors",
    "after",
    "call_count",
    "estimated_time_to_regain_access",
)

TARGETS = {
    target.name: target
    for target in (
        Target("payload", payload, stored, FIELDS, json=True, share=1.0),
        Target("gateway", gateway, stored, (*FIELDS, *WORDS), json=True, per_byte=8e-6),
        Target("dangers", dangers, _texts, WORDS, per_byte=8e-6),
        Target("signature", signature, _signed, ("sha256=",)),
        Target("cleaning", cleaning, _texts, ("\u0301", "\u0344", "\ufdd0", "\u200d", "\r\n")),
        Target("codec", codec, _sealed),
        Target(
            "yaml", yaml, _files, ("nlu:", "- intent: ", "examples: |", "](", "]{", "&", "*", "!", "---", "<<<<<<< ")
        ),
        Target("search", searching, _searches, ('"', "«", "»", "-", "'", "\u00ad", "ente", "œ")),
        Target("graph", graph, _answers, (*_GRAPH, "id", "subscribed_fields", "message_id"), json=True),
        Target("threads", threads, _talks, (*_GRAPH, "id", "created_time", "updated_time", "+23:59"), json=True),
    )
}

"""The HTTP edge by its OpenAPI descriptions: generated requests, signed, to a running gateway and sender on real PostgreSQL.

Short here; `make fuzz` sets FUZZ_EXAMPLES for the long form.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.auth import AuthBase
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bot.gateway.app import create_gateway
from bot.gateway.ports import GatewayDeps
from bot.meta import direct
from bot.meta.signature import HEADER, sign
from bot.sender import door
from bot.store.codec import Codec
from tests.conftest import fresh_database
from tests.scenario.system import KEY, PAGE, SECRET, System, running

LONG = "FUZZ_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "12"))  # requests an operation and mode
LISTS = 3 if LONG else 1  # items of each list of a body: making longer ones takes more time than sending them
API = Path(__file__).resolve().parents[2] / "docs" / "api"
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
# Statuses that are an honest answer of the service about others: Meta refused, a part is away.
HONEST = {"/emergency": {502}, "/readyz": {503}}

TOKENS = {"hub.verify_token": "verify"}
BEARER = {"Authorization": "Bearer metrics"}


def described(name: str) -> dict[str, Any]:
    return json.loads((API / f"{name}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def short(schema: Any) -> None:
    """Bound the lists of a schema."""
    if isinstance(schema, dict) and schema.get("type") == "array":
        schema["maxItems"] = LISTS
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        short(inner)


def operations(name: str) -> dict[str, Any]:
    """« POST /path » → operation."""
    description = described(name)
    for part, schema in description.get("components", {}).get("schemas", {}).items():
        if part != "Ready":  # an answer
            short(schema)
    schema = schemathesis.openapi.from_dict(description)
    found = [result.ok() for result in schema.get_all_operations()]
    return {f"{one.method.upper()} {one.path}": one for one in found}


GATEWAY, SENDER = operations("gateway"), operations("sender")


class Signed(AuthBase):
    """Signs the bytes that leave; without it nothing gets further than 403."""

    def __init__(self, header: str, signature: Callable[[str, bytes], str]) -> None:
        self._header, self._signature = header, signature

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)
        request.body = raw
        request.headers[self._header] = self._signature(request.path_url, raw)
        return request


class Served:
    """The system in a loop of its own thread, since the requests wait."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder = url, folder
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._failed: BaseException | None = None
        self.system: System
        self.loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._ready.wait(120)
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        codec = Codec(base64.b64encode(bytes(range(32))).decode())
        try:
            # A busy machine is no defect: a 503 for slowness alone must not come.
            async with running(self._url, codec, self._folder, store_timeout=60.0) as self.system:
                self._ready.set()
                await self._over.wait()
        except BaseException as error:
            self._failed = error
            self._ready.set()
            raise

    def ask(self, work: Any) -> Any:
        """The result of a coroutine in the system's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(180)

    def url(self, name: str) -> str:
        return self.system.url.removesuffix("/webhooks/meta") if name == "gateway" else self.system.sender_url


@pytest.fixture(scope="module")
def served(postgres_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with (
        fresh_database(postgres_url) as url,
        pytest.MonkeyPatch.context() as patch,
        Served(url, tmp_path_factory.mktemp("edge")) as started,
    ):
        patch.setattr(door, "_PAUSES", (0.0, 0.0, 0.0))  # Meta refuses most of what is generated
        yield started


def sessions(name: str) -> tuple[requests.Session, requests.Session]:
    """One that signs, and one that does not."""
    signed = requests.Session()
    if name == "gateway":
        signed.auth = Signed(HEADER, lambda _path, raw: sign(SECRET, raw))
    else:
        signed.auth = Signed(direct.SIGNATURE_HEADER, lambda path, raw: direct.sign(KEY, path, raw))
    return signed, requests.Session()


def answers(served: Served, name: str, operation: Any) -> Counter[int]:
    """Send generated requests of both modes; how often each status came."""
    seen: Counter[int] = Counter()
    clients = sessions(name)
    strategies = [operation.as_strategy(generation_mode=GenerationMode.POSITIVE)]
    if operation.body or list(operation.iter_parameters()):
        strategies.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))

    def once(case: Case, known: bool, unsigned: int) -> None:
        if known and isinstance(case.body, dict):
            _to_us(case.body)
            if isinstance(case.body.get("stamp"), str):
                case.body["stamp"] = requests.get(f"{served.url('sender')}/stamp", timeout=60).json()["stamp"]
        if known and isinstance(case.query, dict):
            case.query.update({key: value for key, value in TOKENS.items() if key in case.query})
        if known and isinstance(case.headers, MutableMapping):
            case.headers.update({key: value for key, value in BEARER.items() if key in case.headers})
        response = case.call(served.url(name), session=clients[unsigned == 0], timeout=120)
        seen[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)
        if response.status_code not in HONEST.get(operation.path, set()):
            case.validate_response(response, checks=[not_a_server_error])

    for strategy in strategies:
        quick = settings(
            max_examples=EXAMPLES,
            derandomize=not LONG,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        quick(given(case=strategy, known=st.booleans(), unsigned=st.integers(0, 9))(once))()
    return seen


def _to_us(body: dict[str, Any]) -> None:
    """Generated ids are nobody's: address the body to an account of ours."""
    if isinstance(body.get("account"), str):
        body["account"] = PAGE
    for entry in body["entry"] if isinstance(body.get("entry"), list) else ():
        if isinstance(entry, dict):
            entry["id"] = PAGE


@pytest.mark.parametrize("which", GATEWAY)
def test_the_gateways_edge(served: Served, which: str) -> None:
    seen = answers(served, "gateway", GATEWAY[which])
    assert seen[200], "no request was a good one"
    assert requests.get(f"{served.url('gateway')}/healthz", timeout=60).text == "ok"


@pytest.mark.parametrize("which", SENDER)
def test_the_senders_door(served: Served, which: str) -> None:
    seen = answers(served, "sender", SENDER[which])
    assert seen[200], "no request was a good one"
    assert requests.get(f"{served.url('sender')}/healthz", timeout=60).status_code == 200


ODD = [
    b"[" * 30_000,
    b'{"platform":"messenger","account":"1000","person":"\\ud83d","kind":"\\udc00","key":"\\ud83d","stamp":"\\udc00"}',
    b'{"platform":"messenger","account":"1","person":"2","kind":"danger","language":"fr","key":"b","stamp":"s","at":NaN,"age":1e999}',
    b'{"platform":[],"account":{},"person":1,"kind":null,"key":NaN,"stamp":[]}',
    b"\xff\xfe",
    b"9" * 5_000,
    b"null",
    b"",
]


@pytest.mark.parametrize("raw", ODD)
@pytest.mark.parametrize("path", ["/emergency", "/profile"])
def test_odd_bodies_at_the_senders_door(served: Served, path: str, raw: bytes) -> None:
    for headers in (
        {direct.SIGNATURE_HEADER: direct.sign(KEY, path, raw)},
        {direct.SIGNATURE_HEADER: b"sha256=\xe9\xff"},
        {},
    ):
        response = requests.post(served.url("sender") + path, data=raw, headers=headers, timeout=60)  # type: ignore[arg-type]
        assert response.status_code in (200, 400, 403, 404, 409, 502)


def test_a_signature_of_any_bytes_is_refused(served: Served) -> None:
    for value in (b"\xe9\xff", b"sha256=\xc3\xa9", b"sha256=" + b"0" * 6_000):
        response = requests.post(served.system.url, data=b"{}", headers={HEADER: value}, timeout=60)
        assert response.status_code == 403


def test_all_goes_on_afterwards(served: Served) -> None:
    """What was accepted ends in one disposition each, and a citizen is answered."""

    async def goes_on() -> list[Any]:
        assert await served.system.say("7300000000000099", "où est le commissariat ?") == 200
        await served.system.settled(150)
        return await served.system.dispositions("7300000000000099")

    assert [kind for kind, _ in served.ask(goes_on())] == ["text"]
    assert served.system.graph.texts("7300000000000099")


def test_the_gateways_description_has_its_routes(tmp_path: Path) -> None:
    nothing: Any = None
    deps = GatewayDeps(nothing, nothing, nothing, nothing, (SECRET,), "verify", "metrics", tmp_path / "emergency.log")
    routes = {f"{method} /{route.path}" for route in create_gateway(deps).router.routes for method in route.methods}
    assert {one for one in routes if one.split()[0] not in ("HEAD", "OPTIONS")} == set(GATEWAY)


def test_the_senders_description_has_its_routes() -> None:
    nothing: Any = type("Nothing", (), {"clock": None, "answered": None, "secret_key": b"", "older_keys": ()})
    app = door.Door(nothing, nothing, nothing, nothing, lambda: True, str).app()
    routes = {f"{route.method} {route.resource.canonical}" for route in app.router.routes() if route.resource}
    assert {one for one in routes if not one.startswith("HEAD")} == set(SENDER)

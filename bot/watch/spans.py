"""OpenTelemetry spans, from the webhook to the Send API, in one trace a message; off unless the site says where they go.

The id of a trace is that of the message (bot.core.trace), and the id of its first span is half of it: gateway, worker and
sender hang their spans under the same root without telling each other anything. Which traces are kept is decided by their
id as well, as OpenTelemetry's ratio sampler does, so that all processes agree. Spans hold numbers and kinds, never words.

`active` is None while tracing is off; whoever records asks that first, which is all that it costs.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.core import trace

INTERNAL, SERVER, CLIENT = 1, 2, 3  # OpenTelemetry's kinds
MOST = 20_000  # spans that wait to be sent; what comes then is dropped and counted
Value = str | int | bool

active: Spans | None = None
_PARENT: ContextVar[str | None] = ContextVar("planton_span", default=None)


@dataclass(frozen=True)
class Span:
    """A stretch of time. Nanoseconds since the epoch. `links`: other traces that it serves too."""

    trace: str
    id: str
    parent: str
    name: str
    start: int
    end: int
    kind: int = INTERNAL
    attributes: Mapping[str, Value] = field(default_factory=dict)
    failed: bool = False
    links: tuple[str, ...] = ()


def root_of(trace_id: str) -> str:
    """The id of a trace's first span."""
    return trace_id[:16]


class Spans:
    """What one process has recorded and not sent yet. `ratio`: the part of traces that is kept."""

    def __init__(self, ratio: float = 1.0) -> None:
        self._below = int(ratio * 2**64)
        self._kept: deque[Span] = deque()
        self.dropped = 0

    def wants(self, trace_id: str) -> bool:
        """Whether a trace is kept."""
        return bool(trace_id) and int(trace_id[16:], 16) < self._below

    def add(self, span: Span) -> None:
        """Keep a span of a trace that is wanted."""
        if len(self._kept) >= MOST:
            self.dropped += 1
        else:
            self._kept.append(span)

    def take(self, most: int) -> list[Span]:
        """The oldest spans, which are kept no longer."""
        return [self._kept.popleft() for _ in range(min(most, len(self._kept)))]

    def root(self, trace_id: str, name: str, start: int, end: int, **attributes: Value) -> None:
        """The first span of a trace."""
        if self.wants(trace_id):
            self.add(Span(trace_id, root_of(trace_id), "", name, start, end, SERVER, attributes))

    def past(self, trace_id: str, name: str, start: int, end: int, **attributes: Value) -> None:
        """A span under the root, of what is over."""
        if self.wants(trace_id):
            self.add(Span(trace_id, _new(), root_of(trace_id), name, start, end, INTERNAL, attributes))


def _new() -> str:
    return secrets.token_hex(8)


def nanoseconds(moment: datetime) -> int:
    """Since the epoch."""
    return int(moment.timestamp() * 1_000_000) * 1000


@contextlib.contextmanager
def inside(
    name: str, kind: int = INTERNAL, links: Sequence[str] = (), **attributes: Value
) -> Iterator[dict[str, Value]]:
    """A span of what happens inside, under the one around it, else under the root of the message that this task handles.

    Yields attributes to add to. An exception marks it as failed, by its type.
    """
    spans, current = active, trace.current()
    if spans is None or current is None or not spans.wants(current.id):
        yield {}
        return
    own, parent = _new(), _PARENT.get() or root_of(current.id)
    start, failed = time.time_ns(), False
    told: dict[str, Value] = {**dict(current.ids), **attributes}
    token = _PARENT.set(own)
    try:
        yield told
    except BaseException as error:
        failed = True
        told["error.type"] = type(error).__name__
        raise
    finally:
        _PARENT.reset(token)
        spans.add(Span(current.id, own, parent, name, start, time.time_ns(), kind, told, failed, tuple(links)))


# -- OTLP/HTTP, JSON ---------------------------------------------------------------------------------------------


def otlp(spans: Sequence[Span], resource: Mapping[str, Value], version: str) -> dict[str, Any]:
    """An ExportTraceServiceRequest (opentelemetry-proto, trace/v1) in its JSON form."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeSpans": [{"scope": {"name": "planton", "version": version}, "spans": [_span(s) for s in spans]}],
            }
        ]
    }


def _span(span: Span) -> dict[str, Any]:
    return {
        "traceId": span.trace,
        "spanId": span.id,
        **({"parentSpanId": span.parent} if span.parent else {}),
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _attributes(span.attributes),
        **({"links": [{"traceId": one, "spanId": root_of(one)} for one in span.links]} if span.links else {}),
        **({"status": {"code": 2}} if span.failed else {}),
    }


def _attributes(values: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}

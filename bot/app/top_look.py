"""What `planton top` looks at: the database, read-only, and the metrics of the processes that this machine reaches."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import aiohttp
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from bot.app import ports
from bot.core.clock import SharedClock
from bot.core.errors import SettingsError
from bot.settings import GIVEN, Settings
from bot.store.live import Live, live
from bot.store.site import SiteLook

WINDOW = 60.0  # seconds that delays are taken over
DELAYS = {  # name → (process, histogram, labels that count)
    "acknowledge": ("gateway", "planton_gateway_acknowledge_seconds", {}),
    "engine": ("worker", "planton_worker_engine_seconds", {"call": "turn"}),
    "send": ("sender", "planton_sender_send_seconds", {}),
    "reply": ("sender", "planton_sender_reply_seconds", {"lane": "reply"}),
    "emergency": ("sender", "planton_sender_reply_seconds", {"lane": "emergency"}),
}
QUANTILES = (0.5, 0.95, 0.99)
Buckets = dict[float, float]  # upper edge → how many at most so long
Histograms = Mapping[str, Buckets]


@dataclass(frozen=True)
class Frame:
    """Everything that one screen says. `delays`: name → seconds by QUANTILES; None: nothing of it was measured."""

    at: datetime
    live: Live | None  # None: the database does not answer
    delays: Mapping[str, tuple[float, ...] | None]
    unmeasured: tuple[str, ...]  # processes whose metrics cannot be read from here
    services: Mapping[str, bool]
    engines: tuple[int, int]  # answering, of how many
    usage: float | None  # the highest part of its limits that Meta told
    ceiling: int

    def as_json(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "database": self.live is not None,
            **({} if self.live is None else asdict(self.live)),
            "delays": {
                name: None if some is None else dict(zip(("p50", "p95", "p99"), some, strict=True))
                for name, some in self.delays.items()
            },
            "services": dict(self.services),
            "engines": {"ready": self.engines[0], "all": self.engines[1]},
            "meta_usage_ratio": self.usage,
            "ceiling": self.ceiling,
        }


class Eyes:
    """Looks again and again; delays are those of the last minute, or since the first look."""

    def __init__(self, settings: Settings, url: str, session: aiohttp.ClientSession) -> None:
        self._settings, self._session = settings, session
        self._clock = SharedClock()
        self._look = SiteLook(url, "planton-top", self._clock)
        self._ceiling = settings.send_ceiling
        self._pages = _pages(settings)
        self._health = _health(settings)
        self._engines = tuple(settings.engine_urls)
        self._past: deque[tuple[float, Histograms]] = deque()

    async def now(self) -> datetime:
        """What PostgreSQL's clock shows, by which everything has its age; without a database, this machine's."""
        with contextlib.suppress(psycopg.Error, OSError, TimeoutError):
            await self._look.connect()
        return self._clock.now()

    async def frame(self, now: datetime) -> Frame:
        """One look at everything; what does not answer is said to be away."""
        told, texts, services, engines = await asyncio.gather(
            self._live(now),
            asyncio.gather(*(self._texts(urls, token) for urls, token in self._pages.values())),
            asyncio.gather(*(self._alive(url) for url in self._health.values())),
            asyncio.gather(*(self._alive(f"{url}/healthz") for url in self._engines)),
        )
        pages = dict(zip(self._pages, texts, strict=True))
        histograms, usage = {}, None
        for name, (process, metric, labels) in DELAYS.items():
            if text := pages.get(process):
                histograms[name] = buckets(text, metric, labels)
        if text := pages.get("sender"):
            usage = _value(text, "planton_sender_meta_usage_ratio")
        return Frame(
            now,
            told,
            self._delays(histograms),
            tuple(process for process in ("gateway", "worker", "sender") if not pages.get(process)),
            dict(zip(self._health, services, strict=True)),
            (sum(engines), len(engines)),
            usage,
            self._ceiling,
        )

    def _delays(self, present: Histograms) -> dict[str, tuple[float, ...] | None]:
        moment = time.monotonic()
        while len(self._past) > 1 and moment - self._past[1][0] >= WINDOW:
            self._past.popleft()
        past = self._past[0][1] if self._past else {}
        self._past.append((moment, present))
        return {
            name: quantiles(since(present[name], past.get(name, {}))) if name in present else None for name in DELAYS
        }

    async def _live(self, now: datetime) -> Live | None:
        try:
            async with asyncio.timeout(3):
                return await live(self._look, now)
        except (psycopg.Error, OSError, TimeoutError):
            return None

    async def _texts(self, urls: Sequence[str], token: str | None) -> str:
        """Of several processes, one after the other: histograms add up. Empty: none can be read."""
        return "\n".join(
            text for text in await asyncio.gather(*(self._text(url, token) for url in urls)) if text is not None
        )

    async def _text(self, url: str, token: str | None) -> str | None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            async with self._session.get(url, headers=headers) as response:
                return await response.text() if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeDecodeError):
            return None

    async def _alive(self, url: str) -> bool:
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                return response.status < 500
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def close(self) -> None:
        """Close the connection to the database."""
        await self._look.close()


def _pages(settings: Settings) -> dict[str, tuple[list[str], str | None]]:
    """Process → (addresses of its metrics, token)."""
    senders = [f"{url}/metrics" for url in settings.sender_url.split(",")]
    found: dict[str, tuple[list[str], str | None]] = {"sender": (senders, None)}
    try:
        token = settings.secret("METRICS_TOKEN")
    except SettingsError:
        token = GIVEN  # not for who stands here
    if token != GIVEN:
        found["gateway"] = ([_root(ports.listeners(settings, "gateway")[0]) + "/metrics"], token)
    if workers := [listener.url for listener in ports.listeners(settings, "worker")]:
        found["worker"] = (workers, None)
    return found


def _health(settings: Settings) -> dict[str, str]:
    """Service → what answers while it lives."""
    gateway, console = (ports.listeners(settings, role)[0] for role in ("gateway", "console"))
    return {
        "gateway": _root(gateway) + "/healthz",
        "sender": settings.sender_url.split(",")[0] + "/healthz",
        "console": console.url,
    }


def _root(listener: ports.Listener) -> str:
    return listener.url.removesuffix(listener.path)


# -- histograms --------------------------------------------------------------------------------------------------


def buckets(text: str, metric: str, labels: Mapping[str, str]) -> Buckets:
    """The buckets of a histogram in Prometheus's text, added up over all labels but these."""
    found: Buckets = {}
    for family in text_string_to_metric_families(text):
        if family.name != metric:
            continue
        for sample in family.samples:
            if sample.name == f"{metric}_bucket" and labels.items() <= sample.labels.items():
                edge = float(sample.labels["le"])
                found[edge] = found.get(edge, 0.0) + sample.value
    return found


def since(present: Buckets, past: Buckets) -> Buckets:
    """What came between two looks. A process that began anew counts from its beginning."""
    if any(past.get(edge, 0.0) > count for edge, count in present.items()):
        return present
    return {edge: count - past.get(edge, 0.0) for edge, count in present.items()}


def quantiles(of: Buckets) -> tuple[float, ...] | None:
    """QUANTILES in seconds, as Prometheus's histogram_quantile: within a bucket values are taken to lie evenly; beyond the last
    edge, that edge. None: nothing was counted."""
    edges = sorted(of)
    total = of[edges[-1]] if edges else 0.0
    if not total:
        return None
    return tuple(_quantile(of, edges, q * total) for q in QUANTILES)


def _quantile(of: Buckets, edges: list[float], rank: float) -> float:
    low, below = 0.0, 0.0
    for edge in edges:
        if of[edge] >= rank and of[edge] > below:
            return low if edge == float("inf") else low + (edge - low) * (rank - below) / (of[edge] - below)
        if edge != float("inf"):
            low = edge
        below = of[edge]
    return low


def _value(text: str, metric: str) -> float | None:
    families = text_string_to_metric_families(text)
    return max((float(s.value) for one in families if one.name == metric for s in one.samples), default=None)

"""Fetching what people attached: from hosts that we know, at public addresses, in bounded time and size.

AttachmentError (French `what` and `remedy`, HTTP `status`)
├── Elsewhere    the address is not one that we fetch from (unknown host, no https, private address, after a redirect too)
├── Missing      there is no such attachment, or it was withdrawn
├── Gone         the link has expired, or the file was removed
├── TooBig       more than we take
└── Unreachable  no answer in time, or one that makes no sense

The address is checked before each request, and the connection is made to the very addresses that were checked, so that
a name which answers differently the second time leads nowhere.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from bot.core.errors import Explained

# Where Meta keeps what people send. Names below these count too.
META_HOSTS = ("fbcdn.net", "fbsbx.com", "cdninstagram.com")
ANY_HOST = "*"
REDIRECTS = 3
AT_ONCE = 6
CHUNK = 64 * 1024
_PRINTED = re.compile(r"[\x21-\x7e]{1,4000}")
# A name whose last part begins with a letter: no address, in no spelling that a resolver takes for one (127.1, 0x7f000001).
_HOST = re.compile(r"(?:[a-z0-9_-]{1,63}\.)+[a-z][a-z0-9-]{0,62}")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True)
class AttachmentRules:
    """What may be fetched. `hosts`: names (and those below them) fetched by https at public addresses, `*` any;
    `origins`: whole origins such as `http://127.0.0.1:8070` that need neither: the sandbox's, or a site's own mirror.
    `at_most`: bytes of a file; `kept`: bytes that stay in memory for a player that asks again, for `kept_for` seconds.
    """

    hosts: tuple[str, ...] = META_HOSTS
    origins: tuple[str, ...] = ()
    at_most: int = 26_214_400  # Meta takes 25 MB
    seconds: float = 30.0
    kept: int = 64 * 1024 * 1024
    kept_for: float = 300.0

    def allows(self, address: str | None) -> bool:
        """Whether that address is one to fetch from, as far as its text says."""
        return address is not None and self.target(address) is not None

    def target(self, address: str) -> URL | None:
        """The address as it will be asked, None when it is not one to fetch from."""
        if not _PRINTED.fullmatch(address):
            return None
        try:
            url = URL(address, encoded=True)  # Meta signs what stands there: nothing is rewritten
            host, port = (url.raw_host or "").lower(), url.port
        except ValueError:
            return None
        if url.raw_user is not None or url.raw_password is not None or not host:
            return None
        if f"{url.scheme}://{host}:{port}" in self.whole:
            return url
        if url.scheme != "https" or port != 443 or not _HOST.fullmatch(host):
            return None
        known = any(name == ANY_HOST or host == name or host.endswith("." + name) for name in self.hosts)
        return url if known else None

    @property
    def whole(self) -> frozenset[str]:
        """The origins, each with its port."""
        return frozenset(f"{url.scheme}://{url.raw_host}:{url.port}" for url in map(URL, self.origins))


def public(address: str) -> bool:
    """Whether an IP address is one of the open Internet, whatever it is wrapped in."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return public(str(found.ipv4_mapped))
        if found in _NAT64:
            return public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
        if found.sixtofour is not None or found.teredo is not None:
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved


class AttachmentError(Explained):
    """An attachment cannot be shown; `what` and `remedy` are French, `status` is what HTTP calls it."""

    status = 502


class Elsewhere(AttachmentError):
    """Not an address that we fetch from."""

    status = 403

    def __init__(self) -> None:
        super().__init__(
            "Cette pièce est hébergée à une adresse que Planton ne connaît pas\u00a0: elle n’a pas été ouverte.",
            "Demandez à la personne de l’envoyer directement dans la conversation.",
        )


class Missing(AttachmentError):
    """There is none, or none any more."""

    status = 404

    def __init__(self) -> None:
        super().__init__("Cette pièce n’existe pas, ou la personne l’a retirée.")


class Gone(AttachmentError):
    """Expired or removed."""

    status = 410

    def __init__(self) -> None:
        super().__init__(
            "Cette pièce n’est plus disponible\u00a0: le lien de Meta a expiré, ou la personne l’a retirée.",
            "Demandez-lui de l’envoyer de nouveau.",
        )


class TooBig(AttachmentError):
    """More than we take."""

    status = 413

    def __init__(self, at_most: int) -> None:
        super().__init__(
            f"Cette pièce dépasse {at_most // (1024 * 1024)}\u00a0Mo\u00a0: elle ne s’ouvre pas ici.",
            "Demandez à la personne un fichier plus léger.",
        )


class Unreachable(AttachmentError):
    """No answer, or not in time."""

    status = 504

    def __init__(self) -> None:
        super().__init__("Le serveur de Meta qui garde cette pièce ne répond pas.", "Réessayez dans un instant.")


class _Private(OSError):
    """A name leads to an address that is not public."""


class PublicResolver(AbstractResolver):
    """Finds addresses and lets none through that is not public. `open_to`: (host, port) that need not be."""

    def __init__(self, open_to: frozenset[tuple[str, int]], resolve: Resolve | None = None) -> None:
        self._open_to = open_to
        self._resolve = resolve or _resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses. Raises OSError when one of them is not public: such a name is not trusted at all."""
        found = await self._resolve(host, port)
        if not found or ((host, port) not in self._open_to and not all(map(public, found))):
            raise _Private("no public address")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Nothing is held."""


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class Fetcher:
    """Fetches attachments; the last ones stay in memory for a while, since a player asks for one many times."""

    def __init__(self, rules: AttachmentRules, resolve: Resolve | None = None) -> None:
        self.rules = rules
        self._resolve = resolve
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._going: dict[Hashable, asyncio.Task[bytes]] = {}
        self._kept: OrderedDict[Hashable, tuple[float, bytes]] = OrderedDict()

    async def get(self, key: Hashable, address: str) -> bytes:
        """The file. `key` names it for the memory. Raises AttachmentError."""
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept[0] < self.rules.kept_for:
            return kept[1]
        task = self._going.get(key)
        if task is None:
            task = asyncio.create_task(self._fetch(address))
            self._going[key] = task
            task.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(task)  # who leaves does not take it from those who stay

    async def close(self, *_: object) -> None:
        """Stop what is under way."""
        for task in list(self._going.values()):
            task.cancel()
        self._kept.clear()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _done(self, key: Hashable, task: asyncio.Task[bytes]) -> None:
        self._going.pop(key, None)
        if task.cancelled() or task.exception() is not None:
            return
        self._kept[key] = (time.monotonic(), task.result())
        self._kept.move_to_end(key)
        old = time.monotonic() - self.rules.kept_for
        while self._kept and (self._size() > self.rules.kept or next(iter(self._kept.values()))[0] < old):
            self._kept.popitem(last=False)

    def _size(self) -> int:
        return sum(len(data) for _, data in self._kept.values())

    async def _fetch(self, address: str) -> bytes:
        try:
            async with asyncio.timeout(self.rules.seconds), self._slots:
                return await self._follow(address)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            # No text of theirs: it may hold the address, which opens the file.
            raise (Elsewhere() if _is_private(error) else Unreachable()) from None

    async def _follow(self, address: str) -> bytes:
        for _ in range(REDIRECTS + 1):
            target = self.rules.target(address)
            if target is None:
                raise Elsewhere
            async with self._client().get(target, allow_redirects=False) as response:
                if response.status not in (301, 302, 303, 307, 308):
                    return await self._body(response)
                location = response.headers.get("Location", "")
                if not _PRINTED.fullmatch(location):
                    raise Unreachable
                address = str(target.join(URL(location, encoded=True)))
        raise Unreachable

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        if response.status in (400, 401, 403, 404, 410):  # Meta answers 403 to a link that has expired
            raise Gone
        if response.status != 200 or response.headers.get("Content-Encoding", "identity") != "identity":
            raise Unreachable
        if (response.content_length or 0) > self.rules.at_most:
            raise TooBig(self.rules.at_most)
        data = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK):
            data += chunk
            if len(data) > self.rules.at_most:
                raise TooBig(self.rules.at_most)
        if not data:
            raise Gone
        return bytes(data)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            origins = [URL(origin) for origin in self.rules.origins]
            open_to = frozenset((str(url.raw_host), int(url.port or 0)) for url in origins)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=PublicResolver(open_to, self._resolve),
                    use_dns_cache=False,
                    limit=AT_ONCE,
                    force_close=True,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self.rules.seconds, sock_connect=5, sock_read=15),
                headers={"User-Agent": "Planton", "Accept-Encoding": "identity"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


def _is_private(error: BaseException | None) -> bool:
    """Whether the resolver's own refusal stands behind it."""
    while error is not None:
        if isinstance(error, _Private):
            return True
        error = error.__cause__ or (error.__context__ if not error.__suppress_context__ else None)
    return False

"""Whether the addresses of the replies (sources, and links in the texts) still lead where they should.

Polite: one request at a time to a host, a pause between two, a few hosts at once, and a name by which a site can tell us
from a person. Bodies are not read.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Optional
from urllib.parse import urljoin, urlsplit

import aiohttp

from bot.trainer.replies import FILE, OWN_SOURCE, Replies
from bot.trainer.reply_rules import LINK

AGENT = "Planton-liens/1.0 (verification des liens d'un service public; HEAD, 1 requete par seconde)"
OK, MOVED, HOME, GONE, REFUSED, BROKEN, CERTIFICATE, SLOW, UNREACHABLE, LOOP, ODD = (
    "ok", "moved", "home", "gone", "refused", "broken", "certificate", "slow", "unreachable", "loop", "odd",
)  # fmt: skip
_REDIRECTS = (301, 302, 303, 307, 308)
_FOR_EVER = (301, 308)
_JUMPS = 5


class Place(NamedTuple):
    """Where an address stands. `where`: source or text."""

    name: str
    line: int
    where: str


@dataclass(frozen=True)
class Link:
    """What became of an address. `state`: one of the names above; `status`: the last answer's, None without one;
    `target`: where it leads now, "" when to itself."""

    address: str
    state: str
    status: Optional[int]
    target: str
    places: tuple[Place, ...]

    @property
    def ok(self) -> bool:
        return self.state == OK

    @property
    def what(self) -> str:
        """In French, a sentence without its full stop."""
        return {
            OK: f"répond ({self.status})" + (f", par un détour vers {self.target}" if self.target else ""),
            MOVED: f"a déménagé pour de bon vers {self.target}",
            HOME: f"renvoie à l’accueil du site ({self.target}) : la page n’existe sans doute plus",
            GONE: f"n’existe plus ({self.status})",
            REFUSED: f"refuse les vérifications automatiques ({self.status})",
            BROKEN: f"est en panne ({self.status})",
            CERTIFICATE: "a un certificat qui n’est pas valable : un navigateur ferait peur à la personne",
            SLOW: "ne répond pas à temps",
            UNREACHABLE: "est injoignable : aucun serveur ne répond à ce nom",
            LOOP: "tourne en rond de renvoi en renvoi",
            ODD: f"répond de façon inattendue ({self.status})"
            if self.status
            else "renvoie vers une adresse qui n’est pas du web",
        }[self.state]

    @property
    def remedy(self) -> str:
        return {
            OK: "",
            MOVED: "Ouvrez la nouvelle page, vérifiez la réponse, puis remplacez l’adresse.",
            HOME: "Cherchez la page sur le site, puis remplacez l’adresse.",
            GONE: "Cherchez la nouvelle page officielle, vérifiez la réponse, puis remplacez l’adresse.",
            REFUSED: "Ouvrez l’adresse dans un navigateur : elle est peut-être bonne.",
            BROKEN: "Recommencez demain ; si cela dure, donnez une autre page.",
            CERTIFICATE: "Recommencez demain ; si cela dure, retirez le lien.",
            SLOW: "Recommencez plus tard ; si cela dure, donnez une autre page.",
            UNREACHABLE: "Vérifiez l’orthographe de l’adresse ; le site a peut-être fermé.",
            LOOP: "Ouvrez l’adresse dans un navigateur, puis donnez celle où elle aboutit.",
            ODD: "Ouvrez l’adresse dans un navigateur.",
        }[self.state]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            **asdict(self),
            "places": [place._asdict() for place in self.places],
            "what": self.what,
            "remedy": self.remedy,
        }


@dataclass(frozen=True)
class Pace:
    """How politely. Seconds; `hosts` at once. `proxies`: whether the environment's proxies are used, as administrations ask."""

    hosts: int = 4
    pause: float = 1.0
    timeout: float = 20.0
    proxies: bool = True


def addresses(replies: Replies) -> dict[str, tuple[Place, ...]]:
    """Every address of the replies, and where it stands."""
    found: dict[str, list[Place]] = {}
    for name, one in replies.responses.items():
        for variation in one.variations:
            if variation.source != OWN_SOURCE and variation.source.startswith(("https://", "http://")):
                found.setdefault(variation.source, []).append(Place(name, variation.line, "source"))
            for link in dict.fromkeys(LINK.findall(variation.text)):
                found.setdefault(link, []).append(Place(name, variation.line, "text"))
    return {address: tuple(places) for address, places in found.items()}


async def check(wanted: Mapping[str, Sequence[Place]], pace: Optional[Pace] = None) -> list[Link]:
    """Ask each address; in the order given. Never raises for what a site does."""
    pace = pace or Pace()
    by_host: dict[str, list[str]] = {}
    for address in wanted:
        by_host.setdefault(urlsplit(address).netloc, []).append(address)
    at_once = asyncio.Semaphore(pace.hosts)
    found: dict[str, Link] = {}
    timeout = aiohttp.ClientTimeout(total=pace.timeout)
    headers = {"User-Agent": AGENT, "Accept": "text/html,*/*;q=0.5", "Accept-Language": "fr"}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers, trust_env=pace.proxies) as session:

        async def visit(host: list[str]) -> None:
            async with at_once:
                for n, address in enumerate(host):
                    if n:
                        await asyncio.sleep(pace.pause)
                    state, status, target = await _ask(session, address)
                    found[address] = Link(address, state, status, target, tuple(wanted[address]))

        await asyncio.gather(*(visit(host) for host in by_host.values()))
    return [found[address] for address in wanted]


def no_network(found: Sequence[Link]) -> bool:
    """Whether it is us who have no network: not one site could be reached."""
    return bool(found) and all(one.state == UNREACHABLE for one in found)


async def _ask(session: aiohttp.ClientSession, address: str) -> tuple[str, Optional[int], str]:
    """(state, status, target) of an address, redirects followed by hand so that each is seen."""
    at, for_ever = address, True
    try:
        for _ in range(_JUMPS + 1):
            status, location = await _once(session, at)
            if status not in _REDIRECTS or not location:
                return _judged(address, at, status, for_ever)
            for_ever = for_ever and status in _FOR_EVER
            at = urljoin(at, location)
            if urlsplit(at).scheme not in ("http", "https"):
                return ODD, None, ""
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError):
        return CERTIFICATE, None, _elsewhere(address, at)
    except (TimeoutError, aiohttp.ServerTimeoutError):
        return SLOW, None, _elsewhere(address, at)
    except aiohttp.ClientConnectorError:
        return UNREACHABLE, None, _elsewhere(address, at)
    except (aiohttp.ClientError, ValueError, OSError):
        return ODD, None, _elsewhere(address, at)
    return LOOP, None, at


async def _once(session: aiohttp.ClientSession, address: str) -> tuple[int, str]:
    """(status, where it redirects to). HEAD first; a site that does not take it is asked as a browser would."""
    async with session.head(address, allow_redirects=False) as answer:
        if answer.status < 400:
            return answer.status, answer.headers.get("Location", "")
    async with session.get(address, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("Location", "")


def _judged(address: str, at: str, status: int, for_ever: bool) -> tuple[str, Optional[int], str]:
    target = _elsewhere(address, at)
    if status in (404, 410):
        return GONE, status, target
    if status in (401, 403, 405, 406, 429, 451):
        return REFUSED, status, target
    if status >= 500:
        return BROKEN, status, target
    if not 200 <= status < 300:
        return ODD, status, target
    if target and urlsplit(at).path in ("", "/") and urlsplit(address).path not in ("", "/"):
        return HOME, status, target
    return (MOVED if target and for_ever else OK), status, target


def _elsewhere(address: str, at: str) -> str:
    return "" if at == address else at


def by_place(found: Sequence[Link]) -> list[tuple[Place, Link]]:
    """What is not in order, by the line where it stands."""
    return sorted(
        ((place, one) for one in found if not one.ok for place in one.places),
        key=lambda item: (item[0].line, item[1].address),
    )


__all__ = ["AGENT", "FILE", "Link", "Pace", "Place", "addresses", "by_place", "check", "no_network"]

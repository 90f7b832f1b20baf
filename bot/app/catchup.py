"""`planton catchup`: takes in what Meta remembers and no webhook brought; the wiring that the sender shares."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import aiohttp
from sqlalchemy.exc import DBAPIError

from bot.app.access import check_key, reach, unreachable
from bot.app.interrupted import told as told_in_french
from bot.app.policy import Policy
from bot.app.reload import Live
from bot.app.say import typeset
from bot.core.clock import Clock
from bot.core.errors import SettingsError, SetupError
from bot.core.messages import Echo, Event, Platform
from bot.meta import metadata
from bot.meta.access import Access
from bot.meta.send_api import TIMEOUT, SendApi
from bot.policy.emergency import TEXT_KEYS, Detection
from bot.policy.intents import INTENTS, PRIORITY, policy_of
from bot.sender.catchup import CatchUp, CatchUpDeps, Outcome
from bot.sender.deps import SenderAccount
from bot.sender.pace import Pace
from bot.settings import Account, Settings
from bot.store import binding, erased
from bot.store.catchup import Shelf
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.faults import passes
from bot.store.inbox import Inbox, InboxRules

log = logging.getLogger("planton.catchup")

PLATFORMS = {Platform.MESSENGER: "Messenger", Platform.INSTAGRAM: "Instagram"}
_FRESH = 60.0  # seconds for which a policy read serves
_OWN_WORDS = 40  # characters: a shorter text of ours may be anybody's
# Texts of no intent after which nobody waits for an agent; any other may have promised one (the night's above all).
_SETTLED = re.compile(
    r"(?:theme|diplome|age|cout|plainte|precis|clarify|relance|nombre_seul|emoji_seul|insulte_encore|abandon|filet|donnees"
    r"|assistant|satisfaction)(?:_|$)"
)


def main(parsed: argparse.Namespace) -> int:
    """Walk every account; 0 when each was walked to its end, else 1. Raises SettingsError or SetupError."""
    settings = Settings()
    since = _aware(parsed.depuis, settings)
    if since is not None:
        # Before anything is asked, with a day to spare: what depends on the hour is judged by PostgreSQL's clock.
        _check(since, datetime.now(UTC), settings, timedelta(days=1))
    accounts = sender_accounts(settings)
    with reach(settings) as url, away():
        return asyncio.run(_walk(settings, url, accounts, since, parsed.simuler))


def _check(since: datetime, now: datetime, settings: Settings, spare: timedelta = timedelta(0)) -> None:
    if since > now + spare:
        raise SetupError("La date de --depuis est dans l’avenir.", "Donnez une date passée.")
    kept = min(settings.retention.shortest, erased.KEPT.days)
    if since < now - timedelta(days=kept) - spare:
        raise SetupError(
            f"La date de --depuis remonte à plus de {kept} jours : ce qui a été effacé depuis reviendrait de chez Meta.",
            "Donnez une date plus proche.",
        )


@contextlib.contextmanager
def away() -> Iterator[None]:
    """A database that leaves in the middle is told in one line."""
    try:
        yield
    except (DBAPIError, OSError) as error:
        if isinstance(error, DBAPIError) and not passes(error):
            cause, remedy = told_in_french(error)
            raise SetupError(f"Le rattrapage s’est arrêté : {cause}.", f"{remedy}.") from None
        raise unreachable() from None


def _aware(moment: datetime | None, settings: Settings) -> datetime | None:
    """A date without offset is one of the site's own clock."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=settings.zone)


async def _walk(
    settings: Settings, url: str, accounts: Sequence[SenderAccount], since: datetime | None, simulate: bool
) -> int:
    database = Database(url, size=4, name="planton-catchup")
    worst = 0
    try:
        now = await database.now()
        if since is not None:
            _check(since, now, settings)
        codec = Codec(settings.secret("DATA_KEY"))
        await check_key(database, codec, keeps=not simulate)
        async with (
            contextlib.nullcontext() if simulate else binding.following(database, codec, settings.var_dir),
            clients(settings, accounts) as apis,
        ):
            walker = catch_up(settings, database, codec, database.clock)
            for account, api in apis.items():
                outcome = await walker.walk(account, api, since, simulate)
                print(typeset(told(outcome, settings, simulate)), flush=True)
                worst = max(worst, int(outcome.busy or bool(outcome.error)))
    finally:
        await database.close()
    if simulate:
        print(typeset("Simulation : rien n’a été enregistré."))
    return worst


def told(outcome: Outcome, settings: Settings, simulate: bool) -> str:
    """What a walk did, in French, without a citizen's word or id."""
    name = f"{PLATFORMS[outcome.platform]}, compte {outcome.account}"
    if outcome.busy:
        return f"{name} : un autre rattrapage est en cours (celui de l’expéditeur, sans doute). Attendez qu’il finisse."
    since = (
        "" if outcome.since is None else outcome.since.astimezone(settings.zone).strftime(" depuis le %d/%m/%Y à %H:%M")
    )
    verb = "à reprendre" if simulate else "repris"
    parts = [
        f"{name}{since} : {_many(outcome.threads, 'conversation lue', 'conversations lues')}",
        f"{_many(outcome.taken, 'message', 'messages')} {verb}"
        + (f" ({_many(len(outcome.people), 'personne', 'personnes')})" if outcome.taken else ""),
    ]
    if outcome.told:
        parts.append(_many(outcome.told, "réponse écrite", "réponses écrites") + " dans la boîte de réception de Meta")
    if outcome.unreadable:
        parts.append(
            f"{_many(outcome.unreadable, 'message', 'messages')} sans détail chez Meta : voyez sa boîte de réception"
        )
    line = ", ".join(parts) + "."
    if outcome.error:
        remedy = outcome.remedy or "Meta ne répond pas."
        line += f" Arrêté avant la fin ({outcome.error}). {remedy} Relancez ensuite : planton catchup reprend où il en était."
    return line


def _many(count: int, one: str, many: str) -> str:
    return f"{count} {one if count < 2 else many}"


# -- what the sender shares --------------------------------------------------------------------------------------


def sender_accounts(settings: Settings) -> tuple[SenderAccount, ...]:
    """Pages and Instagram accounts with the token that opens them. Raises SettingsError."""
    try:
        secrets = settings.app_secrets
        pages = {a.page_id: _access(settings, a, secrets) for a in settings.accounts(with_tokens=True)}
        return tuple(
            SenderAccount(i, a.page_id, a.token or "", secrets[0], pages[a.page_id])
            for a in settings.accounts(with_tokens=True)
            for i in (a.page_id, a.ig_id)
            if i
        )
    except SettingsError as error:
        raise SettingsError(
            error.what, error.remedy or "Lancez la commande avec les réglages de l’expéditeur."
        ) from None


def _access(settings: Settings, account: Account, secrets: Sequence[str]) -> Access:
    """What opens a page. Its tokens are read again, where they stand in files, once Meta refuses those that we know."""

    def again() -> Sequence[str]:
        return next((a.tokens for a in settings.accounts(with_tokens=True) if a.page_id == account.page_id), ())

    return Access(account.page_id, account.tokens, secrets, again)


@contextlib.asynccontextmanager
async def clients(
    settings: Settings, accounts: Sequence[SenderAccount]
) -> AsyncIterator[Mapping[SenderAccount, SendApi]]:
    """A client an account, on connections of their own."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        url = settings.graph_url
        yield {a: SendApi(session, url, a.page_id, a.access or a.token, a.app_secret, TIMEOUT) for a in accounts}


def catch_up(settings: Settings, database: Database, codec: Codec, clock: Clock) -> CatchUp:
    """Walks that look for danger as the gateway does."""
    taker = Taker(settings, database, codec, clock)
    return CatchUp(CatchUpDeps(Shelf(database), taker.take, clock, Pace()))


class Taker:
    """Triage, then the store. The policy is read when a message is found, and again a minute later for the next."""

    def __init__(self, settings: Settings, database: Database, codec: Codec, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._codec = codec
        self._clock = clock
        self._live: Live | None = None
        self._read_at = 0.0
        self._keys = [key.encode() for key in settings.secrets("SENDER_KEY")]

    async def take(self, raw: bytes, events: Sequence[Event], listed: Sequence[str], simulate: bool) -> list[Event]:
        """Those of these events that were new."""
        policy = await asyncio.to_thread(self._present)
        items = await asyncio.to_thread(lambda: [(e, _triage(policy, e)) for e in events])
        fresh = await self._inbox(policy).catch_up(raw, items, listed, self._clock.now(), simulate)
        return [event for event, _ in fresh]

    def _present(self) -> Policy:
        if self._live is None or time.monotonic() - self._read_at > _FRESH:
            self._live, self._read_at = Live(self._settings), time.monotonic()
        return self._live.policy

    def _inbox(self, policy: Policy) -> Inbox:
        ids = frozenset(i for a in self._settings.accounts() for i in (a.page_id, a.ig_id) if i)
        debounce = timedelta(milliseconds=self._settings.debounce_ms)
        rules = InboxRules(
            ids,
            self._settings.app_id,
            debounce,
            policy.triage,
            policy.plan,
            self._echo_of,
            Ours(policy),
            policy.suspect,
        )
        return Inbox(self._database, self._codec, rules)

    def _echo_of(self, mark: str) -> tuple[int, int] | None:
        found = metadata.verify(self._keys, mark)
        return None if found is None else (found.outbox_id or 0, found.part)


def _triage(policy: Policy, event: Event) -> Detection | None:
    words = getattr(event.body, "text", "")
    if not words or isinstance(event.body, Echo):
        return None
    try:
        return policy.triage(words)
    except Exception as error:  # the worker triages again
        log.error("triage failed: %s", type(error).__name__)
        return None


class Ours:
    """Which category of hand-off a text of ours goes with (`bot.store.caught.Ours`): emergency replies that left while the
    database was away have no row, nor has what was said between a back-up and its restoration."""

    def __init__(self, policy: Policy) -> None:
        plain = ((name, " ".join(text.split("{")[0].split())) for name, text in policy.texts.items())
        self._texts = [(text, _category(name)) for name, text in plain if len(text) >= _OWN_WORDS]

    def __call__(self, words: str) -> str | None:
        said = " ".join(words.split())
        return min((c for text, c in self._texts if text in said), key=PRIORITY.__getitem__, default=None)


def _category(name: str) -> str:
    """The category of the hand-off that was opened with a text; "none" for an answer."""
    if name in TEXT_KEYS:
        return "emergency"
    short = name.removeprefix("utter_")
    if any(short == intent or short.startswith(f"{intent}_") for intent in INTENTS):
        return policy_of(short).category
    return "none" if _SETTLED.match(short) else "request"

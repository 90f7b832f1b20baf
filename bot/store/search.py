"""The index of the search: what was said, under keyed hashes of French stems, so that the words stay encrypted.

A document's `tokens` hold besides the stems a few small numbers of our own: who wrote it, and the hour, day and 32 days
it falls in. The GIN index can so meet « this word, by an agent, that week » by itself, and the search walks back through
time without ever gathering a frequent word's whole list (`bot.store.desk.search`).

The hash of a stem has the author's own purpose (PURPOSES): what the assistant and agents write is known or guessable, and
must not tell a thief of the index what people wrote with the same words (docs/decisions/search.md).

Indexed in the transaction that stores the words; removed by triggers when these go or change (migration 0003).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clean import clean
from bot.core.messages import Body, Echo, Edit, Message
from bot.policy import search as words
from bot.store import facts
from bot.store.codec import Codec
from bot.store.together import named

EVENT, OUTBOX, NOTE, NAME = "event", "outbox", "note", "name"
# Who wrote it, as a token. Hashes are 64 bits wide: numbers this small are never one.
AUTHORS = {"person": 1, "name": 5, "automatic": 7, "agent": 8, "inbox": 9, "note": 10}
# As they were when all had one purpose, that of PERSON; `bot.store.reindex` gives such documents their own tokens.
FORMER = {"inbox": 2, "agent": 3, "note": 4, "automatic": 6}
# The purpose of a hash, by author.
PERSON = "search"
PURPOSES = {
    "person": PERSON,
    "name": PERSON,
    "automatic": "search.automatic",
    "agent": "search.agent",
    "inbox": "search.agent",
    "note": "search.note",
}
_HOUR, _DAY, _MONTH = 1_000_000_000, 2_000_000_000, 3_000_000_000
DAYS_A_MONTH = 32


@dataclass(frozen=True)
class Document:
    """Something to be found. `kind`, `ref`: where it stands (event, outbox, note: its id; name: the conversation's)."""

    kind: str
    ref: int
    conversation_id: int
    at: datetime
    author: str
    text: str


@lru_cache(maxsize=100_000)
def fingerprint(codec: Codec, stem: str, purpose: str = PERSON) -> int:
    """The token of a stem. `purpose`: of PURPOSES."""
    return codec.fingerprint(purpose, stem)


def hours(at: datetime) -> int:
    """Whole hours since 1970."""
    return int(at.astimezone(timezone.utc).timestamp()) // 3600


def begin_of(hour: int) -> datetime:
    """When an hour since 1970 begins."""
    return datetime.fromtimestamp(hour * 3600, tz=timezone.utc)


def facets(at: datetime, author: str) -> list[int]:
    """The tokens beside the words."""
    hour = hours(at)
    day = hour // 24
    return [AUTHORS[author], _HOUR + hour, _DAY + day, _MONTH + day // DAYS_A_MONTH]


def sought(names: Sequence[str]) -> dict[str, list[int]]:
    """Purpose → the tokens of those authors whose words it hashes; documents of before with those of PERSON."""
    found: dict[str, list[int]] = {}
    for name in names:
        found.setdefault(PURPOSES[name], []).append(AUTHORS[name])
        if name in FORMER:
            found.setdefault(PERSON, []).append(FORMER[name])
    return found


def span(first: int, last: int) -> list[int]:
    """The fewest time tokens that cover the hours `first` … `last`, both included."""
    tokens = []
    while first <= last:
        for step, base, unit in ((24 * DAYS_A_MONTH, _MONTH, 24 * DAYS_A_MONTH), (24, _DAY, 24), (1, _HOUR, 1)):
            if first % step == 0 and first + step - 1 <= last:
                tokens.append(base + first // unit)
                first += step
                break
    return tokens


def tokens(codecs: Sequence[Codec], document: Document) -> list[int]:
    """What a document is found under, by the key of each codec; empty when it has no word worth finding."""
    found = words.stems(document.text, whole=document.kind == NAME)
    if not found:
        return []
    purpose = PURPOSES[document.author]
    hashes = [fingerprint(codec, stem, purpose) for codec in codecs for stem in sorted(found)]
    return [*hashes, *facets(document.at, document.author)]


def of_event(ref: int, conversation_id: int, at: datetime, body: Body) -> Document | None:
    """What a person, or a human in Meta's inbox, wrote; None for what has no words of its own (a button's are ours)."""
    if not isinstance(body, (Message, Edit, Echo)) or not body.text:
        return None
    if isinstance(body, Message) and body.quick_reply is not None:
        return None
    author = "inbox" if isinstance(body, Echo) else "person"
    return Document(EVENT, ref, conversation_id, at, author, clean(body.text))


def of_outbox(ref: int, conversation_id: int, at: datetime, author: str, said: str) -> Document:
    """A message of ours. `author`: as in the outbox."""
    return Document(OUTBOX, ref, conversation_id, at, "agent" if author == "agent" else "automatic", said)


def of_note(ref: int, conversation_id: int, at: datetime, body: str) -> Document:
    """A private note."""
    return Document(NOTE, ref, conversation_id, at, "note", body)


def of_name(conversation_id: int, at: datetime, name: str) -> Document:
    """A person's name."""
    return Document(NAME, conversation_id, conversation_id, at, "name", clean(name))


INDEX = """
    INSERT INTO search_documents (kind, ref, conversation_id, at, tokens)
    SELECT i.kind, i.ref, i.conversation, i.at, CAST(i.tokens AS bigint[])
    FROM unnest(CAST(%(kinds)s AS text[]), CAST(%(refs)s AS bigint[]), CAST(%(conversations)s AS bigint[]),
                CAST(%(ats)s AS timestamptz[]), CAST(%(tokens)s AS text[])) AS i(kind, ref, conversation, at, tokens)
    ON CONFLICT (kind, ref) DO UPDATE SET at = excluded.at, tokens = excluded.tokens
"""  # as the driver takes it (`bot.store.together`)
_INDEX = named(INDEX)
_FORGET = text("DELETE FROM search_documents WHERE kind = :kind AND ref = :ref")


async def index(connection: AsyncConnection, codec: Codec, documents: Iterable[Document | None]) -> None:
    """Make these findable, in the transaction that stores them; a document that stands there is replaced."""
    values = columns(await writers(connection, codec), documents)
    if values["refs"]:
        await connection.execute(_INDEX, values)


def columns(codecs: Sequence[Codec], documents: Iterable[Document | None]) -> dict[str, list[Any]]:
    """The values of `INDEX`; no rows where nothing is worth finding. `codecs`: of `writers`."""
    found = [(one, some) for one in documents if one is not None and (some := tokens(codecs, one))]
    return {
        "kinds": [one.kind for one, _ in found],
        "refs": [one.ref for one, _ in found],
        "conversations": [one.conversation_id for one, _ in found],
        "ats": [one.at for one, _ in found],
        "tokens": [literal(some) for _, some in found],
    }


_RENEW = text("UPDATE search_documents SET tokens = CAST(:tokens AS bigint[]) WHERE kind = :kind AND ref = :ref")
_ASKED = text("SELECT value ->> 'search' FROM facts WHERE name = :name FOR SHARE")


async def renew(connection: AsyncConnection, codecs: Sequence[Codec], documents: Iterable[Document | None]) -> None:
    """Give documents that stand in the index the tokens of these keys; what was withdrawn meanwhile stays gone."""
    values = [
        {"kind": one.kind, "ref": one.ref, "tokens": literal(some)}
        for one in documents
        if one is not None and (some := tokens(codecs, one))
    ]
    if values:
        await connection.execute(_RENEW, values)


async def asked(connection: AsyncConnection, codec: Codec) -> Codec:
    """The codec whose tokens every document has. During a rotation that is the old key's, until all have the new."""
    if len(codec.parts) == 1:
        return codec
    name = await connection.scalar(_ASKED, {"name": facts.DATA_KEYS})
    return next((part for part in codec.parts if part.names[0] == name), codec.parts[-1])


async def writers(connection: AsyncConnection, codec: Codec) -> Sequence[Codec]:
    """Whose tokens a new document gets."""
    found = await asked(connection, codec)
    return (found,) if found is codec.parts[0] or found is codec else codec.parts


async def forget(connection: AsyncConnection, kind: str, ref: int) -> None:
    """It is no longer found."""
    await connection.execute(_FORGET, {"kind": kind, "ref": ref})


def literal(some: Sequence[int]) -> str:
    """An array of PostgreSQL as text."""
    return "{" + ",".join(map(str, some)) + "}"

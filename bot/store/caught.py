"""Messages that came by the Conversations API: each is taken in once, whether its webhook came before, comes after or never.

An id known is a message known. Meta does not promise that both ways give one message the same id, so what has an
unknown id is also compared by person, second and words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.messages import Body, Channel, Echo, Event, Message, Postback, Unknown, body_from_json, body_to_json
from bot.policy.emergency import Detection
from bot.policy.intents import PRIORITY
from bot.policy.owner import INBOX_FOR
from bot.store import places
from bot.store.codec import Codec
from bot.store.conversations import BODY

Item = tuple[Event, Detection | None]
MESSAGE = "outbox.message"
HISTORY = "history"
UNTRACED = "untraced"  # reason of a hand-off: the page answered, and the database does not know of it
NOTHING = "none"  # the category of what leaves nobody waiting
TWIN = "twin"
_SECOND = timedelta(seconds=1)
_KEPT = timedelta(days=8)  # a webhook that is still on its way then is none
_OURS_WITHIN = timedelta(days=1)  # from the making of a row to its leaving


async def known(connection: AsyncConnection, platform: str, account: str, keys: Iterable[str]) -> dict[str, datetime]:
    """Which of these message ids are in already, citizens' and our own, with their times."""
    rows = await connection.execute(
        text("""
            SELECT k.key, e.at FROM unnest(CAST(:keys AS text[])) AS k(key)
            JOIN events e ON e.platform = :platform AND e.account = :account AND e.key = k.key
            UNION ALL
            SELECT m.mid, coalesce(o.sent_at, o.created_at) FROM outbox o
            JOIN conversations c ON c.id = o.conversation_id, unnest(o.mids) AS m(mid)
            WHERE o.mids && CAST(:keys AS text[]) AND m.mid = ANY(:keys) AND c.account = :account
            UNION ALL
            SELECT t.twin, t.at FROM caught t WHERE t.twin = ANY(:keys)
        """),
        {"platform": platform, "account": account, "keys": list(keys)},
    )
    return {row.key: row.at for row in rows}


Ours = Callable[[str], str | None]
"""The words of a page's message → the category of the hand-off that such a text of ours goes with; None: not ours."""


@dataclass(frozen=True)
class Unseen:
    """What the database does not have.

    `answered`: keys of persons' messages that a page's message unknown to it follows → whether a danger there was answered
    by us; `waiting`: conversation → category of the hand-off that our own texts among those promised."""

    items: list[Item]
    answered: dict[str, bool]
    waiting: dict[int, str]


@dataclass(frozen=True)
class _Kept:
    """What a conversation holds already: (mid, time, words) of what came in, and our own texts.

    `untraced`: our own messages that came back by a webhook and that no row of ours explains."""

    heard: list[tuple[str, datetime, str]]
    told: list[str]
    untraced: list[tuple[datetime, str]]


async def unseen(
    connection: AsyncConnection,
    codec: Codec,
    items: Sequence[Item],
    conversations: Mapping[tuple[str, str, str], Any],
    listed: Iterable[str],
    ours: Ours,
) -> Unseen:
    """Those that the database does not have under any id. The conversations are locked: nothing comes meanwhile.

    `listed`: every id that Meta named beside these, which are no other message's twin. In a thread that another app
    owns, they count as having been heard there. What `ours` knows as a text of our own is not taken in: it only tells
    what was answered."""
    found = Unseen([], {}, {})
    mids = {event.mid for event, _ in items} | set(listed)
    keys = {event.key for event, _ in items}
    for where, conversation in conversations.items():
        mine = [(e, d) for e, d in items if (e.platform.value, e.account, e.person) == where]
        if not mine:
            continue
        have = await known(connection, where[0], where[1], keys)
        kept = await _kept(connection, codec, conversation.id, [event.at for event, _ in mine], mids)
        heard: list[Event] = []
        said = [(at, ours(said) or NOTHING, True) for at, said in kept.untraced]
        for event, detection in sorted(mine, key=lambda item: item[0].at):
            if event.key in have or _is_kept(event, kept):
                continue
            if isinstance(event.body, Echo):
                category = ours(words(event.body))
                said.append((event.at, category or NOTHING, category is not None))
                if category is not None:
                    continue
            else:
                heard.append(event)
            channel = Channel.STANDBY if conversation.standby else event.channel
            found.items.append((replace(event, channel=channel), detection))
        _answered(found, conversation.id, heard, said)
    return found


def _answered(
    found: Unseen, conversation: int, heard: Sequence[Event], said: Sequence[tuple[datetime, str, bool]]
) -> None:
    """Note which of a person's messages the page answered, and for what an answer made them wait.

    `said`: (time, category, by us) of the page's. Who was in danger had the numbers to call if we spoke after it, or sent
    them just before; a human's word, or an absence message of Meta's own, holds none."""
    last = max((at for at, _, _ in said), default=None)
    answered = [event for event in heard if last is not None and event.at < last]
    if not answered:
        return
    own = max((at for at, _, us in said if us), default=None)
    alarmed = any(category == "emergency" for _, category, _ in said)
    found.answered.update({e.key: alarmed or (own is not None and e.at < own) for e in answered})
    first = min(event.at for event in answered)
    category = min((c for at, c, _ in said if at > first), key=PRIORITY.__getitem__)
    if category != NOTHING:
        found.waiting[conversation] = category


async def _kept(
    connection: AsyncConnection, codec: Codec, conversation: int, ats: Sequence[datetime], mids: set[str | None]
) -> _Kept:
    first, last = min(ats) - 2 * _SECOND, max(ats) + 2 * _SECOND
    rows = await connection.execute(
        text(f"""
            SELECT mid, at, body, {places.event("events")} FROM events
            WHERE conversation_id = :id AND at BETWEEN :from AND :to
              AND kind IN ('text', 'quick_reply', 'attachment', 'postback', 'echo')
        """),  # noqa: S608 (names of ours)
        {"id": conversation, "from": first, "to": last},
    )
    heard = [
        (row.mid or "", row.at, said)
        for row in rows
        if row.mid not in mids and (said := _words_of(codec, row)) is not None
    ]
    rows = await connection.execute(
        text(f"""
            SELECT e.at, e.body, {places.event("e")} FROM events e
            WHERE e.conversation_id = :id AND e.kind = 'echo' AND e.reason = 'own_echo' AND e.at > :first
              AND NOT EXISTS (
                SELECT FROM outbox o WHERE o.conversation_id = :id
                  AND (e.mid = ANY(o.mids) OR e.mid IN (SELECT value FROM jsonb_each_text(o.echoes))))
        """),  # noqa: S608
        {"id": conversation, "first": min(ats)},
    )
    untraced = [(row.at, said) for row in rows if (said := _words_of(codec, row)) is not None]
    last = max([last, *(at + 2 * _SECOND for at, _ in untraced)])
    rows = await connection.execute(
        text("""
            SELECT id, message FROM outbox
            WHERE conversation_id = :id AND created_at BETWEEN :early AND :to AND status <> 'cancelled'
        """),
        {"id": conversation, "early": first - _OURS_WITHIN, "to": last},
    )
    opened = [codec.readable_json(row.message, MESSAGE, conversation, row.id) for row in rows]
    told = [_plain(str(message.get("text", ""))) for message in opened if message is not None]
    return _Kept(heard, told, [one for one in untraced if not any(one[1] in text_ for text_ in told)])


def _words_of(codec: Codec, row: Any) -> str | None:
    """None where a value does not open: it cannot be compared, and must not keep the rest of the account out."""
    said = codec.readable_json(row.body, BODY, row.place)
    return None if said is None else words(body_from_json(said))


def _is_kept(event: Event, kept: _Kept) -> bool:
    """Whether these words of that second stand there under another id. What was matched is not matched again."""
    said = words(event.body)
    if isinstance(event.body, Echo) and said and any(said in told for told in kept.told):
        return True  # our own, whose receipt was lost; a part of a longer one
    for one in kept.heard:
        if abs(one[1] - event.at) <= _SECOND and one[2] == said:
            kept.heard.remove(one)
            return True
    return False


def words(body: Body) -> str:
    """What a message says, without regard to spaces; attachments count by their kinds."""
    if isinstance(body, Postback):
        return _plain(body.title)
    if not isinstance(body, (Message, Echo)):
        return ""
    return _plain(body.text) or " ".join(sorted(f"[{one.type}]" for one in body.attachments))


def _plain(text_: str) -> str:
    return " ".join(text_.split())


async def remember(connection: AsyncConnection, rows: Sequence[tuple[int, int, datetime]]) -> None:
    """(event, conversation, Meta's time) of what was taken in by this way."""
    await connection.execute(
        text("""
            INSERT INTO caught (event_id, conversation_id, at)
            SELECT * FROM unnest(CAST(:events AS bigint[]), CAST(:ids AS bigint[]), CAST(:ats AS timestamptz[]))
        """),
        {"events": [r[0] for r in rows], "ids": [r[1] for r in rows], "ats": [r[2] for r in rows]},
    )


async def forget(connection: AsyncConnection, now: datetime) -> None:
    """Those whose webhook cannot be on its way any more."""
    await connection.execute(text("DELETE FROM caught WHERE at < :old"), {"old": now - _KEPT})


@dataclass(frozen=True)
class Twin:
    """A message that came by the Conversations API, and that no webhook has brought yet."""

    event: int
    conversation: int
    at: datetime
    words: str


def twin(codec: Codec, row: Any) -> Twin | None:
    """Of a row of TWINS, whose columns are named as there; None where it cannot be read."""
    said = _words_of(codec, row)
    return None if said is None else Twin(row.event_id, row.conversation_id, row.at, said)


TWINS = f"""
    SELECT c.event_id, c.conversation_id, e.at, e.body, {places.event("e")} FROM caught c JOIN events e ON e.id = c.event_id
    WHERE c.conversation_id = ANY(%(ids)s) AND c.twin IS NULL
      AND c.at BETWEEN CAST(%(first)s AS timestamptz) - interval '1 second'
                   AND CAST(%(last)s AS timestamptz) + interval '1 second'
"""  # noqa: S608 (names of ours; `first`, `last`: Meta's times of what is taken in)


async def twins(
    connection: AsyncConnection, codec: Codec, taken: Sequence[tuple[int, int, Event]], there: Sequence[Twin]
) -> set[int]:
    """Of these new webhook events (id, conversation, event), those whose message is `there` (found with TWINS).

    The message takes the webhook's mid, by which edits and withdrawals will name it; its twin is emptied."""
    left = list(there)
    found: dict[int, tuple[int, str | None, tuple[int | str, ...]]] = {}
    for number, conversation, event in taken if left else ():
        if not isinstance(event.body, (Message, Postback, Echo)):
            continue
        for one in left:
            near = one.conversation == conversation and abs(one.at - event.at) <= _SECOND
            if near and one.event != number and one.words == words(event.body):
                left.remove(one)
                place = (conversation, event.platform.value, event.account, event.key)
                found[number] = (one.event, event.mid, place)
                break
    if found:
        await _pair(connection, codec, found)
    return set(found)


async def _pair(
    connection: AsyncConnection, codec: Codec, found: Mapping[int, tuple[int, str | None, tuple[int | str, ...]]]
) -> None:
    pairs = {"ids": [v[0] for v in found.values()], "mids": [v[1] or "" for v in found.values()]}
    named = "FROM unnest(CAST(:ids AS bigint[]), CAST(:mids AS text[])) AS i(id, mid)"
    await connection.execute(text(f"UPDATE caught c SET twin = i.mid {named} WHERE c.event_id = i.id"), pairs)  # noqa: S608
    await connection.execute(
        text("""
            UPDATE events SET kind = 'twin', mid = NULL, body = i.empty
            FROM unnest(CAST(:twins AS bigint[]), CAST(:empty AS bytea[])) AS i(number, empty) WHERE id = i.number
        """),
        {
            "twins": list(found),
            "empty": [codec.seal_json(body_to_json(Unknown(TWIN)), BODY, *found[number][2]) for number in found],
        },
    )
    await connection.execute(
        text(f"UPDATE events e SET mid = i.mid {named} WHERE e.id = i.id AND i.mid <> ''"),  # noqa: S608
        pairs,
    )


async def old_echoes(connection: AsyncConnection, taken: Sequence[tuple[int, int, Event]], now: datetime) -> set[int]:
    """Of these new events, the page's own that change nothing any more: a human in Meta's inbox wrote them so long ago,
    or the conversation went on since, that nobody is to be taken out of it."""
    echoes = [(number, conversation, event.at) for number, conversation, event in taken if isinstance(event.body, Echo)]
    if not echoes:
        return set()
    rows = await connection.execute(
        text("""
            SELECT i.event FROM unnest(CAST(:events AS bigint[]), CAST(:ids AS bigint[]), CAST(:ats AS timestamptz[]))
                AS i(event, id, at)
            WHERE i.at < :old OR EXISTS (
                SELECT FROM events e WHERE e.conversation_id = i.id AND e.at > i.at
                  AND e.disposition IS NOT NULL AND e.disposition <> 'ignored')
        """),
        {
            "events": [e[0] for e in echoes],
            "ids": [e[1] for e in echoes],
            "ats": [e[2] for e in echoes],
            "old": now - INBOX_FOR,
        },
    )
    return {row.event for row in rows}

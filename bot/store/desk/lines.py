"""The lines of the queue, read whole: whose hand-off, what opened it, what was said last, and the alarm that stands."""

from __future__ import annotations

from bot.store import places
from bot.store.desk.access import CONVERSATION, HANDOFF, SPOKEN

_KINDS = ", ".join(f"'{kind}'" for kind in SPOKEN if kind != "unsend")
_TURN = 5  # messages of one turn, at most, that are shown as what opened a hand-off
# What opened a hand-off: the message that raised its alarm; else that which was handed off as what the hand-off is now (a request
# may have been raised since); else the last one of before it was opened; else the first. Messages of one turn belong together.
_OPENER = f"""
    LEFT JOIN LATERAL (
        SELECT * FROM (
            (SELECT 0 AS step, id, at, settled_at FROM events WHERE id = a.events[1] AND kind IN ({_KINDS}))
            UNION ALL (SELECT 1, id, at, settled_at FROM events WHERE conversation_id = c.id AND kind IN ({_KINDS})
                AND at >= h.opened_at - interval '1 day' AND settled_at >= h.opened_at AND disposition = 'handed_off'
                AND intent = h.intent ORDER BY at, id LIMIT 1)
            UNION ALL (SELECT 2, id, at, settled_at FROM events WHERE conversation_id = c.id AND kind IN ({_KINDS})
                AND at <= h.opened_at ORDER BY at DESC, id DESC LIMIT 1)
            UNION ALL (SELECT 3, id, at, settled_at FROM events WHERE conversation_id = c.id AND kind IN ({_KINDS})
                ORDER BY at, id LIMIT 1)
        ) y ORDER BY step LIMIT 1) o ON true
    LEFT JOIN LATERAL (
        SELECT array_agg(body ORDER BY at, id) AS bodies, array_agg(kind ORDER BY at, id) AS kinds,
            array_agg(place ORDER BY at, id) AS places FROM (
            SELECT id, at, body, kind, {places.event("events")} FROM events
            WHERE conversation_id = c.id AND kind IN ({_KINDS}) AND body IS NOT NULL
                AND at BETWEEN o.at - interval '1 day' AND o.at + interval '1 day' AND (id = o.id OR settled_at = o.settled_at)
            ORDER BY at, id LIMIT {_TURN}) z) t ON true
"""  # noqa: S608


def lines(found: str, order: str, agent: str, words: bool) -> str:
    """The lines that `found` (a query of hand-offs' ids) finds, whole, in that order."""
    said = f"""LEFT JOIN LATERAL (
            SELECT body, at, kind, {places.event("events")} FROM events WHERE conversation_id = c.id AND kind IN ({_KINDS})
            ORDER BY at DESC, id DESC LIMIT 1) e ON true
        LEFT JOIN LATERAL (
            SELECT id, at, kind, degree, detector, entry, evidence, verdict, verdict_at, events FROM alarms
            WHERE handoff_id = h.id AND (h.category = 'emergency' OR degree = 'likely') AND verdict IS DISTINCT FROM 'taken_back'
            ORDER BY degree = 'sure' DESC, id DESC LIMIT 1) a ON true {_OPENER}"""  # noqa: S608
    columns = (
        "e.body AS words, e.at AS words_at, e.kind AS words_kind, e.place, a.id AS alarm_id, a.at AS alarm_at, "
        "a.kind AS alarm_kind, a.degree, a.detector, a.entry, a.evidence, a.verdict, a.verdict_at, t.bodies, t.kinds, t.places"
        if words
        else "NULL AS words, NULL AS words_at"
    )
    return f"""
        WITH found AS MATERIALIZED ({found})
        SELECT {CONVERSATION}, {HANDOFF}, {columns}
        FROM found JOIN handoffs h ON h.id = found.id JOIN conversations c ON c.id = h.conversation_id
        LEFT JOIN users u ON u.id = {agent} {said if words else ""}
        ORDER BY {order}
    """  # noqa: S608

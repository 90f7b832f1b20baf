"""What an alert says: plain French, what is wrong, since when, and the remedy. Nothing of a citizen's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.monitor.finding import Grade
from bot.monitor.ladder import Alert, Notice

TITLE_MOST = 120  # characters


@dataclass(frozen=True)
class Message:
    """One message for every target."""

    title: str
    body: str
    grade: Grade | None  # None: good news


def message(notice: Notice, host: str, zone: ZoneInfo) -> Message:
    """Everything that is to be told now, in one message; the most pressing first."""
    ringing = (*notice.opened, *notice.reminded)
    body: list[str] = []
    for title, alerts in (("Alerte", notice.opened), ("Toujours en cours", notice.reminded)):
        body += _section(title, sorted(alerts, key=_rank), zone)
    if notice.closed:
        body += ["Rétabli", *(f"• {a.what}\n  depuis le {_when(a.since, zone)}" for a in notice.closed), ""]
    body.append(f"Vu de {host}. État complet : planton doctor.")
    grade = min((a.grade for a in ringing), key=list(Grade).index, default=None)
    return Message(_title(ringing, notice), "\n".join(body), grade)


def _section(title: str, alerts: Iterable[Alert], zone: ZoneInfo) -> list[str]:
    lines = [f"• {a.what}\n  depuis le {_when(a.since, zone)}\n  → {a.remedy}" for a in alerts]
    return [title, *lines, ""] if lines else []


def _title(ringing: tuple[Alert, ...], notice: Notice) -> str:
    if len(ringing) > 1:
        return f"Planton : {len(ringing)} alertes"
    told = ringing or notice.closed
    word = "rétabli" if not ringing else "alerte" if notice.opened else "rappel"
    if len(told) > 1:
        return f"Planton : {len(told)} alertes rétablies"
    title = f"Planton, {word} : {told[0].what}"
    return title if len(title) <= TITLE_MOST else title[: TITLE_MOST - 1].rstrip() + "…"


def _rank(alert: Alert) -> tuple[int, datetime]:
    return list(Grade).index(alert.grade), alert.since


def _when(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%d/%m/%Y à %H:%M")

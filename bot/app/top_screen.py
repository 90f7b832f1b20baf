"""One screen of `planton top`: plain lines. What matters is said by words and a « ! », never by a colour alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

from bot.app.top_look import Frame
from bot.app.vitals import FRENCH_PLATFORMS
from bot.store.live import AccountUse, Live
from bot.watch.site import Queue

WIDTH, HEIGHT = 80, 24
PRIORITIES = {"danger": "dangers", "live": "en direct", "bundle": "paquets du matin"}
LANES = {"emergency": "urgences", "reply": "réponses", "agent": "agents"}
DELAYS = {
    "acknowledge": "accusé de réception à Meta",
    "engine": "moteur, un tour",
    "send": "appel de l’API d’envoi",
    "reply": "du message à sa réponse",
    "emergency": "du danger à sa réponse",
}
SERVICES = {"gateway": "passerelle", "sender": "expéditeur", "console": "console"}
STATES = {"ok": "", "paused": "en pause, demandée par Meta", "stopped": "ARRÊTÉ : planton doctor"}
URGENT = 80  # percent of Meta's limits
LATE = 60.0  # seconds after which what is due is late
_NONE = "—"
HELP = (
    "q        quitter",
    "espace   figer l’écran, puis reprendre",
    "?        cette aide",
    "",
    "Chaque nombre est lu dans la base, en lecture seule, sauf les délais : ils viennent des mesures",
    "des processus que cette machine joint, et portent sur la dernière minute. « — » : rien à mesurer,",
    "ou mesures fermées (METRICS_TOKEN pour la passerelle, METRICS_PORT pour le traitement).",
    "« ! » demande qu’on agisse : planton doctor dit quoi faire. Tout est expliqué dans docs/surveillance.md.",
)


def screen(frame: Frame, zone: ZoneInfo, width: int = WIDTH, height: int = HEIGHT, status: str = "") -> list[str]:
    """At most `height` lines of at most `width` characters."""
    lines = [_head(frame, zone, width, status)]
    if frame.live is None:
        lines += [
            "",
            "! La base de données ne répond pas. Nouvel essai dans un instant (planton doctor dit quoi faire).",
            "",
        ]
    else:
        lines += _queues(frame.live)
    lines += ["", *_rates(frame)]
    if frame.live is not None:
        lines += ["", *_desk(frame.live), "", *_accounts(frame)]
    lines += ["", *_services(frame)]
    lines += _alerts(frame)
    return [line[:width].rstrip() for line in fit(lines, height)]


def fit(lines: list[str], height: int) -> list[str]:
    """Where they are too many, empty lines go first, then the last ones, which is said."""
    while len(lines) > height and "" in lines:
        lines = [*lines[: lines.index("")], *lines[lines.index("") + 1 :]]
    if len(lines) > height:
        return [*lines[: height - 1], f"… et {len(lines) - height + 1} lignes : agrandissez la fenêtre"]
    return lines


def _head(frame: Frame, zone: ZoneInfo, width: int, status: str) -> str:
    left = f"planton top  {frame.at.astimezone(zone):%d/%m/%Y %H:%M:%S}"
    return left + status.rjust(max(1, width - len(left)))


def _queues(live: Live) -> Iterator[str]:
    site = live.site
    yield f"{'À TRAITER':<22}{'nombre':>8}{'retard':>9}  {'À ENVOYER':<20}{'nombre':>8}{'retard':>9}"
    left = [_queue(name, site.due[key]) for key, name in PRIORITIES.items()]
    left += [
        f"{'dans les mains':<22}{_n(site.leased):>8}{'':>9}",
        f"{'attendent leur heure':<22}{_n(site.later):>8}{'':>9}",
    ]
    right = [_queue(name, site.outbox[key], 20) for key, name in LANES.items()]
    right += [f"{'sans disposition':<20}{_n(site.in_flight):>8}"]
    for index, line in enumerate(left):
        yield f"{line}  {right[index] if index < len(right) else ''}"


def _queue(name: str, queue: Queue, width: int = 22) -> str:
    mark = "!" if queue.count and queue.oldest > LATE else ""
    return f"  {name:<{width - 2}}{_n(queue.count):>8}{mark + (span(queue.oldest) if queue.count else _NONE):>9}"


def _rates(frame: Frame) -> Iterator[str]:
    live = frame.live
    yield f"{'PAR SECONDE':<14}{'10 s':>8}{'1 min':>9}  {'DÉLAIS, 1 MIN':<26}{'p50':>7}{'p95':>7}{'p99':>7}"
    pairs = [("reçus", live.received if live else None), ("partis", live.sent if live else None)]
    left = [f"  {name:<12}{_rate(pair, 0):>8}{_rate(pair, 1):>9}" for name, pair in pairs]
    for index, (key, name) in enumerate(DELAYS.items()):
        some = frame.delays.get(key)
        shown = "".join(f"{_NONE if some is None else span(one):>7}" for one in (some or (0.0, 0.0, 0.0)))
        yield f"{left[index] if index < len(left) else '':<31}  {name:<26}{shown}"


def _rate(pair: tuple[float, float] | None, index: int) -> str:
    return _NONE if pair is None else _decimal(pair[index])


def _desk(live: Live) -> Iterator[str]:
    site = live.site
    waiting = max((queue.oldest for queue in site.handoffs.values()), default=0.0)
    count = sum(queue.count for queue in site.handoffs.values())
    first = f", la première non prise attend depuis {span(waiting)}" if waiting else ""
    yield f"AGENTS  demandes ouvertes : {_n(count)}{first}"
    if site.unread.count:
        yield f"  ! urgences que personne n’a lues : {_n(site.unread.count)}, depuis {span(site.unread.oldest)}"


def _accounts(frame: Frame) -> Iterator[str]:
    assert frame.live is not None
    told = "" if frame.usage is None else f"   usage annoncé par Meta : {frame.usage:.0%}".replace("%", " %")
    yield f"PLAFONDS  {_n(frame.ceiling)} messages par seconde et par compte{told}"
    for one in frame.live.accounts[:4]:
        yield from _account(one, frame.ceiling)
    if len(frame.live.accounts) > 4:
        yield f"  … et {len(frame.live.accounts) - 4} autres comptes"


def _account(one: AccountUse, ceiling: int) -> Iterator[str]:
    share = min(1.0, one.used / ceiling)
    bar = "#" * round(20 * share)
    name = f"{FRENCH_PLATFORMS.get(one.platform, one.platform or 'compte')} {one.account}"
    usage = "" if one.usage is None else f"Meta {one.usage}\u00a0%"
    mark = "" if one.state == "ok" and (one.usage or 0) < URGENT else "! "
    yield f"  {mark}{name:<30.30} [{bar:<20}] {one.used}/{ceiling}  {STATES[one.state] or usage}"
    if one.slowed is not None and one.slowed < ceiling:
        why = f", Meta compte {one.usage}\u00a0% de ses limites" if usage else ", à la demande de Meta"
        yield f"    réponses ralenties à {_n(one.slowed)} par seconde{why}"


def _services(frame: Frame) -> Iterator[str]:
    ready, every = frame.engines
    connections, machines = frame.live.workers if frame.live is not None else (0, 0)
    states = {
        "base": frame.live is not None,
        **{name: frame.services[key] for key, name in SERVICES.items()},
        f"moteurs {ready}/{every}": ready == every,
    }
    if frame.live is not None:
        states[f"traitement ({machines} machine{'s' if machines > 1 else ''})" if connections else "traitement"] = (
            connections > 0
        )
    yield "SERVICES  " + (" · ".join(name for name, good in states.items() if good) or "aucun ne répond")
    if missing := [name for name, good in states.items() if not good]:
        yield f"  ! manquent : {', '.join(missing)}"


def _alerts(frame: Frame) -> Iterator[str]:
    if frame.live is None:
        return
    if not frame.live.alerts:
        yield "ALERTES   aucune"
        return
    yield f"ALERTES   {len(frame.live.alerts)}"
    for grade, what in frame.live.alerts:
        yield f"  {'!' if grade == 'critical' else ' '} {what}"


def span(seconds: float) -> str:
    """« 4 ms », « 1,2 s », « 3 min », « 5 h », « 2 j »."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".", ",")
    for most, unit, name in ((60, 1, "s"), (3600, 60, "min"), (172_800, 3600, "h")):
        if seconds < most:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} j"


def _n(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")


def _decimal(number: float) -> str:
    return f"{number:,.1f}".replace(",", "\u202f").replace(".", ",")


def unmeasured(frame: Frame) -> Mapping[str, str]:
    """Process → the setting that opens its metrics to who stands here."""
    remedies = {"gateway": "METRICS_TOKEN", "worker": "METRICS_PORT", "sender": "SENDER_URL"}
    return {process: remedies[process] for process in frame.unmeasured}

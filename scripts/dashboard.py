"""Writes the Grafana dashboard, deploy/grafana/planton.json, from the list below: `python -m scripts.dashboard`.

A test holds the file against the list, each metric against those that exist, and each query against promtool.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "deploy" / "grafana" / "planton.json"
WIDTH, STAT_HEIGHT, HEIGHT = 24, 4, 8
OTHERS = '{groupname=~"planton-(engine|trainer|monitor)"}'  # roles without metrics of their own, seen from outside
_SOURCE = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True)
class Panel:
    """A panel. `queries`: PromQL → legend. `unit`: as Grafana names it. `stat`: one number; red from `bad` on."""

    title: str
    queries: dict[str, str]
    unit: str
    says: str
    width: int = 8
    stat: bool = False
    bad: float | None = None
    stacked: bool = False


def quantile(q: float, metric: str, labels: str = "", by: str = "") -> str:
    """A quantile of a histogram over the panel's own interval."""
    return f"histogram_quantile({q:g}, sum by (le{by}) (rate({metric}_bucket{labels}[$__rate_interval])))"


def _delays(metric: str, labels: str = "") -> dict[str, str]:
    names = {0.5: "médiane", 0.95: "95 %", 0.99: "99 %"}
    return {quantile(q, metric, labels): name for q, name in names.items()}


def _stat(title: str, query: str, unit: str, says: str, bad: float) -> Panel:
    return Panel(title, {query: title}, unit, says, width=4, stat=True, bad=bad)


ROWS: Sequence[tuple[str, Sequence[Panel]]] = (
    (
        "L’essentiel",
        (
            _stat(
                "Urgences non lues", "max(planton_emergencies_unread)", "short", "Ouvertes, qu’aucun agent n’a lues.", 1
            ),
            _stat(
                "Plus ancienne urgence non lue",
                "max(planton_emergencies_unread_oldest_seconds)",
                "s",
                "Au-delà de cinq minutes, appelez l’agent de permanence.",
                300,
            ),
            _stat(
                "Retard de la file",
                'max(planton_queue_oldest_seconds{priority="live"})',
                "s",
                "Depuis quand la première conversation pouvait être traitée.",
                60,
            ),
            _stat(
                "Réponse, 95 %",
                quantile(0.95, "planton_sender_reply_seconds", '{lane="reply"}'),
                "s",
                "De l’arrivée du message à la réponse prise par Meta, attente de regroupement comprise.",
                10,
            ),
            _stat(
                "Accusé de réception, 99 %",
                quantile(0.99, "planton_gateway_acknowledge_seconds"),
                "s",
                "Objectif : 50 ms.",
                0.5,
            ),
            _stat(
                "Processus absents",
                'sum(1 - up{job=~"planton-.*"})',
                "short",
                "Ceux que Prometheus ne joint plus.",
                1,
            ),
        ),
    ),
    (
        "Débits, par seconde",
        (
            Panel(
                "Événements reçus",
                {"sum by (kind) (rate(planton_gateway_events_total[$__rate_interval]))": "{{kind}}"},
                "ops",
                "Par genre.",
                stacked=True,
            ),
            Panel(
                "Événements traités",
                {"sum by (disposition) (rate(planton_worker_events_total[$__rate_interval]))": "{{disposition}}"},
                "ops",
                "Par disposition, par les tours des workers.",
                stacked=True,
            ),
            Panel(
                "Envois",
                {"sum by (result) (rate(planton_sender_sends_total[$__rate_interval]))": "{{result}}"},
                "ops",
                "Appels de l’API d’envoi, par résultat.",
                stacked=True,
            ),
        ),
    ),
    (
        "Délais",
        (
            Panel(
                "Accusé de réception",
                _delays("planton_gateway_acknowledge_seconds"),
                "s",
                "Du webhook reçu à la réponse faite à Meta.",
            ),
            Panel(
                "Du message à sa réponse",
                _delays("planton_sender_reply_seconds", '{lane="reply"}'),
                "s",
                "Ce que la personne attend, nuits exclues.",
            ),
            Panel(
                "Du danger à sa réponse",
                _delays("planton_sender_reply_seconds", '{lane="emergency"}'),
                "s",
                "Objectif : une seconde.",
            ),
            Panel(
                "Moteur, un tour", _delays("planton_worker_engine_seconds", '{call="turn"}'), "s", "Appels du moteur."
            ),
            Panel("Un tour entier", _delays("planton_worker_turn_seconds"), "s", "Moteur et base compris."),
            Panel("Appel de l’API d’envoi", _delays("planton_sender_send_seconds"), "s", "Ce que met Meta."),
        ),
    ),
    (
        "Files",
        (
            Panel(
                "Conversations à traiter",
                {"max by (priority) (planton_queue_conversations)": "{{priority}}"},
                "short",
                "Dues maintenant, par priorité.",
            ),
            Panel(
                "Retard de la première",
                {
                    "max by (priority) (planton_queue_oldest_seconds)": "file : {{priority}}",
                    "max by (lane) (planton_outbox_oldest_seconds)": "envoi : {{lane}}",
                },
                "s",
                "Depuis quand elle pouvait être traitée, ou partir.",
            ),
            Panel(
                "Messages à envoyer",
                {"max by (lane) (planton_outbox_rows)": "{{lane}}"},
                "short",
                "Dus maintenant, par voie.",
            ),
            Panel(
                "En cours",
                {
                    "max(planton_events_in_flight)": "événements sans disposition",
                    "max(planton_queue_later_conversations)": "conversations qui attendent leur heure",
                    "sum(planton_worker_turns_running)": "tours en cours",
                    "sum(planton_sender_rows_running)": "envois en cours",
                },
                "short",
                "Ce qui est entre deux états.",
                width=12,
            ),
            Panel(
                "Tours, par issue et par seconde",
                {"sum by (outcome) (rate(planton_worker_turns_total[$__rate_interval]))": "{{outcome}}"},
                "ops",
                "Autre chose que « done » mérite un regard.",
                width=12,
            ),
        ),
    ),
    (
        "Agents",
        (
            Panel(
                "Demandes ouvertes",
                {"max by (category) (planton_handoffs_open)": "{{category}}"},
                "short",
                "Par catégorie.",
                width=12,
                stacked=True,
            ),
            Panel(
                "Âge de la première non prise",
                {"max by (category) (planton_handoffs_oldest_seconds)": "{{category}}"},
                "s",
                "Par catégorie.",
                width=12,
            ),
        ),
    ),
    (
        "Meta",
        (
            Panel(
                "Plafond et limites",
                {
                    "sum(planton_sender_ceiling_used_ratio)": "plafond utilisé, tous expéditeurs",
                    "max by (account) (planton_sender_meta_usage_ratio)": "usage annoncé par Meta, {{account}}",
                },
                "percentunit",
                "Du compte le plus chargé.",
            ),
            Panel(
                "Part des envois qui échouent",
                {
                    'sum(rate(planton_sender_sends_total{result!="ok"}[$__rate_interval]))'
                    " / sum(rate(planton_sender_sends_total[$__rate_interval]))": "échecs"
                },
                "percentunit",
                "Tous comptes et voies.",
            ),
            Panel("Comptes", {"max by (state) (planton_accounts)": "{{state}}"}, "short", "Par état.", stacked=True),
        ),
    ),
    (
        "Processus",
        (
            Panel(
                "Processeur",
                {
                    'sum by (job) (rate(process_cpu_seconds_total{job=~"planton-.*"}[$__rate_interval]))': "{{job}}",
                    f"sum by (groupname) (rate(namedprocess_namegroup_cpu_seconds_total{OTHERS}[$__rate_interval]))": (
                        "{{groupname}}"
                    ),
                },
                "percentunit",
                "100 % : un cœur. Moteur, trainer et monitor : avec prometheus-process-exporter.",
            ),
            Panel(
                "Mémoire",
                {
                    'sum by (job) (process_resident_memory_bytes{job=~"planton-.*"})': "{{job}}",
                    f"sum by (groupname) (namedprocess_namegroup_memory_bytes{OTHERS[:-1]}, "
                    'memtype="resident"})': "{{groupname}}",
                },
                "bytes",
                "Par rôle. Moteur, trainer et monitor : avec prometheus-process-exporter.",
                stacked=True,
            ),
            Panel(
                "Base et moteurs",
                {
                    "min(planton_database_up)": "base",
                    "max by (state) (planton_engines)": "moteurs : {{state}}",
                    "max(planton_database_look_seconds)": "lecture de l’installation (s)",
                },
                "short",
                "La base répond à toutes les passerelles (1), moteurs par état.",
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS:
        place = {"h": 1, "w": WIDTH, "x": 0, "y": top}
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
        )
        top += 1
        left = 0
        for panel in row:
            height = STAT_HEIGHT if panel.stat else HEIGHT
            if left + panel.width > WIDTH:
                left, top = 0, top + height
            panels.append(_panel(panel, len(panels) + 1, {"h": height, "w": panel.width, "x": left, "y": top}))
            left += panel.width
        top += STAT_HEIGHT if row[-1].stat else HEIGHT
    return {
        "uid": "planton",
        "title": "Planton",
        "tags": ["planton"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}}
            ]
        },
        "annotations": {"list": []},
        "editable": True,
        "panels": panels,
    }


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    steps = [{"color": "green", "value": None}] + ([] if panel.bad is None else [{"color": "red", "value": panel.bad}])
    custom = {"fillOpacity": 20, "lineWidth": 1, "stacking": {"mode": "normal" if panel.stacked else "none"}}
    made: dict[str, Any] = {
        "id": number,
        "type": "stat" if panel.stat else "timeseries",
        "title": panel.title,
        "description": panel.says,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
                **({} if panel.stat else {"custom": custom}),
            },
            "overrides": [],
        },
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for index, (query, legend) in enumerate(panel.queries.items())
        ],
    }
    if panel.stat:
        made["options"] = {"colorMode": "background", "reduceOptions": {"calcs": ["lastNotNull"]}}
    return made


def text() -> str:
    """The file."""
    return json.dumps(dashboard(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text(), encoding="utf-8")
    print(f"{FILE.relative_to(ROOT)} : {sum(len(row) for _, row in ROWS)} panneaux")

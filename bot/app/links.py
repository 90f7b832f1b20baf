"""`planton check links`: do the addresses of the replies still answer? Run where there is a network."""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import UTC, date, datetime

from bot.app.say import say, typeset
from bot.settings import Settings
from bot.trainer import links
from bot.trainer.project import Project
from bot.trainer.replies import Replies
from bot.trainer.reply_rules import stale

NO_NETWORK = "aucun site ne répond : cette machine n’a pas accès à Internet. Lancez la commande là où il y a un réseau."


def main(parsed: argparse.Namespace) -> int:
    """Print the report: 0 when all is in order, 1 when something is not, 2 without a network. Raises BadFile."""
    from bot.app.places import PROJECT

    today = datetime.now(UTC).astimezone(Settings().zone).date()
    return report(Project(PROJECT), today, as_json=parsed.json)


def report(project: Project, today: date, as_json: bool, pace: links.Pace | None = None) -> int:
    """Ask every address and print what came of it."""
    replies = Replies.read(project)
    wanted = links.addresses(replies)
    found = asyncio.run(links.check(wanted, pace))
    if links.no_network(found):
        say(NO_NETWORK)
        return 2
    old = stale(replies, today)
    wrong = links.by_place(found)
    if as_json:
        whole = {
            "ok": not wrong,
            "links": [one.as_json() for one in found],
            "stale": [{"name": name, "line": line, "checked": day.isoformat()} for name, line, day in old],
        }
        print(json.dumps(whole, ensure_ascii=False, indent=2))
        return 1 if wrong else 0
    lines = [
        f"{links.FILE}:{place.line} {place.name} ({'source' if place.where == 'source' else 'texte'}) : {one.address} {one.what}.\n"
        f"  {one.remedy}"
        for place, one in wrong
    ]
    detours = [f"{one.address} {one.what}." for one in found if one.ok and one.target]
    lines += [
        f"{links.FILE}:{line} {name} : source vérifiée le {day:%d/%m/%Y}, il y a plus de six mois."
        for name, line, day in old
    ]
    good = sum(one.ok for one in found)
    lines += [
        *detours,
        f"{len(found)} adresses : {good} répondent, {len(found) - good} à revoir ; {len(old)} réponses à relire.",
    ]
    print(typeset("\n".join(lines)))
    return 1 if wrong else 0

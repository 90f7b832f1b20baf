"""The replies' part of `planton check`, and what refuses a change of the page: the same rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from bot.policy.language import SPOKEN
from bot.trainer import reply_rules
from bot.trainer.checks.finding import Finding, error, warning
from bot.trainer.errors import TrainerError
from bot.trainer.project import Project
from bot.trainer.replies import FILE, Allow, Replies
from bot.trainer.reply_uses import PRECISIONS, Use, uses

FOREIGN = {f"utter_langue_{code}": code for code in SPOKEN}


class BadReply(TrainerError):
    """A change that the rules refuse; `findings` says why."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        one = findings[0]
        more = f" (et {len(findings) - 1} autre{'s' if len(findings) > 2 else ''})" if len(findings) > 1 else ""
        super().__init__(f"{one.what}{more}", one.remedy)
        self.findings = tuple(findings)


def check(project: Project, today: date) -> list[Finding]:
    """All that is wrong with the replies, unused ones included. Blocks, about a second. Raises BadFile."""
    replies, sent = Replies.read(project), uses(project)
    found = reply_rules.of_all(replies, today, facts_of(sent))
    for name, one in replies.responses.items():
        if name not in sent:
            remedy = "Retirez-la, ou dites dans data/precisions.yml quels mots l’appellent."
            found.append(warning("reply-unused", FILE, one.line, f"{name} : rien n’envoie cette réponse.", remedy))
    for name in sorted(set(sent) - set(replies.responses)):
        where = PRECISIONS if any(use.kind == "precision" for use in sent[name]) else FILE
        found.append(
            error(
                "reply-missing", where, None, f"{name} est envoyée, mais n’existe pas.", "Écrivez-la dans domain.yml."
            )
        )
    return found


def facts_of(sent: Mapping[str, Sequence[Use]]) -> dict[str, list[str]]:
    """By language, the replies with facts that `data/precisions.yml` adds to it."""
    found: dict[str, list[str]] = {}
    for name, ways in sent.items():
        for way in ways:
            if way.kind == "precision" and way.what in FOREIGN:
                found.setdefault(FOREIGN[way.what], []).append(name)
    return found


def of_change(
    before: Replies, after: Replies, names: Collection[str], today: date, facts: Mapping[str, Sequence[str]]
) -> list[Finding]:
    """What is wrong with these replies, and what the change spoils elsewhere. A tenth of a second; blocks."""
    found = [one for name in names for one in reply_rules.of_reply(after.responses[name], after, today)]
    old = {one.what for one in (*reply_rules.together(before, facts), *reply_rules.titles(before))}
    found += [one for one in (*reply_rules.together(after, facts), *reply_rules.titles(after)) if one.what not in old]
    return found


def gate(names: Collection[str], today: date, facts: Mapping[str, Sequence[str]]) -> Allow:
    """For `replies.change`: refuses, by BadReply, a change with an error. Warnings pass."""

    def allow(before: Replies, after: Replies) -> None:
        errors = [one for one in of_change(before, after, names, today, facts) if one.severity == "error"]
        if errors:
            raise BadReply(errors)

    return allow

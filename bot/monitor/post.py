"""Messages on their way: each target has its own, so that one that fails holds up nobody and is tried again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bot.monitor.memory import Memory, Waiting
from bot.monitor.targets import Target, send_all
from bot.monitor.wording import Message

FIRST, LONGEST = timedelta(minutes=1), timedelta(hours=1)  # between two tries, doubled each time
TOO_OLD = timedelta(days=1)
MOST = 50  # messages kept for one target

Send = Callable[[Sequence[tuple[Target, Message]]], dict[str, bool]]
log = logging.getLogger("planton.monitor")


class Post:
    """Puts messages into the memory, and hands them to the targets."""

    def __init__(self, targets: Sequence[Target], memory: Memory, send: Send = send_all) -> None:
        self._targets = {target.id: target for target in targets}
        self._memory = memory
        self._send = send
        memory.targets = len(targets)
        memory.waiting = [one for one in memory.waiting if one.target in self._targets]

    def put(self, message: Message, now: datetime) -> None:
        """For every target. Without any, the message goes nowhere."""
        for target in self._targets:
            self._memory.waiting.append(Waiting(target, message.title, message.body, message.grade, now, 0, now))
            mine = [one for one in self._memory.waiting if one.target == target]
            for old in mine[:-MOST]:
                self._memory.waiting.remove(old)

    def deliver(self, now: datetime) -> None:
        """Hand over what is due: what waits for one target goes in one message, in order."""
        for old in [one for one in self._memory.waiting if now - one.at > TOO_OLD]:
            log.error("alert given up for %s", self._targets[old.target].name)
            self._memory.waiting.remove(old)
        due = {one.target for one in self._memory.waiting if self._due(one.target, now)}
        if not due:
            return
        batches = {target: [one for one in self._memory.waiting if one.target == target] for target in due}
        taken = self._send([(self._targets[target], _joined(batch)) for target, batch in batches.items()])
        for target, batch in batches.items():
            if taken.get(target):
                for one in batch:
                    self._memory.waiting.remove(one)
                continue
            pause = min(FIRST * 2 ** max(one.tries for one in batch), LONGEST)
            log.warning("alert not taken by %s, tried again later", self._targets[target].name)
            for one in batch:
                one.tries += 1
                one.next_at = now + pause

    def _due(self, target: str, now: datetime) -> bool:
        """A target that failed is left alone until its time, whatever comes meanwhile."""
        mine = [one for one in self._memory.waiting if one.target == target]
        tried = [one.next_at for one in mine if one.tries]
        return now >= max(tried) if tried else True


def _joined(batch: Sequence[Waiting]) -> Message:
    if len(batch) == 1:
        return Message(batch[0].title, batch[0].body, batch[0].grade)
    body = "\n\n".join(f"{one.title}\n\n{one.body}" for one in batch)
    return Message(f"Planton : {len(batch)} messages en retard", body, batch[-1].grade)

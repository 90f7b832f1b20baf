"""A tracker store that lives for one request: it holds the trackers of the turns being run and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from rasa.core.tracker_store import TrackerStore
from rasa.shared.core.trackers import DialogueStateTracker


class RequestTrackerStore(TrackerStore):
    """Keyed by a unique request id, so that two turns never share a tracker, not even two of the same person."""

    def __init__(self) -> None:
        super().__init__(None)
        self._running: dict[str, DialogueStateTracker] = {}

    def begin(self, tracker: DialogueStateTracker) -> None:
        """Hand over the tracker of a turn that starts."""
        self._running[tracker.sender_id] = tracker

    def end(self, request_id: str) -> DialogueStateTracker:
        """Take the tracker back and forget it."""
        return self._running.pop(request_id)

    async def save(self, tracker: DialogueStateTracker) -> None:
        """Keep the tracker until the turn ends; without a turn there is nothing to keep."""
        if tracker.sender_id in self._running:
            self._running[tracker.sender_id] = tracker

    async def retrieve(self, sender_id: str) -> Optional[DialogueStateTracker]:
        """The tracker of a running turn."""
        return self._running.get(sender_id)

    async def keys(self) -> Iterable[str]:
        """Ids of the running turns."""
        return list(self._running)

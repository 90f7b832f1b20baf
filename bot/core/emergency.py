"""What an emergency reply answers: kept with it, so that its words are judged again when they leave."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, Optional


@dataclass(frozen=True)
class Answer:
    """`kind`: of the danger; None: the short reminder. `at`: Meta's timestamp of the message, aware. `french`: of its words.

    `keys`, `hour`: the texts that the words were made of, and the hour that they name ("" where they name none).
    `script`: whose words they are (`bot.policy.scripts`); None: those of the kind. `listens`: they name the 3114, whichever they
    are.
    """

    kind: Optional[Literal["danger", "distress"]]
    at: datetime
    french: bool = True
    keys: tuple[str, ...] = ()
    hour: str = ""
    script: Optional[str] = None
    listens: bool = False

    def stored(self) -> dict[str, Any]:
        """As JSON takes it. Versions that know no scripts cannot read one that has such words: else they would say those of the
        kind in their place."""
        kept = {"kind": self.kind, "at": self.at.timestamp(), "french": self.french, "hour": self.hour}
        kept["listens"] = self.listens
        return {**kept, "keys" if self.script is None else "texts": list(self.keys), "script": self.script}


def of_stored(data: Any) -> Optional[Answer]:
    """The answer of `Answer.stored`; None for anything else, as versions before it have it."""
    try:
        kind, at = data["kind"], datetime.fromtimestamp(data["at"], tz=timezone.utc)
        keys = tuple(str(key) for key in data["texts" if "texts" in data else "keys"])
        hour = str(data["hour"])
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
    if kind not in ("danger", "distress", None):
        return None
    script = data.get("script")  # which versions before had not
    script = script if isinstance(script, str) else None
    return Answer(kind, at, data.get("french") is not False, keys, hour, script, data.get("listens") is True)

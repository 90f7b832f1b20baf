"""The one error tree.

PlantonError
├── SettingsError        a wrong or missing setting; `remedy` says what to do
│   └── SealedElsewhere  a stored value was sealed for another place, or altered: somebody wrote without the key
├── SetupError           the machine lacks something (interpreter, port, binary); `remedy` says what to do
├── BadSignature         a webhook whose signature is wrong or missing
├── BadPayload           a webhook body that is not the JSON that Meta describes
├── EngineError          the engine did not give a usable answer
│   ├── EngineDown       it could not be reached, or timed out
│   └── EngineRefused    it answered with an error, or with an empty outcome
├── LeaseLost            another claimer took the conversation; nothing of this turn was kept
├── Unstorable           some events of a webhook can never be stored; the others are
└── SendError            the Graph API refused or lost a message (see bot/meta/send_api.py)
"""

from __future__ import annotations

from collections.abc import Collection


class PlantonError(Exception):
    """Root of every error that Planton raises on purpose."""


class Explained(PlantonError):
    """An error for people: `what` happened and its `remedy`, both in French."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what} {remedy}".strip())
        self.what = what
        self.remedy = remedy


class SettingsError(Explained):
    """A setting is wrong or missing."""


class SealedElsewhere(SettingsError):
    """A stored value was sealed for another column or row than the one that it stands in, or it was altered."""


class SetupError(Explained):
    """The machine lacks something that Planton needs."""


class BadSignature(PlantonError):
    """The webhook's signature is wrong or missing."""


class BadPayload(PlantonError):
    """The webhook's body is not a JSON object of Meta's shape."""


class EngineError(PlantonError):
    """The engine gave no usable answer."""


class EngineDown(EngineError):
    """The engine could not be reached or did not answer in time."""


class EngineRefused(EngineError):
    """The engine answered with an error or an empty outcome."""


class LeaseLost(PlantonError):
    """The conversation's lease ran out and another claimer has it."""


class Unstorable(PlantonError):
    """Some events of a webhook can never be stored as they are: they were kept as failed, and the others stored.

    `keys`: of those events. `why`: for logs, without a citizen's word. `kept`: False where not all of them could be kept as failed
    either, so that the webhook has to come again.
    """

    def __init__(self, keys: Collection[str], why: str, kept: bool = True) -> None:
        super().__init__(why)
        self.keys = frozenset(keys)
        self.why = why
        self.kept = kept


class SendError(PlantonError):
    """The Graph API refused or lost a message."""

"""The sender: the only process that holds page tokens; empties the outbox to the Graph API."""

from bot.sender.deps import SenderAccount, SenderDeps, Timing
from bot.sender.service import Sender

__all__ = ["Sender", "SenderAccount", "SenderDeps", "Timing"]

"""Who may do what in the console: five roles, and the capabilities of each. The only place that says so.

Every route of the console declares the capability it needs; the store asks again where a right depends on the
conversation or the draft (nobody validates their own).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Role(str, Enum):
    """What someone's account is for."""

    AGENT = "agent"
    VALIDATOR = "validator"
    TRAINER = "trainer"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


class Capability(str, Enum):
    """Something that a role may or may not do."""

    OWN_ACCOUNT = "account.own"  # one's own session, preferences, one-time passwords
    SEE_QUEUE = "queue.see"
    READ = "conversation.read"  # open a conversation, its notes and attachments; search
    WORK = "conversation.work"  # take, transfer what one has, draft, reply, note, close, snooze, spam
    FREE = "conversation.free"  # give back or close what another has
    ASSIGN = "conversation.assign"  # give a conversation, whoever has it, to a colleague or a team
    BLOCK = "person.block"
    HOLD = "conversation.hold"  # place and lift a legal hold
    SEE_RETENTION = "retention.see"  # holds, limits, the register of what was erased
    EDIT_CANNED = "canned.edit"
    SEE_VALIDATION = "validation.see"  # the list of drafts that wait
    VALIDATE = "validation.decide"  # approve, amend or refuse, as far as one's level reaches
    SET_VALIDATION = "validation.rules"
    SEE_CRISIS = "crisis.see"  # mode, groups, progress
    ANSWER_GROUP = "crisis.answer"  # propose one reply to a group
    RUN_CRISIS = "crisis.run"  # open and close the mode, release and stop a group's reply
    SEE_STEERING = "steering.see"  # figures, never words
    EXPORT = "steering.export"
    SET_DEADLINES = "deadlines.set"
    MANAGE_ACCOUNTS = "accounts.manage"  # accounts, teams, levels, others' sessions
    READ_AUDIT = "audit.read"
    SEE_WORKBENCH = "workbench.see"  # what is misunderstood, examples, checks, trainings, models, drift
    CORRECT = "workbench.correct"  # confirm or correct a reading, change examples and replies
    TRAIN = "workbench.train"  # start and stop a training, try a candidate
    PUBLISH = "workbench.publish"  # put a model into service, go back to an earlier one
    OVERRIDE_GATE = "workbench.override"  # publish although one intent fell, with a reason


_EVERYBODY = frozenset({Capability.OWN_ACCOUNT, Capability.SEE_QUEUE, Capability.SEE_STEERING})
_READER = _EVERYBODY | {Capability.READ, Capability.SEE_CRISIS, Capability.SEE_VALIDATION}
_AGENT = _READER | {Capability.WORK, Capability.BLOCK, Capability.ANSWER_GROUP}
_VALIDATOR = _AGENT | {Capability.ASSIGN, Capability.EDIT_CANNED, Capability.VALIDATE, Capability.EXPORT}
_VALIDATOR |= {Capability.HOLD, Capability.SEE_RETENTION}  # a head of service answers for what is kept

RIGHTS: Mapping[Role, frozenset[Capability]] = {
    Role.AGENT: _AGENT,
    Role.VALIDATOR: _VALIDATOR,
    Role.TRAINER: _EVERYBODY
    | {
        Capability.EDIT_CANNED,
        Capability.SEE_WORKBENCH,
        Capability.CORRECT,
        Capability.TRAIN,
        Capability.PUBLISH,
    },
    Role.ADMINISTRATOR: frozenset(Capability),
    Role.AUDITOR: _READER
    | {Capability.READ_AUDIT, Capability.EXPORT, Capability.SEE_WORKBENCH, Capability.SEE_RETENTION},
}

# What only looks: an auditor has nothing else. (One's own account is everybody's.)
LOOKS = frozenset(
    {
        Capability.OWN_ACCOUNT,
        Capability.SEE_QUEUE,
        Capability.READ,
        Capability.SEE_VALIDATION,
        Capability.SEE_CRISIS,
        Capability.SEE_STEERING,
        Capability.EXPORT,
        Capability.READ_AUDIT,
        Capability.SEE_WORKBENCH,
        Capability.SEE_RETENTION,
    }
)

# Who has to show a one-time password besides the first factor.
SECOND_FACTOR = frozenset({Role.VALIDATOR, Role.ADMINISTRATOR})

# How high a validator's word reaches: the head of service, then the cabinet, whose word holds for both.
LEVELS = ("service", "cabinet")


def may(role: str, capability: Capability | str) -> bool:
    """Whether that role has that capability; a role that does not exist has none. Raises ValueError for no capability."""
    wanted = Capability(capability)
    try:
        return wanted in RIGHTS[Role(role)]
    except ValueError:
        return False


def reaches(role: str, level: str | None, step: str) -> bool:
    """Whether someone of that role and level may decide a validation step (`service` or `cabinet`)."""
    if level not in LEVELS or not may(role, Capability.VALIDATE):
        return False
    return LEVELS.index(level) >= LEVELS.index(step)

"""The matrix of rights, written out: a change of it is a change here."""

from __future__ import annotations

import pytest

from bot.policy.rights import LEVELS, LOOKS, RIGHTS, SECOND_FACTOR, Capability, Role, may, reaches

# capability: agent, validator, trainer, administrator, auditor
MATRIX = {
    "account.own": "11111",
    "queue.see": "11111",
    "conversation.read": "11011",
    "conversation.work": "11010",
    "conversation.free": "00010",
    "conversation.assign": "01010",
    "person.block": "11010",
    "conversation.hold": "01010",
    "retention.see": "01011",
    "canned.edit": "01110",
    "validation.see": "11011",
    "validation.decide": "01010",
    "validation.rules": "00010",
    "crisis.see": "11011",
    "crisis.answer": "11010",
    "crisis.run": "00010",
    "steering.see": "11111",
    "steering.export": "01011",
    "deadlines.set": "00010",
    "accounts.manage": "00010",
    "audit.read": "00011",
    "workbench.see": "00111",
    "workbench.correct": "00110",
    "workbench.train": "00110",
    "workbench.publish": "00110",
    "workbench.override": "00010",
}
ROLES = ("agent", "validator", "trainer", "administrator", "auditor")


def test_the_matrix_names_every_role_and_capability() -> None:
    assert set(MATRIX) == {c.value for c in Capability}
    assert set(ROLES) == {r.value for r in Role} == {r.value for r in RIGHTS}


@pytest.mark.parametrize("capability", MATRIX)
def test_rights(capability: str) -> None:
    assert "".join(str(int(may(role, capability))) for role in ROLES) == MATRIX[capability]


def test_an_auditor_only_looks_and_nobody_else_has_no_right() -> None:
    assert RIGHTS[Role.AUDITOR] <= LOOKS
    for nobody in ("", "root", "Agent"):
        assert not any(may(nobody, capability) for capability in Capability)
    with pytest.raises(ValueError, match="is not a valid"):
        may("agent", "conversation.raed")


def test_whoever_validates_or_administers_shows_a_second_factor() -> None:
    for role in Role:
        sensitive = may(role, Capability.VALIDATE) or may(role, Capability.MANAGE_ACCOUNTS)
        assert (role in SECOND_FACTOR) is sensitive


@pytest.mark.parametrize(
    ("role", "level", "service", "cabinet"),
    [
        ("validator", "service", True, False),
        ("validator", "cabinet", True, True),
        ("administrator", "cabinet", True, True),
        ("administrator", None, False, False),
        ("validator", None, False, False),
        ("validator", "préfet", False, False),
        ("agent", "cabinet", False, False),
    ],
)
def test_how_high_a_validation_reaches(role: str, level: str | None, service: bool, cabinet: bool) -> None:
    assert [reaches(role, level, step) for step in LEVELS] == [service, cabinet]

"""What is checked when there is no such account: as dear as a real hash, and never right."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from bot.store.passwords import _nobody


def test_nobodys_hash_costs_what_a_real_one_costs_and_no_password_fits() -> None:
    for hasher in (PasswordHasher(), PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)):
        nobody = _nobody(hasher)
        assert extract_parameters(nobody) == extract_parameters(hasher.hash("une phrase de passe"))
        with pytest.raises(VerifyMismatchError):  # computed to its end, not refused for its form
            hasher.verify(nobody, "une phrase de passe")
        assert nobody != _nobody(hasher)

"""What a password may be; what is checked when there is no such account: as dear as a real hash, and never right."""

from __future__ import annotations

from pathlib import Path

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from bot.store.passwords import OURS, AccountError, _nobody, checked, temporary


def test_nobodys_hash_costs_what_a_real_one_costs_and_no_password_fits() -> None:
    for hasher in (PasswordHasher(), PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)):
        nobody = _nobody(hasher)
        assert extract_parameters(nobody) == extract_parameters(hasher.hash("une phrase de passe"))
        with pytest.raises(VerifyMismatchError):  # computed to its end, not refused for its form
            hasher.verify(nobody, "une phrase de passe")
        assert nobody != _nobody(hasher)


@pytest.mark.parametrize(
    "password",
    [
        "Police-Nationale-2026!",
        "planton123456",
        "Mot de passe 2026",
        "Ministère de l’Intérieur",
        "Claire.Martin.75",
        "azerty123456789",
    ],
)
def test_what_is_tried_here_first_is_no_password(password: str) -> None:
    with pytest.raises(AccountError, match="se devine"):
        checked(password, "claire.martin")


@pytest.mark.parametrize("password", ["une phrase de passe", "la police des girafes lentes", "8273-9921-police"])
def test_what_holds_more_than_that_is_taken_as_it_is(password: str) -> None:
    assert checked(password, "claire.martin") == password


def test_a_password_that_we_make_is_taken() -> None:
    made = temporary()
    assert checked(made, "claire.martin") == made


def test_the_words_are_those_of_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "asvs.md").read_text(encoding="utf-8")
    told = page.partition("**Mots refusés**")[2].partition("\n- ")[0]
    assert [word for word in OURS if f"`{word}`" not in told] == []

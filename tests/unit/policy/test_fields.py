"""What a message says for agents: date, hour, place, service, crew, case."""

from __future__ import annotations

import time

import pytest

from bot.policy.fields import MOST, fields


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c'était hier soir rue Victor Hugo à Lens", {"date": "hier soir", "lieu": "rue Victor Hugo"}),
        ("le 12/03/2024 vers 22h30", {"date": "12/03/2024", "heure": "22h30"}),
        (
            "mardi 3 juin à 14 h, 12 avenue de la République",
            {"date": "mardi 3 juin", "heure": "14 h", "lieu": "12 avenue de la République"},
        ),
        ("3 place du marché", {"lieu": "3 place du marché"}),
        ("il y a trois jours, la BAC de Lille", {"date": "il y a trois jours", "service": "la BAC de Lille"}),
        ("le commissariat de Roubaix", {"service": "commissariat de Roubaix"}),
        ("la brigade de nuit", {"service": "brigade de nuit"}),
        ("un équipage de deux agents, matricule 1234567", {"equipage": "un équipage, deux agents, matricule 1234567"}),
        ("ma plainte n° 2024/001234", {"affaire": "plainte n° 2024/001234"}),
        ("pv 12345-2023", {"affaire": "pv 12345-2023"}),
        (
            "la voiture AB-123-CD, appelez-moi au 06 12 34 56 78",
            {"immatriculation": "AB-123-CD", "telephone": "06 12 34 56 78"},
        ),
        ("vers midi", {"heure": "vers midi"}),
        ("je ne sais plus", {}),
        ("j'ai le bac et 17 ans", {}),
        ("", {}),
    ],
)
def test_fields(text: str, expected: dict[str, str]) -> None:
    assert fields(text) == expected


def test_few_values_of_one_field() -> None:
    assert fields("lundi, mardi, mercredi, jeudi et lundi")["date"].count(",") == MOST - 1


@pytest.mark.parametrize(
    "unit", ["rue A", "12 ", "hier ", "plainte n° ", "0 6", "commissariat de ", "a", "le 1 ", "AB-1", "de la "]
)
def test_a_hundred_thousand_characters(unit: str) -> None:
    started = time.monotonic()
    fields(unit * (100_000 // len(unit)))
    assert time.monotonic() - started < 0.5

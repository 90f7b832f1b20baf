"""What a message says for agents: date, hour, place, service, crew, case."""

from __future__ import annotations

import time

import pytest

from bot.policy.fields import MOST, fields


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c'était hier soir rue Victor Hugo à Lens", {"date": "hier soir", "lieu": "rue Victor Hugo à Lens"}),
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
        ("une policière et plusieurs agents", {"equipage": "une policière, plusieurs agents"}),
        # Nobody is told apart, or somebody is asked for
        ("je veux parler à un agent, les policiers ou un flic", {}),
        ("je préfère parler à une policière", {}),
        ("ma plainte n° 2024/001234", {"affaire": "plainte n° 2024/001234"}),
        ("pv 12345-2023", {"affaire": "pv 12345-2023"}),
        (
            "la voiture AB-123-CD, appelez-moi au 06 12 34 56 78",
            {"immatriculation": "AB-123-CD", "telephone": "06 12 34 56 78"},
        ),
        ("vers midi", {"heure": "vers midi"}),
        # Without capitals, as people write
        ("ct place bellecour hier soir", {"date": "hier soir", "lieu": "place bellecour"}),
        ("a la gare du nord ya 3 semaines", {"date": "ya 3 semaines", "lieu": "gare du nord"}),
        ("rue victor hugo a lyon deux flics", {"lieu": "rue victor hugo a lyon", "equipage": "deux flics"}),
        ("RUE DES LILAS A BONDY", {"lieu": "RUE DES LILAS A BONDY"}),
        ("avenue de la gare qui longe le parc", {"lieu": "avenue de la gare"}),
        ("parc de la tête d’or", {"lieu": "parc de la tête d’or"}),
        ("rue Hugo devant chez moi", {"lieu": "rue Hugo"}),
        ("rue Hugo bagarre", {"lieu": "rue Hugo"}),
        ("rue du 8 mai 1945 à Lille", {"date": "8 mai", "lieu": "rue du 8 mai 1945 à Lille"}),
        ("metro place d'italie", {"lieu": "place d'italie"}),
        ("pont de l'alma", {"lieu": "pont de l'alma"}),
        ("quai d'orsay j'ai vu", {"lieu": "quai d'orsay"}),
        ("12 avenue jean jaurès, 69007 lyon", {"lieu": "12 avenue jean jaurès, 69007 lyon"}),
        ("5 rue basse 59000 hier", {"date": "hier", "lieu": "5 rue basse 59000"}),
        ("rue basse 59000", {"lieu": "rue basse 59000"}),
        ("place bellecour a manifesté", {"lieu": "place bellecour"}),
        ("rue basse a barré", {"lieu": "rue basse"}),
        ("cité des 4000 a 14h", {"heure": "14h", "lieu": "cité des 4000"}),
        ("la cité radieuse", {}),
        ("l'allée des roses", {"lieu": "allée des roses"}),
        ("commissariat de bobigny m'a refusé", {"service": "commissariat de bobigny"}),
        ("gendarmerie de st denis refuse", {"service": "gendarmerie de st denis"}),
        ("commissariat de bourg la reine", {"service": "commissariat de bourg la reine"}),
        ("brigade de protection de la famille", {"service": "brigade de protection de la famille"}),
        ("au commissariat à Lens", {"service": "commissariat à Lens"}),
        ("commissariat central", {"service": "commissariat central"}),
        ("commissariat 13", {"service": "commissariat 13"}),
        ("la brigade de la gendarmerie de lens", {"service": "brigade de la gendarmerie de lens"}),
        ("crs 8", {"service": "crs 8"}),
        ("le 13/06", {"date": "13/06"}),
        ("02/11 vers 9h", {"date": "02/11", "heure": "9h"}),
        ("le 3.6", {"date": "3.6"}),
        ("y a environ 2 jours", {"date": "y a environ 2 jours"}),
        # What only looks like it
        ("je suis allée des fois porter plainte", {}),
        ("mise en place du dispositif, sur place rapidement", {}),
        ("à la place de mon frère", {}),
        ("j'ai cours de droit, en route pour le concours", {}),
        ("dans la rue quand il m'a suivi", {}),
        ("dans la rue 2 hommes", {}),
        ("il a cité des noms et se gare mal", {}),
        ("le commissariat refuse ma plainte", {}),
        ("le commissariat à côté", {}),
        ("le commissariat ouvre tard", {}),
        ("un service ouvert 24/7, noté 2/3", {}),
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
    "unit",
    [
        "rue A",
        "12 ",
        "hier ",
        "plainte n° ",
        "0 6",
        "commissariat de ",
        "place bellecour a ",
        "rue de la ",
        "a",
        "le 1 ",
        "AB-1",
        "de la ",
    ],
)
def test_a_hundred_thousand_characters(unit: str) -> None:
    before = time.process_time()
    fields(unit * (100_000 // len(unit)))
    assert time.process_time() - before < 5  # only work that grows faster than the text fails here

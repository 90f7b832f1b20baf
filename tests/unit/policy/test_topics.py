"""New subjects: paraphrases find each other among noise; what is alone stays alone; nothing is drawn by lot."""

from __future__ import annotations

import random

from bot.policy.topics import topics

SCOOTERS = [
    "Ma trottinette électrique est partie à la fourrière, comment la récupérer ?",
    "bonjour ils ont embarqué ma trottinette en fourriere",
    "trottinette a la fourrière quel prix svp",
    "La fourrière a pris ma trottinette électrique, où aller ?",
]
DRONES = [
    "J’ai le droit de faire voler un drone au-dessus de ma maison ?",
    "drone qui vole au dessus de la maison c'est autorisé ?",
    "Un drone vole tous les soirs au-dessus de notre maison",
]
ALONE = ["Il pleut demain ?", "la recette des crêpes", "merci", "", "🙂", "a", "quel âge a votre chien Rex"]


def test_paraphrases_of_a_subject_find_each_other() -> None:
    texts = [*ALONE[:3], *SCOOTERS, *ALONE[3:], *DRONES]
    first, second = topics(texts)
    assert {texts[i] for i in first.members} == set(SCOOTERS)
    assert {texts[i] for i in second.members} == set(DRONES)
    assert texts[first.typical] in SCOOTERS
    assert {"trottinet", "fourrier"} & set(first.words)


def test_the_most_typical_carries_what_all_share() -> None:
    texts = [
        "trottinette fourrière",
        "trottinette fourrière Lyon prix urgent samedi",
        "trottinette fourrière amende prix",
        "ma trottinette est à la fourrière",
    ]
    (found,) = topics(texts)
    assert texts[found.typical] in ("trottinette fourrière", "ma trottinette est à la fourrière")


def test_fewer_than_asked_is_no_subject() -> None:
    assert topics(SCOOTERS[:2]) == []
    assert len(topics(SCOOTERS[:2], least=2)) == 1
    assert topics([]) == []
    assert topics(["", " ", "bonjour merci"]) == []


def test_what_everybody_says_tells_nothing() -> None:
    """A word of more than a fifth of many texts makes no subject of them."""
    words = [f"mot{i}" for i in range(60)]
    assert topics([f"police {word}" for word in words]) == []


def test_the_same_texts_give_the_same_subjects_whatever_surrounds_them() -> None:
    drawn = random.Random(7)
    noise = [" ".join(drawn.choice("abcdefghij") * 3 + str(drawn.randrange(400)) for _ in range(5)) for _ in range(300)]
    texts = noise + SCOOTERS
    drawn.shuffle(texts)
    assert topics(texts) == topics(texts)
    found = [topic for topic in topics(texts) if "trottinet" in topic.words]
    assert len(found) == 1
    assert {texts[i] for i in found[0].members} == set(SCOOTERS)


def test_a_text_of_any_length_is_read_in_time() -> None:
    assert topics(["x" * 100_000, "mot " * 50_000, *SCOOTERS])

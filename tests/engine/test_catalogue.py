"""The catalogue of questions in the trained engine: the very answer, the nearest questions, follow-ups, two questions in one."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core import catalogue
from tests.engine.conftest import ROOT, EngineProcess

BOOK = catalogue.read(ROOT).questions


def said(turn: dict[str, Any]) -> str:
    """All replies of a turn."""
    return "\n".join(reply["text"] for reply in turn["replies"])


def begins(question: str) -> str:
    """How the answer to a question begins."""
    return BOOK[question].variants[0].text.strip()[:60]


def test_a_question_in_its_own_words_gets_its_own_answer(engine: EngineProcess) -> None:
    """Its own, one beside it, or its button; but for a few, whose words may tell of something grave."""
    some = sorted(BOOK)[::31]
    missed = []
    for question in some:
        turn = engine.turn(BOOK[question].question)
        offered = [button["payload"] for reply in turn["replies"] for button in reply["quick_replies"]]
        found = (question, *BOOK[question].related)
        if turn["question"] not in found and f"/{question}" not in offered:
            missed.append(question)
    assert len(missed) <= 0.1 * len(some), missed


def test_an_answer_comes_with_its_link_and_the_questions_beside_it(engine: EngineProcess) -> None:
    one = next(one for one in BOOK.values() if one.link and one.related and "/" in one.id)
    turn = engine.turn("", payload=f"/{one.id}")
    assert turn["question"] == one.id
    assert begins(one.id) in said(turn)
    assert one.link in said(turn)
    titles = [button["title"] for reply in turn["replies"] for button in reply["quick_replies"]]
    assert BOOK[one.related[0]].title in titles


def test_a_button_of_a_question_that_is_gone_is_read_by_its_title(engine: EngineProcess) -> None:
    turn = engine.turn("Payer une amende", payload="/contravention/une_question_d_hier")
    assert turn["understanding"]["intent"] == "contravention"


def test_what_the_catalogue_does_not_hold_keeps_the_general_reply(engine: EngineProcess) -> None:
    turn = engine.turn("je voudrais des renseignements sur une contravention")
    assert turn["question"] is None
    assert turn["replies"]


VAGUE = (
    "je voudrais savoir un truc sur les horaires et la vie de famille quand on est policier",
    "mon voisin a mis une caméra et un drone, que dit la loi",
    "j’ai vu une annonce louche pour un appartement à la mer",
    "ils m’ont demandé un justificatif bizarre pour mon dossier",
    "je veux vendre les fusils de mon grand père décédé",
    "faut quoi pour le casier de mon fils qui part travailler au canada",
    "est-ce que je peux amener mon bébé quand je viens déposer",
)


def test_where_no_question_is_sure_the_reply_shows_the_nearest_ones_and_their_buttons_lead_to_them(
    engine: EngineProcess,
) -> None:
    turns = [turn for text in VAGUE if "Voici ce qui se rapproche" in said(turn := engine.turn(text))]
    assert len(turns) >= 2, "another model may be surer of some of them, not of most"
    for turn in turns:
        assert (turn["question"], turn["state"]["question"]) == (None, None)
        assert all(len(reply["text"].encode()) <= 1000 for reply in turn["replies"])
        taps = [tap["payload"].removeprefix("/") for tap in turn["replies"][-1]["quick_replies"]]
        shown = [tap for tap in taps if tap in BOOK]
        assert taps[: len(shown)] == shown and 1 <= len(shown) <= 3
        told = said(turn)
        places = [told.index(f"«\u00a0{BOOK[one].question}\u00a0»") for one in shown[:2]]
        assert places == sorted(places)
        assert all(BOOK[one].variants[0].text in told for one in shown[:2])
        assert engine.turn("", turn["state"], f"/{shown[0]}")["question"] == shown[0]


def test_a_grave_message_is_never_answered_from_the_catalogue(engine: EngineProcess) -> None:
    turn = engine.turn("j’ai été violée, on porte plainte où ?")
    assert turn["question"] is None
    assert turn["handoff"]["category"] == "sensitive"


def test_a_few_words_behind_an_answer_are_read_with_it(engine: EngineProcess) -> None:
    first = engine.turn("Jusqu’à quel âge peut-on passer le concours de gardien de la paix ?")
    assert first["question"] is not None
    then = engine.turn("et pour être policier adjoint ?", first["state"])
    assert then["question"] not in (None, first["question"])
    assert "adjoint" in said(then).lower()


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        (
            "A quel age peut on passer le concours de gardien et y a t il une taille minimum",
            "recrutement_conditions/age_gardien",
            "recrutement_aptitude/taille",
        ),
        (
            "Les tatouages sont-ils autorisés et faut-il savoir nager ?",
            "recrutement_aptitude/tatouages_visite",
            "recrutement_aptitude/sport_natation",
        ),
        # The second is told by the first.
        (
            "Comment faire une main courante, et mon voisin sera-t-il prévenu ?",
            "main_courante/faire",
            "main_courante/auteur_prevenu",
        ),
    ],
)
def test_two_questions_in_a_message_get_two_answers(engine: EngineProcess, text: str, first: str, second: str) -> None:
    turn = engine.turn(text)
    assert turn["question"] == first
    told = said(turn)
    assert told.index(begins(first)) < told.index(begins(second))

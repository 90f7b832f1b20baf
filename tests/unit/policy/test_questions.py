"""Which question of the catalogue is answered, offered, or left alone."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.dialogue import QuickReply, Reply
from bot.policy.intents import STATEMENT
from bot.policy.questions import (
    AHEAD,
    BESIDE,
    FIRST,
    GRAVE,
    LIKELY,
    NEAR,
    NOTHING,
    SURE,
    WORTH,
    Asked,
    asked,
    go_on,
    intent_of,
    offered,
    sure,
)

LATE, PAY, VIOLENCE = "contravention/majoree_delai", "contravention/payer", "violences_conjugales/premiers_mots"


def rows(*pairs: tuple[str, float]) -> list[dict[str, Any]]:
    """As the engine names the nearest questions."""
    return [{"name": name, "confidence": chance} for name, chance in pairs]


def test_a_question_that_is_surely_asked_is_answered() -> None:
    found = asked("contravention", rows((LATE, SURE), (PAY, 0.3)))
    assert (found.sure, found.near) == (LATE, ())
    assert sure(rows((LATE, SURE), (PAY, 0.3))) == LATE


def test_the_nearest_questions_are_offered_where_none_is_sure() -> None:
    found = asked("contravention", rows((LATE, LIKELY - 0.1), (PAY, NEAR), ("contravention/photo_radar", NEAR / 2)))
    assert (found.sure, found.near) == (None, (LATE, PAY))
    assert sure(rows((LATE, SURE - 0.1))) is None


@pytest.mark.parametrize(
    ("intent", "best", "second", "grave", "likely"),
    [
        ("contravention", SURE - 0.01, 0.05, 0.0, LATE),
        ("nlu_fallback", LIKELY, LIKELY / AHEAD, 0.0, LATE),
        ("contravention", LIKELY, LIKELY / AHEAD + 0.01, 0.0, None),  # another is nearly as likely
        ("contravention", LIKELY - 0.01, 0.05, 0.0, None),
        ("contravention", SURE - 0.01, 0.05, GRAVE, None),  # something grave may be meant
        (STATEMENT, SURE - 0.01, 0.05, 0.0, None),  # it asks nothing
    ],
)
def test_a_question_that_leads_is_answered_as_the_one_that_may_be_meant(
    intent: str, best: float, second: float, grave: float, likely: str | None
) -> None:
    found = asked(intent, rows((LATE, best), (PAY, second)), grave)
    assert (found.sure, found.likely) == (None, likely)
    assert found.near == ((PAY,) if likely else (LATE, PAY))


@pytest.mark.parametrize(
    ("intent", "best", "second", "grave", "shown"),
    [
        ("contravention", WORTH, WORTH, 0.0, True),
        ("contravention", WORTH - 0.01, NEAR, 0.0, False),
        ("contravention", WORTH, WORTH, GRAVE, False),  # something grave may be meant
        (STATEMENT, WORTH, WORTH, 0.0, False),  # it asks nothing
        ("nlu_fallback", WORTH, WORTH, 0.0, True),
        ("contravention", SURE, WORTH, 0.0, False),  # it is answered
        ("contravention", LIKELY, NEAR, 0.0, False),  # it is answered as the one that may be meant
    ],
)
def test_the_nearest_questions_are_shown_where_one_is_likely_enough(
    intent: str, best: float, second: float, grave: float, shown: bool
) -> None:
    assert asked(intent, rows((LATE, best), (PAY, second)), grave).shown == shown


def test_small_talk_that_is_nearest_makes_no_other_question_likely_enough() -> None:
    joke = "salutation/blague"
    assert not asked("contravention", rows((joke, SURE - 0.01), (LATE, WORTH - 0.01))).shown
    assert asked("contravention", rows((joke, SURE - 0.01), (LATE, WORTH))).shown


def test_the_second_one_is_told_behind_a_sure_answer_where_it_may_be_meant_too() -> None:
    joke = "salutation/blague"
    assert asked("contravention", rows((LATE, SURE), (PAY, BESIDE))) == Asked(LATE, beside=PAY)
    assert asked("contravention", rows((LATE, SURE), (PAY, BESIDE - 0.01))) == Asked(LATE)
    assert asked("contravention", rows((LATE, SURE), (joke, BESIDE))) == Asked(LATE)


@pytest.mark.parametrize(
    ("best", "grave", "first"),
    [(FIRST, 0.0, True), (FIRST - 0.01, 0.0, False), (FIRST, 0.1, True), (FIRST, FIRST, False)],
)
def test_what_is_likelier_comes_before_a_narrower_text_and_a_trace_of_something_grave(
    best: float, grave: float, first: bool
) -> None:
    assert asked("contravention", rows((LATE, best), (PAY, 0.1)), grave).first == first


def test_small_talk_is_answered_where_it_is_sure_and_neither_guessed_nor_offered() -> None:
    joke, lost = "salutation/blague", "hors_perimetre/absurde"
    assert asked("hors_perimetre", rows((lost, SURE)), GRAVE - 0.01).sure == lost
    assert asked("hors_perimetre", rows((lost, SURE)), GRAVE) == NOTHING
    found = asked("hors_perimetre", rows((lost, SURE - 0.01), (joke, 0.1), ("hors_perimetre/meteo", 0.09)))
    assert (found.sure, found.likely, found.near) == (None, None, ("hors_perimetre/meteo",))


def test_three_questions_are_offered_at_most() -> None:
    found = asked("contravention", rows(*((f"contravention/q{i}", 0.2) for i in range(4))))
    assert len(found.near) == 3


@pytest.mark.parametrize("intent", ["violences_conjugales", "danger_immediat", "remerciements"])
def test_what_an_agent_reads_keeps_its_own_words(intent: str) -> None:
    assert asked(intent, rows((LATE, 0.99))) == asked(intent, [])


def test_a_message_that_no_intent_fits_is_answered_unless_something_grave_may_be_meant() -> None:
    assert asked("nlu_fallback", rows((LATE, 0.9))).sure == LATE
    found = asked("nlu_fallback", rows((LATE, 0.9)), grave=0.2)
    assert (found.sure, found.likely, found.near) == (None, None, (LATE,))
    assert asked("contravention", rows((LATE, 0.9)), grave=0.2).sure == LATE


def test_a_message_that_resembles_nothing_is_offered_nothing() -> None:
    assert asked("nlu_fallback", rows((LATE, WORTH - 0.01))).near == ()
    assert asked("nlu_fallback", rows((LATE, WORTH))).near == (LATE,)
    assert asked("contravention", rows((LATE, WORTH - 0.01))).near == (LATE,)


def test_a_question_of_a_sensitive_intent_is_never_answered_alone() -> None:
    assert asked("contravention", rows((VIOLENCE, 0.9), (LATE, 0.2))).near == (LATE,)


@pytest.mark.parametrize("ranked", [None, "", 3, [], ["text"]])
def test_an_engine_that_names_no_question_is_understood(ranked: Any) -> None:
    assert asked("contravention", ranked).sure is None
    assert sure(ranked) is None


def test_the_intent_of_a_question_is_in_its_name() -> None:
    assert intent_of(LATE) == "contravention"


def test_what_is_offered_is_read_from_the_buttons_in_their_order() -> None:
    titles = (f"/{PAY}", "/parler_humain", '/salutation{"theme": "autre"}', f"/{LATE}")
    buttons = tuple(QuickReply("Titre", payload) for payload in titles)
    assert offered((Reply("Payer ?", buttons[:2]), Reply("Contester ?", buttons[2:]))) == (PAY, LATE)
    assert offered((Reply("Bonjour."),)) == ()


@pytest.mark.parametrize("intent", ["salutation", "au_revoir", "insulte_troll"])
def test_nothing_is_offered_to_who_greets_leaves_or_rails(intent: str) -> None:
    assert asked(intent, rows((LATE, 0.2))).near == ()
    assert asked(intent, rows((LATE, 0.9))).sure == LATE


# A few words behind an answer ---------------------------------------------------------------------------------------------

AGE, TESTS, PLACE = "recrutement_conditions/age", "recrutement_concours/epreuves", "recrutement_concours/centre"


def test_words_that_ask_something_with_the_question_before_them_are_read_with_it() -> None:
    both = rows((TESTS, SURE), (AGE, 0.3))
    assert go_on(AGE, rows((PLACE, 0.1)), both) == both


def test_words_that_ask_something_else_by_themselves_are_read_alone() -> None:
    alone = rows((LATE, 0.9))
    assert go_on(AGE, alone, rows((AGE, 0.8), (TESTS, 0.1))) == alone


def test_words_that_ask_nothing_by_themselves_ask_what_stands_beside_the_answered_question() -> None:
    both = rows((AGE, 0.7), (TESTS, SURE))
    assert sure(go_on(AGE, rows((PLACE, 0.1)), both)) == TESTS
    unsure = rows((PLACE, 0.1))
    assert go_on(AGE, unsure, rows((AGE, 0.7), (TESTS, SURE - 0.01))) == unsure


def test_words_that_fit_what_was_answered_less_well_than_others_ask_nothing_surely() -> None:
    alone = rows((PLACE, 0.6), (TESTS, 0.2))
    assert sure(go_on(AGE, alone, rows((AGE, 0.7), (TESTS, 0.1), (PLACE, 0.01)))) is None
    assert go_on(AGE, alone, rows((AGE, 0.7), (PLACE, 0.1))) == alone

"""What an open crisis changes in a turn, and who may be answered in a group."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.dialogue import HandoffRequest, Reply, Turn, Understanding
from bot.policy import crisis, route
from bot.policy.crisis import Standing

TEXTS = {"utter_filet": "Appelez le 17 ou le 114.", "utter_assistant": "Je suis un assistant automatique."}
OPEN = Standing(3, "Une attaque est en cours. Restez à l’abri.", told=False)
TOLD = Standing(3, OPEN.message, told=True)
UNSURE = Understanding("hors_perimetre", 0.2, ())
SURE = Understanding("procuration", 0.9, ())


def outcome(
    kind: str, understanding: Understanding | None = SURE, handoff: HandoffRequest | None = None
) -> route.Outcome:
    return route.Outcome(kind, "none", "answered", (Reply("Que voulez-vous dire ?"),), handoff, understanding)


def test_the_message_takes_the_place_of_a_question_and_agents_read() -> None:
    held = crisis.by_day(outcome("clarify", UNSURE), OPEN)
    assert (held.route, held.category, held.disposition, held.replies) == ("handoff", "request", "handed_off", ())
    assert held.handoff is not None
    assert (held.handoff.reason, held.handoff.priority) == ("crise", 4)


@pytest.mark.parametrize("standing", [None, TOLD])
def test_without_a_message_to_say_a_question_stays(standing: Standing | None) -> None:
    asked = outcome("clarify", UNSURE)
    assert crisis.by_day(asked, standing) is asked


def test_an_answer_stays() -> None:
    answered = outcome("answer")
    assert crisis.by_day(answered, OPEN) is answered


@pytest.mark.parametrize(
    ("understanding", "asks", "standing", "reason"),
    [
        (UNSURE, None, OPEN, "crise"),
        (None, None, TOLD, "crise"),
        (SURE, None, OPEN, None),
        (SURE, HandoffRequest("request", 4, "parler_humain"), OPEN, "parler_humain"),
        (UNSURE, None, None, None),
    ],
)
def test_at_night_agents_are_at_work(
    understanding: Understanding | None, asks: HandoffRequest | None, standing: Standing | None, reason: str | None
) -> None:
    night = route.Outcome("answer", "none", "waiting", (), None, understanding)
    decided = crisis.at_night(night, outcome("answer", understanding, asks), standing)
    assert (decided.handoff.reason if decided.handoff else None) == reason
    assert decided.disposition == ("handed_off" if reason else "waiting")


def test_a_grave_hand_off_at_night_stays_what_it_is() -> None:
    grave = outcome("handoff", SURE, HandoffRequest("sensitive", 2, "violences_conjugales"))
    assert crisis.at_night(grave, grave, OPEN) is grave


@pytest.mark.parametrize(
    ("standing", "handoff", "said"),
    [
        (None, None, False),
        (TOLD, None, False),
        (OPEN, None, True),
        (OPEN, HandoffRequest("request", 4, "crise"), True),
        (OPEN, HandoffRequest("complaint", 3, "reclamation_police"), True),
        (OPEN, HandoffRequest("sensitive", 2, "violences_conjugales"), False),
        (OPEN, HandoffRequest("urgent", 1, "disparition"), False),
    ],
)
def test_whom_the_message_is_for(standing: Standing | None, handoff: HandoffRequest | None, said: bool) -> None:
    assert (crisis.notice(standing, handoff, False, TEXTS) is not None) is said


def test_alone_it_carries_the_numbers_once() -> None:
    reply = crisis.notice(OPEN, None, True, TEXTS)
    assert reply is not None
    assert reply.text == f"{OPEN.message}\n\n{TEXTS['utter_filet']}"
    numbers = Standing(3, "Danger : 17, ou SMS au 114.", told=False)
    for alone in (True, False):
        reply = crisis.notice(numbers, None, alone, TEXTS)
        assert reply is not None
        assert reply.text == numbers.message


@pytest.mark.parametrize(
    ("intent", "confidence", "grave"),
    [
        ("violences_conjugales", 0.3, True),
        ("violences_conjugales", 0.1, False),
        ("violences_conjugales", None, True),
        ("disparition", 0.9, True),
        ("reclamation_police", 0.9, True),
        ("temoignage_info_enquete", 0.9, True),
        ("danger_immediat", 0.3, True),
        ("procuration", 0.9, False),
        ("parler_humain", 0.9, False),
        (None, None, False),
    ],
)
def test_what_is_grave_is_read_first(intent: str | None, confidence: float | None, grave: bool) -> None:
    assert crisis.grave(intent, confidence) is grave


@pytest.mark.parametrize(
    ("intent", "confidence", "shared"),
    [
        ("parler_humain", 0.9, "parler_humain"),
        ("parler_humain", 0.5, None),
        ("parler_humain", None, None),
        (None, 0.9, None),
        ("hors_perimetre", 0.9, None),
        ("hors_perimetre_precision", 0.9, None),
        ("violences_conjugales", 0.9, None),
    ],
)
def test_the_intent_by_which_messages_are_grouped(
    intent: str | None, confidence: float | None, shared: str | None
) -> None:
    assert crisis.shared_intent(intent, confidence) == shared


def test_a_turn_that_asks_is_what_is_held() -> None:
    """The route that `by_day` holds back is the one that the policy gives to a question."""
    turn = Turn(UNSURE, (Reply("Pouvez-vous préciser ?"),), clarify=True, state={})
    decided = route.by_day(turn, route.Situation(introduced=True), {**TEXTS})
    assert crisis.by_day(decided, OPEN).replies == ()


def test_what_has_no_words_goes_to_the_agents_at_work_in_a_night_of_crisis() -> None:
    assert crisis.unread_at_night(None) is None
    request = crisis.unread_at_night(crisis.Standing(1, "Restez à l’abri.", told=True))
    assert request is not None
    assert (request.category, request.reason) == ("request", crisis.REASON)


@pytest.mark.parametrize(
    ("understanding", "known", "stays"),
    [
        (Understanding("hors_perimetre", 0.95, ()), False, False),  # sure only that it is nothing that we know
        (Understanding("procuration", 0.3, ()), False, False),
        (Understanding("procuration", 0.9, (), danger=0.2), False, False),
        (Understanding("salutation", 0.3, ()), True, True),  # about the assistant itself, or of the catalogue
        (Understanding("hors_perimetre", 0.9, ()), True, True),
        (SURE, False, True),
        (None, False, True),  # no words
    ],
)
def test_a_guess_does_not_stand_behind_the_message(
    understanding: Understanding | None, known: bool, stays: bool
) -> None:
    guessed = replace(outcome("answer", understanding), known=known)
    decided = crisis.by_day(guessed, OPEN)
    assert (decided is guessed) == stays
    if not stays:
        assert (decided.replies, decided.disposition) == ((), "handed_off")
    assert crisis.by_day(guessed, TOLD) is guessed


def test_a_guess_that_names_the_3114_keeps_it() -> None:
    sad = replace(outcome("answer", UNSURE), replies=(Reply("Le 3114 écoute."),))
    decided = crisis.by_day(sad, OPEN)
    assert (decided.replies, decided.disposition) == (sad.replies, "handed_off")


def test_a_request_for_a_human_keeps_its_reply() -> None:
    asked = outcome("answer", UNSURE, HandoffRequest("request", 4, "parler_humain"))
    assert crisis.by_day(asked, OPEN) is asked

"""What is still offered to somebody who waits for a human."""

from __future__ import annotations

import pytest

from bot.core.dialogue import QuickReply, Reply
from bot.policy import waiting
from bot.policy.route import Outcome

AGENT, OTHER = QuickReply("Parler à un agent", "/parler_humain"), QuickReply("Porter plainte", "/plainte_comment")
TEXTS = {
    "utter_boucle": "J’arrête.",
    "utter_nuit_detresse": "Le 3114 écoute.",
    "utter_filet": "17 ou SMS au 114.",
    "utter_parler_humain": "Je transmets.",
    "utter_parler_humain_suite": "C’est transmis.",
    "utter_precision_notee": "C’est noté.",
}


def outcome(route: str, text: str = "Du moteur.") -> Outcome:
    return Outcome(route, "none", "answered", (Reply(text, (OTHER, AGENT)),))


@pytest.mark.parametrize(
    ("waits", "asked", "left"), [(False, False, (OTHER, AGENT)), (True, False, (OTHER,)), (True, True, ())]
)
def test_buttons(waits: bool, asked: bool, left: tuple[QuickReply, ...]) -> None:
    for route in ("answer", "handoff"):
        assert waiting.by_day(outcome(route), waits, asked, TEXTS).replies == (Reply("Du moteur.", left),)


def test_who_asked_for_a_human_is_not_asked_to_say_it_otherwise() -> None:
    assert waiting.by_day(outcome("clarify"), True, True, TEXTS).replies == (Reply("C’est noté."),)
    told = waiting.by_day(outcome("clarify", "17 et 114 ?"), True, True, TEXTS)
    assert told.replies == (Reply("C’est noté.\n\n17 ou SMS au 114."),)  # a danger is possible
    assert waiting.by_day(outcome("clarify"), True, True, {}).replies == (Reply("Du moteur."),)  # texts of before
    assert waiting.by_day(outcome("clarify"), True, False, TEXTS).replies == (Reply("Du moteur.", (OTHER,)),)


def test_who_asks() -> None:
    assert waiting.is_asked_for("parler_humain", None)
    assert waiting.is_asked_for(None, "/parler_humain")
    assert not waiting.is_asked_for("parler_humain", "/plainte_comment")
    assert not waiting.is_asked_for("salutation", None)
    assert [waiting.has_asked(reason) for reason in ("parler_humain", "boucle", "media", "")] == [
        True,
        True,
        False,
        False,
    ]


def test_the_last_word_before_silence() -> None:
    assert waiting.enough(False, "Attente.", False, TEXTS).text == "J’arrête."
    assert waiting.enough(True, "Attente.", False, TEXTS).text == "Je transmets.\n\nAttente.\n\n17 ou SMS au 114."
    assert waiting.enough(True, "", False, TEXTS).text == "Je transmets.\n\n17 ou SMS au 114."
    assert waiting.enough(True, "", False, {"utter_boucle": "J’arrête."}).text == "J’arrête."
    assert waiting.enough(False, "", True, TEXTS).text == "J’arrête.\n\nLe 3114 écoute."


def test_whoever_may_be_in_distress_keeps_the_3114() -> None:
    said = waiting.by_day(
        outcome("clarify", "Dites-le autrement. 17 ou SMS au 114. Le 3114 écoute."), True, True, TEXTS
    )
    assert [reply.text for reply in said.replies] == ["C’est noté.\n\n17 ou SMS au 114.\n\nLe 3114 écoute."]
    assert waiting.again(TEXTS) == Reply("C’est transmis.")
    assert waiting.again({}) is None

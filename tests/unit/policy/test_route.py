"""What is said and done about an understood message: by day, at night, without words, in another language."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.dialogue import HandoffRequest, QuickReply, Reply, Turn, Understanding
from bot.core.messages import Attachment
from bot.policy import route
from bot.policy.intents import PRIORITY, policy_of
from bot.policy.route import Situation

TEXTS = {
    name: f"<{name}>"
    for name in (
        *(
            f"utter_media_{m}"
            for m in ("image", "vocal", "video", "fichier", "lieu", "sticker", "coeur", "story", "partage", "autre")
        ),
        *(f"utter_nuit{n}" for n in ("", "_violences", "_sexuelles", "_disparition", "_cyber", "_transmis")),
        "utter_autre_langue",
    )
} | {
    "utter_assistant": "Je suis un assistant automatique.",
    "utter_filet": "En danger : 17 ou 114.",
    "utter_attente_heure": "Dès {heure}.",
    "utter_attente_minutes": "Environ {minutes} minutes.",
}
KNOWN = Situation(introduced=True)


def turn(intent: str, *replies: str, clarify: bool = False, french: bool = True, confidence: float = 0.9) -> Turn:
    policy = policy_of(intent)
    handoff = HandoffRequest(policy.category, policy.priority, intent) if policy.route == "handoff" else None
    return Turn(
        Understanding(intent, confidence, french=french),
        tuple(Reply(r) for r in replies),
        handoff if not clarify else None,
        clarify,
    )


def said(outcome: route.Outcome) -> list[str]:
    return [r.text for r in outcome.replies]


def test_an_answer_is_introduced_once() -> None:
    first = route.by_day(turn("procuration", "A", "B"), Situation(), TEXTS)
    assert said(first) == ["Je suis un assistant automatique. A", "B"]
    assert (first.route, first.category, first.priority, first.disposition) == ("answer", "none", 9, "answered")
    assert said(route.by_day(turn("procuration", "A"), KNOWN, TEXTS)) == ["A"]
    itself = route.by_day(turn("salutation", "Je suis un assistant automatique, bonjour."), Situation(), TEXTS)
    assert said(itself) == ["Je suis un assistant automatique, bonjour."]


def test_a_question_to_the_person_carries_the_second_net() -> None:
    outcome = route.by_day(turn("procuration", "Précisez.", clarify=True), KNOWN, TEXTS)
    assert said(outcome) == ["Précisez.\n\nEn danger : 17 ou 114."]
    assert (outcome.route, outcome.priority) == ("clarify", 9)


def test_the_net_is_not_mistaken_for_another_number() -> None:
    outcome = route.by_day(turn("procuration", "17Cyber, en 2017, 0 114 5", clarify=True), KNOWN, TEXTS)
    assert said(outcome)[0].endswith("En danger : 17 ou 114.")


def test_a_weak_guess_of_danger_is_a_question() -> None:
    outcome = route.by_day(turn("danger_immediat", "17 et 114"), KNOWN, TEXTS)
    assert (outcome.route, said(outcome)) == ("clarify", ["17 et 114"])


def test_a_hand_off_is_one_message_with_wait_and_net() -> None:
    situation = Situation(introduced=True, wait="Environ 5 minutes.")
    outcome = route.by_day(turn("disparition", "A", "B"), situation, TEXTS)
    assert said(outcome) == ["A\n\nB\n\nEnviron 5 minutes.\n\nEn danger : 17 ou 114."]
    assert (outcome.route, outcome.category, outcome.priority) == ("handoff", "urgent", 1)
    again = route.by_day(turn("disparition", "A"), Situation(True, True, "Environ 5 minutes."), TEXTS)
    assert "minutes" not in said(again)[0]
    thanks = route.by_day(turn("remerciements", "Merci"), KNOWN, TEXTS)
    assert said(thanks) == ["Merci"]


def test_quick_replies_survive_the_merge() -> None:
    buttons = (QuickReply("Oui", "/oui"),)
    assert route.merged([Reply("A", buttons), Reply("B")]) == (Reply("A\n\nB", buttons),)
    assert route.merged([Reply("A")]) == (Reply("A"),)
    assert route.with_lines((), "x") == ()
    assert route.introduce((), TEXTS) == ()


def test_another_language_gets_both_and_an_agent() -> None:
    outcome = route.by_day(turn("contravention", "A", french=False), Situation(), TEXTS)
    assert said(outcome)[0].startswith("Je suis un assistant automatique. <utter_autre_langue>")
    assert outcome.handoff and outcome.handoff.reason == "autre_langue"
    assert route.by_day(turn("salutation", "Bonjour", french=False), KNOWN, TEXTS).route == "answer"
    assert "automatique" not in said(route.by_day(turn("armes", "A", french=False), KNOWN, TEXTS))[0]


def test_a_thumb_is_a_sticker() -> None:
    assert "sticker" in said(route.media([Attachment("image", sticker_id="369239263222822")], KNOWN, TEXTS))[0]


@pytest.mark.parametrize(
    ("types", "key", "human"),
    [
        (("image",), "image", True),
        (("audio",), "vocal", True),
        (("location",), "lieu", True),
        (("sticker",), "sticker", False),
        (("like_heart",), "coeur", False),
        (("story_mention",), "story", False),
        (("sticker", "video"), "video", True),
        (("inconnu",), "autre", False),
        ((), "autre", False),
    ],
)
def test_attachments_without_words(types: tuple[str, ...], key: str, human: bool) -> None:
    outcome = route.media([Attachment(t) for t in types], Situation(wait="Dès 6 h."), TEXTS)
    assert f"<utter_media_{key}>" in said(outcome)[0]
    assert "114" in said(outcome)[0]
    assert (outcome.handoff is not None) is human
    assert ("Dès 6 h." in said(outcome)[0]) is human
    assert outcome.disposition == ("handed_off" if human else "answered")
    assert said(route.media((), KNOWN, TEXTS))[0].startswith("<utter")


@pytest.mark.parametrize(
    ("intent", "line"),
    [
        ("violences_conjugales", "violences"),
        ("violences_sexuelles", "sexuelles"),
        ("disparition", "disparition"),
        ("harcelement_cyber", "cyber"),
    ],
)
def test_grave_at_night(intent: str, line: str) -> None:
    by_day = route.by_day(turn(intent, "A"), Situation(), TEXTS)
    outcome = route.at_night(by_day, False, TEXTS)
    assert said(outcome) == [f"<utter_nuit>\n\n<utter_nuit_transmis>\n\n<utter_nuit_{line}>"]
    assert (outcome.disposition, outcome.route, outcome.priority) == ("handed_off", "handoff", by_day.priority)
    assert outcome.handoff is by_day.handoff
    told = route.at_night(by_day, True, TEXTS)
    assert said(told) == [f"<utter_nuit_transmis>\n\n<utter_nuit_{line}>"]


def test_the_rest_waits_for_the_morning() -> None:
    for intent in ("procuration", "remerciements", "reclamation_police"):
        by_day = route.by_day(turn(intent, "A"), Situation(), TEXTS)
        outcome = route.at_night(by_day, False, TEXTS)
        assert said(outcome) == ["<utter_nuit>"]
        assert (outcome.disposition, outcome.handoff) == ("waiting", None)
        assert outcome.route == by_day.route
        assert said(route.at_night(by_day, True, TEXTS)) == []
    media = route.at_night(route.media([Attachment("image")], KNOWN, TEXTS), False, TEXTS)
    assert said(media) == ["<utter_nuit>"]


@pytest.mark.parametrize(
    ("is_open", "median", "expected"),
    [
        (False, timedelta(minutes=3), "Dès 6 h."),
        (True, None, ""),
        (True, timedelta(seconds=50), ""),
        (True, timedelta(minutes=12, seconds=20), "Environ 12 minutes."),
    ],
)
def test_the_honest_wait(is_open: bool, median: timedelta | None, expected: str) -> None:
    assert route.wait_sentence(is_open, "6 h", median, TEXTS) == expected


def test_priorities_are_the_tables() -> None:
    outcome = route.by_day(turn("violences_conjugales", "A"), KNOWN, TEXTS)
    assert outcome.priority == PRIORITY["sensitive"]

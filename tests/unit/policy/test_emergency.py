"""Who raises the alarm, and what is sent when."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.dialogue import Understanding
from bot.core.emergency import Answer, of_stored
from bot.policy.degree import ALONE, ALONE_SURE, Context
from bot.policy.emergency import (
    EDGE,
    MOST_BYTES,
    TEXT_KEYS,
    Detection,
    EmergencyAction,
    Situation,
    check_texts,
    compose,
    decide,
    detect,
    glance,
    is_french,
    joined,
    leaving,
    reply,
    stands,
)
from bot.policy.lexicon import Lexicon

from .test_score import SCORE

NOW = datetime(2026, 1, 15, 2, 30, tzinfo=timezone.utc)
LEXICON = Lexicon.from_mapping(
    {
        "entrees": [
            {"nom": "cri", "genre": "danger", "motifs": ["au secours"]},
            {"nom": "adieu", "genre": "detresse", "motifs": ["adieu"]},
            {"nom": "help", "genre": "danger", "motifs": ["help"], "sure": True},
        ]
    }
)
DANGER, DISTRESS = Detection("danger", "lexicon", "cri"), Detection("distress", "score")
TEXTS = {
    "utter_urgence": "Personne n’est alerté ici. 17, 112, 15, 18, 114.",
    "utter_detresse": "Personne n’est alerté ici. 3114, 17, 112, 15, 18, 114.",
    "utter_urgence_anglais": "Nobody is alerted here. 17, 112, 114.",
    "utter_detresse_anglais": "Nobody is alerted here. 3114, 112, 114.",
    "utter_urgence_retard": "Si vous êtes toujours en danger :",
    "utter_urgence_nuit": "Les agents lisent à partir de {heure}.",
    "utter_urgence_rappel": "En danger : le 17, ou un SMS au 114.",
}


def ago(**delta: float) -> datetime:
    return NOW - timedelta(**delta)


def act(detection: Optional[Detection] = DANGER, **situation: Any) -> Optional[EmergencyAction]:
    return decide(detection, Situation(**{"at": NOW, "now": NOW, **situation}))


def read(danger: float, intent: str = "danger_immediat") -> Understanding:
    """What the engine makes of a text."""
    return Understanding(intent, max(danger, 0.1), ((intent, danger),), danger=danger)


@pytest.mark.parametrize(
    ("text", "engine", "expected"),
    [
        ("au secours", None, Detection("danger", "lexicon", "cri")),
        ("adieu", 0.0, Detection("distress", "lexicon", "adieu")),
        ("devant moi, un couteau", None, Detection("danger", "score")),
        ("je veux vraiment mourir", None, Detection("distress", "score")),
        ("bonjour", ALONE_SURE, Detection("danger", "engine")),
        ("au secours bonjour à vous tous", None, None),
        ("adieu mais je veux vraiment mourir", None, Detection("distress", "lexicon", "adieu")),
        ("help bonjour à vous tous", None, Detection("danger", "lexicon", "help")),
        ("bonjour à vous tous", ALONE_SURE, Detection("danger", "engine")),
        ("bonjour", ALONE_SURE - 0.01, Detection("danger", "engine", None, "likely")),
        ("bonjour", 0.25, Detection("danger", "engine", None, "likely")),
        ("bonjour", 0.1, None),
        ("bonjour", None, None),
        ("au secours bonjour à vous tous", 0.5, Detection("danger", "engine")),  # two detectors in part make one whole
        ("au secours bonjour à vous tous", 0.07, Detection("danger", "engine", None, "likely")),
        ("au secours bonjour à vous tous", 0.0, Detection("danger", "engine", None, "faint")),
    ],
)
def test_three_detectors(text: str, engine: Optional[float], expected: Optional[Detection]) -> None:
    assert detect(text, LEXICON, SCORE, None if engine is None else read(engine)) == expected


def test_what_goes_on_after_a_story_is_read_by_its_words() -> None:
    context = Context(story="violence", goes_on=True)
    assert detect("il est revenu", LEXICON, SCORE, read(0.01), context) == Detection("danger", "lexicon", "suite")
    context = Context(story="violence", goes_on=True, distress=True)
    assert detect("ça recommence", LEXICON, SCORE, read(0.01), context) == Detection("distress", "lexicon", "suite")


@pytest.mark.parametrize(
    ("text", "alarm", "suspect"),
    [
        ("au secours", True, True),
        ("au secours bonjour à vous tous", False, True),  # not confirmed by the score: the engine is to look soon
        ("devant moi, un couteau", True, True),
        ("bonjour à vous tous", False, False),
        ("bonjour", False, False),
    ],
)
def test_what_the_engine_is_to_look_at_first(text: str, alarm: bool, suspect: bool) -> None:
    found = glance(text, LEXICON, SCORE)
    assert (found.detection is not None, found.suspect) == (alarm, suspect)
    assert found.detection == detect(text, LEXICON, SCORE)


def test_before_the_first_training_the_lexicon_alone_makes_a_suspect() -> None:
    assert glance("au secours bonjour à vous tous", LEXICON, None).suspect
    assert not glance("bonjour à vous tous", LEXICON, None).suspect


def test_a_detection_names_its_intent() -> None:
    assert (DANGER.intent, DISTRESS.intent) == ("danger_immediat", "detresse_suicide")


def test_a_danger_that_is_not_believed_is_likely_where_violence_may_be_meant() -> None:
    calm = Context(calm=True, together=0.04)
    beside = (("danger_immediat", 0.55), ("violences_conjugales", 0.38), ("procuration", 0.05))
    read_so = Understanding("danger_immediat", 0.55, beside, danger=0.55)
    assert detect("bonjour", LEXICON, SCORE, read_so, calm) == Detection("danger", "engine", None, "likely")
    alone = Understanding("danger_immediat", 0.55, (("danger_immediat", 0.55), ("procuration", 0.4)), danger=0.55)
    assert detect("bonjour", LEXICON, SCORE, alone, calm) == Detection("danger", "engine", None, "faint")


@pytest.mark.parametrize("context", [ALONE, Context(calm=True, together=0.04), Context(together=0.4, pretended=True)])
def test_an_alarm_of_lexicon_or_score_is_sure_whatever_was_said_before(context: Context) -> None:
    found = detect("au secours", LEXICON, SCORE, read(0.01), context)
    assert found is not None
    assert (found.by, found.degree) == ("lexicon", "sure")


def test_a_word_that_was_cut_in_two_is_read_whole() -> None:
    assert joined(["au s", "ecours"]) == ["au s ecours", "au secours"]
    assert joined(["bonjour", "au s", "ecours"]) == ["bonjour au s ecours", "bonjour au secours"]
    assert joined(["il est entré chez moi", "vite"]) == ["il est entré chez moi vite"]
    assert joined(["au secours"]) == ["au secours"]


def test_before_the_first_training_there_is_no_score() -> None:
    assert detect("mourir", LEXICON, None) is None
    assert detect("mourir", LEXICON, None, read(ALONE_SURE)) == Detection("danger", "engine")
    assert detect("au secours", LEXICON, None) == DANGER


@pytest.mark.parametrize(
    ("detection", "situation", "keys"),
    [
        (DANGER, {}, ["urgence"]),
        (DISTRESS, {}, ["detresse"]),
        (DANGER, {"french": False}, ["urgence", "urgence_anglais"]),
        (DISTRESS, {"french": False}, ["detresse", "detresse_anglais"]),
        (DANGER, {"night_until": "6 h"}, ["urgence", "urgence_nuit"]),
        (DANGER, {"at": ago(minutes=60)}, ["urgence"]),
        (DANGER, {"at": ago(minutes=61)}, ["urgence_retard", "urgence"]),
        (DANGER, {"at": ago(hours=24)}, ["urgence_retard", "urgence"]),
        (DANGER, {"at": NOW + timedelta(minutes=3)}, ["urgence"]),
        (DANGER, {"last_full_at": ago(minutes=10)}, ["urgence"]),
        (DISTRESS, {"last_full_at": ago(minutes=1), "last_script": "own_danger"}, ["detresse"]),
        (DISTRESS, {"last_full_at": ago(minutes=11), "last_script": "own_distress"}, ["detresse"]),
        (DANGER, {"last_full_at": ago(minutes=11), "last_agent_at": ago(minutes=1)}, ["urgence"]),
    ],
)
def test_the_full_message(detection: Detection, situation: dict[str, Any], keys: list[str]) -> None:
    action = act(detection, **situation)
    assert action is not None
    assert (action.send, action.handoff, action.old) == ("full", True, False)
    assert list(action.text_keys) == [f"utter_{key}" for key in keys]


@pytest.mark.parametrize("detection", [DANGER, None])
@pytest.mark.parametrize(
    ("situation", "send"),
    [
        ({"last_full_at": ago(minutes=9)}, "short"),
        ({"last_full_at": ago(seconds=1)}, "short"),
        ({"last_full_at": ago(minutes=9), "last_short_at": ago(minutes=2)}, "short"),
        ({"last_full_at": ago(minutes=9), "last_short_at": ago(seconds=119)}, "none"),
        ({"last_full_at": ago(minutes=9), "last_agent_at": ago(minutes=20)}, "short"),
        ({"last_full_at": ago(minutes=9), "standby": True}, "none"),
    ],
)
def test_what_follows_a_full_message_raises_the_handoff(
    detection: Optional[Detection], situation: dict[str, Any], send: str
) -> None:
    action = act(detection, last_script="own_danger", **situation)
    assert action is not None
    assert (action.send, action.handoff, action.old) == (send, True, False)
    assert action.text_keys == (("utter_urgence_rappel",) if send == "short" else ())


def test_danger_and_distress_by_turns_do_not_repeat_the_full_reply() -> None:
    soon = {"last_full_at": ago(minutes=2), "last_script": "own_distress"}
    for detection in (DANGER, DISTRESS):
        action = act(detection, **soon)
        assert action is not None
        assert action.send == "short"


def test_an_agent_who_answered_is_not_interrupted() -> None:
    there = {"last_full_at": ago(minutes=5), "last_agent_at": ago(minutes=1)}
    assert act(DANGER, **there) == EmergencyAction("none")
    assert act(None, **there) is None


@pytest.mark.parametrize("situation", [{}, {"last_full_at": ago(minutes=30)}, {"last_full_at": ago(hours=3)}])
def test_an_ordinary_message_is_none_of_the_emergencys_business(situation: dict[str, Any]) -> None:
    assert act(None, **situation) is None


def test_within_thirty_minutes_it_still_is() -> None:
    action = act(None, last_full_at=ago(minutes=29))
    assert action is not None
    assert (action.send, action.text_keys) == ("short", ("utter_urgence_rappel",))


def test_a_message_over_a_day_old_gets_no_reply() -> None:
    assert act(DANGER, at=ago(hours=25)) == EmergencyAction("none", old=True)
    assert act(DANGER, at=ago(hours=25), standby=True) == EmergencyAction("none", old=True)
    assert act(None, at=ago(hours=25), last_full_at=ago(minutes=1)) is None


def test_standby_hands_off_only() -> None:
    assert act(DANGER, standby=True) == EmergencyAction("none")


def test_compose_fills_the_hour_and_keeps_the_order() -> None:
    action = act(DANGER, at=ago(hours=2), night_until="6 h", french=False)
    assert action is not None
    text = compose(TEXTS, action)
    assert text is not None
    assert text.startswith("Si vous êtes toujours en danger")
    assert text.endswith("à partir de 6 h.")
    assert "{" not in text
    assert text.index("Personne") < text.index("Nobody")


WORDED = [
    ("danger", True, None, timedelta(minutes=59), None, ("utter_urgence",)),
    ("danger", True, None, timedelta(minutes=61), None, ("utter_urgence_retard", "utter_urgence")),
    (
        "danger",
        False,
        None,
        timedelta(hours=23),
        None,
        ("utter_urgence_retard", "utter_urgence", "utter_urgence_anglais"),
    ),
    ("distress", True, None, timedelta(minutes=10), "6 h", ("utter_detresse", "utter_urgence_nuit")),  # night began
    ("distress", True, "6 h", timedelta(minutes=10), None, ("utter_detresse",)),  # or is over
    (None, True, None, timedelta(minutes=61), "6 h", ("utter_urgence_retard", "utter_urgence_rappel")),
    ("danger", True, "6 h", timedelta(hours=25), "6 h", None),
]


@pytest.mark.parametrize(("kind", "french", "night", "waited", "now_night", "keys"), WORDED)
def test_what_waited_is_judged_again_when_it_leaves(
    kind: Any, french: bool, night: Optional[str], waited: timedelta, now_night: Optional[str], keys: Any
) -> None:
    if kind is None:
        worded = act(None, last_full_at=ago(minutes=5), night_until=night)
    else:
        worded = act(Detection(kind, "score"), french=french, night_until=night)
    assert worded is not None and worded.answer is not None
    said = compose(TEXTS, worded)
    assert said is not None
    found = leaving(TEXTS, said, worded.answer, NOW, NOW + waited, now_night)
    assert stands(worded.answer, NOW, NOW + waited, now_night) == (found.text == said)
    if keys is None:
        assert found.text is None
        return
    assert found.text == "\n\n".join(TEXTS[key].replace("{heure}", now_night or "") for key in keys)
    assert found.answer is not None and found.answer.keys == keys
    # Judged once more at the same moment, it stays as it is, and what a publication changed meanwhile does not touch it.
    assert leaving({}, found.text, found.answer, NOW, NOW + waited, now_night) == found


def test_the_reply_without_a_database_is_that_of_its_age() -> None:
    danger, reminder = Answer("danger", NOW, False), Answer(None, NOW)
    assert reply(TEXTS, danger, timedelta(), "6 h") == compose(
        TEXTS, act(french=False, night_until="6 h") or EmergencyAction("none")
    )
    assert (reply(TEXTS, reminder, timedelta(hours=2), None) or "").startswith("Si vous êtes toujours en danger :")
    assert reply(TEXTS, danger, timedelta(hours=25), None) is None


def test_what_the_version_before_worded_says_that_it_is_late_and_says_it_once() -> None:
    said, late = "Appelez le 17.", "Si vous êtes toujours en danger :\n\nAppelez le 17."
    for words, waited, expected in (
        (said, timedelta(minutes=59), said),
        (said, timedelta(minutes=61), late),
        (late, timedelta(hours=20), late),
        (said, timedelta(hours=25), None),
    ):
        assert leaving(TEXTS, words, None, NOW, NOW + waited, "6 h").text == expected


def test_without_texts_what_is_worded_leaves_unless_it_is_too_old() -> None:
    worded = act(DANGER)
    assert worded is not None
    assert leaving(None, "17", worded.answer, NOW, NOW + timedelta(hours=2), None).text == "17"
    assert leaving(None, "17", worded.answer, NOW, NOW + timedelta(hours=25), None).text is None


def test_an_answer_is_kept_with_the_reply_and_read_back() -> None:
    kept = Answer("distress", NOW, False, ("utter_detresse",), "6 h")
    assert of_stored(json.loads(json.dumps(kept.stored()))) == kept
    named = replace(kept, script="witness")
    assert of_stored(json.loads(json.dumps(named.stored()))) == named
    # What a version without scripts cannot read leaves as it is worded: it would say its kind's words instead.
    assert "keys" not in named.stored()
    assert of_stored({**kept.stored(), "script": "witness"}) == named  # as it was written for a while
    before = {key: value for key, value in kept.stored().items() if key != "script"}
    assert of_stored(before) == of_stored({**before, "script": 3}) == kept
    for odd in (
        None,
        {},
        [],
        "x",
        {**kept.stored(), "at": 1e300},
        {**kept.stored(), "kind": "joke"},
        {**kept.stored(), "keys": 1},
    ):
        assert of_stored(odd) is None


def test_nothing_sent_composes_nothing() -> None:
    assert compose(TEXTS, EmergencyAction("none")) is None


def test_too_long_together_the_numbers_stay() -> None:
    texts = {
        **TEXTS,
        "utter_urgence": "17 " + "é" * 440,
        "utter_urgence_nuit": "n" * 200,
        "utter_urgence_retard": "r" * 50,
    }
    action = EmergencyAction("full", ("utter_urgence_retard", "utter_urgence", "utter_urgence_nuit"), hour="6 h")
    text = compose(texts, action)
    assert text is not None
    assert text.startswith("r" * 50 + "\n\n17 é")
    assert "n" not in text
    alone = compose({**texts, "utter_urgence": "17 " + "é" * 600}, action)
    assert alone is not None
    assert alone.startswith("17 é")
    assert len(alone.encode()) <= MOST_BYTES


@given(st.lists(st.sampled_from(TEXT_KEYS), max_size=5), st.text(max_size=700))
@settings(deadline=None)
def test_a_message_is_never_too_long(keys: list[str], long: str) -> None:
    text = compose({**TEXTS, "utter_urgence": long}, EmergencyAction("full", tuple(keys), hour="6 h"))
    assert text is not None
    assert len(text.encode()) <= MOST_BYTES


def test_texts_are_checked_when_they_are_loaded() -> None:
    check_texts(TEXTS)
    with pytest.raises(ValueError, match=r"manquants : utter_detresse$"):
        check_texts({**TEXTS, "utter_detresse": " "})
    with pytest.raises(ValueError, match="trop longs"):
        check_texts({**TEXTS, "utter_detresse": "é" * 490})


@given(
    st.integers(-10, 3000), st.integers(-10, 100), st.integers(-10, 100), st.booleans(), st.sampled_from([DANGER, None])
)
def test_a_danger_always_reaches_agents(
    age: int, full: int, agent: int, standby: bool, detection: Optional[Detection]
) -> None:
    situation = Situation(
        ago(minutes=age), NOW, last_full_at=ago(minutes=full), last_agent_at=ago(minutes=agent), standby=standby
    )
    action = decide(detection, situation)
    assert (action is None) <= (detection is None)
    if action is not None:
        assert action.handoff
        assert bool(action.text_keys) is (action.send != "none")
        assert not (standby and action.text_keys)
    assert decide(detection, replace(situation, standby=True)) is None or not standby or action is not None


@pytest.mark.parametrize(
    ("text", "french"),
    [
        ("il me frappe", True), ("jveu mourir", True), ("au secours", True), ("aide moi ya kelkun", True), ("ok", True),
        ("", True), ("😀", True), ("123", True), ("mon ex a le code de mon insta", True), ("bonjour", True),
        ("help me", False), ("he has a knife please come", False), ("my husband beats me", False), ("hilfe", False),
        ("ayuda por favor me quiere matar", False), ("aiuto", False), ("pomocy", False), ("imdat", False),
        ("ajutor mă bate soțul", False), ("ساعدوني", False), ("помогите у него нож", False), ("救命", False),
        ("socorro ele tem uma faca", False), ("ich werde verfolgt", False), ("𝐡𝐞𝐥𝐩 𝐦𝐞", False),
    ],
)  # fmt: skip
def test_language(text: str, french: bool) -> None:
    assert is_french(text) is french


class Counting(Lexicon):
    """Tells how much it is given to read."""

    read: ClassVar[list[int]] = []

    def entries_in(self, text: str) -> Any:
        """As Lexicon, and counted."""
        self.read.append(len(text))
        return super().entries_in(text)


def test_of_a_text_longer_than_any_message_both_ends_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counting, "read", [])
    lexicon = Counting.from_mapping({"entrees": [{"nom": "cri", "genre": "danger", "motifs": ["help"], "sure": True}]})
    longest = ("bla " * EDGE)[: 2 * EDGE - 10]
    assert detect(longest[:EDGE] + " help " + longest[EDGE:], lexicon, None) == DANGER  # whole, as far as messages go
    for text in ("help " + "bla " * 1_000_000, "bla " * 1_000_000 + "help"):
        assert detect(text, lexicon, None) == DANGER
        assert glance(text, lexicon, None).detection == DANGER
    assert max(Counting.read) == 2 * EDGE + 1


@given(st.text(st.characters(), max_size=300))
@settings(deadline=None)
def test_language_never_raises(text: str) -> None:
    assert is_french(text) in (True, False)
    assert is_french("a" * 100_000) is True
    assert is_french("я" * 100_000) is False


@pytest.mark.parametrize("ahead", [timedelta(minutes=5), timedelta(hours=1), timedelta(days=400)])
def test_what_has_not_happened_yet_keeps_no_reply_back(ahead: timedelta) -> None:
    """A clock that was wrong wrote it: the reply to somebody in danger does not wait until it has come."""
    later = NOW + ahead
    full = act(last_full_at=later, last_short_at=later, last_agent_at=later, last_script="own_danger")
    assert full is not None and full.send == "full"
    short = act(None, last_full_at=ago(minutes=5), last_short_at=later, last_agent_at=later, last_script="own_danger")
    assert short is not None and short.send == "short"


def test_what_another_process_wrote_in_this_very_moment_counts() -> None:
    """It began later and was faster: the same reply does not leave twice."""
    repeated = act(last_full_at=NOW + timedelta(seconds=3), last_script="own_danger")
    assert repeated is not None and repeated.send == "short"

"""Sure, likely or faint: what each detector saw, and what was said before."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from bot.core.dialogue import Understanding
from bot.policy.degree import (
    ALONE,
    Context,
    Degree,
    Signs,
    as_ordinary,
    before,
    beside,
    degree,
    family_of,
    fits,
    given,
    has_numbers,
    instead,
    is_calm,
    is_distress,
    joined,
    looks_back,
    ordinary,
    pressing,
    rank,
    read_together,
    reply_of,
    weighed,
    with_said,
)

STORY = Context(story="violence")
CALM = Context(calm=True)


def signs(danger: float = 0.0, **more: Any) -> Signs:
    """Of a message in which only the engine sees something, unless `more` says otherwise."""
    return Signs(**{"hit": False, "score": 0.0, "danger": danger, "ordinary": 0.0, **more})


@pytest.mark.parametrize(
    ("seen", "context", "expected"),
    [
        (signs(0.95), ALONE, "sure"),
        (signs(0.92), ALONE, "likely"),
        (signs(0.8, score=0.6), ALONE, "sure"),  # two detectors agree
        (signs(0.8, score=0.59), ALONE, "likely"),
        (signs(0.79, score=0.6), ALONE, "likely"),
        (signs(0.5, ordinary=0.45), ALONE, "likely"),
        (signs(0.4, ordinary=0.5), ALONE, "faint"),  # a lonely detector against a likely ordinary subject
        (signs(0.29), ALONE, "faint"),
        (signs(0.29, named=True), ALONE, "likely"),
        (signs(0.19, named=True), ALONE, "none"),
        (signs(0.2, score=0.2), ALONE, "likely"),  # two detectors see something
        (signs(called=0.95, grave=0.05, ordinary=0.9), ALONE, "likely"),  # its meaning surely tells an emergency
        (signs(0.05, called=0.95, ordinary=0.9), ALONE, "likely"),
        (signs(0.04, called=1.0, grave=0.04), ALONE, "none"),  # and nothing else says so
        (signs(0.1, called=0.94, grave=0.5), ALONE, "none"),
        (signs(called=1.0, grave=0.3), CALM, "none"),
        (signs(called=1.0, grave=0.3), Context(asked=True), "none"),
        (signs(called=1.0, grave=0.3), Context(together=0.04), "none"),
        (signs(called=1.0, grave=0.3), Context(together=0.06), "likely"),
        (signs(0.2, score=0.2, ordinary=0.5), ALONE, "faint"),
        (signs(0.5, hit=True), ALONE, "sure"),
        (signs(0.07, hit=True), ALONE, "likely"),
        (signs(0.06, hit=True), ALONE, "faint"),
        # What was said before takes off …
        (signs(0.9), CALM, "likely"),
        (signs(0.6, named=True), CALM, "faint"),
        (signs(0.9), Context(asked=True), "likely"),
        (signs(0.95), Context(asked=True), "sure"),
        (signs(0.5, hit=True), CALM, "sure"),  # but nothing where the words of a danger stand
        (signs(0.6), Context(calm=True, together=0.2), "likely"),  # nor where all together sounds like one
        (signs(0.6), Context(together=0.04), "faint"),
        (signs(0.8, ordinary=0.5), Context(calm=True, together=0.04), "likely"),  # from here it is never less
        (signs(0.79, ordinary=0.5), Context(calm=True, together=0.04), "faint"),
        (signs(0.94, hit=True), Context(together=0.49), "likely"),  # nor is an entry that is not sure by itself
        (signs(0.94, hit=True), Context(together=0.5), "sure"),
        (signs(0.94, hit=True), Context(together=0.94, pretended=True), "likely"),  # a film was spoken of
        (signs(0.94, hit=True), Context(together=0.04, story="missing"), "likely"),
        (signs(0.94, hit=True), Context(together=0.06, story="missing"), "sure"),
        # Nothing explains what the engine is very sure of.
        (signs(0.99), Context(calm=True, together=0.04), "sure"),  # « elle ne réagit plus » in a talk about proxies
        (signs(0.95, hit=True), Context(together=0.3, pretended=True), "sure"),
        (signs(0.6, hit=True), Context(together=0.95, pretended=True), "sure"),
        (signs(0.95, hit=True), Context(together=0.04, story="missing"), "sure"),
        (signs(0.6), Context(together=0.04, story="violence"), "sure"),  # nothing denies it then
        (signs(0.6), Context(together=0.4, story="danger"), "likely"),  # one that was but likely is no such story
        (signs(0.6), Context(together=0.6, story="danger"), "sure"),
        (signs(0.07, hit=True), Context(asked=True, together=0.0), "likely"),
        # … or adds.
        (signs(0.5), STORY, "sure"),
        (signs(0.07), STORY, "likely"),
        (signs(0.06), STORY, "none"),
        (signs(0.5), Context(story="missing"), "likely"),
        (signs(0.0), Context(story="violence", goes_on=True), "sure"),
        (signs(0.07), Context(story="online"), "likely"),  # a threat may follow, but it takes more than that to be sure
        (signs(0.06), Context(story="online"), "none"),
        (signs(0.92), Context(story="online"), "likely"),
        (signs(0.0), Context(story="missing", goes_on=True), "likely"),
        (signs(0.2), Context(together=0.5), "sure"),
        (signs(0.19), Context(together=0.5), "likely"),
        (signs(0.1), Context(together=0.15), "likely"),
        (signs(0.1, ordinary=0.5), Context(together=0.34), "faint"),
        (signs(0.1, ordinary=0.5), Context(together=0.35), "likely"),
    ],
)
def test_degrees(seen: Signs, context: Context, expected: str) -> None:
    assert degree(seen, context) == expected


def test_the_odds_are_weighed_down_and_a_very_sure_danger_is_not() -> None:
    assert weighed(signs(0.5), ALONE) == 0.5
    assert weighed(signs(0.5), CALM) == pytest.approx(1 / 9)
    assert weighed(signs(0.5), Context(calm=True, together=0.0)) == pytest.approx(1 / 9), "once for both"
    assert weighed(signs(0.5, hit=True), Context(calm=True, together=0.0)) == 0.5
    assert weighed(signs(1.0), CALM) == 1.0
    assert weighed(signs(0.5), Context(calm=True, story="violence")) == 0.5


@pytest.mark.parametrize(
    ("question", "entities", "words", "expected"),
    [
        ("", {"ville": "Lyon"}, "à Lyon", False),
        ("commissariat_contact_horaires", {"ville": "Lyon"}, "celui de Lyon", True),
        ("commissariat_contact_horaires", {}, "il est là", False),
        ("commissariat_contact_horaires", {"ville": "Lyon"}, "à Lyon " * 6, False),
        ("recrutement_concours", {"diplome": "bac"}, "j’ai le bac", True),
        ("commissariat_contact_horaires", {"ville": "Lyon"}, "il va me tuer à Lyon", False),
        ("pays", {"ville": "Aix en Provence"}, "je suis à Aix en Provence", True),
        ("age", {}, "j’ai 34 ans", True),
        ("age", {}, "34", True),
        ("age", {}, "Oui, elle a 17 ans.", True),
        ("age", {}, "ils sont 200 et me frappent", False),
        ("age", {}, "je vais mourir dans 10 min", False),
        ("age", {}, "j’ai avalé 30 cachets", False),
        ("age", {}, "j’ai 30 cachets", False),
        ("offre_agent", {"ville": "Lyon"}, "oui", False),
    ],
)
def test_what_fits_a_question_of_ours(question: str, entities: dict[str, str], words: str, expected: bool) -> None:
    assert fits(question, Understanding("danger_immediat", 0.5, (), entities), words) is expected


@pytest.mark.parametrize(
    ("ranking", "expected"),
    [
        ((("danger_immediat", 0.5), ("violences_conjugales", 0.2), ("armes", 0.3)), "armes"),
        ((("danger_immediat", 0.7), ("armes", 0.1)), "hors_perimetre_precision"),
        ((("danger_immediat", 1.0),), "hors_perimetre_precision"),
    ],
)
def test_a_danger_that_is_none_is_dealt_with_as_its_ordinary_subject(
    ranking: tuple[tuple[str, float], ...], expected: str
) -> None:
    found = Understanding("danger_immediat", ranking[0][1], ranking, danger=0.5)
    assert instead(found) == expected
    read = as_ordinary(found, expected)
    assert (read.intent, read.confidence, read.danger) == (expected, dict(ranking).get(expected, 0.0), 0.5)


@pytest.mark.parametrize(
    ("topics", "category", "alarmed", "expected"),
    [
        ((), "none", False, Context()),
        (("procuration",), "none", False, Context(calm=True)),
        (("plainte_comment",), "none", False, Context(calm=True)),
        (("hors_perimetre_precision", "salutation", "armes_chasse"), "none", False, Context(calm=True)),
        (("salutation",), "none", False, Context()),
        (("remerciements", "reclamation_police"), "none", False, Context()),
        (("procuration", "violences_conjugales"), "none", False, Context(story="violence")),
        (("disparition",), "urgent", False, Context(story="missing")),
        (("procuration",), "sensitive", False, Context(story="violence")),
        (("danger_immediat",), "sensitive", False, Context(story="danger")),  # it was but likely
        (("danger_immediat", "violences_conjugales"), "sensitive", False, Context(story="violence")),
        (("danger_immediat",), "emergency", True, Context(story="violence")),
        (("procuration",), "urgent", False, Context(story="missing")),
        (("procuration",), "complaint", True, Context(story="violence")),
        (("inconnue",), "none", False, Context()),
        # Harassment online is no violence that comes through the door, nor is it something ordinary.
        (("harcelement_cyber",), "sensitive", False, Context(story="online")),
        (("procuration", "harcelement_cyber"), "none", False, Context(story="online")),
        (("harcelement_cyber", "violences_conjugales"), "sensitive", False, Context(story="violence")),
        (("harcelement_cyber",), "sensitive", True, Context(story="violence")),
        (("plainte_comment",), "complaint", False, Context(calm=True)),
    ],
)
def test_what_was_said_before(topics: tuple[str, ...], category: str, alarmed: bool, expected: Context) -> None:
    assert before(topics, category, alarmed, False, "à Lyon") == expected


def test_a_danger_that_was_but_likely_is_a_story_that_can_be_explained() -> None:
    for category in ("sensitive", "urgent"):
        assert before(("procuration",), category, False, False, "à Lyon", reason="danger_probable") == Context(
            story="danger"
        )
    told = before(("violences_conjugales",), "sensitive", False, False, "à Lyon", reason="danger_probable")
    assert told == Context(story="violence")
    assert before(("procuration",), "sensitive", False, False, "il est revenu", reason="danger_probable").goes_on


def test_what_was_said_hours_ago_calms_nothing_but_its_story_counts() -> None:
    assert before(("procuration",), "none", False, True, "à Lyon", recent=False) == Context()
    told = before(("violences_conjugales",), "none", False, True, "il est revenu", recent=False)
    assert told == Context(story="violence", goes_on=True)


@pytest.mark.parametrize(
    ("chance", "words", "expected"),
    [
        (0.04, "mot " * 25, 0.04),
        (0.04, "mot " * 26, None),  # too long for the reading to have seen all of it
        (0.49, "mot " * 26, None),
        (0.5, "mot " * 26, 0.5),
        (0.9, "mot " * 26, 0.9),
        (None, "mot", None),
    ],
)
def test_a_reading_that_may_have_lost_the_message_denies_nothing(
    chance: Optional[float], words: str, expected: Optional[float]
) -> None:
    assert read_together(Context(calm=True), chance, words) == Context(calm=True, together=expected)


def test_of_what_was_said_before_the_last_words_are_read_with_the_message() -> None:
    assert joined(["le concours", "à Lyon"], "j’ai peur") == "le concours\nà Lyon\nj’ai peur"
    long = " ".join(str(number) for number in range(50))
    assert joined([long, "fin"], "j’ai peur").split() == [*long.split()[-19:], "fin", "j’ai", "peur"]
    assert joined([], "j’ai peur") == "j’ai peur"


@pytest.mark.parametrize(
    ("ranking", "expected"),
    [
        ((("danger_immediat", 0.5), ("armes", 0.1), ("violences_conjugales", 0.05)), False),
        ((("danger_immediat", 0.5), ("violences_conjugales", 0.15), ("armes", 0.1)), True),
        ((("danger_immediat", 0.4), ("armes", 0.3), ("disparition", 0.1), ("violences_sexuelles", 0.1)), True),
        ((("danger_immediat", 0.5), ("reclamation_police", 0.4), ("armes", 0.1)), False),
        ((), False),
    ],
)
def test_something_grave_beside_a_danger_is_seen(ranking: tuple[tuple[str, float], ...], expected: bool) -> None:
    assert beside(Understanding("danger_immediat", 0.5, ranking, danger=0.5)) is expected


@pytest.mark.parametrize(
    ("intent", "confidence", "ranking", "told", "expected"),
    [
        ("detresse_suicide", 0.6, (), "sure", True),
        ("detresse_suicide", 0.59, (), "sure", False),
        ("danger_immediat", 0.9, (), "sure", False),
        ("detresse_suicide", 0.3, (), "likely", True),
        ("armes", 0.4, (("armes", 0.4), ("detresse_suicide_proche", 0.2), ("danger_immediat", 0.2)), "likely", True),
        ("armes", 0.4, (("armes", 0.4), ("danger_immediat", 0.2), ("detresse_suicide", 0.1)), "likely", False),
        (None, 0.0, (), "likely", False),
    ],
)
def test_a_likely_distress_needs_less_than_a_sure_one(
    intent: Optional[str], confidence: float, ranking: tuple[tuple[str, float], ...], told: Degree, expected: bool
) -> None:
    assert is_distress(Understanding(intent, confidence, ranking), told) is expected


def test_a_story_that_goes_on_and_an_answer_are_told() -> None:
    assert before(("violences_conjugales",), "sensitive", False, False, "il est revenu").goes_on
    assert before((), "none", False, True, "à Lyon").asked


@pytest.mark.parametrize(
    ("topics", "alarmed", "kind", "distress"),
    [
        (("salutation", "detresse_suicide"), False, None, True),
        (("violences_conjugales", "detresse_suicide"), False, None, False),  # the newest matter
        ((), True, "distress", True),
        ((), True, "danger", False),
        ((), False, "distress", False),  # too long ago
    ],
)
def test_what_goes_on_after_a_distress_keeps_its_kind(
    topics: tuple[str, ...], alarmed: bool, kind: Optional[str], distress: bool
) -> None:
    assert before(topics, "none", alarmed, False, "ça recommence", kind=kind).distress is distress
    assert not is_calm(("procuration", "danger_immediat"))


def test_an_alarm_after_a_disappearance_is_the_last_word() -> None:
    missing = ("disparition",)
    assert before(missing, "emergency", True, False, "il est revenu", kind="danger").story == "violence"
    assert before(missing, "emergency", True, False, "elle est revenue", kind="distress").story == "missing"
    assert before(missing, "urgent", False, False, "il est revenu").story == "missing"


@pytest.mark.parametrize(
    ("danger", "context", "words", "expected"),
    [
        (0.02, ALONE, "bonjour", True),
        (0.01, ALONE, "bonjour", False),
        (0.0, STORY, "bonjour", True),
        (0.0, ALONE, "ça recommence", True),
    ],
)
def test_only_a_trace_is_read_together_with_what_came_before(
    danger: float, context: Context, words: str, expected: bool
) -> None:
    assert looks_back(Understanding("armes", 0.9, danger=danger), context, words) is expected


def test_what_the_last_messages_tell_counts_whatever_they_were_read_as() -> None:
    blows = ["une main courante pour des coups", "mon mari m'a frappée en mars"]
    assert with_said(CALM, blows, "ça recommence") == Context(story="violence", goes_on=True)
    assert with_said(CALM, blows, "et pour la procuration ?") == CALM
    assert with_said(CALM, ["pour une procuration"], "ça recommence") == CALM
    assert with_said(CALM, ["on fait un tournage jeudi"], "ils tirent") == Context(calm=True, pretended=True)
    assert with_said(Context(story="missing"), blows, "ça recommence") == Context(story="missing")


@pytest.mark.parametrize(
    ("intent", "ranking", "expected"),
    [
        ("armes", (), 0.4),
        ("danger_immediat", (("danger_immediat", 0.5), ("violences_conjugales", 0.3), ("armes", 0.1)), 0.1),
        ("armes", (("hors_perimetre_precision", 0.3), ("armes", 0.25), ("hors_perimetre", 0.2)), 0.5),
        (None, (), 0.0),
    ],
)
def test_the_likeliest_ordinary_subject(
    intent: Optional[str], ranking: tuple[tuple[str, float], ...], expected: float
) -> None:
    assert ordinary(Understanding(intent, 0.4, ranking)) == pytest.approx(expected)


def test_a_likely_danger_comes_before_other_sensitive_matters() -> None:
    assert pressing("sensitive", "danger_probable") == pressing("urgent", "disparition") == 1
    assert (pressing("sensitive", "violences_conjugales"), pressing("emergency", "detresse_probable")) == (2, 0)
    assert reply_of("distress") == "utter_detresse_probable"
    assert (family_of("armes_chasse"), family_of("ailleurs")) == ("armes", "ailleurs")


def test_of_two_that_press_equally_the_subject_comes_before_the_likelihood() -> None:
    missing, likely = ("urgent", "disparition"), ("sensitive", "danger_probable")
    violence, emergency = ("sensitive", "violences_conjugales"), ("emergency", "emergency_engine")
    assert sorted([violence, likely, emergency, missing], key=lambda one: rank(*one)) == [
        emergency,
        missing,
        likely,
        violence,
    ]
    assert rank(*likely) == (1, 2)


@pytest.mark.parametrize(
    ("likely", "listens", "replied", "expected"),
    [
        ("danger", False, set(), False),
        ("danger", False, {"danger_probable"}, True),
        ("danger", True, {"danger_probable"}, False),  # the 3114 is due still
        ("danger", True, {"danger_probable", "ecoute"}, True),
        ("danger", True, {"danger_probable_ecoute"}, True),
        ("danger", True, {"night"}, False),
        ("danger", False, {"danger_probable_ecoute"}, True),
        ("danger", False, {"detresse_probable"}, False),  # the kind changes: the other words are due
        ("danger", False, {"disparition"}, True),
        ("danger", False, {"violences_sexuelles"}, True),
        ("danger", False, {"night"}, True),
        ("danger", False, {"reclamation_police", "waiting", "ecoute"}, False),
        ("distress", True, {"detresse_probable"}, True),
        (
            "distress",
            True,
            {"danger_probable", "disparition", "night", "ecoute"},
            False,
        ),  # none of them gives its words
        (None, False, {"reclamation_police"}, True),  # whose reply ends with the line
        (None, False, {"ecoute"}, True),
        (None, False, {"remerciements"}, False),
        (None, False, set(), False),
        (None, True, {"reclamation_police", "danger_probable", "night"}, False),  # none of them gives the 3114
        (None, True, {"ecoute"}, True),
        (None, True, {"danger_probable_ecoute"}, True),
        (None, False, {"danger_probable_ecoute"}, True),
        ("distress", True, {"danger_probable_ecoute"}, False),
        (None, True, {"detresse_probable"}, True),
    ],
)
def test_whether_the_numbers_that_are_due_were_given(
    likely: Optional[str], listens: bool, replied: set[str], expected: bool
) -> None:
    assert has_numbers(likely, listens, replied) is expected


def test_what_was_given_is_known_by_the_reason() -> None:
    assert [given(None, False), given(None, True)] == [None, "ecoute"]
    assert [given("danger", False), given("danger", True)] == ["danger_probable", "danger_probable_ecoute"]
    assert [given("distress", False), given("distress", True)] == ["detresse_probable"] * 2

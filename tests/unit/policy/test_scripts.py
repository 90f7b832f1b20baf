"""Whose words an emergency gets: the table, what would harm whom, and when a further message needs other words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Optional

import pytest

from bot.core.emergency import of_stored
from bot.dialogue.texts import load
from bot.policy import scripts
from bot.policy.emergency import (
    GOES_ON,
    MOST_BYTES,
    TEXT_KEYS,
    Detection,
    EmergencyAction,
    Situation,
    compose,
    decide,
    with_script,
)
from bot.policy.scripts import (
    HARMS,
    LEARNT,
    NONE,
    SCRIPTS,
    choose,
    harms,
    instead,
    kind_of,
    says_more,
    script_of,
    spoken_to,
)
from tests.unit.policy.test_emergency import NOW, ago

TEXTS = load(Path(__file__).resolve().parents[3] / "domain.yml")


@pytest.mark.parametrize(
    ("chances", "chosen"),
    [
        ({"witness": 0.6, "own_danger": 0.4}, "witness"),
        ({"none": 0.8, "child": 0.2}, "child"),  # it is an emergency: that it looks like none tells nothing
        (
            {"partner_author": 0.6, "partner_victim": 0.4},
            "own_danger",
        ),  # either may be wronged: the words that suit both
        ({"partner_author": 0.95, "partner_victim": 0.05}, "partner_author"),
        ({"own_distress": 0.5, "partner_victim": 0.45, "own_danger": 0.05}, "partner_victim"),
        ({"relative_distress": 0.55, "relative_act": 0.45}, "relative_act"),  # an ambulance first
        ({"own_distress": 0.4, "relative_act": 0.3, "relative_distress": 0.3}, "any_distress"),  # whose is it?
        ({"own_distress": 0.4, "partner_author": 0.3, "witness": 0.15, "silent": 0.15}, "own_danger"),
        ({}, "own_danger"),
    ],
)
def test_the_likeliest_words_that_hardly_do_harm(chances: dict[str, float], chosen: str) -> None:
    assert choose(chances) == chosen


def test_harm_is_counted_over_those_who_are_no_joke() -> None:
    assert harms("own_distress", ("partner_victim",))
    assert not harms("own_distress", ("own_distress", "partner_victim"))
    assert not harms("own_danger", ("own_distress",))
    assert set(HARMS) <= set(SCRIPTS) and all(found <= {*SCRIPTS, NONE} for found in HARMS.values())
    assert all(sent not in found for sent, found in HARMS.items())


def test_a_detector_that_names_distress_weighs_and_does_not_decide() -> None:
    doubtful = {"own_distress": 0.6, "own_danger": 0.35, "none": 0.05}
    assert with_script(Detection("danger", "score"), doubtful).script == "own_danger"
    assert with_script(Detection("distress", "score"), doubtful).script == "own_distress"
    afraid = {"partner_victim": 0.9, "own_distress": 0.1}
    told = Detection("danger", "score", script="partner_victim", listens=True)
    assert with_script(Detection("distress", "score"), afraid) == told
    assert scripts.weighed({"own_danger": 0.0}, "distress") == {"own_danger": 0.0}
    assert with_script(Detection("danger", "score"), {}) == Detection("danger", "score")


def test_a_detector_that_names_distress_does_not_tell_whose_it_is() -> None:
    veiled = {
        "relative_distress": 0.1,
        "own_distress": 0.02,
        "witness": 0.3,
        "seen_online": 0.28,
        "child": 0.2,
        "none": 0.1,
    }
    assert with_script(Detection("distress", "engine"), veiled).script == "any_distress"


@pytest.mark.parametrize(
    ("detection", "chances", "engine", "listens"),
    [
        (Detection("danger", "score"), {"own_danger": 0.95, "own_distress": 0.05}, 0.0, True),
        (Detection("danger", "score"), {"own_danger": 1.0}, 0.05, True),
        (Detection("danger", "score", distress=0.2), {"own_danger": 1.0}, 0.0, True),
        (Detection("danger", "score"), {"own_danger": 1.0}, 0.0, False),
        (Detection("danger", "score"), {"witness": 1.0}, 0.0, True),  # who lies there may have done it himself
    ],
)
def test_the_words_of_an_alarm_name_the_3114_where_a_distress_is_at_all_plausible(
    detection: Detection, chances: dict[str, float], engine: float, listens: bool
) -> None:
    found = with_script(detection, chances, engine)
    assert found.listens is listens
    action = decide(found, Situation(NOW, NOW))
    assert action is not None and ("3114" in (compose(TEXTS, action) or "")) is listens
    again = decide(found, Situation(NOW, NOW, last_full_at=ago(minutes=5), last_script=found.script))
    assert again is not None and again.send == "short" and ("3114" in (compose(TEXTS, again) or "")) is listens
    assert again.answer is not None and of_stored(again.answer.stored()) == again.answer


def test_the_3114_is_named_once_and_in_no_text_that_is_not_there() -> None:
    found = Detection("distress", "engine", script="own_distress", listens=True)
    action = decide(found, Situation(NOW, NOW))
    assert action is not None and compose(TEXTS, action) == TEXTS["utter_detresse"]
    witness = decide(replace(found, kind="danger", script="witness"), Situation(NOW, NOW))
    older = {key: text for key, text in TEXTS.items() if key != "utter_nuit_detresse"}
    assert witness is not None and compose(older, witness) == TEXTS["utter_urgence_temoin"]
    foreign = decide(replace(found, kind="danger", script=None), Situation(NOW, NOW, french=False))
    assert foreign is not None and foreign.text_keys == ("utter_urgence", "utter_urgence_anglais")


@pytest.mark.parametrize(
    "chances",
    [
        {
            "own_distress": 0.5,
            "relative_act": 0.25,
            "relative_distress": 0.25,
        },  # the surer, the less one of the three passes
        {"partner_author": 0.5, "own_danger": 0.1, "own_distress": 0.2, "violence_past": 0.2},
        {name: 1 / len(LEARNT) for name in LEARNT},
    ],
)
def test_no_recognised_distress_is_without_the_3114(chances: dict[str, float]) -> None:
    found = with_script(Detection("distress", "score"), chances)
    assert (found.kind, found.script) == ("distress", "any_distress")
    for last in (None, "own_danger", "partner_victim"):  # also minutes after a reply without it
        recent = {"last_full_at": ago(minutes=2), "last_script": last} if last else {}
        action = decide(found, Situation(NOW, NOW, **recent))  # type: ignore[arg-type]
        assert action is not None and "3114" in (compose(TEXTS, action) or "")
    older = {key: text for key, text in TEXTS.items() if key != "utter_urgence_detresse"}  # of a model of before
    assert compose(older, EmergencyAction("full", ("utter_urgence_detresse",))) == TEXTS["utter_detresse"]


def test_what_goes_on_after_a_distress_is_one() -> None:
    goes_on = Detection("distress", "lexicon", GOES_ON)
    assert with_script(goes_on, {"partner_victim": 0.9, "own_danger": 0.1}).script == "any_distress"
    assert with_script(replace(goes_on, kind="danger"), {"witness": 1.0}).script == "witness"
    ended = {"violence_past": 0.7, "old_emergency": 0.2, "partner_victim": 0.1}  # what goes on is not over
    assert with_script(replace(goes_on, kind="danger"), ended).script == "partner_victim"


def test_the_kind_goes_with_the_words() -> None:
    assert kind_of("relative_act", "danger") == "distress"
    assert kind_of("officer", "distress") == "danger"
    assert (kind_of("silent", "danger"), kind_of("silent", "distress")) == ("danger", "distress")


@pytest.mark.parametrize(
    ("kind", "kept", "script"),
    [
        ("danger", None, "own_danger"),
        ("distress", None, "own_distress"),
        ("danger", "witness", "witness"),
        ("distress", "silent", "silent"),
        ("distress", "witness", "own_distress"),  # a version before answered since, which knows no scripts
        ("danger", "autre", "own_danger"),
        (None, None, None),
    ],
)
def test_what_the_last_reply_was(kind: Optional[str], kept: Optional[str], script: Optional[str]) -> None:
    assert script_of(kind, kept) == script


@pytest.mark.parametrize(
    ("last", "script", "more"),
    [
        ("own_danger", "own_danger", False),
        ("own_danger", "own_distress", True),  # 3114
        ("own_danger", "relative_act", True),  # 15
        ("partner_author", "silent", True),  # 114
        ("own_distress", "own_danger", False),  # every number is there
        ("own_distress", "partner_victim", False),
        ("own_danger", "witness", False),
        ("old_emergency", "own_danger", True),  # it is not over
        ("partner_victim", "partner_author", True),  # « ce n’est pas votre faute » must not stand
        ("relative_distress", "relative_act", True),
        ("own_danger", "any_distress", True),  # 3114
        ("any_distress", "own_distress", False),  # every number is there
        ("any_distress", "own_danger", False),
        ("any_partner", "own_distress", True),  # 3114
        ("any_sexual", "relative_act", True),  # 15
        ("any_partner", "silent", False),  # the 114 is there
    ],
)
def test_a_further_danger_within_minutes(last: str, script: str, more: bool) -> None:
    assert says_more(script, last) is more
    soon = Situation(NOW, NOW, last_full_at=ago(minutes=2), last_script=last)
    action = decide(Detection(SCRIPTS[script].kind or "danger", "score", script=script), soon)
    assert action is not None
    assert action.send == ("full" if more else "short")


@pytest.mark.parametrize(
    ("intent", "chances", "script"),
    [
        ("violences_conjugales", {"partner_author": 0.9, "partner_victim": 0.05}, "partner_author"),
        ("violences_conjugales_ex", {"partner_relative": 0.6, "partner_victim": 0.4}, "partner_relative"),
        ("violences_conjugales", {"partner_victim": 0.9}, None),
        (
            "violences_conjugales",
            {"partner_victim": 0.6, "partner_author": 0.3},
            "any_partner",
        ),  # its own might wrong an author: those that suit both
        ("violences_conjugales_ex", {"partner_victim": 0.5, "partner_author": 0.2, "own_danger": 0.3}, "any_partner"),
        ("violences_conjugales", {"own_danger": 0.6, "partner_author": 0.4}, "own_danger"),  # a danger is the likeliest
        ("violences_sexuelles", {"own_distress": 0.4, "relative_act": 0.2, "partner_author": 0.4}, "any_distress"),
        ("violences_conjugales", {"partner_relative": 0.4, "partner_victim": 0.3, "witness": 0.3}, None),  # not sure
        ("violences_conjugales", {"own_danger": 0.9}, None),
        ("violences_sexuelles", {"child": 0.9}, "child"),
        (
            "violences_sexuelles",
            {"none": 0.6, "partner_author": 0.4},
            "any_sexual",
        ),  # the intent is sensitive, whatever they say
        ("violences_sexuelles", {"none": 0.9, "child": 0.1}, None),
        ("harcelement_cyber", {"child": 0.9}, None),
        ("violences_conjugales", {}, None),
        (None, {"child": 0.9}, None),
    ],
)
def test_a_sensitive_intents_own_words_give_way(
    intent: Optional[str], chances: dict[str, float], script: Optional[str]
) -> None:
    assert instead(intent, chances) == script
    assert scripts.may_be_told_otherwise(intent) is ((intent or "").startswith("violences"))


def test_a_minor_reads_no_grown_ups_help_lines() -> None:
    unsure = {"own_distress": 0.6, "partner_minor": 0.09, "child": 0.03}
    assert instead("violences_conjugales", unsure) is None
    assert instead("violences_conjugales", unsure, minor=True) == "partner_minor"
    grown_up = {"partner_victim": 0.9, "partner_minor": 0.04, "child": 0.03}  # an age that may be no age of theirs
    assert instead("violences_conjugales", grown_up, minor=True) is None
    assert (
        instead("violences_sexuelles", {"partner_victim": 0.9}, minor=True) is None
    )  # its words speak to them as well


def test_a_likely_danger_of_a_sure_subject_reads_that_subjects_general_words() -> None:
    unsure = {"partner_victim": 0.5, "partner_author": 0.25, "own_danger": 0.25}
    told = Detection("danger", "engine", degree="likely")
    assert with_script(told, unsure, subject=scripts.general_of("violences_conjugales")).script == "any_partner"
    assert with_script(told, unsure).script == "own_danger"
    assert with_script(replace(told, kind="distress"), unsure, subject="any_partner").script == "any_distress"
    assert choose({}, subject="any_sexual") == "any_sexual"
    assert [scripts.general_of(one) for one in ("violences_sexuelles_mineur", "armes", None)] == [
        "any_sexual",
        "own_danger",
        "own_danger",
    ]


@pytest.mark.parametrize("script", scripts.FOR_ALL)
def test_words_for_everybody_blame_nobody_and_accuse_nobody(script: str) -> None:
    told = TEXTS[SCRIPTS[script].reply].lower()
    assert "votre faute" not in told and "votre vie compte" not in told and "responsable" not in told
    assert all(script not in (*found, *LEARNT) for found in HARMS.values()) and script not in HARMS


def test_whom_an_intents_own_words_speak_to() -> None:
    assert spoken_to("violences_conjugales_ex") == "partner_victim"
    assert spoken_to("reclamation_police") == "officer"
    assert spoken_to("animaux") == spoken_to(None) == NONE


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("hours", [0, 2])
def test_each_script_is_one_complete_message_at_any_age_and_hour(script: str, hours: int) -> None:
    situation = Situation(ago(hours=hours), NOW, night_until="6 h")
    action = decide(Detection("danger", "engine", script=script, listens=True), situation)
    assert action is not None
    told = compose(TEXTS, action) or ""
    assert told.count("3114") == 1
    assert TEXTS[SCRIPTS[script].reply] in told and "6 h" in told
    assert "n’alerte personne" in told and len(told.encode()) <= MOST_BYTES
    late = TEXTS[SCRIPTS[script].late].strip() if hours and SCRIPTS[script].late else TEXTS[SCRIPTS[script].reply]
    assert told.startswith(late)
    assert action.answer is not None and action.answer.script == script


def test_another_language_gets_the_general_words_with_their_translation() -> None:
    action = decide(Detection("danger", "score", script="witness"), Situation(NOW, NOW, french=False))
    assert action is not None and action.answer is not None
    assert action.text_keys == ("utter_urgence", "utter_urgence_anglais")
    assert action.answer.script is None


def test_texts_of_a_version_before_say_the_general_words() -> None:
    older = {key: TEXTS[key] for key in TEXT_KEYS if key not in {one.reply for one in SCRIPTS.values()}}
    older = {**older, "utter_urgence": "Général.", "utter_detresse": "Détresse."}
    del older["utter_urgence_retard_autre"]
    late = TEXTS["utter_urgence_retard"]
    assert (
        compose(older, EmergencyAction("full", ("utter_urgence_retard_autre", "utter_urgence_temoin")))
        == f"{late}\n\nGénéral."
    )
    assert compose(older, EmergencyAction("full", ("utter_urgence_proche_acte",))) == "Détresse."

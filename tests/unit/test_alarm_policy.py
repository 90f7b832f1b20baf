"""What is done with an alarm beside giving it: the words that it calls for, and those that say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.app.places import PROJECT
from bot.app.policy import Policy
from bot.core.dialogue import Understanding
from bot.core.errors import SetupError
from bot.dialogue.texts import load
from bot.policy.emergency import CLOSE
from bot.policy.lexicon import Lexicon

LEXICON = Lexicon.from_mapping({"entrees": [{"nom": "secours", "genre": "detresse", "motifs": ["au secours"]}]})


class Scripts:
    """Remembers what it was asked. `chances`: what it says of each text."""

    def __init__(self, fails: bool = False, chances: dict[str, float] | None = None) -> None:
        self.asked: list[str] = []
        self._fails = fails
        self._chances = chances or {"relative_act": 1.0}

    def chances(self, text: str, _cues: object = ()) -> dict[str, float]:
        """A relative's, surely, unless told otherwise."""
        self.asked.append(text)
        if self._fails:
            raise RuntimeError("poids abîmés")
        return self._chances


def policy(scripts: Scripts) -> Policy:
    made: Any = (None, None)  # night and desk: not asked here
    return Policy({}, {}, *made, LEXICON, None, made[0], scripts)  # type: ignore[arg-type]


def test_an_alarm_stands_whatever_goes_wrong_with_its_words() -> None:
    found = policy(Scripts(fails=True)).triage("au secours")
    assert found is not None
    assert (found.kind, found.script, found.evidence) == ("distress", None, ("au secours",))


def test_of_a_forged_long_text_only_both_ends_choose_the_words() -> None:
    scripts = Scripts()
    found = policy(scripts).triage("au secours " + "bla bla bla " * 20_000)
    assert found is not None
    assert (found.script, found.evidence) == ("relative_act", ("au secours",))
    assert [len(text) for text in scripts.asked] == [2 * CLOSE + 1]


@pytest.mark.parametrize(("danger", "degree", "asked"), [(0.25, "faint", 0), (0.5, "likely", 1)])
def test_a_faint_danger_is_asked_for_no_words(danger: float, degree: str, asked: int) -> None:
    scripts = Scripts()
    ranking = (("procuration", 1.0 - danger),) if danger < 0.5 else (("danger_immediat", danger),)
    understood = Understanding(ranking[0][0], ranking[0][1], ranking, danger=danger)
    found = policy(scripts).detect("je ne sais plus", understood)
    assert found is not None
    assert (found.degree, len(scripts.asked)) == (degree, asked)


def test_whose_words_a_danger_calls_for_is_known_by_its_meaning_too_once_the_engine_has_read_it() -> None:
    unsure = {"witness": 0.3, "partner_victim": 0.25, "none": 0.45}
    ranking = (("danger_immediat", 0.9),)
    told = Understanding(*ranking[0], ranking, danger=0.96, scripts={"partner_victim": 0.95, "witness": 0.02})
    found = policy(Scripts(chances=unsure)).detect("je ne sais plus", told)
    assert found is not None
    assert (found.by, found.script) == ("engine", "partner_victim")
    alarm = policy(Scripts(chances=unsure)).detect("au secours", told)  # the gateway's, which said the words' own
    assert alarm is not None
    assert (alarm.by, alarm.script) == ("lexicon", policy(Scripts(chances=unsure)).triage("au secours").script)  # type: ignore[union-attr]
    assert alarm.script != "partner_victim"


@pytest.mark.parametrize(
    ("subject", "called", "degree"),
    [
        ("hors_perimetre_precision", 0.99, "likely"),
        ("hors_perimetre_precision", 0.5, None),
        ("parler_humain", 0.99, None),
    ],
)
def test_what_the_bot_would_take_for_talk_is_an_emergency_if_its_meaning_surely_tells_one(
    subject: str, called: float, degree: str | None
) -> None:
    """A request for a human is read by an agent anyway."""
    ranking = ((subject, 0.75), ("violences_conjugales", 0.12), ("danger_immediat", 0.08))
    told = Understanding(*ranking[0], ranking, danger=0.08, scripts={"partner_minor": 0.94}, called=called)
    found = policy(Scripts(chances={"partner_minor": 0.6, "none": 0.4})).detect("je ne sais plus", told)
    assert (None if found is None else (found.degree, found.script)) == (degree and (degree, "partner_minor"))


def test_a_distress_that_nothing_tells_more_of_reads_the_3114_however_sure_the_danger_is() -> None:
    """Surer of a danger than of its kind: the general words for a danger have no 3114."""
    unknown = {"own_danger": 0.4, "none": 0.6}
    ranking = (("detresse_suicide", 0.5), ("danger_immediat", 0.45))
    found = policy(Scripts(chances=unknown)).detect("je ne sais plus", Understanding(*ranking[0], ranking, danger=0.95))
    assert found is not None
    assert (found.degree, found.kind, found.script) == ("sure", "distress", "any_distress")
    ranking = (("danger_immediat", 0.5), ("detresse_suicide", 0.45))
    found = policy(Scripts(chances=unknown)).detect("je ne sais plus", Understanding(*ranking[0], ranking, danger=0.95))
    assert found is not None
    assert (found.kind, found.script) == ("danger", "own_danger")


def test_a_likely_danger_of_somebody_who_surely_tells_of_a_couple_reads_words_for_everybody_of_that_subject() -> None:
    unsure = {"partner_victim": 0.5, "partner_author": 0.3, "own_danger": 0.2}

    def script(intent: str, chance: float, danger: float) -> str | None:
        ranking = ((intent, chance), ("danger_immediat", 0.35))
        found = policy(Scripts(chances=unsure)).detect(
            "je ne sais plus", Understanding(*ranking[0], ranking, danger=danger)
        )
        assert found is not None
        return found.script

    assert script("violences_conjugales", 0.6, 0.35) == "any_partner"
    assert script("violences_sexuelles", 0.6, 0.35) == "any_sexual"
    assert script("violences_conjugales", 0.4, 0.35) == "own_danger"  # not sure
    assert script("violences_conjugales", 0.6, 0.96) == "own_danger"  # a danger now


def test_replies_of_a_model_of_before_are_read_and_what_the_service_needs_is_named(tmp_path: Path) -> None:
    later = ("utter_nuit_detresse", "utter_danger_probable", "utter_detresse_probable", "utter_agent_lira")
    domain = tmp_path / "domain.yml"
    text = (PROJECT / "domain.yml").read_text(encoding="utf-8")
    for name in later:
        text = text.replace(f"  {name}:\n", f"  {name}_autre:\n")
    domain.write_text(text, encoding="utf-8")
    assert not set(later) & set(load(domain))
    domain.write_text(text.replace("  utter_filet:\n", "  utter_autre:\n"), encoding="utf-8")
    with pytest.raises(SetupError, match="utter_filet"):
        load(domain)


def test_an_own_distress_is_not_doubted_because_the_person_is_beaten_as_well() -> None:
    own = {"own_distress": 0.6, "own_danger": 0.4}
    found = policy(Scripts(chances=own)).triage("au secours, mon mari me frappe")
    assert found is not None
    assert (found.kind, found.script) == ("distress", "own_distress")

"""The gate: every reason against a candidate, and nothing else."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from bot.trainer.answer_comparison import MESSAGES, TURNS, AnswerCounts, AnswersCompared
from bot.trainer.comparison import EMERGENCY, INTENTS, Comparison, SetComparison, Words
from bot.trainer.figures import Judged
from bot.trainer.gate import Verdict, verdict
from bot.trainer.gold import Case
from tests.trainer.conftest import Trained

Read = tuple[str, str]  # intent, route

DANGER = ("au secours il a un couteau", "danger_immediat", "emergency")
CALM = ("bonjour", "salutation", "answer")
SENSITIVE = ("mon mari me frappe", "violences_conjugales", "handoff")


def judged(case: tuple[str, str, str], line: int, read: Read | None = None) -> Judged:
    text, intent, route = case
    as_read = read or (intent, route)
    return Judged(Case(text, intent, "", route, line), as_read[0], as_read[1], as_read[0], 0.9)


def compared(name: str, cases: list[tuple[tuple[str, str, str], Read | None, Read | None]]) -> SetComparison:
    before = [judged(case, line, read) for line, (case, read, _) in enumerate(cases, 2)]
    after = [judged(case, line, read) for line, (case, _, read) in enumerate(cases, 2)]
    return SetComparison.of(name, before, after)


def comparison(
    emergency: list[tuple[tuple[str, str, str], Read | None, Read | None]] | None = None,
    intents: list[tuple[tuple[str, str, str], Read | None, Read | None]] | None = None,
) -> Comparison:
    """Both gold sets; each begins with messages that both models read rightly."""
    sure = [(DANGER, None, None), (CALM, None, None), (SENSITIVE, None, None)]
    return Comparison(
        "a" * 16,
        "b" * 16,
        (compared(EMERGENCY, [*sure, *(emergency or [])]), compared(INTENTS, [*sure, *(intents or [])])),
    )


def spoken(harmful: int = 0, unheard: int = 0, right: float = 0.7) -> Words:
    return Words(600, right, harmful, unheard, tuple(range(2, 2 + harmful)))


def codes(found: Verdict) -> list[str]:
    return [reason.code for reason in found.reasons]


def test_an_equal_or_better_candidate_passes() -> None:
    assert verdict(comparison()).open
    better = verdict(comparison(emergency=[(DANGER, ("salutation", "answer"), None)]))
    assert better.open
    assert not better.overridable


def test_an_emergency_that_is_no_longer_recognised_shuts_it_for_good() -> None:
    found = verdict(comparison(emergency=[(DANGER, None, ("danger_immediat", "handoff"))]))
    assert codes(found) == ["emergency", "emergency_recall", "alarm_recall"]
    assert not found.open
    assert not found.overridable
    assert "« au secours il a un couteau »" in found.reasons[0].what
    assert found.reasons[0].lines == (5,)


def sunk(read: Read = ("danger_immediat", "handoff")) -> Comparison:
    """An emergency that was sure, and is likely."""
    made = comparison(emergency=[(DANGER, None, read)])
    before = [judged(DANGER, 2), judged(DANGER, 3)]
    after = [before[0], dataclasses.replace(judged(DANGER, 3, read), degree="likely")]
    return dataclasses.replace(made, sets=(SetComparison.of(EMERGENCY, before, after), *made.sets[1:]))


def test_an_emergency_that_sinks_from_sure_to_likely_shuts_it_though_it_is_still_recognised() -> None:
    made = sunk()
    found = verdict(made)
    assert codes(found) == ["alarm_recall"]
    assert not found.overridable
    assert "100,0\u00a0% pour le modèle en service, 50,0\u00a0% pour le candidat" in found.reasons[0].what
    (_, read) = made.set(EMERGENCY).judgements
    assert (read.before.route, read.after.route) == ("emergency", "handoff")
    assert read.moved
    assert read.after.right  # it got the numbers, and an agent first
    assert made.set(EMERGENCY).lost_emergencies == []
    again = Comparison.from_json(json.loads(json.dumps(made.to_json())))
    assert verdict(again) == found


def test_a_likely_emergency_that_is_lost_counts_as_one_that_was_recognised() -> None:
    likely = dataclasses.replace(judged(DANGER, 2, ("danger_immediat", "handoff")), degree="likely")
    lost = judged(DANGER, 2, ("danger_immediat", "handoff"))
    whole = comparison()
    found = verdict(dataclasses.replace(whole, sets=(SetComparison.of(EMERGENCY, [likely], [lost]), *whole.sets[1:])))
    assert codes(found) == ["emergency", "emergency_recall"]


def test_a_comparison_and_a_reference_from_before_the_share_of_emergency_replies_are_read() -> None:
    kept = comparison().to_json()
    for one in kept["sets"]:
        for side in ("current", "candidate"):
            del one[side]["shares"]["alarm_recall"]
        for row in one["judgements"]:
            del row["before"]["likely"], row["after"]["likely"]
    before = Comparison.from_json(kept)
    assert verdict(before).open
    assert before.sets[0].current is not None
    assert before.sets[0].current.shares["alarm_recall"] is None
    old = reference(sunk())
    del old["sets"]["emergency.tsv"]["clean"]["alarm_recall"]
    alone = dataclasses.replace(sunk(), sets=tuple(dataclasses.replace(s, current=None) for s in sunk().sets))
    assert verdict(alone, old).open
    assert codes(verdict(alone, reference(alone, alarm_recall=1.0))) == ["alarm_recall"]


def test_one_missed_for_one_found_is_still_one_missed() -> None:
    """The share stays; the person does not."""
    swapped = comparison(
        emergency=[
            (DANGER, ("danger_immediat", "handoff"), None),
            (("il va me tuer", *DANGER[1:]), None, ("danger_immediat", "handoff")),
        ]
    )
    found = verdict(swapped)
    assert codes(found) == ["emergency"]
    assert "« il va me tuer »" in found.reasons[0].what


def test_an_emergency_among_the_intents_counts_as_well() -> None:
    found = verdict(comparison(intents=[(DANGER, None, ("danger_immediat", "answer"))]))
    assert codes(found)[0] == "emergency"


def test_sensitive_messages_left_to_the_bot_shut_it_for_good() -> None:
    found = verdict(comparison(intents=[(SENSITIVE, None, ("violences_conjugales", "answer"))]))
    assert codes(found) == ["sensitive"]
    assert not found.overridable
    assert "« intentions »" in found.reasons[0].what
    assert "100,0" in found.reasons[0].what
    assert "50,0" in found.reasons[0].what


def test_false_alarms_have_one_point_of_room() -> None:
    calm = [(("bonjour à tous", "salutation", "answer"), None, None)] * 200
    alarm = (CALM, None, ("salutation", "emergency"))
    assert verdict(comparison(intents=[*calm, alarm, alarm])).open
    found = verdict(comparison(intents=[*calm, *[alarm] * 3]))
    assert codes(found) == ["false_alarms"]
    assert not found.overridable


@pytest.mark.parametrize(("wrong", "shut"), [(2, False), (3, False), (8, True)])
def test_an_intent_may_lose_two_points_or_what_chance_explains_and_an_administrator_may_let_it_lose_more(
    wrong: int, shut: bool
) -> None:
    theft = ("on m'a volé mon vélo", "plainte_comment", "answer")
    right = [(theft, None, None)] * (100 - wrong)
    lost = [(theft, None, ("main_courante", "answer"))] * wrong
    found = verdict(comparison(intents=[*right, *lost]))
    assert codes(found) == (["intent"] if shut else [])
    assert found.overridable is shut
    if shut:
        assert found.reasons[0].intent == "plainte_comment"
        assert "92 justes sur 100" in found.reasons[0].what
        assert found.reasons[0].what.endswith("C’est plus bas qu’avant, et ce n’est pas le hasard.")


def test_an_intent_is_counted_over_both_sets_together() -> None:
    theft = ("on m'a volé mon vélo", "plainte_comment", "answer")
    wrong = ("main_courante", "answer")
    gained = [(theft, wrong, None)] * 3
    found = verdict(comparison(emergency=gained, intents=[*[(theft, None, None)] * 50, *[(theft, None, wrong)] * 3]))
    assert found.open


def test_one_reason_that_may_not_be_overridden_is_enough() -> None:
    theft = ("on m'a volé mon vélo", "plainte_comment", "answer")
    found = verdict(
        comparison(
            emergency=[(DANGER, None, ("salutation", "answer"))], intents=[(theft, None, ("main_courante", "answer"))]
        )
    )
    assert {"emergency", "intent"} <= set(codes(found))
    assert not found.overridable


def test_a_set_that_was_not_measured_shuts_it() -> None:
    whole = comparison()
    found = verdict(dataclasses.replace(whole, sets=whole.sets[:1]))
    assert codes(found) == ["unmeasured"]
    assert "« intentions »" in found.reasons[0].what
    assert not found.overridable


def reference(made: Comparison, **changes: Any) -> dict[str, Any]:
    """The baseline that these figures would leave, with other shares for the emergencies."""
    kept: dict[str, Any] = {"sets": {}, "intents": {"clean": {}}}
    for one in made.sets:
        assert one.candidate is not None
        kept["sets"][f"{one.name}.tsv"] = {"n": one.candidate.n, "clean": dict(one.candidate.shares)}
    kept["sets"]["emergency.tsv"]["clean"].update(changes)
    return kept


def test_the_reference_counts_when_no_model_is_in_service() -> None:
    missed = comparison(emergency=[(DANGER, ("salutation", "answer"), ("salutation", "answer"))])
    alone = dataclasses.replace(
        missed, current="", sets=tuple(dataclasses.replace(s, current=None) for s in missed.sets)
    )
    assert verdict(alone).open
    assert verdict(alone, reference(alone)).open
    found = verdict(alone, reference(alone, emergency_recall=1.0))
    assert codes(found) == ["emergency_recall"]
    assert "la référence" in found.reasons[0].what
    other = reference(alone, emergency_recall=1.0)
    other["sets"]["emergency.tsv"]["n"] += 1  # measured on other messages
    assert verdict(alone, other).open


def test_the_reference_of_an_intent_counts_as_well() -> None:
    theft = ("on m'a volé mon vélo", "plainte_comment", "answer")
    both = comparison(intents=[(theft, None, None), (theft, ("main_courante", "answer"), ("main_courante", "answer"))])
    kept = reference(both)
    kept["intents"]["clean"]["plainte_comment"] = {"n": 2, "right": 2}
    found = verdict(both, kept)
    assert codes(found) == ["intent"]
    assert found.overridable


def test_the_reference_of_an_intent_is_compared_line_by_line_where_it_kept_them() -> None:
    theft = ("on m'a volé mon vélo", "plainte_comment", "answer")
    wrong = ("main_courante", "answer")
    made = comparison(intents=[*[(theft, None, None)] * 14, (theft, wrong, wrong)])
    kept = reference(made)
    row: dict[str, Any] = {"n": 15, "right": 15}
    kept["intents"]["clean"]["plainte_comment"] = row
    assert codes(verdict(made, kept)) == ["intent"]
    row["lines"] = "1" * 15
    assert verdict(made, kept).open  # one message of fifteen


def test_a_verdict_survives_json() -> None:
    found = verdict(comparison(emergency=[(DANGER, None, ("salutation", "answer"))]))
    assert Verdict.from_json(found.to_json()) == found


SIDES = ("current", "candidate")


def test_a_model_made_worse_on_purpose_is_stopped(trained: Trained) -> None:
    """Real models: dangers were taught as greetings."""
    found = verdict(trained.outcome.comparison)
    assert not found.open
    assert not found.overridable
    assert "emergency" in codes(found)
    swapped = Comparison.from_json(trained.outcome.comparison.to_json())
    back = dataclasses.replace(
        swapped,
        sets=tuple(
            dataclasses.replace(
                one,
                current=one.candidate,
                candidate=one.current,
                judgements=tuple(dataclasses.replace(j, before=j.after, after=j.before) for j in one.judgements),
            )
            for one in swapped.sets
        ),
    )
    again = verdict(back)
    missed = [sum(side.missed_emergencies for one in swapped.sets if (side := getattr(one, which))) for which in SIDES]
    assert missed[0] < missed[1]
    # The spoilt model learnt six examples of a danger: such a thin one may see a message by chance that the other one misses.
    assert lost(again) <= 2
    assert lost(again) < lost(found)


def lost(found: Verdict) -> int:
    """How many emergencies the candidate no longer recognises."""
    return sum(len(reason.lines) for reason in found.reasons if reason.code == "emergency")


@pytest.mark.parametrize(
    ("before", "after", "reference", "expected"),
    [
        (None, None, {}, []),
        (spoken(1, 2), spoken(1, 2), {}, []),
        (spoken(1), spoken(0, right=0.5), {}, []),  # the share of right words informs, it does not decide
        (spoken(0), spoken(1), {}, ["harmful"]),
        (spoken(0, 0), spoken(2, 1), {}, ["harmful", "unheard"]),
        (None, spoken(1), {"n": 600, "harmful": 0, "unheard": 0}, ["harmful"]),
        (None, spoken(0, 1), {"n": 600, "harmful": 0, "unheard": 0}, ["unheard"]),
        # Measured on another number of messages: the shares are compared.
        (None, spoken(1), {"n": 599, "harmful": 0}, ["harmful"]),
        (None, spoken(0, 3), {"n": 400, "harmful": 0, "unheard": 1}, ["unheard"]),
        (None, spoken(2, 3), {"n": 300, "harmful": 1, "unheard": 2}, []),
        (spoken(), None, {}, ["words_unmeasured"]),
        (None, None, {"n": 600, "harmful": 0}, ["words_unmeasured"]),
    ],
)
def test_words_that_harm_shut_it(
    before: Words | None, after: Words | None, reference: dict[str, int], expected: list[str]
) -> None:
    made = dataclasses.replace(comparison(), words_before=before, words=after)
    found = verdict(made, {"scripts": {"scripts.tsv": reference}} if reference else None)
    assert codes(found) == expected
    assert found.open is not bool(expected)
    assert not found.overridable
    assert Comparison.from_json(json.loads(json.dumps(made.to_json()))) == made
    if "harmful" in expected and after is not None:
        assert found.reasons[0].lines == after.lines


def answered(before: tuple[int, int] | None, after: tuple[int, int], n: int = 1000, name: str = MESSAGES) -> Comparison:
    """A comparison whose set of answers has so many exact and wrong ones, before and after."""
    current = None if before is None else AnswerCounts(n, before[0], before[0], before[1])
    one = AnswersCompared(name, current, AnswerCounts(n, after[0], after[0], after[1]))
    return dataclasses.replace(comparison(), answers=(one,))


@pytest.mark.parametrize(
    ("before", "after", "n", "expected"),
    [
        ((600, 60), (580, 70), 1000, []),  # two points of the exact ones, one of the wrong ones
        ((600, 60), (579, 60), 1000, ["exact_answers"]),
        ((600, 60), (600, 71), 1000, ["wrong_answers"]),
        ((600, 60), (500, 160), 1000, ["exact_answers", "wrong_answers"]),
        ((600, 60), (900, 0), 1000, []),
        ((30, 0), (27, 3), 50, []),  # three messages are chance
        ((30, 0), (26, 4), 50, ["exact_answers", "wrong_answers"]),
        (None, (0, 1000), 1000, []),
    ],
)
def test_fewer_exact_answers_or_more_wrong_ones_shut_it(
    before: tuple[int, int] | None, after: tuple[int, int], n: int, expected: list[str]
) -> None:
    for name in (MESSAGES, TURNS):
        found = verdict(answered(before, after, n, name))
        assert codes(found) == expected
        assert found.overridable is bool(expected)


@pytest.mark.parametrize(("came", "left", "shut"), [(150, 180, False), (0, 30, True)])
def test_exact_answers_that_chance_moves_do_not_shut_it(came: int, left: int, shut: bool) -> None:
    """Three points less in both: of thirty messages that were lost, or of many that moved to and fro."""
    made = answered((600, 60), (570, 60))
    one = dataclasses.replace(made.answers[0], moves={"exact": (came, left)})
    made = dataclasses.replace(made, answers=(one,))
    assert codes(verdict(made)) == (["exact_answers"] if shut else [])
    assert Comparison.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_why_answers_shut_it_is_a_plain_sentence() -> None:
    (reason,) = verdict(answered((600, 60), (579, 60))).reasons
    assert reason.what == (
        "La part des réponses exactes baisse de plus de deux points sur le jeu « réponses » : "
        "60,0\u00a0% pour le modèle en service, 57,9\u00a0% pour le candidat."
    )


@pytest.mark.parametrize("name", [MESSAGES, TURNS])
def test_the_reference_of_the_answers_counts_where_it_is_of_the_same_messages(name: str) -> None:
    made = answered((600, 60), (600, 60), name=name)  # it fell little by little: each publication within its room

    def known(n: int) -> dict[str, Any]:
        if name == MESSAGES:
            return {"answers": {"answers.tsv": {"n": n, "exact": 0.7, "reachable": 0.9, "wrong": 0.01}}}
        return {"conversations": {"turns": n, "right": 700, "reachable": 900, "wrong": 10}}

    found = verdict(made, known(1000))
    assert codes(found) == ["exact_answers", "wrong_answers"]
    assert all("pour la référence" in reason.what for reason in found.reasons)
    assert verdict(made, known(999)).open


def test_a_project_without_sets_of_answers_is_not_refused() -> None:
    assert verdict(dataclasses.replace(comparison(), answers=()), {"answers": {"answers.tsv": {"n": 9}}}).open

"""The chances of scripts: groups of words, the file that training writes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from bot.policy.script_score import (
    MOST_WORDS,
    NAMES,
    ScriptScore,
    WordGroups,
    pack,
    script_features,
    together,
    unpack,
    words_of,
)

GROUPS = {"conjoint": ["mari", "copain"], "frapper": ["frap*", "coup"], "moi": ["me", "je"], "peur": ["peur"]}
BUCKETS, LONGEST = 1 << 12, 3


def data(**changes: Any) -> dict[str, Any]:
    """A file in which « mon mari me frappe » is a victim's and « je frappe mon mari » an author's."""
    known = WordGroups(GROUPS)
    his, hers = (
        script_features(text, [], known, BUCKETS, LONGEST) for text in ("mon mari me frappe", "je frappe mon mari")
    )
    rows: dict[int, list[int]] = {}
    for name, mine, other in (("partner_victim", his, hers), ("partner_author", hers, his)):
        for bucket in mine.keys() - other.keys():
            rows.setdefault(bucket, [0] * len(NAMES))[NAMES.index(name)] = 100
        for bucket in other.keys() - mine.keys():
            rows.setdefault(bucket, [0] * len(NAMES))[NAMES.index(name)] = -100
    found = {
        "names": list(NAMES), "buckets": BUCKETS, "longest": LONGEST, "biases": [0.0] * len(NAMES), "units": [0.02] * len(NAMES),
        "groups": GROUPS, "weights": pack(rows, BUCKETS),
    }  # fmt: skip
    return {**found, **changes}


def best(score: ScriptScore, text: str) -> str:
    chances = score.chances(text)
    assert sum(chances.values()) == pytest.approx(1.0)
    return max(chances, key=lambda name: chances[name])


def test_who_does_what_to_whom() -> None:
    score = ScriptScore.from_mapping(data())
    assert best(score, "mon mari me frappe") == best(score, "Mon copain me frappait") == "partner_victim"
    assert best(score, "je frappe mon mari") == best(score, "je frappé mon copain") == "partner_author"


def test_a_meaning_decides_where_words_tell_little_and_counts_for_nothing_where_it_is_unknown() -> None:
    words = {name: 0.05 for name in NAMES} | {"witness": 0.2, "partner_victim": 0.1}
    found = together(words, {"partner_victim": 0.9, "none": 0.05})
    assert sum(found.values()) == pytest.approx(1.0)
    assert max(found, key=lambda name: found[name]) == "partner_victim"
    sure = {"witness": 0.97, "partner_victim": 0.01}
    assert (
        max(found := together(sure, {"partner_victim": 0.5, "witness": 0.4}), key=lambda name: found[name]) == "witness"
    )
    assert together(words, {}) == words


def test_where_words_and_meaning_disagree_what_the_words_fear_stays_likely() -> None:
    words = dict.fromkeys(NAMES, 0.0) | {"own_danger": 0.4, "silent": 0.5, "partner_author": 0.1}
    found = together(words, {"partner_author": 0.99, "own_danger": 0.01})
    assert sum(found.values()) == pytest.approx(1.0)
    assert found["own_danger"] + found["silent"] > 0.45
    agreed = together(words, {"silent": 0.99, "own_danger": 0.01})
    assert agreed["silent"] > 0.9


@pytest.mark.parametrize(
    ("word", "group"),
    [
        ("mari", "conjoint"),
        ("copin", "conjoint"),
        ("frapait", "frapper"),
        ("coup", "frapper"),
        ("cou", ""),
        ("chat", ""),
    ],
)
def test_a_word_has_the_group_that_it_is_written_or_sounds_like(word: str, group: str) -> None:
    assert WordGroups(GROUPS).of(word) == group


def test_groups_without_stems_and_words_by_their_sound() -> None:
    groups = WordGroups({"arme": ["couteau"]})
    assert (groups.of("kouto"), groups.of("pain"), groups.of("pin")) == ("arme", "", "")


def test_a_long_message_is_read_at_both_ends() -> None:
    words = words_of("un " * 900 + "fin.")
    assert len(words) == 2 * MOST_WORDS and words[-1] == "fin"
    assert words_of("Un, deux. Trois !") == ["un", "deux", "trois"]


def test_what_the_lexicon_met_counts() -> None:
    known = WordGroups(GROUPS)
    plain, met = (script_features("il est là", cues, known, BUCKETS, LONGEST) for cues in ([], ["intrusion"]))
    assert met != plain


def test_weights_are_kept_as_they_were() -> None:
    rows = {0: tuple(range(-8, 8)), 13: (127,) * 16, BUCKETS - 1: (-128,) * 16}
    assert unpack(pack(rows, BUCKETS), BUCKETS) == rows
    with pytest.raises(ValueError, match="nombre de poids"):
        unpack(pack(rows, BUCKETS), 2 * BUCKETS)


@pytest.mark.parametrize(
    "changes",
    [
        {"names": ["x"]}, {"biases": [0.0]}, {"units": [0.0]}, {"buckets": 0}, {"buckets": 1 << 30}, {"longest": 1},
        {"biases": [float("nan")] * len(NAMES)}, {"weights": "x"}, {"weights": "eHg="}, {"groups": None}, {"buckets": 1 << 13},
        {"longest": None},
    ],
)  # fmt: skip
def test_another_file_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="réponses d’urgence"):
        ScriptScore.from_mapping(data(**changes))

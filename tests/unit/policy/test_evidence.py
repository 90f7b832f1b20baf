"""The words that say so: quoted from what was typed, whatever its spelling, and only for alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.policy import evidence
from bot.policy.emergency import CLOSE, EDGE, Detection
from bot.policy.lexicon import Lexicon
from bot.policy.lexicon_trace import ENOUGH
from bot.policy.normalise import BOUNDARIES, placed, tokens
from bot.policy.score import LIMITS, VERSION, LinearScore, features, pack, run_places, runs

LEXICON = Lexicon.from_mapping(
    {
        "vrais_mots": "danger, couteau",
        "reperes": {"fiction": {"motifs": ["film"], "portee": "phrase"}},
        "entrees": [
            {"nom": "arme", "genre": "danger", "motifs": ["il a .. (couteau|pistolet)", "il tient un? grand? couteau"]},
            {"nom": "coups", "genre": "danger", "motifs": ["il me frappe"]},
            {
                "nom": "porte",
                "genre": "danger",
                "motifs": ["il est derriere ma? porte"],
                "avec": [["couteau"], ["peur"]],
            },
            {"nom": "cri", "genre": "danger", "motifs": ["^ au secours $"], "generale": True},
            {"nom": "fin", "genre": "detresse", "motifs": ["je vous? dis adieu"]},
            {"nom": "sirene", "genre": "danger", "motifs": ["devant gyrophare gyrophare porte"]},
            {"nom": "seul", "genre": "danger", "motifs": ["danger"]},
        ],
    }
)
BUCKETS = 1 << 14


def score_of(danger: dict[str, int], base: int = 0) -> LinearScore:
    """A score in which each of these words weighs so much."""
    weights = [base] * BUCKETS
    for word, weight in danger.items():
        for bucket in features((word,), BUCKETS, 3):
            weights[bucket] = weight
    kind = {"bias": 0.0, "unit": 0.01, "weights": pack(weights)}
    none = {"bias": -9.0, "unit": 0.01, "weights": pack([0] * BUCKETS)}
    data = {"version": VERSION, "buckets": BUCKETS, "longest": 3, **dict.fromkeys(LIMITS, 0.5)}
    return LinearScore.from_mapping({**data, "danger": kind, "distress": none})


def quoted(text: str, by: str = "lexicon", score: LinearScore | None = None) -> Sequence[str]:
    detection = Detection("danger", by)  # type: ignore[arg-type]
    return evidence.quotes(text, detection, LEXICON, score)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Bonjour, il a un COUTEAU !!! Vite", ["il a un COUTEAU"]),
        ("mon voisin, il a kouto", ["il a kouto"]),
        ("il tient couteau", ["il tient couteau"]),
        ("il tient un couteau", ["il tient un couteau"]),
        ("il tient un grand couteau là", ["il tient un grand couteau"]),
        ("il a un\nlong couteau", ["il a un long couteau"]),  # a line's end parts no phrase
        ("il me frappe pas mais l'autre jour. Là il me frappe", ["il me frappe"]),
        ("Au secours.", ["Au secours"]),
        ("je dis adieu, je vous dis adieu", ["je dis adieu"]),
        ("il est derriere ma porte. J’ai peur. Il avait un couteau.", ["il est derriere ma porte", "peur", "couteau"]),
        (
            "un couteau, j’ai peur, il est derriere porte et un couteau",
            ["peur, il est derriere porte et un couteau"],
        ),
        (
            "il a un couteau. il me frappe. je dis adieu. il est en danger",
            ["il a un couteau", "il me frappe", "je dis adieu"],
        ),
        ("il est revenu !", ["il est revenu"]),
        ("danger et danger encore", ["danger"]),
        ("", []),
        ("il est revenu et avec lui tout ce que je raconte depuis des mois, je ne dors plus", []),
    ],
)
def test_the_lexicon_quotes_what_met_an_entry(text: str, found: list[str]) -> None:
    assert list(quoted(text)) == found


def test_words_that_stand_are_quoted_before_those_that_a_guard_undid() -> None:
    assert quoted("dans le film il me frappe, vraiment. Mais hier, ici même, il  me\tfrappe") == ("il me frappe",)
    spans = LEXICON.trace(tokens("dans le film il me frappe. il me frappe"), "coups")
    assert [span for _, span in spans] == [(3, 5), (7, 9)]
    assert LEXICON.stands(tokens("il me frappe"), "coups")
    assert not LEXICON.stands(tokens("dans un film il me frappe"), "coups")


def test_a_long_quote_is_cut_and_what_was_not_looked_at_is_not_quoted() -> None:
    (long,) = quoted("il a " + "x" * 200 + "couteau couteau")
    assert len(long) == evidence.WIDEST and long.startswith("il a x") and long.endswith("…")
    assert quoted("a " * CLOSE + "il me frappe " + "b " * CLOSE) == ()
    assert quoted("a " * EDGE + "il me frappe") == ("il me frappe",)


def test_a_text_that_is_made_to_take_long_is_quoted_by_its_first_words() -> None:
    said = "il a un couteau, il me frappe, " * 200
    assert quoted(said) == ("il a un couteau",)
    assert quoted("il me frappe " * 3 + "x " * 90 + "il a un couteau") == ("il me frappe", "il a un couteau")
    assert len(LEXICON.trace(tokens("il me frappe " * 100), "coups")) == ENOUGH


def test_the_score_quotes_the_words_that_push_it() -> None:
    score = score_of({"couteau": 300, "porte": 200, "peur": 120})
    said = "Bonjour madame, il y a couteau devant la porte de chez moi et puis le chat dort et moi peur"
    assert quoted(said, "score", score) == ("couteau devant la porte", "peur")
    assert quoted(said, "engine", score) == ("couteau devant la porte", "peur")
    assert quoted(said, "score", None) == ()
    assert quoted("ah oui", "score", score) == ()  # too few words to tell
    assert quoted("il fait beau temps", "score", score_of({}, -5)) == ()  # nothing speaks for a danger


def test_words_that_cannot_be_placed_are_not_quoted() -> None:
    # Sirens that stand apart count otherwise word by word: better no quote than a wrong one.
    score = score_of({"couteau": 300})
    said = "couteau devant 🚨 🚨 🚨 🚨 porte"
    assert [one[0] for one in placed(said)] != tokens(said)
    assert quoted(said, "score", score) == ()
    assert LEXICON.find(said) is not None
    assert quoted(said) == (said,)


def test_at_most_three_quotes_the_heaviest_in_order() -> None:
    words = {"alpha": 100, "bravo": 400, "charlie": 300, "delta": 200}
    said = " et ceci et cela et ceci ".join(words)
    assert quoted(said, "score", score_of(words)) == ("bravo", "charlie", "delta")


def test_pieces_of_the_engine_are_found_in_the_text() -> None:
    pieces = [("ariv", 0.4), ("il revient", 0.9), ("chez moi", 0.5), ("bonjour", -0.8)]
    assert evidence.of_pieces("Bonjour, IL REVIENT ce soir, et il ira chez moi", pieces) == (
        "IL REVIENT",
        "il ira chez moi",
    )
    assert evidence.of_pieces("tout va bien", pieces) == ()
    assert evidence.of_pieces("", []) == ()


def test_a_run_is_shared_by_the_words_that_it_is_made_of() -> None:
    words = ("il", "a", "un", "couteau", "il", "a")
    assert set(run_places(words)) == runs(words)
    assert all(1 <= len(places) <= 3 for places in run_places(words).values())
    score = score_of({"couteau": 7}, 1)
    window, shares = score.pushing("il avait un couteau et nous avions vraiment peur")
    assert sum(shares) == pytest.approx(score.margin(window))


@pytest.mark.parametrize(
    "text",
    [
        "Bonjour !\n\nJ’ai peur… il est là. s.o.s",
        "c pas vrai, c est fini c",
        "quelqu un m’a frappé, quelqu'un d’autre aujourd hui et aujourd’hui",
        "jsui 3ans,mé\u2028voilà 🔪",
        "",
        "...",
        "c",
    ],
)
def test_words_with_places_are_the_words(text: str) -> None:
    found = placed(text)
    assert [token for token, _, _ in found] == tokens(text)
    assert all(0 <= begin < end <= len(text) for _, begin, end in found)
    if "quelqu" in text:
        assert [text[b:e] for token, b, e in found if token not in BOUNDARIES][:2] == ["un", "m’a"]


def test_an_alarm_shows_no_words_when_it_is_printed() -> None:
    assert "couteau" not in repr(replace(Detection("danger", "lexicon"), evidence=("il a un couteau",)))

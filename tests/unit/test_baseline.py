"""`make test-nlu`: what falls against the reference is named and fails; what does not, passes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from bot.app import baseline, chains
from bot.app.baseline import Baseline, falls, notes, snapshot
from bot.trainer.figures import Judged
from bot.trainer.gold import Case, read, read_scripts, script_sets
from bot.trainer.gold import sets as labelled_sets

ROOT = Path(__file__).resolve().parents[2]


def reading(intent: str, right: int, wrong: int, route: str = "answer", other: str = "clarify") -> list[Judged]:
    """Messages of one intent of which some are read right, the others as nothing and by another route."""
    case = Case("x", intent, "", route)
    return [Judged(case, intent, route, intent, 1.0)] * right + [Judged(case, None, other, None, 0.0)] * wrong


def made(clean: list[Judged], noisy: list[Judged] | None = None) -> Baseline:
    """The figures of one set, as it is and under one noise."""
    return snapshot({"jeu.tsv": {"": clean, "sms": clean if noisy is None else noisy}})


def test_nothing_fell() -> None:
    now = made(reading("animaux", 13, 2))
    assert falls(now, now) == []
    assert falls(made(reading("animaux", 12, 3)), now) == []  # better is no fall


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ((98, 2), (96, 4), None),  # two points exactly
        ((98, 2), (95, 5), None),  # three messages: chance
        ((98, 2), (92, 8), f"animaux : 98,0\u00a0% → 92,0\u00a0% (−6,0 pt, 92 sur 100) : {baseline.NO_CHANCE}"),
        ((15, 0), (14, 1), None),
        ((15, 0), (9, 6), f"animaux : 100,0\u00a0% → 60,0\u00a0% (−40,0 pt, 9 sur 15) : {baseline.NO_CHANCE}"),
        ((50, 50), (99, 101), None),  # another size: shares are compared
    ],
)
def test_an_intent_may_lose_two_points_and_what_chance_explains(
    before: tuple[int, int], after: tuple[int, int], told: str | None
) -> None:
    noisy = reading("animaux", 1, 0)
    found = falls(made(reading("animaux", *before), noisy), made(reading("animaux", *after), noisy))
    assert found == ([told] if told else [])


def test_an_intent_is_counted_over_all_sets_together() -> None:
    two = {"a.tsv": {"": reading("animaux", 60, 0)}, "b.tsv": {"": reading("animaux", 4, 0)}}
    one_wrong = {**two, "b.tsv": {"": reading("animaux", 3, 1)}}
    assert falls(snapshot(two), snapshot(one_wrong)) == []
    assert snapshot(two)["intents"]["clean"]["animaux"] == {"n": 64, "right": 64, "lines": "1" * 64}


def test_a_reference_without_lines_is_held_to_the_bare_figures() -> None:
    before = made(reading("animaux", 15, 0), reading("animaux", 1, 0))
    for rows in before["intents"].values():
        del rows["animaux"]["lines"]
    after = made(reading("animaux", 14, 1), reading("animaux", 1, 0))
    assert falls(before, after) == ["animaux : 100,0\u00a0% → 93,3\u00a0% (−6,7 pt, 14 sur 15)"]


def test_an_intent_that_falls_under_noise_is_named_so() -> None:
    before, after = made(reading("animaux", 9, 1)), made(reading("animaux", 9, 1), reading("animaux", 4, 6))
    assert falls(before, after) == [
        f"animaux, sous bruit : 90,0\u00a0% → 40,0\u00a0% (−50,0 pt, 4 sur 10) : {baseline.NO_CHANCE}"
    ]
    assert falls(before, made(reading("animaux", 9, 1), reading("animaux", 8, 2))) == []


ALARMED = Judged(Case("x", "armes", "", "answer"), "armes", "emergency", "armes", 1.0)
MISREAD = Judged(Case("x", "armes", "", "answer"), "animaux", "answer", "animaux", 1.0)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            reading("danger_immediat", 500, 0, "emergency"),
            reading("danger_immediat", 499, 1, "emergency"),
            "urgences reconnues, 100,0\u00a0% → 99,8\u00a0%",
        ),
        (
            reading("violences_conjugales", 500, 0, "handoff"),
            reading("violences_conjugales", 499, 1, "handoff", "answer"),
            "cas sensibles remis à un humain, 100,0\u00a0% → 99,8\u00a0%",
        ),
        (
            reading("armes", 500, 0),
            [*reading("armes", 499, 0), ALARMED],
            "fausses alertes, 0,0\u00a0% → 0,2\u00a0%",
        ),
    ],
    ids=["emergency", "sensitive", "false alarm"],
)  # fmt: skip
def test_a_safety_figure_may_not_fall_at_all(before: list[Judged], after: list[Judged], told: str) -> None:
    assert f"jeu.tsv : {told}" in falls(made(before), made(after, before))
    assert falls(made(after, before), made(before)) == []
    assert f"jeu.tsv écriture SMS : {told}" in falls(made(before), made(before, after))


def test_the_precision_of_what_is_answered_may_fall_by_chance_alone() -> None:
    before = made(reading("armes", 500, 0))

    def told(wrong: int) -> list[str]:
        after = made([*reading("armes", 500 - wrong, 0), *[MISREAD] * wrong])
        return [line for line in falls(before, after) if "précision" in line]

    assert told(1) == []
    label = "précision de ce que Planton répond seul"
    assert told(8)[0] == f"jeu.tsv : {label}, 100,0\u00a0% → 98,4\u00a0% : {baseline.NO_CHANCE}"


def missed(netted: int, alone: int, recognised: int) -> list[Judged]:
    """Emergencies that meet the numbers only, that meet nothing, and that are recognised."""
    case = Case("x", "danger_immediat", "", "emergency")
    quiet, told = (Judged(case, "danger_immediat", "answer", None, 0.0, net) for net in (False, True))
    alarm = Judged(case, "danger_immediat", "emergency", None, 0.0, True)
    return [told] * netted + [quiet] * alone + [alarm] * recognised


@pytest.mark.parametrize(
    ("before", "after", "falls_to"),
    [
        ((9, 1, 90), (8, 2, 90), "80,0"),
        ((9, 0, 91), (8, 1, 91), "88,9"),
        ((9, 1, 90), (8, 1, 91), None),  # one of the netted is recognised at last
        ((9, 1, 90), (0, 1, 99), None),  # and all of them
        ((9, 1, 90), (0, 0, 100), None),  # nothing is missed any more
        ((9, 1, 90), (9, 0, 91), None),
    ],
)
def test_the_second_net_may_not_catch_less(
    before: tuple[int, int, int], after: tuple[int, int, int], falls_to: str | None
) -> None:
    noisy = missed(1, 0, 1)
    told = [line for line in falls(made(missed(*before), noisy), made(missed(*after), noisy)) if "second filet" in line]
    assert bool(told) is (falls_to is not None)
    assert falls_to is None or told[0].endswith(f" → {falls_to}\u00a0%")


def test_a_reference_that_does_not_know_the_second_net_yet_is_read() -> None:
    old = made(missed(9, 1, 90))
    for kinds in old["sets"].values():
        for figures in (kinds["clean"], kinds["sms"]):
            del figures["second_net"], figures["unwarned_rate"], figures["net_cost"]
    assert falls(old, made(missed(0, 10, 90))) == []


def test_the_table_gives_the_bounds_of_each_share() -> None:
    found = made(reading("animaux", 80, 20))
    low, high = found["sets"]["jeu.tsv"]["clean"]["intervals"]["accuracy"]
    bounds = f"{100 * low:.1f}–{100 * high:.1f}".replace(".", ",")
    under = [line for line in baseline.table(found).split("\n") if "entre (95 %)" in line]
    assert len(under) == 2  # as it is, and under the noise
    assert under[0].split()[3] == bounds


def test_what_is_no_longer_measured_is_a_fall() -> None:
    before, after = made(reading("animaux", 5, 0)), made(reading("armes", 5, 0))
    assert falls(before, after) == ["animaux : n’est plus mesurée", "animaux, sous bruit : n’est plus mesurée"]
    clean_only = snapshot({"jeu.tsv": {"": reading("animaux", 5, 0)}})
    assert "jeu.tsv écriture SMS : n’est plus mesuré" in falls(before, clean_only)
    assert "jeu.tsv : n’est plus mesuré" in falls(before, snapshot({"autre.tsv": {"": reading("animaux", 5, 0)}}))
    dangers = made(reading("danger_immediat", 5, 0, "emergency"))
    assert any("urgences reconnues, 100,0\u00a0% → —" in line for line in falls(dangers, before))


def test_what_is_new_is_noted_and_no_fall() -> None:
    before = made(reading("animaux", 5, 0))
    now = snapshot(
        {
            "jeu.tsv": {
                "": reading("animaux", 6, 0),
                "sms": reading("animaux", 6, 0),
                "accents": reading("animaux", 6, 0),
            },
            "neuf.tsv": {"": reading("armes", 1, 0)},
        }
    )
    assert falls(before, now) == []
    assert notes(before, now) == [
        "jeu.tsv : 6 messages, 5 dans la référence",
        "jeu.tsv sans accents : pas encore dans la référence",
        "neuf.tsv : pas encore dans la référence",
        "armes : pas encore dans la référence",
    ]


# --- the command ---


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/test_nlu.py, with an engine that reads every message right, but for those in capitals at will."""
    spec = importlib.util.spec_from_file_location("test_nlu_command", ROOT / "scripts" / "test_nlu.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.weak = ()

    def judge_under(cases: list[Case], kinds: list[str]) -> dict[str, list[Judged]]:
        def judged(kind: str, case: Case) -> Judged:
            route = "answer" if kind in module.weak else case.route
            return Judged(case, case.intent, route, case.intent, 1.0)

        return {kind: [judged(kind, case) for case in cases] for kind in ("", *kinds)}

    monkeypatch.setattr(module, "judge_under", judge_under)
    return module


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Two small measuring sets."""
    head = "text\tintent\tsecond\troute\n"
    (tmp_path / "un.tsv").write_text(f"{head}un chat\tanimaux\t\tanswer\nun obus\tarmes\t\tanswer\n", encoding="utf-8")
    (tmp_path / "deux.tsv").write_text(f"{head}au secours\tdanger_immediat\t\temergency\n", encoding="utf-8")
    return tmp_path


def test_without_a_reference_it_says_how_to_write_one(
    command: ModuleType, sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--jeux", str(sets)]) == 2
    assert "make test-nlu ACCEPTER=1" in capsys.readouterr().err


def test_accept_then_compare_then_fall(command: ModuleType, sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--jeux", str(sets), "--accepter"]) == 0
    written = json.loads((sets / "baseline.json").read_text(encoding="utf-8"))
    assert set(written["sets"]) == {"un.tsv", "deux.tsv"}
    assert set(written["sets"]["un.tsv"]) == {"n", "clean", "accents", "fautes", "majuscules", "sms"}
    assert written["intents"]["noise"]["animaux"] == {"n": 4, "right": 4, "lines": "4"}
    capsys.readouterr()

    assert command.main(["--jeux", str(sets)]) == 0
    assert "Rien n’a baissé." in capsys.readouterr().out

    command.weak = ("majuscules",)
    assert command.main(["--jeux", str(sets)]) == 1
    told = capsys.readouterr().out.replace("\u00a0", " ")
    assert "deux.tsv en majuscules : urgences reconnues, 100,0 % → 0,0 %" in told
    assert json.loads((sets / "baseline.json").read_text(encoding="utf-8")) == written

    assert command.main(["--jeux", str(sets), "--accepter"]) == 0
    told = capsys.readouterr().out
    assert "urgences reconnues" in told  # what was accepted is said
    assert command.main(["--jeux", str(sets)]) == 0


@pytest.mark.parametrize("content", ["{", "[]", '{"sets": {}}'])
def test_a_reference_that_is_none_is_said(
    command: ModuleType, sets: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (sets / "baseline.json").write_text(content, encoding="utf-8")
    assert command.main(["--jeux", str(sets)]) == 2
    assert "baseline.json" in capsys.readouterr().err


def test_the_reference_that_stands_in_the_project_covers_every_set_and_noise() -> None:
    kept = baseline.read(ROOT / "tests" / "gold" / "baseline.json")
    assert set(kept["sets"]) == {path.name for path in labelled_sets(ROOT / "tests" / "gold")}
    for figures in kept["sets"].values():
        assert set(figures) == {"n", "clean", "accents", "fautes", "majuscules", "sms"}


def test_the_reference_knows_every_set_as_it_is_now() -> None:
    """What it does not hold, or holds of other messages, nothing is compared with."""
    gold = ROOT / "tests" / "gold"
    kept = baseline.read(gold / "baseline.json")
    assert {"sets", "intents", "scripts", "chains"} <= set(kept), "make test-nlu ACCEPTER=1"
    assert {name: row["n"] for name, row in kept["sets"].items()} == {
        path.name: len(read(path)) for path in labelled_sets(gold)
    }
    assert {name: row["n"] for name, row in kept["scripts"].items()} == {
        path.name: len(read_scripts(path)) for path in script_sets(gold)
    }
    told = chains.read(gold / chains.FILE)
    dangers = sum(one.danger for one in told)
    assert (kept["chains"]["dangers"], kept["chains"]["harmless"]) == (dangers, len(told) - dangers)
    for name, kinds in kept["sets"].items():
        for kind, figures in kinds.items():
            assert kind == "n" or set(baseline.KEPT) <= set(figures), (name, kind)

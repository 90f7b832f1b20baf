"""The engine over HTTP: what it answers, what it refuses, what it must never do."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from bot.policy.emergency_taps import TAPS
from bot.policy.intents import STATEMENT
from tests.engine.conftest import EngineProcess


def test_health_names_the_model(engine: EngineProcess, trained: str) -> None:
    status, body = engine.get("/healthz")
    assert status == 200
    assert body == {"model": trained, "ready": True, "pid": engine.process.pid}


def test_understanding(engine: EngineProcess) -> None:
    found = engine.understand("slt koman on fé pour porté plinte svp")
    assert found["intent"] == "plainte_comment"
    assert 0.3 < found["confidence"] <= 1
    assert len(found["ranking"]) == 10
    chances = [chance for _, chance in found["ranking"]]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) <= 1.0001
    assert found["ranking"][0] == [found["intent"], found["confidence"]]
    assert found["french"] is True
    assert found["danger"] < 0.1


def test_danger_is_a_probability_of_both_intents(engine: EngineProcess) -> None:
    assert engine.understand("au secours il a un couteau")["danger"] > 0.8
    assert engine.understand("je veux mourir, je n'en peux plus")["danger"] > 0.8
    assert engine.understand("quels sont les horaires du commissariat de Lille")["danger"] < 0.1


def test_what_by_its_meaning_alone_tells_an_emergency_is_told(engine: EngineProcess) -> None:
    assert engine.understand("papa et maman ils se battent encore dans le salon, je suis sous mon lit")["called"] > 0.8
    assert engine.understand("quels sont les horaires du commissariat de Lille")["called"] < 0.3


def test_why_a_text_is_read_so(engine: EngineProcess) -> None:
    status, found = engine.post("/explain", {"text": "koman porté plinte contre mon voisin"})
    assert status == 200
    assert found["understanding"] == engine.understand("koman porté plinte contre mon voisin")
    best, second, third = found["intents"]
    assert (best["intent"], best["chance"]) == ("plainte_comment", found["understanding"]["confidence"])
    assert best["chance"] > second["chance"] > third["chance"]
    assert {"text": "plinte", "kind": "sounds"} in [{k: one[k] for k in ("text", "kind")} for one in best["for"]]
    for why in (best, second, third):
        assert all(one["weight"] > 0 for one in why["for"])
        assert all(one["weight"] < 0 for one in why["against"])
    assert best["encoder"] > third["encoder"]
    assert 0 <= found["score"]["chance"] < found["score"]["alarm"]
    assert engine.post("/explain", {"text": " "}).status == 400


def test_words_that_nobody_wrote_and_the_model_are_told(engine: EngineProcess, trained: str) -> None:
    found = engine.understand("xyzzkk blorf gnatri ma plainte")
    assert found["unknown"] == 3
    assert found["model"] == trained.removesuffix(".tar.gz")
    assert len(found["questions"]) <= 4
    assert all("/" in name and 0 <= chance <= 1 for name, chance in found["questions"])


def test_another_language(engine: EngineProcess) -> None:
    assert engine.understand("Hello, I lost my passport yesterday, what should I do?")["french"] is False


@pytest.mark.parametrize(
    ("text", "entity", "value"),
    [
        ("je veux devenir GARDIENS DE LA PAIX", "corps", "gardien_de_la_paix"),
        ("jai perdu ma carte d identite", "document", "carte_identite"),
        ("commissariat a lyon", "ville", "Lyon"),
        ("quels sont les horaires à Trifouilly-les-Oies ?", "ville", "Trifouilly-les-Oies"),
    ],
)
def test_entities(engine: EngineProcess, text: str, entity: str, value: str) -> None:
    assert engine.understand(text)["entities"].get(entity) == value


def test_unclear_text_is_clarified_and_still_names_an_intent(engine: EngineProcess) -> None:
    turn = engine.turn("zzz qsdf wxcv blurp")
    assert turn["clarify"] is True
    assert turn["understanding"]["intent"] is not None
    assert all(name != "nlu_fallback" for name, _ in turn["understanding"]["ranking"])
    assert turn["state"]["misses"] == 1
    again = engine.turn("zzz blurp qsdf wxcv", turn["state"])
    assert again["handoff"]["category"] == "request"
    assert again["state"]["misses"] == 2


def test_handoff_comes_with_the_reply(engine: EngineProcess) -> None:
    turn = engine.turn("je veux parler à un agent")
    assert turn["replies"]
    assert {key: turn["handoff"][key] for key in ("category", "priority", "reason")} == {
        "category": "request",
        "priority": 4,
        "reason": "parler_humain",
    }


# Text is never a command ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["/restart", "/danger_immediat", '/recrutement_conditions{"corps": "officier"}', "/back"]
)
def test_text_with_a_slash_is_only_text(engine: EngineProcess, text: str) -> None:
    before = engine.turn("", payload='/recrutement_conditions{"corps": "commissaire"}')["state"]
    turn = engine.turn(text, before)
    assert turn["understanding"]["confidence"] < 1
    assert turn["understanding"]["entities"].get("corps") in (None, "officier")
    assert "corps" in turn["state"]["slots"], "nothing was restarted"


@pytest.mark.parametrize("payload", TAPS)
def test_a_tap_under_an_emergency_reply_is_neither_a_danger_nor_read_by_its_title(
    engine: EngineProcess, payload: str
) -> None:
    turn = engine.turn("Impossible de parler, au secours", payload=payload)
    assert turn["understanding"]["danger"] == 0
    assert (turn["understanding"]["intent"], turn["handoff"]) == (STATEMENT, None)


def test_a_payload_of_ours_is_executed(engine: EngineProcess) -> None:
    turn = engine.turn("Officier", payload='/recrutement_conditions{"corps": "officier"}')
    assert turn["understanding"]["intent"] == "recrutement_conditions"
    assert turn["understanding"]["confidence"] == 1.0
    assert turn["understanding"]["entities"] == {"corps": "officier"}
    assert turn["state"]["slots"]["corps"] == "officier"


@pytest.mark.parametrize(
    "payload",
    [
        "/restart",
        "/session_start",
        "/nlu_fallback",
        "/nonsense",
        '/recrutement_conditions{"corps": "pirate"}',
        '/recrutement_conditions{"corps": {"a": 1}}',
        '/recrutement_conditions{"requested_slot": "x"}',
        "/recrutement_conditions{",
        "DROP TABLE",
        {"a": 1},
        ["/restart"],
        7,
        "/" + "a" * 100_000,
    ],
)
def test_a_hostile_payload_is_read_by_its_title(engine: EngineProcess, payload: Any) -> None:
    answer = engine.post(
        "/turn", {"sender": "s", "text": "comment porter plainte ?", "state": None, "payload": payload}
    )
    assert answer.status == 200
    assert answer.body["understanding"]["intent"] == "plainte_comment"
    assert answer.body["understanding"]["confidence"] < 1
    assert answer.body["state"]["slots"].get("corps") is None


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "   ", "\n\t ", "\u0000\u0007", "\ud800"])
@pytest.mark.parametrize("path", ["/understand", "/turn"])
def test_empty_text_is_refused(engine: EngineProcess, path: str, text: str) -> None:
    assert engine.post(path, {"sender": "s", "text": text}) == (400, {"error": "empty text"})


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"text": 3}', b'{"text": null}']
)
def test_bad_requests(engine: EngineProcess, body: bytes) -> None:
    answer = engine.post("/turn", body)
    assert answer.status == 400
    assert set(answer.body) == {"error"}


def test_unknown_paths_and_methods_are_json_too(engine: EngineProcess) -> None:
    assert engine.get("/nowhere").status == 404
    assert engine.get("/turn").status == 405
    assert engine.post("/webhooks/rest/webhook", {}).status == 404


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "je veux porter plainte " * 4_500,
        "e\u0301" * 50_000,
        "\u0301" * 100_000,
        "à Paris " * 12_500,
        "Saint-" * 16_000,
        "🙏" * 100_000,
        "'" * 100_000,
        "a\n" * 50_000,
    ],
)
def test_a_hundred_thousand_characters(engine: EngineProcess, text: str) -> None:
    process = psutil.Process(engine.process.pid)
    before = process.cpu_times()
    turn = engine.turn(text)
    after = process.cpu_times()
    # Its own work, however busy the machine is: what grows faster than the text takes far longer.
    assert after.user + after.system - before.user - before.system < 2
    assert turn["replies"] or turn["handoff"] or turn["silence"]


def test_a_lone_surrogate_among_words(engine: EngineProcess) -> None:
    body = b'{"sender": "s", "text": "comment \\ud800 porter plainte", "state": null}'
    assert engine.post("/turn", body).body["understanding"]["intent"] == "plainte_comment"


# Nobody's words stay --------------------------------------------------------------------------------------------------

WORDS = "xylophone quarantaine brontosaure"


def test_state_holds_no_words(engine: EngineProcess) -> None:
    state = None
    for text in (f"je veux porter plainte pour mon {WORDS}", f"{WORDS} {WORDS}", f"bonjour {WORDS}"):
        state = engine.turn(text, state)["state"]
        assert not [word for word in WORDS.split() if word in json.dumps(state)]


def test_state_stays_small(engine: EngineProcess) -> None:
    state = None
    for number in range(60):
        state = engine.turn("bonjour" if number % 2 else "comment porter plainte", state)["state"]
    assert len(state["events"]) <= 40
    assert len(json.dumps(state)) < 4_000


def test_output_holds_no_words(engine: EngineProcess) -> None:
    marker = "hippopotamesque"
    engine.turn(f"bonjour {marker}")
    engine.understand(f"/{marker}")
    engine.turn(
        f"comment porter plainte {marker}", {"v": 1, "slots": {marker: marker}, "events": [[marker]]}, f"/{marker}"
    )
    engine.post("/turn", f'{{"text": "{marker}"'.encode())
    engine.get(f"/{marker}")
    assert marker not in engine.output.read_text()


def test_fifty_people_at_once_keep_their_own_state(engine: EngineProcess) -> None:
    trades = ["officier", "commissaire", "gardien_de_la_paix", "policier_adjoint", "cadet"]
    expected = {}
    for trade in trades:
        first = engine.turn("", None, f'/recrutement_conditions{{"corps": "{trade}"}}')
        expected[trade] = engine.turn("", first["state"], "/recrutement_formation")["replies"]
    assert len({json.dumps(replies) for replies in expected.values()}) == len(trades)

    def conversation(number: int) -> bool:
        trade = trades[number % len(trades)]
        state = engine.turn("", None, f'/recrutement_conditions{{"corps": "{trade}"}}', sender=str(number))["state"]
        state = engine.turn("bonjour", state, sender=str(number))["state"]
        last = engine.turn("", state, "/recrutement_formation", sender=str(number))
        return bool(last["replies"] == expected[trade] and last["state"]["slots"]["corps"] == trade)

    with ThreadPoolExecutor(50) as people:
        assert list(people.map(conversation, range(50))) == [True] * 50


def test_the_same_turn_twice_gives_the_same_outcome(engine: EngineProcess) -> None:
    state = engine.turn("", None, '/recrutement_conditions{"corps": "officier"}')["state"]
    once, twice = (engine.turn("comment porter plainte", state) for _ in range(2))
    once["state"].pop("at")
    twice["state"].pop("at")
    assert once == twice


def test_a_text_is_read_as_the_intent_that_it_is_said_to_mean(engine: EngineProcess) -> None:
    said = "il veut me tuer à Lyon"
    alone = engine.turn(said)
    meant, unknown = (
        engine.post("/turn", {"sender": "s", "text": said, "state": None, "meant": name}).body
        for name in ("hors_perimetre_precision", "inconnu")
    )
    assert alone["handoff"]["category"] == unknown["handoff"]["category"] == "emergency"
    assert (meant["handoff"], meant["understanding"]["intent"]) == (None, "hors_perimetre_precision")
    assert meant["understanding"]["entities"] == alone["understanding"]["entities"]
    assert meant["replies"]

"""Buttons that lead to a question of the catalogue, and what a turn says of it. Runs real Rasa, and needs no model."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from bot.app.route import ENGINE_PYTHON, ROOT

DOMAIN = """
from rasa.shared.core.domain import Domain
def said(text, **more):
    return [{"text": text, **more}]
domain = Domain.from_dict({"version": "3.1", "intents": ["procuration", "armes"], "responses": {
    "utter_theme_rue": said("Un sujet ?", buttons=[{"title": "Procuration", "payload": "/procuration"}]),
    "utter_procuration": said("En général.", buttons=[{"title": "En ligne", "payload": "/procuration/en_ligne"},
                                                      {"title": "Une personne", "payload": "/parler_humain"}]),
    "utter_procuration/en_ligne": [
        *said("Sur le site.", metadata={"title": "En ligne", "question": "Comment voter par procuration en ligne ?"}),
        *said("Pour un cadet.", metadata={"reason": "x"}, condition=[{"type": "slot", "name": "corps", "value": "cadet"}]),
    ],
    "utter_armes/arc": said("Non.", metadata={"title": "Tir à l’arc"}),
    "utter_armes/arme": said("Oui."),
    "utter_question_proches": said("Pour un cadet.", condition=[{"type": "slot", "name": "corps", "value": "cadet"}])
    + said("Est-ce cela :"),
    "utter_question_proches_fin": said("Touchez-la."),
    "utter_question_proches_autre": said("Sinon, touchez."),
    "utter_question_aussi": said("Ou bien :"),
    "utter_armes/fiche": said("Là. " * 40 + "Et là.", metadata={"title": "Fiche", "question": "Une fiche ?",
                              "link": "https://www.example.fr/arc", "link_title": "La fiche"}),
    "utter_armes/longue": said("Mot " * 200, metadata={"title": "Longue", "question": "Une longue ?"}),
    "utter_armes/trop": said("Elle est trop longue " * 10 + "ici.", metadata={"title": "Trop", "question": "Trop " * 80 + "?"}),
    "utter_question_probable": said("Est-ce « {question} »", buttons=[{"title": "Personne", "payload": "/parler_humain"}]),
}})
"""
PAYLOADS = """
import json
from bot.engine import payloads
ours = payloads.Payloads(domain)
asked = ["/procuration/en_ligne", "/armes/arc", "/procuration", "/armes/hier", "/armes/arc ", "/armes/arc/arc", "/armes/ARC",
         "armes/arc", '/armes/arc{"corps": "cadet"}', "/armes", None, 7]
print(json.dumps({
    "taps": [ours.read(one) for one in asked], "titles": payloads.titles(domain), "questions": payloads.questions(domain),
    "wordings": payloads.wordings(domain),
}))
"""
# Each turn: (payloads of actions, what is asked besides). A response of Rasa is `{"text": …, "buttons": […]}`.
CHANNEL = """
import asyncio, json, sys
from bot.engine import payloads
from bot.engine.channel import TurnOutput
from bot.engine.previews import Previews
def turn(messages, more):
    output = TurnOutput(payloads.choices(domain), payloads.questions(domain), payloads.headings(domain), Previews(domain))
    for message in messages:
        asyncio.run(output.send_response("r1", message))
    output.finish(more)
    assert output.supposed == any(message.get("custom", {}).get("supposed") for message in messages)
    return [output.answered, output.replies, output.empty]
print(json.dumps([turn(*one) for one in json.load(sys.stdin)]))
"""
# An answer of the catalogue as Rasa's generator makes it: its message for the channel.
ANSWER = """
import asyncio, json
from types import SimpleNamespace
from rasa.shared.core.trackers import DialogueStateTracker
from bot.engine.precise import PreciseReplies
def answer(**about):
    made = PreciseReplies(SimpleNamespace(find=lambda name, words: None))
    made.responses = {"utter_armes/arc": said("Non.", metadata={"title": "Arc", **about})}
    tracker = DialogueStateTracker.from_events("r1", [], domain.slots)
    message = asyncio.run(made.generate("utter_armes/arc", tracker, "planton"))
    return [message["text"], message["buttons"]]
page = "https://www.example.fr/arc"
print(json.dumps([answer(), answer(link=page, link_title="Arc : la fiche"), answer(link=page)]))
"""


def run(code: str, asked: Any = None) -> Any:
    """What the engine's environment prints."""
    done = subprocess.run(
        [str(ENGINE_PYTHON), "-c", DOMAIN + code],
        cwd=ROOT,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_tap_on_a_question_is_its_intent_with_the_question() -> None:
    found = run(PAYLOADS)
    assert found["taps"] == [
        ["procuration", {"question": "procuration/en_ligne"}],
        ["armes", {"question": "armes/arc"}],
        ["procuration", {}],
        *[None] * 9,  # another question, other letters, values beside it, a subject without a button, no text
    ]
    assert found["titles"] == {"procuration": "Procuration"}
    assert found["questions"] == {
        "procuration/en_ligne": "En ligne",
        "armes/arc": "Tir à l’arc",
        "armes/arme": "armes/arme",
        "armes/fiche": "Fiche",
        "armes/longue": "Longue",
        "armes/trop": "Trop",
    }
    assert found["wordings"]["procuration/en_ligne"] == "Comment voter par procuration en ligne ?"
    assert "armes/arc" not in found["wordings"]


GENERAL = {
    "text": "En général.",
    "buttons": [
        {"title": "Une personne", "payload": "/parler_humain"},
        {"title": "Délai", "payload": "/procuration"},
    ],
}
PAGE = {"title": "La fiche", "url": "https://www.example.fr/arc"}
MAP = {"title": "Le plan", "url": "https://www.example.fr/plan"}
ARC = {"title": "Tir à l’arc", "payload": "/armes/arc"}
ONLINE = {"title": "En ligne", "payload": "/procuration/en_ligne"}
SOMEBODY = {"title": "Personne", "payload": "/parler_humain"}
HEADING = "Est-ce « Comment voter par procuration en ligne ? »"
SHOWN = "«\u00a0Comment voter par procuration en ligne ?\u00a0» Sur le site."
WHOLE = f"«\u00a0Une fiche ?\u00a0»\n{'Là. ' * 40}Et là.\nLa fiche\u202f: https://www.example.fr/arc"
SECOND = SHOWN.replace("\u00a0» ", "\u00a0»\n")
THIRD = "«\u00a0Une longue ?\u00a0»"
LEAF = {"title": "Fiche", "payload": "/armes/fiche"}
LONGER = {"title": "Longue", "payload": "/armes/longue"}
DELAY, PERSON = GENERAL["buttons"][1], GENERAL["buttons"][0]  # type: ignore[index]


def custom(**marks: Any) -> dict[str, Any]:
    """Marks of an action."""
    return {"custom": marks}


TURNS: dict[str, tuple[list[dict[str, Any]], list[dict[str, str]], Any]] = {
    "answered": (
        [custom(answered="armes/arc"), {"text": "Non."}],
        [],
        ["armes/arc", [{"text": "Non.", "quick_replies": []}]],
    ),
    "an answer that is only likely stands under its question": (
        [
            custom(supposed="procuration/en_ligne"),
            custom(answered="procuration/en_ligne"),
            {"text": "Oui.", "buttons": [DELAY]},
        ],
        [],
        ["procuration/en_ligne", [{"text": f"{HEADING}\nOui.", "quick_replies": [DELAY, SOMEBODY]}]],
    ),
    "an answer that stands already gets no heading": (
        [{"text": "Non."}, custom(supposed="procuration/en_ligne"), {"text": "Non."}, {"text": "Oui."}],
        [],
        [None, [{"text": "Non.", "quick_replies": []}, {"text": "Oui.", "quick_replies": [SOMEBODY]}]],
    ),
    "a question that is gone has no heading": (
        [custom(supposed="armes/hier"), custom(answered="armes/hier"), {"text": "Non."}],
        [],
        ["armes/hier", [{"text": "Non.", "quick_replies": [SOMEBODY]}]],
    ),
    "the first of two answers": (
        [
            custom(answered="armes/arc"),
            {"text": "Non."},
            custom(answered="procuration/en_ligne"),
            {"text": "Sur le site.", "buttons": [DELAY]},
        ],
        [],
        ["armes/arc", [{"text": "Non.", "quick_replies": []}, {"text": "Sur le site.", "quick_replies": [DELAY]}]],
    ),
    "offers first, the ways out last": (
        [GENERAL, custom(offers=["procuration/en_ligne", "armes/arc"])],
        [],
        [None, [{"text": "En général.", "quick_replies": [ONLINE, ARC, DELAY, PERSON]}]],
    ),
    "offers that come before the reply": (
        [custom(offers=["armes/arc"]), GENERAL],
        [],
        [None, [{"text": "En général.", "quick_replies": [ARC, DELAY, PERSON]}]],
    ),
    "a question that is gone is not offered": (
        [GENERAL, custom(offers=["armes/hier", "armes/arc"])],
        [],
        [None, [{"text": "En général.", "quick_replies": [ARC, DELAY, PERSON]}]],
    ),
    "no offer": (
        [GENERAL, custom(offers=[]), custom(offers=None)],
        [],
        [None, [{"text": "En général.", "quick_replies": [DELAY, PERSON]}]],
    ),
    "what is asked besides comes before the offers, each title once": (
        [GENERAL, custom(offers=["armes/arc", "armes/arc"])],
        [{"title": "En ligne", "payload": "/procuration"}],
        [
            None,
            [
                {
                    "text": "En général.",
                    "quick_replies": [{"title": "En ligne", "payload": "/procuration"}, ARC, DELAY, PERSON],
                }
            ],
        ],
    ),
    "offers of the first reply stand under the last": (
        [GENERAL, custom(offers=["armes/arc"]), {"text": "Autre chose."}],
        [],
        [
            None,
            [
                {"text": "En général.", "quick_replies": []},
                {"text": "Autre chose.", "quick_replies": [ARC, DELAY, PERSON]},
            ],
        ],
    ),
    "an answer that stands already is not said again": (
        [custom(answered="armes/arc"), {"text": "Non."}, {"text": "Non."}],
        [],
        ["armes/arc", [{"text": "Non.", "quick_replies": []}]],
    ),
    "many buttons keep the way out": (
        [
            {"text": "Tout.", "buttons": [*[{"title": f"n° {n}", "payload": "/armes"} for n in range(12)], PERSON]},
            custom(offers=["armes/arc"]),
        ],
        [],
        [
            None,
            [
                {
                    "text": "Tout.",
                    "quick_replies": [ARC, *[{"title": f"n° {n}", "payload": "/armes"} for n in range(9)], PERSON],
                }
            ],
        ],
    ),
    "an address is no quick reply": (
        [{"text": "Non.\nLa fiche", "buttons": [PERSON, {"type": "web_url", **PAGE}, ARC]}],
        [],
        [None, [{"text": "Non.\nLa fiche", "quick_replies": [ARC, PERSON], "links": [PAGE]}]],
    ),
    "a joined reply has the addresses of both": (
        [
            {"text": "Non.", "buttons": [{"type": "web_url", **PAGE}]},
            custom(join=True),
            {"text": "Là.", "buttons": [{"type": "web_url", **MAP}]},
            custom(join=True),
            {"text": "C’est tout."},
        ],
        [],
        [None, [{"text": "Non.\nLà.\nC’est tout.", "quick_replies": [], "links": [PAGE, MAP]}]],
    ),
    "the questions that may have been meant stand in place of a general text, and its buttons behind theirs": (
        [
            custom(previews=["procuration/en_ligne", "armes/longue"]),
            {**GENERAL, "buttons": [*GENERAL["buttons"], {"type": "web_url", **PAGE}]},
            custom(offers=["procuration/en_ligne", "armes/longue"]),
        ],
        [],
        [
            None,
            [
                {
                    "text": f"Est-ce cela :\n{SHOWN}\n«\u00a0Une longue ?\u00a0»\nTouchez-la.",
                    "quick_replies": [ONLINE, LONGER, DELAY, PERSON],
                }
            ],
        ],
    ),
    "only the next text gives way": (
        [custom(previews=["procuration/en_ligne"]), {"text": "En général."}, {"text": "Et la ville ?"}],
        [],
        [
            None,
            [
                {"text": f"Est-ce cela :\n{SHOWN}\nTouchez-la.", "quick_replies": []},
                {"text": "Et la ville ?", "quick_replies": []},
            ],
        ],
    ),
    "what would be too long shows its last questions alone": (
        [custom(previews=["procuration/en_ligne", "armes/trop"]), {"text": "En général."}],
        [],
        [None, [{"text": f"Est-ce cela :\n{SHOWN}\n«\u00a0{'Trop ' * 80}?\u00a0»\nTouchez-la.", "quick_replies": []}]],
    ),
    "the first two may stand with their answers and links, the third behind them": (
        [custom(previews=["armes/fiche", "procuration/en_ligne", "armes/longue"], whole=True), {"text": "En général."}],
        [],
        [
            None,
            [
                {
                    "text": f"Est-ce cela :\n{WHOLE}\nOu bien : {SECOND}\n{THIRD}\nSinon, touchez.",
                    "quick_replies": [],
                    "links": [PAGE],
                }
            ],
        ],
    ),
    "one alone": (
        [custom(previews=["armes/fiche"], whole=True), {"text": "En général."}],
        [],
        [None, [{"text": f"Est-ce cela :\n{WHOLE}\nSinon, touchez.", "quick_replies": [], "links": [PAGE]}]],
    ),
    "longer ones in two messages, the buttons and links under their own": (
        [
            custom(previews=["armes/longue", "armes/fiche"], whole=True),
            GENERAL,
            custom(offers=["armes/longue", "armes/fiche"]),
        ],
        [],
        [
            None,
            [
                {"text": f"Est-ce cela :\n{THIRD}\n{'Mot ' * 199}Mot", "quick_replies": []},
                {
                    "text": f"Ou bien : {WHOLE}\nSinon, touchez.",
                    "quick_replies": [LONGER, LEAF, DELAY, PERSON],
                    "links": [PAGE],
                },
            ],
        ],
    ),
    "behind an answer the second question is told with its answer, as far as there is room": (
        [{"text": "Non."}, custom(beside="armes/longue", offers=["armes/longue"])],
        [],
        [None, [{"text": f"Non.\nOu bien : «\u00a0Une longue ?\u00a0» {'Mot ' * 199}Mot", "quick_replies": [LONGER]}]],
    ),
    "behind a longer one with its beginning": (
        [{"text": "Non. " * 140}, custom(beside="armes/fiche")],
        [],
        [
            None,
            [{"text": f"{('Non. ' * 140).strip()}\nOu bien : «\u00a0Une fiche ?\u00a0» Là. Là.", "quick_replies": []}],
        ],
    ),
    "a question that is gone, or has no wording, leaves the general text": (
        [custom(previews=["armes/hier", "armes/arc"]), {"text": "En général."}],
        [],
        [None, [{"text": "En général.", "quick_replies": []}]],
    ),
    "nothing said": ([custom(answered="armes/arc", offers=["armes/arc"])], [], ["armes/arc", []]),
}


def test_an_answer_names_its_link_in_the_text_and_as_a_button() -> None:
    page = {"type": "web_url", "url": "https://www.example.fr/arc"}
    assert run(ANSWER) == [
        ["Non.", []],
        ["Non.\nArc, la fiche\u202f: https://www.example.fr/arc", [{**page, "title": "Arc : la fiche"}]],
        ["Non.\nÀ lire\u202f: https://www.example.fr/arc", [{**page, "title": "À lire"}]],
    ]


@pytest.fixture(scope="module")
def turns() -> dict[str, Any]:
    """Each of TURNS, run: (question answered, replies, whether it is empty)."""
    asked = [(messages, more) for messages, more, _ in TURNS.values()]
    return dict(zip(TURNS, run(CHANNEL, asked), strict=True))


@pytest.mark.parametrize("name", TURNS)
def test_a_turn_tells_the_question_and_what_it_offers(turns: dict[str, Any], name: str) -> None:
    *told, empty = turns[name]
    assert told == TURNS[name][2]
    assert empty is (not told[1])  # a question without words is an error of the dialogue

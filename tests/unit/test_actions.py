"""The actions' choices, one message at a time. Rasa's SDK lives in the engine's environment: here four names stand for it.

The played conversations of tests/engine run the same actions in the real engine.
"""

from __future__ import annotations

import sys
import types
from typing import Any, NamedTuple, Optional

import pytest

from bot.core import catalogue
from bot.policy.intents import INTENTS
from bot.policy.questions import AHEAD, FIRST, LIKELY
from tests.unit.test_domain import DOMAIN, ROOT, _rules

TRADE = {"entity": "corps", "value": "officier"}
CATALOGUE = catalogue.read(ROOT).questions


class Dispatcher:
    """Keeps what is uttered."""

    def __init__(self) -> None:
        self.responses: list[str] = []
        self.buttons: list[dict[str, str]] = []
        self.marks: dict[str, Any] = {}
        self.order: list[str] = []

    def utter_message(
        self,
        response: Optional[str] = None,
        buttons: Optional[list[dict[str, str]]] = None,
        json_message: Optional[dict[str, Any]] = None,
        **values: str,
    ) -> None:
        if response:
            assert response in DOMAIN["responses"] or response.removeprefix("utter_") in CATALOGUE, response
            self.responses.append(response)
            self.order.append(response)
            self.values = values
        self.buttons += buttons or []
        self.marks.update(json_message or {})
        self.order += json_message or {}


class Action:
    """The SDK's base class has nothing that actions use."""


class Said(NamedTuple):
    """The tracker's part that actions read."""

    latest_message: dict[str, Any]
    slots: dict[str, Any]
    events: list[dict[str, Any]]

    def get_slot(self, name: str) -> Any:
        assert name in DOMAIN["slots"], name
        return self.slots.get(name)


class Outcome(NamedTuple):
    """What an action did."""

    out: Dispatcher
    slots: dict[str, Any]

    @property
    def response(self) -> str:
        (response,) = self.out.responses
        return response


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the action of a message: `run(intent, text, entities, slots)`."""
    sdk, events, executor = (types.ModuleType(f"rasa_sdk{name}") for name in ("", ".events", ".executor"))
    sdk.Action, sdk.Tracker = Action, Said  # type: ignore[attr-defined]
    events.SlotSet = lambda key, value=None: {"event": "slot", "name": key, "value": value}  # type: ignore[attr-defined]
    executor.CollectingDispatcher = Dispatcher  # type: ignore[attr-defined]
    for name in [name for name in sys.modules if name.split(".")[0] == "actions"]:
        monkeypatch.delitem(sys.modules, name)
    for module in (sdk, events, executor):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    import actions.registered as registered

    known = {one().name(): one() for one in registered.Reply.__subclasses__()}
    rules = _rules()

    def run_(
        intent: str,
        text: str = "…",
        entities: Optional[list[dict[str, Any]]] = None,
        slots: Optional[dict[str, Any]] = None,
        ranking: Optional[list[tuple[str, float]]] = None,
        past: Optional[list[dict[str, Any]]] = None,
        **more: Any,
    ) -> Outcome:
        rows = [_placed(row, text) for row in entities or []]
        told = {row["entity"]: row["value"] for row in rows if row["entity"] in DOMAIN["slots"]}
        message = {
            "intent": {"name": intent},
            "text": text,
            "entities": rows,
            "intent_ranking": [{"name": name, "confidence": value} for name, value in ranking or []],
            "asked": (slots or {}).get("question") or "",
            **more,
        }
        out = Dispatcher()
        tracker = Said(message, {**(slots or {}), **told}, past or [])
        done = known[rules[intent]].run(out, tracker, {"responses": DOMAIN["responses"]})
        return Outcome(out, {event["name"]: event["value"] for event in done})

    yield run_
    for name in [name for name in sys.modules if name.split(".")[0] == "actions"]:
        del sys.modules[name]


def _placed(row: dict[str, Any], text: str) -> dict[str, Any]:
    """An entity read in the text has a place there; one that was tapped has none."""
    surface = row.pop("in", None) if "in" in (row := dict(row)) else None
    return row if surface is None else {**row, "start": text.index(surface), "end": text.index(surface) + len(surface)}


def test_every_intent_gets_its_own_reply(run: Any) -> None:
    for intent, policy in INTENTS.items():
        done = run(intent)
        assert done.response == f"utter_{intent}"
        if policy.route in ("handoff", "emergency"):
            handoff = done.out.marks["handoff"]
            assert (handoff["category"], handoff["priority"]) == (policy.category, policy.priority)
            assert handoff["reason"] == intent
        else:
            assert done.out.marks == {}


def test_trade_is_asked_then_used(run: Any) -> None:
    asked = run("recrutement_conditions")
    assert asked.slots == {"sujet": "recrutement_conditions", "question": "recrutement_conditions", "aspect": None}
    told = run("recrutement_conditions", entities=[TRADE], slots=asked.slots)
    assert told.response == "utter_recrutement_conditions_officier"
    assert told.slots["question"] is None
    later = run("recrutement_formation", slots={**told.slots, "corps": "officier"})
    assert later.response == "utter_recrutement_formation_officier"


def test_other_trade_takes_it_back(run: Any) -> None:
    assert run("recrutement_concours", slots={"corps": "autre"}).response == "utter_recrutement_concours"


@pytest.mark.parametrize("intent", ["au_revoir", "remerciements", "insulte_troll", "nlu_fallback", "contravention"])
def test_correction_counts_whatever_it_was_taken_for(run: Any, intent: str) -> None:
    slots = {"sujet": "recrutement_formation", "corps": "gardien_de_la_paix"}
    done = run(intent, "non, plutôt officier", [{**TRADE, "in": "officier"}], slots)
    assert done.response == "utter_recrutement_formation_officier"
    assert done.out.marks == {}
    assert done.slots["incompris"] == 0


def test_a_question_with_a_trade_is_no_correction(run: Any) -> None:
    done = run(
        "contravention",
        "un officier m'a mis une amende",
        [{**TRADE, "in": "officier"}],
        {"sujet": "recrutement_concours"},
    )
    assert done.response == "utter_contravention"


def test_danger_is_never_taken_for_an_answer(run: Any) -> None:
    done = run(
        "danger_immediat",
        "à Lyon",
        [{"entity": "ville", "value": "Lyon", "in": "Lyon"}],
        {"question": "commissariat_contact_horaires"},
    )
    assert done.response == "utter_danger_immediat"
    assert done.out.marks["handoff"]["priority"] == 0


def test_diploma_opens_trades(run: Any) -> None:
    licence = {"entity": "diplome", "value": "licence"}
    assert run("recrutement_conditions", entities=[licence]).response == "utter_diplome_licence"
    assert run("recrutement_conditions", entities=[licence, TRADE]).response == "utter_recrutement_conditions_officier"
    assert run("recrutement_carriere", entities=[licence]).response == "utter_recrutement_carriere"


@pytest.mark.parametrize(
    ("slots", "response"),
    [
        ({}, ""),
        ({"document": "permis"}, "_circonstance"),
        ({"document": "permis", "circonstance": "perdu"}, "_perdu_permis"),
        ({"document": "carte_grise", "circonstance": "perdu"}, "_perdu"),
        ({"document": "autre", "circonstance": "perdu"}, "_perdu"),
        ({"circonstance": "perdu"}, ""),
        ({"circonstance": "vole"}, "_vole"),
        ({"document": "passeport", "circonstance": "vole"}, "_vole"),
        ({"document": "carte_bancaire", "circonstance": "vole"}, "_carte_bancaire"),
        ({"document": "carte_bancaire", "circonstance": "retrouve"}, "_retrouve"),
    ],
)
def test_papers(run: Any, slots: dict[str, str], response: str) -> None:
    done = run("perte_vol_documents", slots=slots)
    assert done.out.responses[0] == f"utter_perte_vol_documents{response}"
    in_france = run("perte_vol_documents", slots={**slots, "pays": "france"})
    assert in_france.out.responses == done.out.responses[:1], "where is known, nothing more is asked"


PAPERS = "utter_perte_vol_documents"


@pytest.mark.parametrize(
    ("circumstance", "france", "abroad"),
    [
        ("perdu", "_perdu_passeport", "_etranger"),
        ("vole", "_vole", "_vole_etranger"),
        ("retrouve", "_retrouve", "_retrouve_etranger"),
    ],
)
def test_papers_by_circumstance_and_place(run: Any, circumstance: str, france: str, abroad: str) -> None:
    slots = {"document": "passeport", "circonstance": circumstance}
    for country, response in (("france", france), ("etranger", abroad)):
        done = run("perte_vol_documents", slots={**slots, "pays": country})
        assert done.response == PAPERS + response
        assert (done.slots["question"], done.slots["pays"]) == (None, country)


STOLEN = {"document": "passeport", "circonstance": "vole"}
SPAIN = {"entity": "pays", "value": "etranger", "in": "en Espagne"}
LYON = {"entity": "ville", "value": "Lyon", "in": "Lyon"}


def test_the_place_is_asked_behind_the_answer_and_told_by_a_tap(run: Any) -> None:
    asked = run("perte_vol_documents", slots=STOLEN)
    assert asked.out.responses == [f"{PAPERS}_vole", f"{PAPERS}_pays"]
    assert asked.out.marks == {"join": True}
    assert asked.slots["question"] == "pays"
    slots = {**STOLEN, **asked.slots}
    tap = {"entity": "pays", "value": "etranger"}
    abroad = run("perte_vol_documents", "/…", [tap], slots, tapped=True)
    assert (abroad.response, abroad.slots["question"]) == (f"{PAPERS}_vole_etranger", None)
    here = run("perte_vol_documents", "/…", [{**tap, "value": "france"}], slots, tapped=True)
    assert (here.response, here.slots["question"]) == (f"{PAPERS}_france", None)
    back = run("perte_vol_documents", "/…", [{**tap, "value": "france"}], {**slots, **abroad.slots}, tapped=True)
    assert back.response == f"{PAPERS}_vole", "nobody has read yet what holds in France"


@pytest.mark.parametrize("intent", ["nlu_fallback", "operation_tranquillite_vacances", "au_revoir"])
@pytest.mark.parametrize(
    ("text", "entity", "response"),
    [
        ("c'était pendant mes vacances en Espagne", SPAIN, "_vole_etranger"),
        ("à Lyon", LYON, "_france"),
    ],
)
def test_the_place_is_told_in_words(run: Any, intent: str, text: str, entity: Any, response: str) -> None:
    assert run(intent, text, [entity], {**STOLEN, "sujet": "perte_vol_documents", "question": "pays"}).response == (
        PAPERS + response
    )


def test_a_corrected_place_counts(run: Any) -> None:
    slots = {**STOLEN, "sujet": "perte_vol_documents", "pays": "etranger"}
    corrected = run("hors_perimetre", "finalement c'était à Lyon", [LYON], slots)
    assert corrected.response == f"{PAPERS}_vole"
    assert corrected.slots["pays"] == "france"
    denied = run("perte_vol_documents", "pas en Espagne, à Lyon", [SPAIN, LYON], slots)
    assert denied.slots["pays"] == "france"
    home = {"entity": "pays", "value": "france", "in": "en France"}
    assert run("perte_vol_documents", "vol de passeport à Lyon", [LYON], STOLEN).response == f"{PAPERS}_vole"
    stuck = run("perte_vol_documents", "volé en Espagne, comment rentrer en France", [SPAIN, home], STOLEN)
    assert stuck.response == f"{PAPERS}_vole_etranger"
    abroad = run("au_revoir", "non, en Espagne", [SPAIN], {**slots, "pays": "france"})
    assert abroad.response == f"{PAPERS}_vole_etranger"
    stolen = run("au_revoir", "en fait perdu", [{"entity": "circonstance", "value": "perdu", "in": "perdu"}], slots)
    assert stolen.response == f"{PAPERS}_etranger", "the place was told and is not asked again"


@pytest.mark.parametrize(
    ("text", "entities"),
    [
        ("passeport volé et je pars en Espagne demain", [SPAIN]),
        ("j'habite à Lyon et on m'a volé mon passeport", [LYON]),
        ("volé en Espagne ou à Lyon, je ne sais plus", [SPAIN, LYON]),
        (
            "volé à Trifouilly",
            [{"entity": "ville", "value": "Trifouilly", "in": "Trifouilly", "confidence_entity": 0.5}],
        ),
    ],
)
def test_a_place_that_is_not_sure_is_asked(run: Any, text: str, entities: Any) -> None:
    done = run("perte_vol_documents", text, entities, STOLEN)
    assert done.out.responses == [f"{PAPERS}_vole", f"{PAPERS}_pays"]
    assert done.slots["pays"] is None


@pytest.mark.parametrize(
    ("text", "words", "response"),
    [
        ("j'ai retrouvé mon passeport que j'avais déclaré perdu", "retrouvé perdu", "_retrouve"),
        ("j'ai retrouvé mon passeport et je l'avais déclaré volé", "retrouvé volé", "_retrouve"),
        ("retrouvé mon passeport perdu", "retrouvé perdu", "_retrouve"),
        ("passeport perdu puis retrouvé", "perdu retrouvé", "_retrouve"),
        ("j'ai retrouvé mon sac mais le passeport a été volé", "retrouvé volé", "_vole"),
        ("j'ai retrouvé mon sac sans le passeport, il est perdu", "retrouvé perdu", "_perdu_passeport"),
    ],
)
def test_a_paper_that_was_found_is_not_lost_any_more(run: Any, text: str, words: str, response: str) -> None:
    values = {"retrouvé": "retrouve", "perdu": "perdu", "volé": "vole"}
    told = [{"entity": "circonstance", "value": values[word], "in": word} for word in words.split()]
    done = run("perte_vol_documents", text, [{"entity": "document", "value": "passeport", "in": "passeport"}, *told])
    assert done.out.responses[0] == f"{PAPERS}{response}"
    assert done.slots["circonstance"] == response.split("_")[1], "a tap on a country goes on from there"


def test_the_question_of_the_place_survives_an_interruption_and_ends(run: Any) -> None:
    slots = {**STOLEN, "sujet": "perte_vol_documents", "question": "pays"}
    first = run("contravention", "et une amende ?", slots=slots)
    assert first.out.responses == ["utter_contravention", "utter_relance_pays"]
    assert first.out.marks == {"choices_of": f"{PAPERS}_pays"}
    second = run("procuration", "et voter ?", slots={**slots, **first.slots})
    assert (second.response, second.slots["question"]) == ("utter_procuration", None)
    found = run("perte_vol_documents", "retrouvé", [{"entity": "circonstance", "value": "retrouve"}], slots)
    assert (found.response, found.slots["question"]) == (f"{PAPERS}_retrouve", None)
    given_up = run("au_revoir", "laisse tomber", slots=slots, kind="abandon")
    assert (given_up.response, given_up.slots["question"]) == ("utter_abandon", None)
    long = run("nlu_fallback", "je ne sais pas trop comment vous dire ce qui se passe", slots=slots)
    assert long.out.responses == ["utter_clarify_question", "utter_relance_pays"]


def test_nobody_is_asked_where_before_the_bank_is_called(run: Any) -> None:
    card = {"document": "carte_bancaire", "circonstance": "vole"}
    assert run("perte_vol_documents", slots=card).response == f"{PAPERS}_carte_bancaire"


@pytest.mark.parametrize("intent", ["plainte_comment", "pre_plainte_en_ligne"])
@pytest.mark.parametrize(
    ("entities", "slots", "response"),
    [
        ([("infraction", "cambriolage")], {}, "utter_plainte_biens"),
        ([("circonstance", "vole")], {}, "utter_plainte_biens"),
        ([], {"circonstance": "vole"}, "utter_plainte_biens"),
        ([], {"infraction": "degradation"}, "utter_plainte_biens"),
        ([("infraction", "menaces")], {"infraction": "vol"}, "utter_plainte_personnes"),
        ([("infraction", "agression"), ("circonstance", "vole")], {}, "utter_plainte_personnes"),
        ([("infraction", "escroquerie")], {}, "utter_plainte_escroquerie"),
        ([("infraction", "usurpation")], {}, ""),
        ([], {}, ""),
    ],
)
def test_a_complaint_depends_on_the_offence(
    run: Any, intent: str, entities: list[tuple[str, str]], slots: dict[str, str], response: str
) -> None:
    rows = [{"entity": entity, "value": value} for entity, value in entities]
    assert run(intent, entities=rows, slots=slots).response == (response or f"utter_{intent}")


def test_a_snatched_paper_is_a_stolen_one(run: Any) -> None:
    rows = [{"entity": "document", "value": "permis"}, {"entity": "infraction", "value": "vol"}]
    assert run("perte_vol_documents", entities=rows).out.responses[0] == f"{PAPERS}_vole"


def test_an_agent_gets_offence_and_country(run: Any) -> None:
    done = run("parler_humain", slots={"infraction": "menaces", "pays": "etranger"})
    assert done.out.marks["handoff"]["slots"] == {"infraction": "menaces", "pays": "etranger"}


def test_town(run: Any) -> None:
    asked = run("commissariat_contact_horaires")
    assert asked.slots["question"] == "commissariat_contact_horaires"
    unknown = run("nlu_fallback", "trifouilly", slots=asked.slots)
    assert unknown.response == "utter_commissariat_contact_horaires_ville"
    long = run("nlu_fallback", "je ne sais pas trop comment vous dire ce qui se passe", slots=asked.slots)
    assert long.out.responses == ["utter_clarify_question", "utter_relance_ville"]
    assert long.out.marks["clarify"] is True


@pytest.mark.parametrize(
    ("intent", "text", "is_town"),
    [
        ("au_revoir", "à trifouilly", True),
        ("recrutement_concours", "celui de bourg la reine", True),
        ("au_revoir", "au revoir", False),
        ("nlu_fallback", "c'est gratuit ?", False),
        ("insulte_troll", "bande de nuls", False),
        ("disparition", "ma fille", False),
    ],
)
def test_a_town_without_a_capital(run: Any, intent: str, text: str, is_town: bool) -> None:
    """No list holds every town, and the classifier takes an unknown word for anything."""
    done = run(intent, text, slots={"question": "commissariat_contact_horaires"})
    assert (done.out.responses == ["utter_commissariat_contact_horaires_ville"]) is is_town


def test_rephrase_then_human(run: Any) -> None:
    first = run("nlu_fallback", "zzz")
    assert first.response == "utter_clarify"
    assert first.out.marks == {"clarify": True}
    second = run("nlu_fallback", "zzz", slots=first.slots)
    assert second.response == "utter_incompris"
    assert second.out.marks["handoff"] == {"category": "request", "priority": 4, "reason": "incompris", "slots": {}}


def test_rephrase_names_the_two_closest(run: Any) -> None:
    ranking = [("nlu_fallback", 0.4), ("contravention", 0.35), ("permis_points", 0.3), ("procuration", 0.25)]
    done = run("nlu_fallback", "zzz", ranking=ranking)
    assert done.response == "utter_clarify_deux"
    assert [button["payload"] for button in done.out.buttons] == ["/contravention", "/permis_points"]
    assert [button["title"] for button in done.out.buttons] == ["Amende", "Points du permis"]
    assert done.out.values == {"premier": "Amende", "second": "Points du permis"}
    assert done.slots["question"] == "contravention|permis_points"
    assert done.out.marks == {"clarify": True}


@pytest.mark.parametrize("second", [("permis_points", 0.1), ("danger_immediat", 0.3)])
def test_rephrase_shows_the_menu_otherwise(run: Any, second: tuple[str, float]) -> None:
    """One plausible subject is no choice, and a danger is never a menu entry."""
    assert run("nlu_fallback", "zzz", ranking=[("contravention", 0.4), second]).response == "utter_clarify"


def test_silent_at_the_third_insult(run: Any) -> None:
    slots: dict[str, Any] = {}
    said = []
    for _ in range(4):
        done = run("insulte_troll", slots=slots)
        slots = done.slots
        said.append(done.out.responses or done.out.marks.get("silence"))
    assert said == [["utter_insulte_troll"], ["utter_insulte_encore"], True, True]


def test_hand_off_carries_what_is_known(run: Any) -> None:
    done = run("reclamation_police", slots={"ville": "Lyon", "corps": "autre", "question": "recrutement_concours"})
    assert done.out.marks["handoff"]["slots"] == {"ville": "Lyon"}
    assert done.slots["question"] is None


PLACE = {"date": "hier", "lieu": "place bellecour"}


def test_what_was_said_is_not_asked_again(run: Any) -> None:
    """`told`: the fields of the day, this message's included."""
    asked = run("parler_humain", "un agent svp")
    assert asked.response == "utter_parler_humain"
    known = run("parler_humain", "un agent svp", told=PLACE)
    assert known.response == "utter_parler_humain_dit"
    assert known.out.marks["handoff"]["slots"] == {}, "the worker adds fields, newest first"
    by_slot = run("parler_humain", "un agent svp", slots={"sujet": "recrutement_formation", "corps": "officier"})
    assert by_slot.response == "utter_parler_humain_dit"
    assert by_slot.out.marks["handoff"]["slots"] == {"sujet": "recrutement_formation", "corps": "officier"}
    # An age or a diploma is none of what is asked for.
    assert run("parler_humain", "un agent svp", slots={"age": "32", "diplome": "bac"}).response == "utter_parler_humain"


def test_not_understood_twice_after_something_was_said(run: Any) -> None:
    done = run("nlu_fallback", "zzz", slots={"incompris": 1.0}, told=PLACE)
    assert done.response == "utter_incompris_dit"
    assert done.out.marks["handoff"]["category"] == "request"


def test_variants_ask_for_nothing(run: Any) -> None:
    import actions.handoff as handoff

    for name, told in handoff.TOLD.items():
        assert "la ville et la date" in DOMAIN["responses"][name][0]["text"]
        assert "la ville" not in DOMAIN["responses"][told][0]["text"]


def test_place_and_date_join_the_thanks(run: Any) -> None:
    thanks = run("remerciements", "bravo à la police")
    done = run("nlu_fallback", "c'était hier rue Hugo", slots=thanks.slots)
    assert done.response == "utter_precision_notee"
    assert done.out.marks["handoff"]["category"] == "thanks"
    assert done.out.marks["handoff"]["reason"] == "remerciements"
    slots = {**thanks.slots, **done.slots}
    again = run("recrutement_concours", "mardi 3 juin vers 14h, la bac de Lens", slots=slots)
    assert again.out.responses == []
    assert again.out.marks["silence"] is True
    assert again.out.marks["handoff"]["category"] == "thanks"
    asked = run("recrutement_concours", "et le concours, c'est quand mardi ?", slots=slots)
    assert asked.response == "utter_recrutement_concours"


@pytest.mark.parametrize(("kind", "response"), [("nombre", "utter_nombre_seul"), ("emoji", "utter_emoji_seul")])
def test_wordless_messages_are_never_a_choice(run: Any, kind: str, response: str) -> None:
    ranking = [("contravention", 0.45), ("permis_points", 0.4)]
    assert run("nlu_fallback", "17", ranking=ranking, kind=kind).response == response


def test_giving_up_closes_the_question(run: Any) -> None:
    asked = run("perte_vol_documents")
    done = run("au_revoir", "laisse tomber", slots=asked.slots, kind="abandon")
    assert done.response == "utter_abandon"
    assert done.slots["question"] is None
    assert done.slots["sujet"] is None
    thanked = run("au_revoir", "merci", slots=asked.slots)
    assert thanked.response == "utter_au_revoir"
    assert thanked.slots["question"] is None


def test_an_interruption_is_answered_and_the_question_asked_again_once(run: Any) -> None:
    asked = run("recrutement_formation")
    first = run("contravention", "au fait, et une amende ?", slots=asked.slots)
    assert first.out.responses == ["utter_contravention", "utter_relance_metier"]
    assert first.out.marks == {"choices_of": "utter_recrutement_formation"}
    assert first.slots["question"] == "recrutement_formation"
    second = run("procuration", "et voter ?", slots={**asked.slots, **first.slots})
    assert second.response == "utter_procuration"
    assert second.slots["question"] is None


@pytest.mark.parametrize("intent", ["salutation", "insulte_troll", "reclamation_police", "violences_conjugales"])
def test_nothing_is_asked_again_after(run: Any, intent: str) -> None:
    done = run(intent, "…", slots={"question": "recrutement_formation"})
    assert done.response == f"utter_{intent}"


def test_a_question_of_the_same_message_is_not_asked_again(run: Any) -> None:
    done = run("contravention", "et une amende ?", slots={"question": "recrutement_formation"}, asked="")
    assert done.response == "utter_contravention"
    early = run("contravention", "et une amende ?", slots={"question": "recrutement_formation"}, last=False)
    assert early.response == "utter_contravention"


@pytest.mark.parametrize("question", ["offre_agent", "contravention|permis_points"])
def test_an_offer_that_is_passed_over_is_closed(run: Any, question: str) -> None:
    done = run("procuration", "comment voter", slots={"question": question})
    assert done.response == "utter_procuration"
    assert done.slots["question"] is None


def test_an_agent_is_offered(run: Any) -> None:
    assert run("suivi_plainte", "des nouvelles ?").slots["question"] == "offre_agent"


def test_age_alone_is_answered(run: Any) -> None:
    done = run("recrutement_conditions", "quel âge pour officier", [{**TRADE, "in": "officier"}])
    assert done.response == "utter_age_officier"
    assert done.slots["question"] is None
    asked = run("recrutement_conditions", "quel âge pour la police ?")
    assert asked.response == "utter_age"
    told = run("recrutement_conditions", "…", [TRADE], slots=asked.slots)
    assert told.response == "utter_age_officier"
    later = run("recrutement_conditions", "…", [TRADE], slots={**asked.slots, **told.slots})
    assert later.response == "utter_recrutement_conditions_officier"


GUARD = {"entity": "corps", "value": "gardien_de_la_paix"}


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("j'ai 30 ans, c'est bon ?", "bon"),
        ("j'ai 15 ans", "jeune"),
        ("à 45 ans c'est possible", "limite"),
        ("j'ai 46 c trop tard ?", "limite"),
        ("j'aurai 51 ans", "depasse"),
        ("quel âge max", "demande"),
        ("quel âge ? j'ai 20 ans de service", "demande"),
        ("quel âge ? je suis adjoint depuis 12 ans", "demande"),
    ],
)
def test_age_is_judged_at_the_trade_s_limits(run: Any, text: str, verdict: str) -> None:
    done = run("recrutement_conditions", text, [GUARD])
    assert done.out.responses == ["utter_age_gardien_de_la_paix", f"utter_age_{verdict}"]
    assert done.slots["question"] == ("age" if verdict == "demande" else None)


def test_a_bare_number_answers_the_question_of_age(run: Any) -> None:
    slots = {"corps": "reserve", "question": "age", "sujet": "age"}
    done = run("nlu_fallback", "68", slots=slots, kind="nombre")
    assert done.out.responses == ["utter_age_reserve", "utter_age_depasse"]
    corrected = run("salutation", "non j'ai 34 ans", slots={**slots, "question": None, "age": "68"})
    assert corrected.out.responses == ["utter_age_reserve", "utter_age_bon"]
    assert corrected.slots["age"] == "34"


def test_limits_are_those_of_the_texts(run: Any) -> None:
    import actions.recrutement as recrutement

    for corps, (youngest, oldest, edges) in recrutement.LIMITS.items():
        text = DOMAIN["responses"][f"utter_age_{corps}"][0]["text"]
        assert str(youngest) in text
        assert str(oldest) in text or f"moins de {oldest + 1} ans" in text
        assert oldest in edges


def test_diploma_told_before_is_not_asked_again(run: Any) -> None:
    assert run("recrutement_concours", slots={"diplome": "licence"}).response == "utter_diplome_licence"
    known = run("recrutement_concours", slots={"diplome": "licence", "corps": "officier"})
    assert known.response == "utter_recrutement_concours_officier"
    other = run(
        "recrutement_concours", "/…", [{"entity": "corps", "value": "autre"}], {"diplome": "licence"}, tapped=True
    )
    assert other.response == "utter_recrutement_concours"


def test_a_bag_holds_several_papers(run: Any) -> None:
    papers = [{"entity": "document", "value": value} for value in ("passeport", "carte_bancaire", "permis")]
    stolen = run("perte_vol_documents", entities=papers, slots={"circonstance": "vole"})
    assert stolen.out.responses == [f"{PAPERS}_carte_bancaire", f"{PAPERS}_vole", f"{PAPERS}_pays"]
    lost = run("perte_vol_documents", entities=papers, slots={"circonstance": "perdu"})
    assert lost.out.responses == [f"{PAPERS}_carte_bancaire", f"{PAPERS}_perdu", f"{PAPERS}_pays"]


def test_menu(run: Any) -> None:
    assert run("salutation", entities=[{"entity": "theme", "value": "route"}]).response == "utter_theme_route"
    assert run("salutation", entities=[{"entity": "theme", "value": "x"}]).response == "utter_salutation"


def before(*intents: str) -> list[dict[str, Any]]:
    """The events of messages of these intents, and of the latest one."""
    return [{"event": "user", "parse_data": {"intent": {"name": name}}} for name in (*intents, "…")]


@pytest.mark.parametrize(
    ("question", "earlier", "reply"),
    [
        ("recrutement_concours", (), "utter_cout_recrutement"),
        ("age", (), "utter_cout_recrutement"),
        ("perte_vol_documents", (), "utter_cout"),
        (None, ("plainte_comment",), "utter_cout_plainte"),
        (None, ("operation_tranquillite_vacances", "salutation"), "utter_cout_vacances"),
        (None, ("attestation_casier",), "utter_cout_casier"),
        ("offre_agent", ("suivi_plainte",), "utter_cout_plainte"),
        ("armes|procuration", ("arnaque_cyber",), "utter_cout_internet"),
    ],
)
@pytest.mark.parametrize(
    "text", ["au fait, c’est gratuit ?", "ça coûte combien ?", "faut payer ?", "c gratui", "c'est combien"]
)
def test_a_price_is_asked_of_what_is_talked_about(
    run: Any, text: str, question: Optional[str], earlier: tuple[str, ...], reply: str
) -> None:
    done = run("reclamation_delai", text, slots={"question": question}, past=before(*earlier))
    assert done.out.responses[0] == reply
    assert "handoff" not in done.out.marks
    assert done.slots["incompris"] == 0


def test_a_price_is_asked_of_what_was_answered_last(run: Any) -> None:
    """« officier », whatever intent it was taken for, answered a question about training; a new subject is newer."""
    answered = {"event": "slot", "name": "sujet", "value": "recrutement_formation"}
    *earlier, now = before("plainte_comment")
    trade = run("au_revoir", "ça coûte combien ?", past=[*earlier, answered, now])
    assert trade.response == "utter_cout_recrutement"
    newer = run("au_revoir", "ça coûte combien ?", past=[answered, *earlier, now])
    assert newer.response == "utter_cout_plainte"
    assert newer.slots["sujet"] == "plainte_comment", "whatever intent the question of the price was taken for"
    open_place = run("au_revoir", "c'est payant ?", slots={"question": "pays", "sujet": "perte_vol_documents"})
    assert open_place.slots["sujet"] == "perte_vol_documents"


def test_the_form_goes_on_after_the_price(run: Any) -> None:
    done = run("au_revoir", "au fait, c’est gratuit ?", slots={"question": "recrutement_formation"})
    assert done.out.responses == ["utter_cout_recrutement", "utter_relance_metier"]
    assert done.slots["question"] == "recrutement_formation"
    again = run("nlu_fallback", "et c'est payant ?", slots={"question": "recrutement_formation", **done.slots})
    assert again.out.responses == ["utter_cout_recrutement"]
    assert "question" not in again.slots, "still open"
    told = run("nlu_fallback", "officier", [{**TRADE, "in": "officier"}], {"question": "recrutement_formation"})
    assert told.response == "utter_recrutement_formation_officier"


def test_a_price_of_something_named(run: Any) -> None:
    assert run("plainte_comment", "porter plainte, c'est payant ?").response == "utter_cout_plainte"
    assert run("contravention", "combien coûte l'amende").response == "utter_contravention"
    assert run("recrutement_carriere", "combien on est payé").response == "utter_recrutement_carriere"
    assert run("violences_conjugales", "c'est gratuit ?").response == "utter_violences_conjugales"
    assert run("nlu_fallback", "c'est gratuit ?").response == "utter_clarify"


REPROACH = "la petite a disparu lundi et l'alerte est sortie le lendemain, bande de nuls"


def test_an_insult_with_a_reproach_goes_to_an_agent(run: Any) -> None:
    done = run("insulte_troll", REPROACH, slots={"insultes": 2})
    assert done.response == "utter_reclamation_delai_disparition"
    assert done.out.marks["handoff"] == {
        "category": "request",
        "priority": 4,
        "reason": "reclamation_delai",
        "slots": {},
    }
    assert done.slots["insultes"] == 0
    slots = {**done.slots, "relance": "reclamation_delai"}
    again = run("insulte_troll", REPROACH, slots=slots)
    assert (again.out.responses, again.out.marks["silence"]) == ([], True)
    assert again.out.marks["handoff"]["reason"] == "reclamation_delai"


def test_a_human_asked_for_again_is_a_second_form_then_silence(run: Any) -> None:
    slots: dict[str, Any] = {}
    heard = []
    for _ in range(3):
        done = run("parler_humain", "je veux un agent", slots=slots)
        assert done.out.marks["handoff"]["category"] == "request"
        slots = {**slots, **done.slots}
        heard.append(done.out.responses)
    assert heard == [["utter_parler_humain"], ["utter_parler_humain_suite"], []]
    robot = run("parler_humain", "t'es un robot ?", slots=slots)
    assert robot.response == "utter_parler_humain", "narrowed when it is uttered"
    thanks = run("remerciements", "merci encore", slots={"question": "remerciements"})
    assert thanks.response == "utter_precision_notee"


@pytest.mark.parametrize("topic", ["recrutement_suivi_dossier", "recrutement_stage_reserve", "suivi_plainte"])
def test_details_accept_the_offer(run: Any, topic: str) -> None:
    offered = run(topic, "…")
    assert offered.slots["question"] == "offre_agent"
    town = {"entity": "ville", "value": "Lyon", "in": "Lyon"}
    done = run(topic, "Lyon, 15 ans, le 3 février", [town], offered.slots, past=before(topic))
    assert done.response == "utter_offre_acceptee"
    handoff = done.out.marks["handoff"]
    assert (handoff["category"], handoff["reason"]) == ("request", topic)
    assert handoff["slots"].items() >= {"ville": "Lyon", "age": "15"}.items()
    assert done.slots["question"] == "parler_humain"
    more = run("nlu_fallback", "et le 4 février", slots={**offered.slots, **done.slots}, past=before(topic, topic))
    assert (more.out.responses, more.out.marks["silence"]) == ([], True)


def test_what_is_no_detail_passes_the_offer_over(run: Any) -> None:
    slots, past = {"question": "offre_agent"}, before("recrutement_suivi_dossier")
    other = run("procuration", "procuration pour le 3 mars à voter", slots=slots, past=past)
    assert (other.response, other.slots["question"]) == ("utter_procuration", None)
    asked = run("recrutement_suivi_dossier", "et pour le 3 mars, c'est quand ?", slots=slots, past=past)
    assert asked.response == "utter_recrutement_suivi_dossier"
    reserve = {"entity": "corps", "value": "reserve"}
    shown = run("recrutement_stage_reserve", "la réserve", [reserve])
    assert shown.response == "utter_recrutement_stage_reserve_reserve"
    assert shown.slots["question"] is None


def test_the_reserve_is_asked_no_date(run: Any) -> None:
    done = run("recrutement_conditions", "quel âge pour la réserve", [{"entity": "corps", "value": "reserve"}])
    assert done.out.responses == ["utter_age_reserve", "utter_age_demande_reserve"]
    near = run("nlu_fallback", "67", slots={"corps": "reserve", "question": "age", "sujet": "age"}, kind="nombre")
    assert near.out.responses == ["utter_age_reserve", "utter_age_limite_reserve"]


# A statement that asks nothing ------------------------------------------------------------------------------------------

STATEMENT = "hors_perimetre_precision"


def talked_about(intent: str) -> list[dict[str, Any]]:
    """The events of a message about a subject, and of the one that is being answered."""
    return [{"event": "user", "parse_data": {"intent": {"name": name}}} for name in (intent, STATEMENT)]


def test_a_statement_gets_an_offer_and_the_next_one_a_shorter_word(run: Any) -> None:
    first = run(STATEMENT, "je suis fleuriste à mon compte")
    assert (first.response, first.out.marks) == (f"utter_{STATEMENT}", {})
    second = run(STATEMENT, "ma sœur est en CP", slots=first.slots)
    assert (second.response, second.slots["precisions"]) == (f"utter_{STATEMENT}_encore", 2)


@pytest.mark.parametrize(
    ("topic", "menu"),
    [
        ("suivi_plainte", "plainte"),
        ("recrutement_concours", "recrutement"),
        ("armes_chasse", "papiers"),
        ("permis_points", "route"),
        ("animaux", "quotidien"),
        ("arnaque_cyber", "internet"),
    ],
)
def test_after_an_answer_the_offer_is_about_its_topic(run: Any, topic: str, menu: str) -> None:
    done = run(STATEMENT, "c'était un mardi je crois", past=talked_about(topic))
    assert done.response == f"utter_{STATEMENT}_sujet"
    assert done.out.marks == {"choices_of": f"utter_theme_{menu}"}
    assert done.out.marks["choices_of"] in DOMAIN["responses"]


@pytest.mark.parametrize("topic", ["violences_conjugales", "disparition", "salutation"])
def test_what_an_agent_has_is_offered_to_nobody(run: Any, topic: str) -> None:
    assert run(STATEMENT, "il pleut", past=talked_about(topic)).response == f"utter_{STATEMENT}"


def test_an_age_after_the_conditions_is_used(run: Any) -> None:
    asked = run(STATEMENT, "j'ai 17 ans et demi", past=talked_about("recrutement_conditions"))
    assert (asked.response, asked.slots["age"]) == ("utter_age", "17")
    known = run(
        STATEMENT,
        "j'ai 30 ans",
        slots={"corps": "gardien_de_la_paix"},
        past=talked_about("recrutement_conditions"),
    )
    assert known.out.responses == ["utter_age_gardien_de_la_paix", "utter_age_bon"]


def test_a_diploma_after_a_question_about_the_exam_is_used(run: Any) -> None:
    bac = {"entity": "diplome", "value": "bac", "in": "bac"}
    done = run(STATEMENT, "moi j'ai un bac pro depuis juin", [bac], past=talked_about("recrutement_concours"))
    assert done.response == "utter_diplome_bac"


def test_a_question_of_ours_is_asked_again_once_after_a_statement(run: Any) -> None:
    slots = {"question": "commissariat_contact_horaires"}
    first = run(STATEMENT, "je suis fleuriste à mon compte depuis juin", slots=slots)
    assert first.out.responses == [f"utter_{STATEMENT}_notee", "utter_relance_ville"]
    second = run(STATEMENT, "ma sœur est en CP et mon frère en CE2", slots={**slots, **first.slots})
    assert second.response == f"utter_{STATEMENT}_encore"


def test_a_statement_answers_what_was_asked(run: Any) -> None:
    town = run(STATEMENT, "à Lyon", [LYON], {"question": "commissariat_contact_horaires"})
    assert town.response == "utter_commissariat_contact_horaires_ville"
    place = run(STATEMENT, "en Espagne", [SPAIN], {**STOLEN, "question": "pays"})
    assert place.response == f"{PAPERS}_vole_etranger"
    told = run(STATEMENT, "ils étaient deux, très aimables", slots={"question": "remerciements"})
    assert told.response == "utter_precision_notee"
    assert told.out.marks["handoff"]["category"] == "thanks"


# Before the catalogue of questions ----------------------------------------------------------------------------------------


def surely(question: str) -> list[dict[str, Any]]:
    """As the engine names the question that is surely asked."""
    return [{"name": question, "confidence": 0.9}]


def test_an_answer_to_an_open_question_is_none_of_the_catalogue(run: Any) -> None:
    gardien = {"entity": "corps", "value": "gardien_de_la_paix", "in": "gardien de la paix"}
    slots = {"question": "recrutement_formation", "sujet": "recrutement_formation"}
    sure = surely("recrutement_conditions/conditions_gardien")
    done = run("recrutement_conditions", "gardien de la paix", [gardien], slots, questions=sure)
    assert done.response == "utter_recrutement_formation_gardien_de_la_paix"


def test_a_price_alone_is_asked_of_what_was_talked_about(run: Any) -> None:
    sure = surely("salutation/gratuit")
    done = run("salutation", "ça coûte combien ?", slots={"sujet": "procuration"}, questions=sure)
    assert "procuration" in str(done.slots) and "answered" not in done.out.marks


def test_a_question_about_another_trade_is_offered_and_not_answered(run: Any) -> None:
    sure = surely("recrutement_stage_reserve/reserve_formation")
    slots = {"corps": "gardien_de_la_paix"}
    done = run("recrutement_formation", "la formation dure combien de temps ?", slots=slots, questions=sure)
    assert done.response == "utter_recrutement_formation_gardien_de_la_paix"
    assert done.out.marks["offers"] == ["recrutement_stage_reserve/reserve_formation"]


def test_papers_lost_abroad_keep_their_own_reply(run: Any) -> None:
    paper = {"entity": "document", "value": "passeport", "in": "passeport"}
    place = {"entity": "pays", "value": "etranger", "in": "Espagne"}
    sure = surely("perte_vol_documents/etranger_en_france")
    done = run("perte_vol_documents", "j'ai perdu mon passeport en Espagne", [paper, place], questions=sure)
    assert done.response == "utter_perte_vol_documents_etranger"


def test_the_papers_of_a_bag_have_an_answer_of_their_own(run: Any) -> None:
    papers = [{"entity": "document", "value": value} for value in ("passeport", "carte_bancaire", "permis")]
    slots = {"circonstance": "perdu"}
    question = "perte_vol_documents/tous_papiers_perdus"
    done = run("perte_vol_documents", "tout est perdu", papers, slots, questions=surely(question))
    assert done.response == f"utter_{question}"


@pytest.mark.parametrize(
    ("corps", "text", "judged"),
    [
        ("gardien_de_la_paix", "j'ai 33 ans, c'est trop tard pour gardien ?", ["utter_age_bon"]),
        ("gardien_de_la_paix", "46 ans, gardien c'est mort ?", ["utter_age_limite"]),
        ("officier", "36 ans, trop vieille pour officier ?", []),
    ],
)
def test_an_age_is_judged_under_the_answer_of_the_catalogue(run: Any, corps: str, text: str, judged: list[str]) -> None:
    trade = {"entity": "corps", "value": corps, "in": corps.split("_")[0]}
    question = f"recrutement_conditions/age_{corps.split('_')[0]}"
    done = run("recrutement_conditions", text, [trade], questions=surely(question))
    assert done.out.responses == [f"utter_{question}", *judged]


def test_a_question_that_leads_is_answered_under_its_question_with_the_next_ones(run: Any) -> None:
    question, other = "recrutement_conditions/age_gardien", "recrutement_conditions/trop_jeune"
    ranked = [{"name": question, "confidence": LIKELY}, {"name": other, "confidence": LIKELY / AHEAD}]
    done = run("recrutement_conditions", "et pour l'âge ça se passe comment ?", questions=ranked)
    assert done.response == f"utter_{question}"
    assert (done.out.marks["supposed"], done.out.marks["answered"]) == (question, question)
    assert done.out.marks["offers"] == [other]
    assert done.slots["repondu"] == question


def test_words_that_may_answer_our_question_are_no_likely_question(run: Any) -> None:
    ranked = [{"name": "recrutement_conditions/age_gardien", "confidence": LIKELY}]
    slots = {"question": "recrutement_formation", "sujet": "recrutement_formation"}
    done = run("recrutement_formation", "plutôt gardien", [{**GUARD, "in": "gardien"}], slots, questions=ranked)
    assert done.response == "utter_recrutement_formation_gardien_de_la_paix"


def test_a_number_alone_asks_nothing_of_the_catalogue(run: Any) -> None:
    done = run("nlu_fallback", "44", questions=surely("recrutement_conditions/age_gardien"), kind="nombre")
    assert done.response == "utter_nombre_seul"


def test_where_nothing_is_clear_the_nearest_questions_are_offered(run: Any) -> None:
    near = [{"name": "contravention/payer", "confidence": 0.2}, {"name": "armes/vendre", "confidence": 0.1}]
    done = run("nlu_fallback", "faut payer pour ça ou pas", questions=near)
    assert done.response == "utter_clarify_propositions"
    assert done.out.marks["offers"] == ["contravention/payer", "armes/vendre"]
    assert done.out.marks["clarify"] is True


def test_an_age_that_was_told_beside_a_question_is_not_asked_again(run: Any) -> None:
    slots = {"question": "age", "sujet": "age", "corps": "gardien_de_la_paix"}
    sure = surely("recrutement_conditions/age_gardien")
    done = run("recrutement_conditions", "j'ai 32 ans, je suis trop vieux ?", slots=slots, questions=sure)
    assert done.out.responses == ["utter_recrutement_conditions/age_gardien", "utter_age_bon"]
    assert done.slots["question"] is None


def test_a_likely_answer_does_not_end_the_count_of_what_was_not_understood(run: Any) -> None:
    likely = [{"name": "contravention/payer", "confidence": 0.45}]
    done = run("nlu_fallback", "faut que je règle ça", slots={"incompris": 1}, questions=likely)
    assert done.out.marks["supposed"] == "contravention/payer"
    assert "incompris" not in done.slots


def test_a_model_of_before_has_no_words_for_proposals(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(DOMAIN["responses"], "utter_clarify_propositions")
    near = [{"name": "contravention/payer", "confidence": 0.2}]
    assert run("nlu_fallback", "faut payer pour ça ou pas", questions=near).response == "utter_clarify"


def nearly(*questions: str) -> dict[str, Any]:
    """A message whose nearest questions these are, none of them sure, and a model that has words to show them."""
    return {"questions": [{"name": name, "confidence": 0.15} for name in questions], "previews": True}


SHOWN = {
    "contravention": ("une histoire d'amende", "contravention/payer", "contravention/majoree_delai"),
    "recrutement_conditions": ("il faut quoi pour entrer", "recrutement_conditions/age_gardien"),
    "recrutement_stage_reserve": ("la réserve ça marche comment", "recrutement_stage_reserve/reserve_paie"),
    "recrutement_suivi_dossier": ("mon dossier de concours", "recrutement_suivi_dossier/refus_candidature"),
    "plainte_comment": ("et pour la plainte au fait", "plainte_comment/delai"),
    "perte_vol_documents": ("pour les papiers il faut quoi", "perte_vol_documents/prix_refaire"),
    "commissariat_contact_horaires": ("le commissariat est ouvert", "commissariat_contact_horaires/horaires"),
}


@pytest.mark.parametrize("intent", SHOWN)
def test_a_general_text_gives_way_to_the_questions_that_may_have_been_meant(run: Any, intent: str) -> None:
    text, *questions = SHOWN[intent]
    done = run(intent, text, **nearly(*questions))
    assert done.out.order == ["previews", "whole", f"utter_{intent}", "offers"]
    assert done.out.marks == {"previews": questions, "whole": True, "offers": questions}
    assert done.slots["question"] is None


def likely(*questions: str) -> dict[str, Any]:
    """A message whose nearest questions these are, the first one likely enough to come before a narrower text."""
    return {**nearly(), "questions": [{"name": name, "confidence": FIRST} for name in questions]}


def test_a_narrower_reply_gives_way_to_the_likeliest_question(run: Any) -> None:
    told = {"text": "la réserve à mon âge", "entities": [{"entity": "corps", "value": "reserve", "in": "réserve"}]}
    narrow = run("recrutement_conditions", **told, **nearly("recrutement_stage_reserve/reserve_age"))
    assert "previews" not in narrow.out.marks
    done = run("recrutement_conditions", **told, **likely("recrutement_stage_reserve/reserve_age"))
    assert done.out.marks["previews"] == ["recrutement_stage_reserve/reserve_age"] and done.out.marks["whole"]
    # The trade that is named is the one that is asked about.
    other = run("recrutement_conditions", **told, **likely("recrutement_conditions/age_gardien"))
    assert "previews" not in other.out.marks


def test_the_second_question_is_told_behind_a_sure_answer_but_not_of_two_parts(run: Any) -> None:
    rows = [{"name": "contravention/payer", "confidence": 0.6}, {"name": "contravention/etranger", "confidence": 0.3}]
    done = run("contravention", "je paie comment d'Espagne", questions=rows, previews=True)
    assert done.out.marks["answered"] == "contravention/payer"
    assert (done.out.marks["beside"], done.out.marks["offers"]) == (
        "contravention/etranger",
        ["contravention/etranger"],
    )
    assert "beside" not in run("contravention", "je paie comment d'Espagne", questions=rows).out.marks


def test_who_greets_may_ask_about_us(run: Any) -> None:
    assert "previews" not in run("salutation", "bonsoir à vous", **nearly("salutation/photo")).out.marks
    assert "previews" in run("salutation", "on peut vous envoyer une photo", **likely("salutation/photo")).out.marks


def test_at_the_second_miss_an_agent_comes_whatever_is_near(run: Any) -> None:
    done = run("nlu_fallback", "faut payer ou pas", slots={"incompris": 1}, **likely("contravention/payer"))
    assert done.out.responses == ["utter_incompris"] and "previews" not in done.out.marks


def test_a_trade_alone_goes_on_from_the_questions_that_were_shown(run: Any) -> None:
    shown = run("recrutement_formation", "la formation", **nearly("recrutement_formation/programme"))
    assert (shown.slots["sujet"], shown.slots["question"]) == ("recrutement_formation", None)
    done = run("nlu_fallback", "gardien de la paix", [{**GUARD, "in": "gardien de la paix"}], shown.slots, **nearly())
    assert done.response == "utter_recrutement_formation_gardien_de_la_paix"


def test_a_town_alone_goes_on_from_the_questions_that_were_shown(run: Any) -> None:
    intent, town = "commissariat_contact_horaires", {"entity": "ville", "value": "Lyon", "in": "Lyon"}
    shown = run(intent, "le commissariat est ouvert", **nearly(f"{intent}/horaires"))
    assert run("nlu_fallback", "à Lyon", [town], shown.slots).response == f"utter_{intent}_ville"


@pytest.mark.parametrize(
    ("intent", "text", "entities", "slots", "response"),
    [
        (
            "recrutement_concours",
            "le concours d'officier",
            [{**TRADE, "in": "officier"}],
            {},
            "recrutement_concours_officier",
        ),
        ("recrutement_conditions", "il y a un âge limite", [], {}, "age"),
        (
            "recrutement_conditions",
            "avec le bac",
            [{"entity": "diplome", "value": "bac", "in": "bac"}],
            {"question": "recrutement_conditions"},
            "diplome_bac",
        ),
        ("plainte_comment", "après mon agression", [], {"infraction": "agression"}, "plainte_personnes"),
        ("perte_vol_documents", "pour mon permis", [], {"document": "permis"}, "perte_vol_documents_circonstance"),
        (
            "commissariat_contact_horaires",
            "celui de Lyon",
            [],
            {"ville": "Lyon"},
            "commissariat_contact_horaires_ville",
        ),
    ],
)
def test_a_reply_for_what_was_told_stays(
    run: Any, intent: str, text: str, entities: list[dict[str, Any]], slots: dict[str, Any], response: str
) -> None:
    done = run(intent, text, entities, slots, **nearly("contravention/payer"))
    assert done.out.responses == [f"utter_{response}"]
    assert "previews" not in done.out.marks


def test_a_narrower_reply_stays(run: Any) -> None:
    done = run("hors_perimetre", "j'ai un nid de frelons dans le jardin", **nearly("hors_perimetre/mairie"))
    assert "previews" not in done.out.marks
    assert "previews" in run("hors_perimetre", "un souci dans le jardin", **nearly("hors_perimetre/mairie")).out.marks


UNSHOWN: dict[str, dict[str, Any]] = {
    "a model of before": {"previews": False},
    "something grave may be meant": {"ranking": [("contravention", 0.7), ("violences_conjugales", 0.2)]},
    "words that nobody knows": {"kind": "inconnu"},
    "a question that the general text answers": nearly("plainte_comment/general", "contravention/payer"),
    "an answer to a question of ours": {"slots": {"question": "contravention"}},
    "a value alone": {"entities": [{"entity": "ville", "value": "Lyon", "in": "amende"}], "text": "une amende"},
}


@pytest.mark.parametrize("case", UNSHOWN)
def test_the_general_text_stays(run: Any, case: str) -> None:
    asked = {"text": "l'amende de mon fils", **nearly("contravention/payer")}
    assert "previews" in run("contravention", **asked).out.marks
    done = run("contravention", **{**asked, **UNSHOWN[case]})
    assert done.response == "utter_contravention"
    assert "previews" not in done.out.marks and done.out.marks["offers"]


def test_where_nothing_is_clear_the_nearest_questions_are_shown_and_the_misses_counted(run: Any) -> None:
    near = nearly("contravention/payer", "armes/vendre")
    done = run("nlu_fallback", "faut payer pour ça ou pas", **near)
    assert done.out.order == ["clarify", "previews", "whole", "utter_clarify_propositions", "offers"]
    assert done.out.marks["previews"] == ["contravention/payer", "armes/vendre"]
    assert done.slots["incompris"] == 1
    again = run("nlu_fallback", "faut payer pour ça ou pas", slots={"incompris": 1}, **near)
    assert again.out.responses == ["utter_incompris"] and "previews" not in again.out.marks


def test_the_nearest_questions_come_before_two_subjects_to_choose_from(run: Any) -> None:
    torn = {"ranking": [("nlu_fallback", 0.4), ("contravention", 0.4), ("armes", 0.3)]}
    assert run("nlu_fallback", "faut payer pour ça ou pas", **torn).response == "utter_clarify_deux"
    done = run("nlu_fallback", "faut payer pour ça ou pas", **nearly("contravention/payer"), **torn)
    assert done.response == "utter_clarify_propositions"


def test_a_statement_keeps_its_reply(run: Any) -> None:
    done = run("hors_perimetre_precision", "j'ai eu une amende hier", **nearly("contravention/payer"))
    assert "previews" not in done.out.marks

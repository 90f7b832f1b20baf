"""Where a message is cut, what is too short to be classified, and what two questions become. Needs no engine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from bot.engine import reading, short
from bot.engine.clauses import clauses, states
from bot.policy.questions import sure as surely


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("comment porter plainte", ["comment porter plainte"]),
        ("Bonjour, comment porter plainte ? Merci d'avance !", ["comment porter plainte ?"]),
        (
            "comment porter plainte et aussi où est le commissariat",
            ["comment porter plainte", "aussi où est le commissariat"],
        ),
        ("c koi les épreuves et sinon ça paie combien", ["c koi les épreuves", "sinon ça paie combien"]),
        ("je dois contester. Autre question : comment voter ?", ["je dois contester.", "comment voter ?"]),
        ("ma carte et mon passeport sont perdus", ["ma carte et mon passeport sont perdus"]),
        ("allez sur service-public.fr et lisez", ["allez sur service-public.fr et lisez"]),
        ("le tarif est de 1.5 euro", ["le tarif est de 1.5 euro"]),
        ("premier message\net pour le concours ?", ["premier message", "et pour le concours ?"]),
        ("le logement des élèves, et la crèche", ["le logement des élèves", "et la crèche"]),
        ("la formation est payée et si on dort là", ["la formation est payée", "et si on dort là"]),
        ("👍", []),
        ("", []),
    ],
)
def test_cuts(text: str, pieces: list[str]) -> None:
    assert [clause.text for clause in clauses(text)] == pieces


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("les tatouages sont-ils autorisés", True),
        ("ai-je droit à un avocat", True),
        ("et y a t il une taille minimum", True),
        ("et si on dort sur place", True),
        ("et on dort sur place", False),
        ("ma carte est perdue", False),
    ],
)
def test_what_asks_by_its_words(text: str, asks: bool) -> None:
    assert [clause.asks for clause in clauses(text)] == [asks]


def test_cutting_is_linear() -> None:
    before = time.process_time()
    for unit in ("et aussi ", "comment ? ", "et ", "a, comment "):
        clauses(unit * (2_000 // len(unit)))
    assert time.process_time() - before < 5


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("75011", "nombre"),
        ("17 !", "nombre"),
        ("😭😭", "emoji"),
        ("…", "emoji"),
        ("👍🏽", "au_revoir"),
        ("❤️", "au_revoir"),
        ("👋", "salutation"),
        ("🖕", "insulte_troll"),
        ("merci", "au_revoir"),
        ("Mercii beaucoup pour votre aide", "au_revoir"),
        ("qsdf wxcvbn", "charabia"),
        ("ffffffff", "charabia"),
        ("zzzz ytrewq mlkjh", "charabia"),
        ("laisse tomber", "abandon"),
        ("non merci", "abandon"),
        ("c'est bon merci", "abandon"),
        ("ptdrrrr", None),
        ("slt bjr", None),
        ("النجدة", None),
        ("помогите", None),
        ("bonjour", None),
        ("bonjour merci de m'aider", None),
        ("merci à la police de Lens", None),
        ("laissez tomber ma plainte contre lui", None),
        ("tant pis pour la plainte, je veux mourir", None),
    ],
)
def test_short_messages(text: str, kind: str | None) -> None:
    assert short.kind(text) == kind


def test_words_that_nobody_knows() -> None:
    def knows(word: str) -> bool:
        return word in ("commissariat", "aidez", "plinte")

    assert short.kind("trifouillis", knows) == "inconnu"
    assert short.kind("à montcuq", knows) == "inconnu"
    assert short.kind("plinte", knows) is None
    assert short.kind("aidez moi blurk", knows) is None
    assert short.kind("blurk qsdf zblurp wxcv", knows) == "charabia"
    assert short.kind("zblurp " * 9, knows) is None, "a long text is never noise"


def test_what_looks_grave_in_unknown_words_stays_grave() -> None:
    """Glued or foreign words may be a cry for help; keys pressed at random are none."""
    danger = {"name": "danger_immediat", "confidence": 0.6}

    def parsed(texts: Sequence[str]) -> list[dict[str, Any]]:
        return [{"text": text, "intent": danger, "intent_ranking": [danger], "entities": []} for text in texts]

    assert reading.read("jveumourire", parsed, lambda word: False).lead["intent"] == danger
    assert reading.read("qsdfgh", parsed, lambda word: False).danger == 0


@pytest.mark.parametrize(
    ("text", "value", "bare"),
    [
        ("pardon je voulais dire volé", "volé", True),
        ("volée", "volée", True),
        ("on m'a volé et il me suit", "volé", False),
        ("je suis perdu", "perdu", False),
    ],
)
def test_a_bare_value_is_no_danger(text: str, value: str, bare: bool) -> None:
    """Whatever the classifier reads into it; what stands around the value must mean nothing."""
    danger = {"name": "danger_immediat", "confidence": 0.6}
    start = text.index(value)
    entity = {"entity": "circonstance", "value": "vole", "start": start, "end": start + len(value)}
    read = reading.read(
        text, lambda texts: [{"text": text, "intent": danger, "intent_ranking": [danger], "entities": [entity]}]
    )
    assert (read.lead["intent"]["name"], read.danger) == (("nlu_fallback", 0) if bare else ("danger_immediat", 0.6))


TITLES = {"contravention": "Amende", "permis_points": "Points du permis", "plainte_comment": "Porter plainte"}


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("la première", "contravention"),
        ("1", "contravention"),
        ("le deuxième svp", "permis_points"),
        ("la seconde option", "permis_points"),
        ("l'amende", "contravention"),
        ("les points", "permis_points"),
        ("Points du permis", "permis_points"),
        ("autre chose", short.NEITHER),
        ("ni l'un ni l'autre", short.NEITHER),
        ("non", short.NEITHER),
        ("les deux", short.BOTH),
        ("comment faire une procuration", None),
        ("oui", None),
        ("il me frappe", None),
    ],
)
def test_a_typed_choice(text: str, chosen: str | None) -> None:
    assert short.picked(text, ["contravention", "permis_points"], TITLES) == chosen


def test_a_word_of_both_is_no_choice() -> None:
    titles = {"plainte_comment": "Porter plainte", "suivi_plainte": "Suivi de ma plainte"}
    assert short.picked("plainte", ["plainte_comment", "suivi_plainte"], titles) is None
    assert short.picked("le suivi", ["plainte_comment", "suivi_plainte"], titles) == "suivi_plainte"


# What a message becomes, with a classifier that says what it is told ---------------------------------------------------

WORDS = {
    "procuration": "procuration",
    "plainte": "plainte_comment",
    "amende": "contravention",
    "concours": "recrutement_concours",
    "frappe": "violences_conjugales",
    "féliciter": "remerciements",
    "insolent": "reclamation_police",
    "couteau": "danger_immediat",
    "bonjour": "salutation",
}


def parse(texts: Sequence[str]) -> list[dict[str, Any]]:
    """The intent of the last word known; the others share what is left."""
    return [_parsed(text) for text in texts]


def _parsed(text: str) -> dict[str, Any]:
    found = [intent for word, intent in WORDS.items() if word in text.lower()]
    if not found:
        weak = {"name": "nlu_fallback", "confidence": 0.4}
        return {"text": text, "intent": weak, "intent_ranking": [weak], "entities": []}
    rows = [{"name": name, "confidence": 0.9 if len(found) == 1 else 0.95 / len(found)} for name in found]
    entities = [{"entity": "ville", "value": "Lyon"}] if "Lyon" in text else []
    return {"text": text, "intent": rows[0], "intent_ranking": rows, "entities": entities}


def asked(text: str) -> tuple[list[str], tuple[str, ...]]:
    """The intents that are answered, and those that are named besides."""
    read = reading.read(text, parse)
    return [part["intent"]["name"] for part in read.parts], read.more


@pytest.mark.parametrize(
    ("text", "parts", "more"),
    [
        ("comment faire une procuration ? et l'amende, je la conteste où ?", ["procuration", "contravention"], ()),
        ("Une amende ? Une procuration ? Le concours ?", ["contravention", "procuration"], ("recrutement_concours",)),
        ("une amende, puis une procuration", ["procuration"], ()),  # one clause: the whole decides
        ("j'ai eu une amende hier. comment faire une procuration ?", ["procuration"], ()),  # the first only tells
        ("comment porter plainte ? et comment porter plainte ?", ["plainte_comment"], ()),
        ("bonjour bonjour ! comment faire une procuration ?", ["procuration"], ()),
        ("comment faire une procuration ? je veux féliciter un agent", ["procuration", "remerciements"], ()),
        ("je veux féliciter un agent. comment payer une amende ?", ["remerciements", "contravention"], ()),
        # Beside a complaint a general text would be in the way: the agent is told.
        ("comment faire une procuration ? un policier insolent m'a contrôlé", ["reclamation_police"], ("procuration",)),
        ("comment faire une procuration ? mon mari me frappe chaque soir", ["violences_conjugales"], ("procuration",)),
        ("comment faire une procuration ? il a un couteau devant moi là", ["danger_immediat"], ("procuration",)),
        ("comment faire une procuration ? un couteau", ["procuration"], ()),  # too short to count against the rest
    ],
)
def test_two_questions(text: str, parts: list[str], more: tuple[str, ...]) -> None:
    assert asked(text) == (parts, more)


def test_the_whole_is_what_a_single_question_is() -> None:
    read = reading.read("j'ai eu une amende hier. comment faire une procuration ?", parse)
    assert read.parts[0]["text"] == "j'ai eu une amende hier. comment faire une procuration ?"


def test_a_grave_doubt_in_the_whole_forbids_two_plain_answers() -> None:
    def doubtful(texts: Sequence[str]) -> list[dict[str, Any]]:
        whole, *rest = parse(texts)
        whole["intent_ranking"] = [*whole["intent_ranking"], {"name": "violences_sexuelles", "confidence": 0.25}]
        return [whole, *rest]

    read = reading.read("comment faire une procuration ? et l'amende, je la conteste où ?", doubtful)
    assert len(read.parts) == 1


def unsure(*rows: tuple[str, float]) -> list[dict[str, Any]]:
    """A parse that no subject surely fits, with these chances."""
    ranking = [{"name": name, "confidence": chance} for name, chance in (("nlu_fallback", 0.3), *rows)]
    return [{"text": "", "intent": ranking[0], "intent_ranking": ranking, "entities": []}]


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([("plainte_comment", 0.5), ("violences_conjugales", 0.3)], "violences_conjugales"),
        ([("plainte_comment", 0.5), ("violences_conjugales", 0.29)], "nlu_fallback"),
        ([("plainte_comment", 0.36), ("contravention", 0.34), ("violences_conjugales", 0.3)], "nlu_fallback"),
        ([("hors_perimetre_precision", 0.49), ("detresse_suicide", 0.37)], "detresse_suicide"),
        ([("plainte_comment", 0.5), ("contravention", 0.4)], "nlu_fallback"),
        ([], "nlu_fallback"),
    ],
)
def test_of_two_subjects_the_grave_one_is_meant(rows: list[tuple[str, float]], named: str) -> None:
    """Whoever is beaten and asks how to file a complaint is not asked which of the two is meant."""
    text = "Mon mari me frappe, comment porter plainte ?"
    read = reading.read(text, lambda texts: [one for _ in texts for one in unsure(*rows)])
    assert read.lead["intent"]["name"] == named
    assert [one["intent"]["name"] for one in read.parts] == [named]


def test_a_sure_question_answers_no_half_of_a_grave_message() -> None:
    (parsed,) = unsure(("plainte_comment", 0.5), ("violences_conjugales", 0.37))
    parsed["questions"] = [{"name": "plainte_comment/pour_proche", "confidence": 0.75}]
    read = reading.read("mon copain me tape dessus je peux porter plainte comment", lambda _texts: [parsed])
    assert read.lead["intent"] == {"name": "violences_conjugales", "confidence": 0.37}
    assert not read.lead["questions"]


def test_danger_of_a_clause_counts_for_the_message() -> None:
    assert reading.read("comment payer une amende ? au secours il a un couteau ici", parse).danger == 0.9
    assert reading.read("comment payer une amende ? et le concours ?", parse).danger == 0


def test_a_danger_that_asks_is_not_read_away_by_what_was_said_before() -> None:
    """« il faut » makes a question of it; joined to the statement before, the model would name the statement's subject."""

    def reads(text: str) -> dict[str, Any]:
        chances = {"perte_vol_documents": 0.95, "danger_immediat": 0.04}
        if text.startswith("Il faut"):
            chances = {"danger_immediat": 0.95, "hors_perimetre": 0.05}
        ranking = [{"name": name, "confidence": chance} for name, chance in chances.items()]
        return {"text": text, "intent": ranking[0], "intent_ranking": ranking, "entities": []}

    read = reading.read(
        "Ma carte grise a été volée hier. Il faut venir vite il me frappe",
        lambda texts: [reads(text) for text in texts],
    )
    assert read.danger == 0.95
    assert read.lead["intent"]["name"] == "danger_immediat"


@pytest.mark.parametrize(
    ("whole", "at", "danger"),
    [
        (0.04, "end", 0.95),
        (0.01, "end", 0.01),
        (0.04, "middle", 0.04),
        (0.2, "middle", 0.95),
    ],
)
def test_a_danger_in_a_clause_that_the_whole_denies_is_none(whole: float, at: str, danger: float) -> None:
    cry, rest = "il est mort devant moi là.", "Je voudrais savoir comment payer mon amende."
    text = f"{rest} {cry}" if at == "end" else f"{cry} {rest}"

    def reads(said: str) -> dict[str, Any]:
        chance = whole if said == text else 0.95 if said.startswith("il est mort") else 0.0
        rows = sorted(
            [{"name": "danger_immediat", "confidence": chance}, {"name": "contravention", "confidence": 1 - chance}],
            key=lambda row: -row["confidence"],  # type: ignore[operator]
        )
        return {"text": said, "intent": rows[0], "intent_ranking": rows, "entities": []}

    assert reading.read(text, lambda texts: [reads(said) for said in texts]).danger == danger


def test_the_lead_is_the_hand_off() -> None:
    read = reading.read("comment faire une procuration ? je veux féliciter un agent", parse)
    assert read.lead["intent"]["name"] == "remerciements"


def test_a_town_said_once_holds_for_both() -> None:
    read = reading.read("comment faire une procuration ? et comment payer une amende à Lyon ?", parse)
    assert [[entity["value"] for entity in part["entities"]] for part in read.parts] == [["Lyon"], ["Lyon"]]


# Two questions of one intent: the catalogue tells them apart -----------------------------------------------------------

QUESTIONS = {
    "en ligne": "procuration/en_ligne",
    "à l'étranger": "procuration/etranger",
    "payer": "contravention/payer",
    "points": "contravention/points",
}


def parse_questions(texts: Sequence[str]) -> list[dict[str, Any]]:
    """As `parse`, and the questions whose words are said: sure where there is but one."""
    return [{**_parsed(text), "questions": _questions(text)} for text in texts]


def _questions(text: str) -> list[dict[str, Any]]:
    found = [name for words, name in QUESTIONS.items() if words in text]
    return [{"name": name, "confidence": 0.9 if len(found) == 1 else 0.3} for name in found]


@pytest.mark.parametrize(
    ("text", "parts", "more"),
    [
        (
            "comment faire une procuration en ligne ? et la procuration, à l'étranger ?",
            [("procuration", "procuration/en_ligne"), ("procuration", "procuration/etranger")],
            (),
        ),
        (
            "comment payer une amende ? et cette amende, elle coûte des points ?",
            [("contravention", "contravention/payer"), ("contravention", "contravention/points")],
            (),
        ),
        (  # the same question twice is one
            "une procuration en ligne ? la procuration, comment la faire en ligne ?",
            [("procuration", "procuration/en_ligne")],
            (),
        ),
        (  # of one intent, and one of them no question of the catalogue
            "comment payer une amende ? et l'amende, je la conteste où ?",
            [("contravention", "contravention/payer")],
            (),
        ),
        (
            "l'amende, je la conteste où ? et comment payer une amende ?",
            [("contravention", "contravention/payer")],
            (),
        ),
        (  # a third is named besides
            "une procuration en ligne ? une procuration à l'étranger ? comment payer une amende ?",
            [("procuration", "procuration/en_ligne"), ("procuration", "procuration/etranger")],
            ("contravention",),
        ),
        (  # what the catalogue surely answers stands beside a complaint
            "une procuration en ligne ? un policier insolent m'a contrôlé",
            [("procuration", "procuration/en_ligne"), ("reclamation_police", None)],
            (),
        ),
        (
            "une procuration en ligne ? une procuration à l'étranger ? mon mari me frappe chaque soir",
            [("violences_conjugales", None)],
            ("procuration",),  # named once
        ),
    ],
)
def test_two_questions_of_one_intent(text: str, parts: list[tuple[str, str | None]], more: tuple[str, ...]) -> None:
    read = reading.read(text, parse_questions)
    assert ([(part["intent"]["name"], surely(part.get("questions"))) for part in read.parts], read.more) == (
        parts,
        more,
    )


NEXT = {"procuration/faire": "Comment faire une procuration ?"}


@pytest.mark.parametrize(
    ("alone", "both", "read"),
    [
        (("procuration/duree", 0.5), [("procuration/duree", 0.9)], ["procuration/faire", "procuration/duree"]),
        (
            ("", 0.0),
            [("procuration/faire", 0.7), ("procuration/duree", 0.65)],
            ["procuration/faire", "procuration/duree"],
        ),
        (("", 0.0), [("procuration/faire", 0.9), ("procuration/duree", 0.2)], ["procuration/faire"]),
        (("concours/dates", 0.9), [("procuration/faire", 0.9)], ["procuration/faire", "concours/dates"]),
    ],
)
def test_a_few_words_behind_a_question_are_read_with_it(
    alone: tuple[str, float], both: list[tuple[str, float]], read: list[str]
) -> None:
    def parsed(texts: Sequence[str]) -> list[dict[str, Any]]:
        return [one(text) for text in texts]

    def one(text: str) -> dict[str, Any]:
        if text.startswith(NEXT["procuration/faire"]):
            asked = both
        else:
            asked = [alone] if text.startswith("et") else [("procuration/faire", 0.9)]
        rows = [{"name": "procuration", "confidence": 0.9}]
        questions = [{"name": name, "confidence": chance} for name, chance in asked if name]
        return {"text": text, "intent": rows[0], "intent_ranking": rows, "entities": [], "questions": questions}

    found = reading.read("Comment donner procuration ? et ça dure combien", parsed, titles=NEXT)
    assert [surely(part["questions"]) for part in found.parts] == read


@pytest.mark.parametrize(
    ("intent", "chance", "grave", "read"),
    [
        ("contravention", reading.SURE - 0.1, 0.0, ["procuration/faire", "contravention/payer"]),  # its question tells
        ("contravention", reading.SURE - 0.1, reading.DOUBT, ["procuration/faire"]),  # it may be grave
        ("hors_perimetre", 0.9, 0.0, ["procuration/faire"]),  # small talk is no second question
    ],
)
def test_a_clause_that_surely_asks_a_question_counts_whatever_its_intent(
    intent: str, chance: float, grave: float, read: list[str]
) -> None:
    def parsed(texts: Sequence[str]) -> list[dict[str, Any]]:
        return [one(text) for text in texts]

    def one(text: str) -> dict[str, Any]:
        second = text.startswith("et")
        rows = [{"name": intent if second else "procuration", "confidence": chance if second else 0.9}]
        rows += [{"name": "violences_conjugales", "confidence": grave}] if second and grave else []
        name = "contravention/payer" if second else "procuration/faire"
        questions = [{"name": name, "confidence": 0.9}]
        return {"text": text, "intent": rows[0], "intent_ranking": rows, "entities": [], "questions": questions}

    found = reading.read("Comment donner procuration ? et comment la payer", parsed)
    assert [surely(part["questions"]) for part in found.parts] == read


def test_where_one_clause_alone_would_be_answered_the_whole_says_what_is_asked() -> None:
    def parsed(texts: Sequence[str]) -> list[dict[str, Any]]:
        return [one(text) for text in texts]

    def one(text: str) -> dict[str, Any]:
        rows = [{"name": "contravention" if text == "et l'amende ?" else "procuration", "confidence": 0.9}]
        name = "procuration/faire" if text == "comment faire une procuration ?" else "procuration/amende"
        questions = [] if text == "et l'amende ?" else [{"name": name, "confidence": 0.9}]
        return {"text": text, "intent": rows[0], "intent_ranking": rows, "entities": [], "questions": questions}

    found = reading.read("comment faire une procuration ? et l'amende ?", parsed)
    assert [surely(part["questions"]) for part in found.parts] == ["procuration/amende"]


@pytest.mark.parametrize(("grave", "read_again"), [(reading.DOUBT, False), (reading.DOUBT - 0.01, True)])
def test_a_few_words_that_may_be_grave_keep_their_own_meaning(grave: float, read_again: bool) -> None:
    asked: list[str] = []

    def parsed(texts: Sequence[str]) -> list[dict[str, Any]]:
        asked.extend(texts)
        return [one(text) for text in texts]

    def one(text: str) -> dict[str, Any]:
        rows = [{"name": "procuration", "confidence": 0.6}]
        rows += [{"name": "violences_conjugales", "confidence": grave}] if text.startswith("et") else []
        questions = [] if text.startswith("et") else [{"name": "procuration/faire", "confidence": 0.9}]
        return {"text": text, "intent": rows[0], "intent_ranking": rows, "entities": [], "questions": questions}

    reading.read("Comment donner procuration ? et il m'en empêche comment ?", parsed, titles=NEXT)
    assert any(text.startswith(NEXT["procuration/faire"]) for text in asked) is read_again


def test_a_grave_clause_is_heard_whatever_question_it_shares() -> None:
    def parsed(texts: Sequence[str]) -> list[dict[str, Any]]:
        return [one(text) for text in texts]

    def one(text: str) -> dict[str, Any]:
        rows = [
            {"name": "violences_conjugales" if text.startswith("mon mari") else "plainte_comment", "confidence": 0.9}
        ]
        questions = [{"name": "plainte_comment/violences", "confidence": 0.9}]
        return {"text": text, "intent": rows[0], "intent_ranking": rows, "entities": [], "questions": questions}

    found = reading.read("Comment porter plainte pour coups ? mon mari me frappe encore chaque soir", parsed)
    assert found.lead["intent"]["name"] == "violences_conjugales"


GRATIS = "est-ce vraiment tout à fait gratuit"  # enough words to be grave by themselves


def test_what_is_grave_in_our_own_title_is_not_said_by_the_message() -> None:
    title = "Comment quitter un conjoint violent ?"

    def parsed(texts: Sequence[str]) -> list[dict[str, Any]]:
        return [one(text) for text in texts]

    def one(text: str) -> dict[str, Any]:
        name = "violences_conjugales" if text.startswith(title) else "autre_procedure"
        rows = [{"name": name, "confidence": 0.9}]
        questions = [] if text == GRATIS else [{"name": "autre_procedure/partir", "confidence": 0.9}]
        return {"text": text, "intent": rows[0], "intent_ranking": rows, "entities": [], "questions": questions}

    found = reading.read(f"Comment partir loin ? {GRATIS}", parsed, titles={"autre_procedure/partir": title})
    assert [part["intent"]["name"] for part in found.parts] == ["autre_procedure"]


@pytest.mark.parametrize(
    ("behind", "read"),
    [
        ("et l'amende, je la conteste où et comment ?", ["procuration/faire", None]),
        ("et l'amende ?", ["procuration/faire"]),
    ],
)
def test_a_few_words_behind_a_question_get_no_general_text(behind: str, read: list[str | None]) -> None:
    def parsed(texts: Sequence[str]) -> list[dict[str, Any]]:
        rows = [{"name": "procuration/faire", "confidence": 0.9}]
        return [{**_parsed(text), "questions": rows if "procuration" in text else []} for text in texts]

    found = reading.read(f"comment faire une procuration ? {behind}", parsed)
    assert [surely(part["questions"]) for part in found.parts] == read


def test_a_question_that_only_a_clause_tells_is_that_of_the_whole() -> None:
    """The whole, with its own intent and words, and the question of its clause."""
    text = "j'ai eu une amende hier. comment payer cette amende ?"

    def reads(texts: Sequence[str]) -> list[dict[str, Any]]:
        found = parse_questions(texts)
        return [{**one, "questions": []} if one["text"] == text else one for one in found]

    (part,) = reading.read(text, reads).parts
    assert (part["text"], part["intent"]["name"]) == (text, "contravention")
    assert surely(part["questions"]) == "contravention/payer"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("je suis fleuriste à mon compte", True),
        ("quand j'étais jeune je faisais de l'escrime", True),
        ("faut que j'y aille", True),
        ("où en est ma plainte", False),
        ("j'ai besoin d'un rendez-vous", False),
        ("comment porter plainte", False),
        ("bonjour, je voudrais porter plainte", False),
        ("c'est loin ?", False),
        ("👍", False),
    ],
)
def test_what_asks_nothing_by_its_words(text: str, expected: bool) -> None:
    assert states(text) is expected


WEAK = {"name": "nlu_fallback", "confidence": 0.3}


def weakly(*rows: tuple[str, float]) -> reading.Parsed:
    """A message that no subject surely fits."""
    ranking = [{"name": name, "confidence": chance} for name, chance in rows]
    return {"intent": WEAK, "intent_ranking": [WEAK, *ranking], "entities": [], "text": ""}


@pytest.mark.parametrize(
    ("text", "rows", "expected"),
    [
        ("ma sœur est en CP", [("procuration", 0.25), ("armes", 0.2)], True),
        ("ma sœur est en CP", [("procuration", 0.5), ("hors_perimetre_precision", 0.2)], True),
        ("ma sœur est en CP", [("procuration", 0.4), ("armes", 0.35)], False),  # two subjects to choose from
        ("ma sœur est en CP ?", [("procuration", 0.25), ("armes", 0.2)], False),
        ("il est devant", [("danger_immediat", 0.15), ("violences_conjugales", 0.1)], False),
    ],
)
def test_a_statement_that_no_subject_fits_is_one(text: str, rows: list[tuple[str, float]], expected: bool) -> None:
    found = reading.read(text, lambda texts: [weakly(*rows) for _ in texts])
    assert (found.lead["intent"]["name"] == "hors_perimetre_precision") is expected
    if expected:
        chance = dict(rows).get("hors_perimetre_precision", 0.0)
        assert found.lead["intent_ranking"][0] == {"name": "hors_perimetre_precision", "confidence": chance}


@pytest.mark.parametrize(
    ("named", "chance", "asked", "read"),
    [
        ("nlu_fallback", 0.3, 0.7, "contravention"),
        ("parler_humain", 0.6, 0.7, "contravention"),
        ("parler_humain", 0.97, 0.98, "parler_humain"),  # surely a request for a human
        ("remerciements", 0.4, 0.7, "contravention"),  # hardly any thanks
        ("remerciements", 0.6, 0.98, "remerciements"),
        ("parler_humain", 0.6, 0.4, "parler_humain"),
        ("reclamation_police", 0.5, 0.9, "reclamation_police"),  # an agent reads a complaint whatever it asks besides
        ("violences_conjugales", 0.45, 0.9, "contravention"),  # a weak guess
        ("violences_conjugales", 0.5, 0.9, "violences_conjugales"),
    ],
)
def test_a_sure_question_says_what_a_message_is_about_where_its_intent_does_not(
    named: str, chance: float, asked: float, read: str
) -> None:
    row = {"name": named, "confidence": chance}
    told = {"text": "x", "intent": row, "intent_ranking": [row], "entities": []}
    found = reading.by_question({**told, "questions": [{"name": "contravention/payer", "confidence": asked}]})
    assert found["intent"]["name"] == read


@pytest.mark.parametrize(("told", "read"), [(0.24, "reclamation_delai"), (0.26, "nlu_fallback")])
def test_a_complaint_that_is_as_likely_as_a_statement_is_one(told: float, read: str) -> None:
    rows = [("nlu_fallback", 0.3), ("hors_perimetre_precision", told), ("reclamation_delai", 0.2)]
    ranking = [{"name": name, "confidence": chance} for name, chance in rows]
    found = reading.grave_of_two({"text": "x", "intent": ranking[0], "intent_ranking": ranking, "entities": []})
    assert found["intent"]["name"] == read


@pytest.mark.parametrize(("grave", "read"), [(0.0, "salutation"), (0.2, "parler_humain")])
def test_who_asks_whether_a_machine_answers_is_told_so_however_it_resembles_a_request_for_an_agent(
    grave: float, read: str
) -> None:
    rows = [
        {"name": "parler_humain", "confidence": 0.95 - grave},
        {"name": "violences_conjugales", "confidence": grave},
    ]
    told = {"text": "x", "intent": rows[0], "intent_ranking": rows, "entities": []}
    found = reading.by_question({**told, "questions": [{"name": reading.ROBOT, "confidence": 0.9}]})
    assert found["intent"]["name"] == read


@pytest.mark.parametrize("question", ["plainte_comment/violences", "main_courante/depart_domicile"])
@pytest.mark.parametrize("named", ["violences_conjugales", "nlu_fallback"])
def test_what_may_be_grave_gives_way_to_no_subject_of_victims(named: str, question: str) -> None:
    rows = [{"name": named, "confidence": 0.3}, {"name": "violences_conjugales", "confidence": 0.25}]
    told = {"text": "x", "intent": rows[0], "intent_ranking": rows, "entities": []}
    found = reading.by_question({**told, "questions": [{"name": question, "confidence": 0.9}]})
    assert found["intent"]["name"] == named


@pytest.mark.parametrize(("grave", "read"), [(0.05, "salutation"), (0.2, "nlu_fallback")])
def test_what_is_told_in_half_words_is_not_taken_for_small_talk(grave: float, read: str) -> None:
    rows = [{"name": "nlu_fallback", "confidence": 0.3}, {"name": "detresse_suicide", "confidence": grave}]
    told = {"text": "x", "intent": rows[0], "intent_ranking": rows, "entities": []}
    found = reading.by_question({**told, "questions": [{"name": "salutation/blague", "confidence": 0.9}]})
    assert found["intent"]["name"] == read


@pytest.mark.parametrize(("grave", "read"), [(0.3, "contravention"), (0.55, "nlu_fallback")])
def test_what_is_likely_grave_is_not_taken_for_a_question(grave: float, read: str) -> None:
    rows = [{"name": "nlu_fallback", "confidence": 0.3}, {"name": "violences_conjugales", "confidence": grave}]
    told = {"text": "x", "intent": rows[0], "intent_ranking": rows, "entities": []}
    found = reading.by_question({**told, "questions": [{"name": "contravention/payer", "confidence": 0.9}]})
    assert found["intent"]["name"] == read
    assert {"name": "violences_conjugales", "confidence": grave} in found["intent_ranking"]

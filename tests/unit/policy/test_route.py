"""What is said and done about an understood message: by day, at night, without words, in another language."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.dialogue import HandoffRequest, QuickReply, Reply, Turn, Understanding
from bot.core.messages import Attachment
from bot.policy import route
from bot.policy.intents import PRIORITY, STATEMENT, policy_of
from bot.policy.lexicon import Kind
from bot.policy.route import Situation

TEXTS = {
    name: f"<{name}>"
    for name in (
        *(
            f"utter_media_{m}"
            for m in (
                "image",
                "images",
                "ephemere",
                "vocal",
                "video",
                "fichier",
                "lieu",
                "sticker",
                "coeur",
                "story",
                "partage",
                "autre",
            )
        ),
        *(
            f"utter_nuit{n}"
            for n in ("", "_grave", "_violences", "_sexuelles", "_disparition", "_cyber", "_detresse", "_transmis")
        ),
        "utter_doute",
        "utter_doute_suite",
        "utter_parler_humain",
        "utter_parler_humain_dit",
        "utter_autre_langue",
        "utter_langue_suite",
        "utter_anglais_bonjour",
        "utter_anglais_merci",
        "utter_anglais_papiers",
    )
} | {
    "utter_langue_en": "In danger, call 17 or 112, or text 114.",
    "utter_langue_zh": "请拨打17或112，或114。",
    "utter_assistant": "Je suis un assistant automatique.",
    "utter_filet": "En danger : 17 ou 114.",
    "utter_attente_heure": "Dès {heure}.",
    "utter_attente_minutes": "Environ {minutes} minutes.",
}
KNOWN = Situation(introduced=True)


LINE = TEXTS["utter_filet"]


def turn(
    intent: str,
    *replies: str,
    clarify: bool = False,
    french: bool = True,
    confidence: float = 0.9,
    danger: float = 0.0,
    grave: float = 0.0,
) -> Turn:
    policy = policy_of(intent)
    ranking = ((intent, confidence), ("violences_conjugales", grave)) if grave else ()
    handoff = HandoffRequest(policy.category, policy.priority, intent) if policy.route == "handoff" else None
    return Turn(
        Understanding(intent, confidence, ranking, danger=danger, french=french),
        tuple(Reply(r) for r in replies),
        handoff if not clarify else None,
        clarify,
    )


def said(outcome: route.Outcome) -> list[str]:
    return [r.text for r in outcome.replies]


def test_an_answer_is_introduced_once() -> None:
    first = route.by_day(turn("procuration", "A", "B"), Situation(), TEXTS)
    assert said(first) == ["Je suis un assistant automatique. A", "B"]
    assert (first.route, first.category, first.priority, first.disposition) == ("answer", "none", 9, "answered")
    assert said(route.by_day(turn("procuration", "A"), KNOWN, TEXTS)) == ["A"]
    itself = route.by_day(turn("salutation", "Je suis un assistant automatique, bonjour."), Situation(), TEXTS)
    assert said(itself) == ["Je suis un assistant automatique, bonjour."]


def test_a_question_to_the_person_carries_the_second_net() -> None:
    for trace in ({"danger": route.NET_TRACE}, {"grave": route.NET_TRACE}):
        outcome = route.by_day(turn("procuration", "Précisez.", clarify=True, **trace), KNOWN, TEXTS)
        assert said(outcome) == ["Précisez.\n\nEn danger : 17 ou 114."]
        assert (outcome.route, outcome.priority) == ("clarify", 9)
    assert said(route.by_day(turn("procuration", "Précisez.", clarify=True), KNOWN, TEXTS)) == ["Précisez."]


BUTTONS = (QuickReply("Carabine", "/armes/carabine"), QuickReply("Sujets", '/salutation{"theme": "autre"}'))


@pytest.mark.parametrize("intent", ["procuration", STATEMENT])
@pytest.mark.parametrize("sign", [{"danger": route.NET_DANGER}, {"grave": route.NET_DANGER}, {}])
def test_where_nothing_was_understood_and_a_danger_is_possible_the_numbers_come_first(
    intent: str, sign: dict[str, float]
) -> None:
    heard = turn(intent, clarify=intent != STATEMENT, confidence=0.4, **sign)
    heard = replace(heard, replies=(Reply("Bien reçu."), Reply("Que voulez-vous ?", BUTTONS)))
    faint = replace(KNOWN, faint=not sign)
    outcome = route.by_day(heard, faint, TEXTS)
    assert said(outcome) == [f"<utter_doute>\n\n{LINE}\n\n<utter_doute_suite>"]
    assert outcome.replies[0].quick_replies == BUTTONS[1:]
    for chance, shown in ((route.NET_NEAR, BUTTONS), (route.NET_NEAR - 0.001, BUTTONS[1:])):
        near = replace(heard.understanding, questions=(("armes/carabine", chance),))
        told = route.by_day(replace(heard, understanding=near), faint, TEXTS)
        assert told.replies[0].quick_replies == shown
    listening = route.by_day(
        heard, replace(faint, listens=True, introduced=False), {**TEXTS, "utter_nuit_detresse": "3114"}
    )
    assert said(listening) == [
        f"Je suis un assistant automatique. <utter_doute>\n\n{LINE}\n\n3114\n\n<utter_doute_suite>"
    ]
    if intent == STATEMENT:  # said to whom waits for an agent, or asked us nothing but answered
        for at_ease in ({"handoff_open": True}, {"answers": True}):
            assert said(route.by_day(heard, replace(faint, **at_ease), TEXTS))[0] == "Bien reçu."
    before = {name: text for name, text in TEXTS.items() if name != "utter_doute"}
    assert said(route.by_day(heard, faint, before))[0] == "Bien reçu."  # models of before have no such text


def test_answers_that_may_be_meant_stay_behind_the_numbers_unless_somebody_may_be_in_fear() -> None:
    texts = {**TEXTS, "utter_question_proches": "Au plus près :"}
    shown = (Reply("Au plus près : une réponse."), Reply("Ou une autre.", BUTTONS))
    calm = replace(turn("procuration", clarify=True, confidence=0.4, grave=route.NET_DANGER), replies=shown)
    told = route.by_day(calm, replace(KNOWN, introduced=False), texts)
    assert said(told) == [f"Je suis un assistant automatique. {LINE}\n\nAu plus près : une réponse.", "Ou une autre."]
    assert told.replies[1].quick_replies == BUTTONS
    asks = [f"<utter_doute>\n\n{LINE}\n\n<utter_doute_suite>"]
    assert said(route.by_day(calm, replace(KNOWN, faint=True), texts)) == asks
    for clarify in (True, False):
        fears = replace(turn("procuration", clarify=clarify, confidence=0.4, danger=route.SHOWN_DANGER), replies=shown)
        assert said(route.by_day(fears, KNOWN, texts)) == asks


def test_the_net_is_not_mistaken_for_another_number() -> None:
    outcome = route.by_day(
        turn("procuration", "17Cyber, en 2017, 0 114 5", clarify=True, danger=route.NET_TRACE), KNOWN, TEXTS
    )
    assert said(outcome)[0].endswith("En danger : 17 ou 114.")


@pytest.mark.parametrize("intent", ["procuration", "remerciements", "au_revoir", "salutation", "insulte_troll"])
@pytest.mark.parametrize(
    ("confidence", "danger", "due"),
    [
        (0.99, 0.0, False),
        (route.NET_CONFIDENCE, route.NET_DANGER - 0.001, False),
        (route.NET_CONFIDENCE - 0.001, route.NET_TRACE - 0.001, False),
        (route.NET_CONFIDENCE - 0.001, route.NET_TRACE, True),
        (0.40, 0.05, True),
        (0.99, route.NET_DANGER, True),
        (0.65, 0.29, True),
    ],
)
def test_where_a_danger_is_possible_the_reply_carries_the_net_the_sooner_the_less_was_understood(
    intent: str, confidence: float, danger: float, due: bool
) -> None:
    outcome = route.by_day(turn(intent, "A", confidence=confidence, danger=danger), KNOWN, TEXTS)
    assert said(outcome) == ([f"A\n\n{LINE}"] if due else ["A"])
    assert outcome.route == policy_of(intent).route


@pytest.mark.parametrize(
    ("chance", "danger", "due"),
    [
        (route.NET_NEAR, route.NET_DANGER - 0.001, False),
        (route.NET_NEAR, route.NET_DANGER, True),
        (route.NET_NEAR - 0.001, route.NET_TRACE, True),
    ],
)
def test_a_message_near_a_question_of_the_catalogue_carries_the_net_where_more_than_a_trace_is_seen(
    chance: float, danger: float, due: bool
) -> None:
    near = turn("procuration", "A", confidence=0.4, danger=danger)
    understood = replace(near.understanding, questions=(("procuration/delai", chance),))
    outcome = route.by_day(replace(near, understanding=understood), KNOWN, TEXTS)
    assert said(outcome) == ([f"A\n\n{LINE}"] if due else ["A"])


def test_the_net_is_the_end_of_the_last_of_two_answers_and_is_never_said_twice() -> None:
    unsure = route.by_day(turn("procuration", "A", "B", confidence=0.5, danger=route.NET_TRACE), KNOWN, TEXTS)
    assert said(unsure) == ["A", f"B\n\n{LINE}"]
    with_numbers = route.by_day(
        turn("procuration", "Le 17.", "Ou le 114.", confidence=0.5, danger=route.NET_TRACE), KNOWN, TEXTS
    )
    assert said(with_numbers) == ["Le 17.", "Ou le 114."]
    assert (
        said(route.by_day(turn("insulte_troll", confidence=0.5, danger=route.NET_TRACE), KNOWN, TEXTS)) == []
    )  # silent on purpose


def test_a_value_that_we_asked_for_carries_the_net_only_with_a_trace_of_danger() -> None:
    asked = replace(KNOWN, answers=True)
    town = turn("commissariat_contact_horaires", "A", confidence=0.2, danger=route.NET_TRACE)
    assert said(route.by_day(town, asked, TEXTS)) == ["A"]
    assert said(route.by_day(town, KNOWN, TEXTS)) == [f"A\n\n{LINE}"]
    traced = turn("commissariat_contact_horaires", "A", confidence=0.2, danger=0.1)
    assert said(route.by_day(traced, asked, TEXTS)) == [f"A\n\n{LINE}"]


def test_politeness_in_another_language_that_is_not_sure_is_read_by_an_agent() -> None:
    for doubtful in (
        turn("au_revoir", "Salut", french=False, danger=0.1),
        turn("au_revoir", "Salut", french=False, confidence=0.4),
    ):
        outcome = route.by_day(doubtful, ENGLISH, TEXTS)
        assert said(outcome) == ["<utter_autre_langue>\n\nIn danger, call 17 or 112, or text 114."]
        assert outcome.handoff and outcome.handoff.reason == "autre_langue"
        at_night = route.at_night(outcome, False, TEXTS, "en")
        assert at_night.handoff and at_night.disposition == "handed_off"


@pytest.mark.parametrize(
    ("text", "gives"),
    [("le 17 ou le 114", True), ("17", False), ("17Cyber, 114", False), ("en 2017, le 114", False)],
)
def test_both_numbers_must_be_given(text: str, gives: bool) -> None:
    assert route.gives_numbers(text) is gives


def test_a_weak_guess_of_danger_is_a_question() -> None:
    outcome = route.by_day(turn("danger_immediat", "17 et 114"), KNOWN, TEXTS)
    assert (outcome.route, said(outcome)) == ("clarify", ["17 et 114"])


def test_a_hand_off_is_one_message_with_wait_and_net() -> None:
    situation = Situation(introduced=True, wait="Environ 5 minutes.")
    outcome = route.by_day(turn("disparition", "A", "B"), situation, TEXTS)
    assert said(outcome) == ["A\n\nB\n\nEnviron 5 minutes.\n\nEn danger : 17 ou 114."]
    assert (outcome.route, outcome.category, outcome.priority) == ("handoff", "urgent", 1)
    again = route.by_day(turn("disparition", "A"), Situation(True, True, "Environ 5 minutes."), TEXTS)
    assert "minutes" not in said(again)[0]
    thanks = route.by_day(turn("remerciements", "Merci"), situation, TEXTS)
    assert said(thanks) == ["Merci"]  # nobody is to answer: no wait is told


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (
            Turn(Understanding("procuration", 0.9), (Reply("Au tribunal."),), question="procuration/ou"),
            "Au tribunal.\n\n<utter_parler_humain_dit>",
        ),
        (
            Turn(Understanding("procuration", 0.9), (Reply("Peut-être :"),), question="procuration/ou", supposed=True),
            "<utter_parler_humain>",
        ),
        (
            Turn(Understanding("salutation", 0.9), (Reply("Écrivez-le."),), question="salutation/parler_agent"),
            "<utter_parler_humain>",
        ),
        (Turn(Understanding(STATEMENT, 0.9), (Reply("Oui ?"),)), "<utter_parler_humain>"),
        (Turn(Understanding("procuration", 0.2), (Reply("Pardon ?"),), clarify=True), "<utter_parler_humain>"),
        (Turn(Understanding("danger_immediat", 0.2), (Reply("Pardon ?"),)), "<utter_parler_humain>"),
    ],
)
def test_who_asks_for_a_human_beside_something_else_gets_one_and_the_answer(turn: Turn, said: str) -> None:
    outcome = route.by_day(turn, replace(KNOWN, wants_human=True), TEXTS)
    assert outcome.handoff == HandoffRequest("request", PRIORITY["request"], "parler_humain")
    assert (outcome.route, outcome.disposition) == ("handoff", "handed_off")
    assert outcome.replies[0].text.startswith(said)
    waits = route.by_day(turn, replace(KNOWN, wants_human=True, handoff_open=True), TEXTS)
    assert waits.handoff is None  # the request is on its way already


def test_a_request_for_a_human_takes_nothing_from_what_is_graver_nor_from_what_is_asked_about_us() -> None:
    grave = HandoffRequest("sensitive", PRIORITY["sensitive"], "violences_conjugales")
    turn = Turn(Understanding("violences_conjugales", 0.9), (Reply("17, 114."),), grave)
    assert route.by_day(turn, replace(KNOWN, wants_human=True), TEXTS).handoff == grave
    turn = Turn(Understanding("salutation", 0.9), (Reply("Bonjour."),))
    asked = route.by_day(turn, replace(KNOWN, wants_human=True, facts="utter_doute"), TEXTS)
    assert asked.handoff is not None and asked.handoff.reason == "parler_humain"
    assert asked.replies[0].text.startswith(TEXTS["utter_doute"])


def test_quick_replies_survive_the_merge() -> None:
    buttons = (QuickReply("Oui", "/oui"),)
    assert route.merged([Reply("A", buttons), Reply("B")]) == (Reply("A\n\nB", buttons),)
    assert route.merged([Reply("A")]) == (Reply("A"),)
    assert route.with_lines((), "x") == ()
    assert route.introduce((), TEXTS) == ()


ENGLISH = Situation(introduced=True, spoken="en")


def test_another_language_gets_both_and_an_agent() -> None:
    outcome = route.by_day(turn("contravention", "A", french=False), Situation(spoken="en"), TEXTS)
    assert said(outcome) == [
        "Je suis un assistant automatique. <utter_autre_langue>\n\nIn danger, call 17 or 112, or text 114."
    ]
    assert outcome.handoff and (outcome.handoff.reason, outcome.category) == ("autre_langue", "request")
    assert said(route.by_day(turn("armes", "A", french=False), ENGLISH, TEXTS))[0].startswith("<utter_autre_langue>")


def test_facts_come_before_the_agent_and_are_not_followed_by_the_same_again() -> None:
    asked = replace(ENGLISH, facts="utter_anglais_papiers")
    first = route.by_day(turn("perte_vol_documents", "A", french=False), asked, TEXTS)
    assert said(first)[0].startswith("<utter_autre_langue>\n\n<utter_anglais_papiers>\n\nIn danger")
    again = route.by_day(turn("armes", "A", french=False), replace(ENGLISH, handoff_open=True), TEXTS)
    assert said(again) == ["<utter_langue_suite>\n\nEn danger : 17 ou 114."]
    facts = route.by_day(turn("armes", "A", french=False), replace(asked, handoff_open=True), TEXTS)
    assert said(facts)[0].startswith("<utter_anglais_papiers>")


def test_what_was_understood_in_another_language_keeps_its_category() -> None:
    complaint = route.by_day(turn("reclamation_police", "A", french=False), ENGLISH, TEXTS)
    assert complaint.category == "complaint"
    assert said(complaint)[0].startswith("<utter_autre_langue>")
    grave = route.by_day(turn("violences_conjugales", "3919", french=False), ENGLISH, TEXTS)
    assert said(grave) == ["3919\n\nEn danger : 17 ou 114.\n\nIn danger, call 17 or 112, or text 114."]
    assert grave.category == "sensitive"


def test_politeness_in_another_language() -> None:
    hello = route.by_day(turn("salutation", "Bonjour", french=False), ENGLISH, TEXTS)
    assert (hello.route, said(hello)) == ("answer", ["Bonjour\n\n<utter_anglais_bonjour>"])
    thanks = route.by_day(turn("remerciements", "Merci", french=False), ENGLISH, TEXTS)
    assert said(thanks) == ["Merci\n\n<utter_anglais_merci>"]
    assert said(route.by_day(turn("au_revoir", "Salut", french=False), ENGLISH, TEXTS)) == ["Salut"]


def test_the_net_is_seen_between_letters_of_other_scripts() -> None:
    outcome = route.by_day(turn("armes", "A", french=False), replace(ENGLISH, spoken="zh"), TEXTS)
    assert said(outcome) == ["<utter_autre_langue>\n\n请拨打17或112，或114。"]


def test_the_language_of_the_words() -> None:
    foreign = Understanding("armes", 0.9, french=False)
    assert route.spoken(None, "i lost my passport") == "fr"
    assert route.spoken(Understanding("armes", 0.9), "i lost my passport") == "fr"
    assert route.spoken(foreign, "he perdido mi pasaporte") == "es"
    assert route.spoken(foreign, "waar is het politiebureau") == "en"
    assert route.spoken(foreign, "bonjour") == "en"


def test_a_thumb_is_a_sticker() -> None:
    assert "sticker" in said(route.media([Attachment("image", sticker_id="369239263222822")], Situation(), TEXTS))[0]


@pytest.mark.parametrize("kind", ["sticker", "like_heart"])
def test_a_heart_gets_a_light_word_once(kind: str) -> None:
    first = route.media([Attachment(kind)], Situation(wait="Dès 6 h."), TEXTS)
    assert said(first)[0].startswith("Je suis un assistant automatique. <utter_media_")
    assert "114" not in said(first)[0]
    assert "Dès" not in said(first)[0]
    for situation in (KNOWN, Situation(handoff_open=True)):
        quiet = route.media([Attachment(kind)], situation, TEXTS)
        assert (said(quiet), quiet.disposition, quiet.handoff) == ([], "answered", None)


@pytest.mark.parametrize(
    ("types", "key", "human"),
    [
        (("image",), "image", True),
        (("audio",), "vocal", True),
        (("location",), "lieu", True),
        (("image", "image", "image"), "images", True),
        (("image", "audio"), "images", True),
        (("ephemeral",), "ephemere", False),
        (("ig_reel",), "partage", False),
        (("story_mention",), "story", False),
        (("sticker", "video"), "video", True),
        (("inconnu",), "autre", False),
        ((), "autre", False),
    ],
)
def test_attachments_without_words(types: tuple[str, ...], key: str, human: bool) -> None:
    outcome = route.media([Attachment(t) for t in types], Situation(wait="Dès 6 h."), TEXTS)
    assert f"<utter_media_{key}>" in said(outcome)[0]
    assert "114" in said(outcome)[0]
    assert (outcome.handoff is not None) is human
    assert ("Dès 6 h." in said(outcome)[0]) is human
    assert outcome.disposition == ("handed_off" if human else "answered")
    assert said(route.media((), KNOWN, TEXTS))[0].startswith("<utter")


@pytest.mark.parametrize("types", [("image",), ("audio", "image"), ("location",), ("ig_reel",), ("inconnu",)])
def test_what_follows_an_open_hand_off_is_kept_in_silence(types: tuple[str, ...]) -> None:
    situation = Situation(introduced=True, handoff_open=True, wait="Dès 6 h.")
    outcome = route.media([Attachment(t) for t in types], situation, TEXTS)
    assert said(outcome) == []
    human = types[0] in ("image", "audio", "location")
    assert (outcome.handoff is not None, outcome.disposition) == (human, "handed_off" if human else "answered")


def test_what_cannot_be_kept_is_said_each_time() -> None:
    outcome = route.media([Attachment("ephemeral")], Situation(introduced=True, handoff_open=True), TEXTS)
    assert said(outcome)[0].startswith("<utter_media_ephemere>")
    both = [Attachment("image"), Attachment("ephemeral")]
    assert route.media(both, Situation(introduced=True, handoff_open=True), TEXTS).replies, (
        "what is lost is said each time"
    )


def test_media_of_someone_who_was_never_answered_get_a_reply() -> None:
    """A request may open without a word from us: the window was closed."""
    assert route.media([Attachment("audio")], Situation(introduced=False, handoff_open=True), TEXTS).replies


@pytest.mark.parametrize(
    ("intent", "line"),
    [
        ("violences_conjugales", "violences"),
        ("violences_sexuelles", "sexuelles"),
        ("disparition", "disparition"),
        ("harcelement_cyber", "cyber"),
    ],
)
def test_grave_at_night(intent: str, line: str) -> None:
    by_day = route.by_day(turn(intent, "A"), Situation(), TEXTS)
    outcome = route.at_night(by_day, False, TEXTS)
    assert said(outcome) == [f"<utter_nuit_grave>\n\n<utter_nuit_{line}>"]
    assert (outcome.disposition, outcome.route, outcome.priority) == ("handed_off", "handoff", by_day.priority)
    assert outcome.handoff is by_day.handoff
    told = route.at_night(by_day, True, TEXTS)
    assert said(told) == [f"<utter_nuit_transmis>\n\n<utter_nuit_{line}>"]


NUMBERS = "Le 17, ou un SMS au 114."
SCRIPTED = {**TEXTS, "utter_urgence_couple_auteur": "<auteur>", "utter_agent_lira": "<un agent>"}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("partner_author", "<auteur>\n\n<un agent>"),
        ("own_danger", "<danger probable>"),
        (None, "<danger probable>"),
        ("witness", "<danger probable>"),  # whose words these texts do not have yet
        ("any_partner", "<danger probable>"),
    ],
)
def test_a_likely_danger_is_told_a_scripts_words_or_the_general_ones(script: str | None, words: str) -> None:
    assert route.likely_words("danger", script, {**SCRIPTED, "utter_danger_probable": "<danger probable>"}) == words


def test_a_likely_distress_of_which_nobody_knows_whose_is_told_the_general_words() -> None:
    texts = {**SCRIPTED, "utter_urgence_detresse": "<urgence>", "utter_detresse_probable": "<détresse probable>"}
    assert route.likely_words("distress", "any_distress", texts) == "<détresse probable>"


@pytest.mark.parametrize(("kind", "words"), [("danger", "<utter_urgence>"), ("distress", "<utter_detresse>")])
def test_texts_of_a_version_before_say_a_sure_dangers_words_to_a_likely_one(kind: Kind, words: str) -> None:
    older = {"utter_urgence": "<utter_urgence>", "utter_detresse": "<utter_detresse>", **TEXTS}
    for name in ("utter_danger_probable", "utter_detresse_probable", "utter_agent_lira", "utter_nuit_detresse"):
        older.pop(name, None)
    assert route.likely_words(kind, None, older) == words
    assert route.likely_words(kind, "witness", older) == words
    by_day = route.by_day(route.likely_turn(kind, turn("armes", "A"), NUMBERS), KNOWN, older)
    assert said(route.at_night(by_day, False, older)) == ["<utter_nuit_grave>"]


def test_a_likely_danger_gets_the_numbers_and_an_agent_first() -> None:
    found = route.likely_turn("danger", turn("procuration", "Pour voter…", clarify=True), NUMBERS)
    outcome = route.by_day(found, Situation(wait="Environ 4 minutes."), TEXTS)
    assert said(outcome) == [f"Je suis un assistant automatique. {NUMBERS}\n\nEnviron 4 minutes."]
    assert (outcome.route, outcome.category, outcome.disposition) == ("handoff", "sensitive", "handed_off")
    assert outcome.handoff is not None
    assert outcome.handoff.reason == "danger_probable"


def unbelieved(*ranking: tuple[str, float]) -> Turn:
    """The engine's own reply to a danger, which nobody believes."""
    read = Understanding("danger_immediat", 0.5, (("danger_immediat", 0.5), *ranking), {"ville": "Lyon"}, danger=0.5)
    return Turn(read, (Reply("Au secours."),), HandoffRequest("emergency", 0, "danger_immediat"))


LIKELY = {**SCRIPTED, "utter_danger_probable": NUMBERS, "utter_detresse_probable": f"3114. {NUMBERS}"}


def test_a_danger_that_is_not_believed_is_taken_again_as_its_ordinary_subject() -> None:
    found = unbelieved(("procuration", 0.4))
    assert route.again_as(found, "faint") == "procuration"
    assert route.again_as(found, "likely") is None
    assert route.again_as(turn("procuration", "A"), "faint") is None
    again = turn("procuration", "Pour voter…")
    settled = route.settled(found, "faint", "danger", None, LIKELY, again)
    assert settled.replies == again.replies
    assert (settled.understanding.intent, settled.understanding.danger) == ("procuration", 0.5)
    assert settled.understanding.entities == {"ville": "Lyon"}
    assert not route.is_likely(settled)


@pytest.mark.parametrize("again", [None, unbelieved()])
def test_where_no_other_reply_is_at_hand_it_counts_as_likely(again: Turn | None) -> None:
    settled = route.settled(unbelieved(("procuration", 0.4)), "none", "danger", None, LIKELY, again)
    assert settled.replies == (Reply(NUMBERS),)
    assert route.is_likely(settled)


def test_a_distress_told_with_violence_reads_the_3114_too() -> None:
    texts = {**LIKELY, "utter_nuit_detresse": "Le 3114."}
    violence = turn("violences_conjugales", f"Merci d’en parler. {NUMBERS}")
    settled = route.settled(violence, "likely", "distress", None, texts)
    assert [reply.text for reply in settled.replies] == [f"Merci d’en parler. {NUMBERS}\n\nLe 3114."]
    assert route.settled(violence, "likely", "danger", None, texts).replies == violence.replies


def test_where_a_distress_may_be_meant_the_reply_names_the_3114_once() -> None:
    listens = Situation(introduced=True, listens=True)
    assert said(route.by_day(turn("armes", "A"), listens, TEXTS)) == ["A\n\n<utter_nuit_detresse>"]
    assert said(route.by_day(turn("armes", "Le 3114."), listens, TEXTS)) == ["Le 3114."]
    by_day = route.by_day(turn("armes", "A"), KNOWN, TEXTS)
    night = route.at_night(by_day, False, TEXTS, listens=True)
    assert said(night) == ["<utter_nuit>\n\n<utter_nuit_detresse>"]
    told = route.at_night(by_day, True, TEXTS, listens=True)
    assert said(told) == [f"{LINE}\n\n<utter_nuit_detresse>"]
    assert route.gives_distress_number([Reply("3114")]) and not route.gives_distress_number(told.replies)


def test_violence_behind_a_danger_that_is_not_believed_is_not_lost() -> None:
    found = unbelieved(("violences_conjugales", 0.3), ("procuration", 0.15))
    assert route.again_as(found, "none") is None
    assert route.is_likely(route.settled(found, "none", "danger", None, LIKELY))


def test_a_likely_danger_is_settled_in_the_words_of_its_kind_and_the_rest_stays() -> None:
    settled = route.settled(turn("procuration", "A"), "likely", "distress", None, LIKELY)
    assert (settled.replies[0].text, route.is_likely(settled)) == (f"3114. {NUMBERS}", True)
    plain = turn("procuration", "A")
    assert route.settled(plain, "faint", "danger", None, {}) is plain


def test_what_is_grave_itself_keeps_its_reply_where_that_gives_the_numbers() -> None:
    violence = turn("violences_conjugales", f"Merci d’en parler. {NUMBERS}")
    found = route.likely_turn("danger", violence, "Autre texte.")
    assert (found.replies, found.handoff and found.handoff.reason) == (violence.replies, "danger_probable")
    danger = route.likely_turn("danger", turn("danger_immediat", "17."), NUMBERS)
    assert route.speaks_of_danger(replace(danger, handoff=HandoffRequest("emergency", 0, "danger_immediat")))
    assert (danger.replies, route.speaks_of_danger(danger)) == ((Reply(NUMBERS),), False)
    missing = route.likely_turn("distress", turn("disparition", "Dites-nous tout."), NUMBERS)
    assert (missing.replies, missing.handoff and missing.handoff.category) == ((Reply(NUMBERS),), "urgent")


@pytest.mark.parametrize(("kind", "line"), [("danger", ""), ("distress", "\n\n<utter_nuit_detresse>")])
def test_a_likely_danger_at_night_meets_the_numbers_whatever_was_said_before(kind: str, line: str) -> None:
    by_day = route.by_day(route.likely_turn(kind, turn("armes", "A"), NUMBERS), KNOWN, TEXTS)
    assert said(route.at_night(by_day, False, TEXTS)) == [f"<utter_nuit_grave>{line}"]
    told = route.at_night(by_day, True, TEXTS)
    assert said(told) == [f"<utter_nuit_transmis>{line}"]
    assert told.handoff is by_day.handoff


def test_a_likely_distress_told_with_violence_has_both_lines_at_night() -> None:
    by_day = route.by_day(route.likely_turn("distress", turn("violences_conjugales", NUMBERS), ""), KNOWN, TEXTS)
    assert said(route.at_night(by_day, False, TEXTS)) == [
        "<utter_nuit_grave>\n\n<utter_nuit_detresse>\n<utter_nuit_violences>"
    ]


def test_a_faint_danger_gets_the_ordinary_reply_and_the_line() -> None:
    outcome = route.by_day(turn("procuration", "Pour voter…"), Situation(introduced=True, faint=True), TEXTS)
    assert said(outcome) == [f"Pour voter…\n\n{LINE}"]


def test_a_faint_danger_at_night_meets_the_line_also_after_the_nights_message() -> None:
    by_day = route.by_day(turn("procuration", "Pour voter…"), KNOWN, TEXTS)
    assert said(route.at_night(by_day, False, TEXTS, faint=True)) == ["<utter_nuit>"]
    told = route.at_night(by_day, True, TEXTS, faint=True)
    assert (said(told), told.disposition, told.handoff) == ([LINE], "waiting", None)


def test_the_rest_waits_for_the_morning() -> None:
    for intent in ("procuration", "remerciements", "reclamation_police"):
        by_day = route.by_day(turn(intent, "A"), Situation(), TEXTS)
        outcome = route.at_night(by_day, False, TEXTS)
        assert said(outcome) == ["<utter_nuit>"]
        assert (outcome.disposition, outcome.handoff) == ("waiting", None)
        assert outcome.route == by_day.route
        assert said(route.at_night(by_day, True, TEXTS)) == []
    media = route.at_night(route.media([Attachment("image")], KNOWN, TEXTS), False, TEXTS)
    assert said(media) == ["<utter_nuit>"]


def test_another_language_at_night_is_handed_off_at_once() -> None:
    by_day = route.by_day(turn("contravention", "A", french=False), ENGLISH, TEXTS)
    outcome = route.at_night(by_day, False, TEXTS, "en")
    assert said(outcome) == ["<utter_nuit>\n\nIn danger, call 17 or 112, or text 114."]
    assert outcome.handoff and outcome.handoff.reason == "autre_langue"
    assert outcome.disposition == "handed_off"
    again = route.at_night(by_day, True, TEXTS, "en")
    assert (said(again), again.disposition) == ([], "handed_off")
    hello = route.at_night(route.by_day(turn("salutation", "A", french=False), ENGLISH, TEXTS), False, TEXTS, "en")
    assert (hello.handoff, hello.disposition) == (None, "waiting")
    grave = route.at_night(route.by_day(turn("disparition", "A", french=False), ENGLISH, TEXTS), False, TEXTS, "en")
    assert said(grave)[0].startswith("<utter_nuit_grave>\n\n<utter_nuit_disparition>\n\nIn danger")
    assert grave.handoff and grave.handoff.category == "urgent"


@pytest.mark.parametrize(
    ("is_open", "median", "expected"),
    [
        (False, timedelta(minutes=3), "Dès 6 h."),
        (True, None, ""),
        (True, timedelta(seconds=50), ""),
        (True, timedelta(minutes=12, seconds=20), "Environ 12 minutes."),
    ],
)
def test_the_honest_wait(is_open: bool, median: timedelta | None, expected: str) -> None:
    assert route.wait_sentence(is_open, "6 h", median, TEXTS) == expected


def test_priorities_are_the_tables() -> None:
    outcome = route.by_day(turn("violences_conjugales", "A"), KNOWN, TEXTS)
    assert outcome.priority == PRIORITY["sensitive"]


ABOUT = replace(KNOWN, facts="utter_donnees")
DATA = TEXTS | {"utter_donnees": "Vos données."}


def about(intent: str, handoff: bool = False, clarify: bool = False, danger: float = 0.0) -> route.Outcome:
    """What « mes données » gets when the engine made this of it."""
    policy = policy_of(intent)
    request = HandoffRequest(policy.category, policy.priority, intent) if handoff else None
    understanding = Understanding(intent, 0.9, danger=danger)
    return route.by_day(Turn(understanding, (Reply("Du moteur."),), request, clarify), ABOUT, DATA)


@pytest.mark.parametrize(("intent", "handoff", "clarify"), [("procuration", False, False), ("plainte_comment", False, True),
    ("hors_perimetre", False, False), ("parler_humain", False, True), ("danger_immediat", False, True)])  # fmt: skip
def test_a_question_about_ones_data_is_answered_whatever_the_engine_made_of_it(
    intent: str, handoff: bool, clarify: bool
) -> None:
    outcome = about(intent, handoff, clarify)
    assert [r.text for r in outcome.replies] == ["Vos données."]
    assert (outcome.route, outcome.category, outcome.handoff) == ("answer", "none", None)


def test_it_opens_a_request_only_for_who_asks_for_a_human() -> None:
    outcome = about("parler_humain", handoff=True)
    assert outcome.handoff is not None and outcome.handoff.category == "request"
    assert outcome.replies[0].text.startswith("Vos données.\n\nDu moteur.")


def test_it_never_stands_for_an_emergency_or_something_sensitive() -> None:
    for outcome in (about("violences_conjugales", handoff=True), about("procuration", danger=0.2)):
        assert "Vos données." not in " ".join(r.text for r in outcome.replies)
    grave = about("violences_conjugales", handoff=True)
    assert grave.handoff is not None and grave.category == policy_of("violences_conjugales").category


def test_a_scripts_words_take_the_place_of_a_sensitive_intents_own() -> None:
    turn = Turn(Understanding("violences_conjugales", 0.9), (Reply("pas votre faute", (QuickReply("a", "/b"),)),))
    assert route.with_words(turn, "partner_author", SCRIPTED).replies == (Reply("<auteur>\n\n<un agent>"),)
    assert route.with_words(turn, None, SCRIPTED) == turn
    assert route.with_words(turn, "partner_author", TEXTS) == turn  # texts of a version before
    before = {**SCRIPTED, "utter_urgence": "<danger>"}  # which knew no words for everybody of a subject
    assert route.with_words(turn, "any_partner", before).replies == (Reply("<danger>\n\n<un agent>"),)
    now = {**before, "utter_urgence_couple": "<couple>"}
    assert route.with_words(turn, "any_partner", now).replies == (Reply("<couple>\n\n<un agent>"),)


def test_at_night_an_author_does_not_read_a_victims_line() -> None:
    request = HandoffRequest("sensitive", PRIORITY["sensitive"], "violences_conjugales")
    outcome = route.Outcome("handoff", "sensitive", "waiting", (), request, Understanding("violences_conjugales", 0.9))
    said = route.at_night(outcome, False, SCRIPTED, script="partner_author").replies[0].text
    assert "<auteur>" in said and "<utter_nuit_violences>" not in said
    said = route.at_night(outcome, False, SCRIPTED, script="partner_relative").replies[0].text
    assert "<utter_nuit_violences>" in said


def test_the_question_that_was_answered_goes_with_its_words_and_with_no_others() -> None:
    asked = replace(turn("contravention", "Sous 45 jours."), question="contravention/majoree_delai")
    by_day = route.by_day(asked, KNOWN, TEXTS)
    assert by_day.question == "contravention/majoree_delai"
    assert route.at_night(by_day, False, TEXTS).question is None
    foreign = replace(asked, understanding=replace(asked.understanding, french=False))
    assert route.by_day(foreign, replace(KNOWN, spoken="en"), TEXTS).question is None
    assert route.with_words(asked, "partner_author", SCRIPTED).question is None


GUESS = (("contravention", 0.55), ("violences_conjugales", 0.08), ("disparition", 0.04))


@pytest.mark.parametrize(
    ("ranking", "supposed", "line"),
    [
        (GUESS[:1], False, False),
        (GUESS[:2], False, False),
        (GUESS, False, True),  # grave subjects together
        (GUESS[:1], True, False),  # answered as the one that may be meant
        (GUESS[:2], True, True),
    ],
)
def test_an_answer_of_the_catalogue_has_the_line_where_it_is_doubtful_or_something_grave_may_be_meant(
    ranking: tuple[tuple[str, float], ...], supposed: bool, line: bool
) -> None:
    question = "contravention/majoree_delai"
    asked = turn("contravention", "Sous 45 jours.", confidence=0.55)
    told = replace(asked.understanding, ranking=ranking)
    out = route.by_day(replace(asked, understanding=told, question=question, supposed=supposed), KNOWN, TEXTS)
    assert (LINE in out.replies[0].text) is line


def test_the_likeliest_grave_subject_is_named() -> None:
    told = turn("contravention", "x").understanding
    assert route.likeliest_grave(replace(told, ranking=(*GUESS, ("danger_immediat", 0.2)))) == (
        "violences_conjugales",
        0.08,
    )
    assert route.likeliest_grave(replace(told, ranking=GUESS[:1])) == (None, 0.0)


@pytest.mark.parametrize(
    ("handoff", "spoken", "personal"),
    [(None, "fr", False), (HandoffRequest("complaint", 3, "reclamation_police"), "fr", True), (None, "en", True)],
)
def test_a_personal_answer_is_promised_by_night_only_where_a_person_answers(
    handoff: HandoffRequest | None, spoken: str, personal: bool
) -> None:
    texts = TEXTS | {"utter_nuit": "La nuit…\nSinon, une réponse personnelle vous parviendra dans la journée."}
    understood = route.Outcome("answer", "none", "waiting", (), handoff, Understanding("procuration", 0.9))
    [said] = route.at_night(understood, False, texts, spoken).replies
    assert ("une réponse personnelle vous parviendra" in said.text) == personal
    assert "réponse" in said.text


def test_a_place_or_a_picture_is_looked_at_and_a_sticker_is_not() -> None:
    thumb = Attachment("image", sticker_id="369239263222822")
    assert route.shows_something([thumb, Attachment("location", lat=48.8, long=2.3)])
    assert route.shows_something([Attachment("image")])
    assert not route.shows_something([thumb, Attachment("like_heart"), Attachment("share")])
    assert not route.shows_something([])

"""Reads domain.yml, rules and actions as a careful colleague would.

Length, sources, words, typography, numbers, links, buttons, and that nothing is missing or dead.
"""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bot.core import catalogue, yaml_text
from bot.policy import retention, satisfaction
from bot.policy.intents import EMERGENCY, HANDOFF, INTENTS, policy_of
from bot.trainer import reply_checks, reply_rules
from bot.trainer.checks.finding import Finding
from bot.trainer.project import Project
from bot.trainer.replies import Button, Replies
from bot.trainer.reply_facts import NO_HELP, SYSTEM
from bot.trainer.reply_uses import constant, rules_of, uses, values

ROOT = Path(__file__).resolve().parents[2]
PROJECT = Project(ROOT)
REPLIES = Replies.read(PROJECT)
USES = uses(PROJECT)
FACTS = reply_checks.facts_of(USES)
TODAY = date(2026, 1, 15)
every_reply = pytest.mark.parametrize("name", list(REPLIES.responses))


def _yaml(path: str) -> Any:
    return yaml_text.values((ROOT / path).read_text(encoding="utf-8"))


DOMAIN = _yaml("domain.yml")
PRECISIONS = _yaml("data/precisions.yml")["precisions"]
TEXTS = [(name, v.text) for name, one in REPLIES.responses.items() for v in one.variations]
BUTTONS = [(name, b) for name, one in REPLIES.responses.items() for v in one.variations for b in v.buttons]


def by_name(name: str) -> str:
    """The text of a response that has one variation."""
    (one,) = REPLIES.responses[name].variations
    return one.text


def size(text: str) -> int:
    """Bytes of UTF-8, which is what Instagram counts."""
    return len(text.encode())


def errors(found: list[Finding]) -> list[str]:
    """What may not be."""
    return [one.what for one in found if one.severity == "error"]


# Each reply: the rules stand in bot/trainer/reply_rules.py; here they are held against every reply, and against faults ---


@every_reply
def test_each_reply_keeps_the_rules(name: str) -> None:
    assert errors(reply_rules.of_reply(REPLIES.responses[name], REPLIES, TODAY)) == []


def test_the_replies_together_keep_the_rules() -> None:
    assert errors(reply_checks.check(PROJECT, TODAY)) == []


def codes(name: str = "utter_permis_points", **changes: Any) -> set[str]:
    """The errors of a reply with something else in its first wording."""
    one = REPLIES.responses[name]
    changed = replace(one, variations=(replace(one.variations[0], **changes), *one.variations[1:]))
    others = replace(REPLIES, responses={**REPLIES.responses, name: changed})
    return {found.code for found in reply_rules.of_reply(changed, others, TODAY) if found.severity == "error"}


OFFICIAL = "https://www.service-public.gouv.fr/particuliers"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"text": ""}, "reply-empty"),
        ({"text": "Oui. "}, "reply-spaces"),
        ({"text": "é" * 501}, "reply-long"),
        ({"source": "service-public.fr"}, "reply-source"),
        ({"source": "https://"}, "reply-source"),
        ({"seen": ""}, "reply-source"),
        ({"checked": date(2026, 1, 16)}, "reply-checked"),
        ({"faults": ("il manque « seen »",)}, "reply-metadata"),
        ({"text": "Il faut 5 jours.", "source": reply_rules.OWN_SOURCE}, "reply-figure"),
        ({"text": "Si tu veux"}, "reply-words"),
        ({"text": "Bonjour !"}, "reply-typography"),
        ({"text": "Appelez le 0123456789."}, "reply-number"),
        ({"text": "Il y en a 4521."}, "reply-number"),
        ({"text": "http://ants.gouv.fr"}, "reply-link"),
        ({"text": "https://exemple.org"}, "reply-link"),
        ({"text": "www.ants.gouv.fr"}, "reply-link"),
        ({"text": "Dans {minutes} minutes."}, "reply-placeholder"),
        ({"buttons": tuple((f"Titre {n}", f"/x{n}") for n in range(14))}, "reply-buttons"),
        ({"buttons": (("Un", "/procuration"), ("Un", "/armes"))}, "reply-buttons"),
        ({"buttons": (("Un", "/procuration"), ("Deux", "/procuration"))}, "reply-buttons"),
        ({"buttons": (("x" * 21, "/procuration"),)}, "reply-buttons"),
        ({"buttons": (("Un", "procuration"),)}, "reply-payload"),
        ({"buttons": (("Un", "/inconnue"),)}, "reply-payload"),
        ({"buttons": (("Un", "/danger_immediat"),)}, "reply-payload"),
        ({"buttons": (("Un", "/permis_points"),)}, "reply-payload"),
        ({"buttons": (("Un", '/armes{"corps": "pompier"}'),)}, "reply-payload"),
        ({"buttons": (("Un", '/armes{"couleur": "bleu"}'),)}, "reply-payload"),
        ({"name": "utter_satisfaction", "buttons": (("Oui", "/armes"),)}, "reply-payload"),
        ({"name": "utter_urgence_nuit", "text": "Les agents lisent le matin."}, "reply-placeholder"),
        ({"name": "utter_disparition", "text": "Dites-nous tout. Appelez le 17."}, "reply-danger"),
        ({"name": "utter_disparition", "text": "Dites-nous tout."}, "reply-carries"),
        ({"name": "utter_disparition", "text": "Bien noté."}, "reply-asks"),
        ({"name": "utter_disparition", "text": "Dites-nous. " + "Oui. " * 170}, "reply-long"),
        ({"name": "utter_urgence", "text": "Appelez."}, "reply-emergency"),
        ({"name": "utter_urgence", "text": "Autre texte."}, "reply-twin"),
        ({"name": "utter_armes", "text": "Votre vie compte."}, "reply-emergency"),
        ({"name": "utter_detresse_probable", "text": "Votre vie compte."}, "reply-emergency"),
        ({"name": "utter_danger_probable", "text": "Un agent va lire."}, "reply-emergency"),
        ({"name": "utter_danger_probable", "text": f"{NO_HELP}. " * 16}, "reply-emergency"),
        ({"name": "utter_danger_probable", "text": f"{NO_HELP}. Où êtes-vous\u202f?"}, "reply-emergency"),
        ({"name": "utter_detresse_probable", "text": f"{NO_HELP}. SMS au 114, 3114, 112, 15, agent."}, "reply-carries"),
        ({"name": "utter_urgence_anglais", "text": "Call 112. Where are you?"}, "reply-emergency"),
        ({"name": "utter_cout_recrutement", "text": "C’est gratuit."}, "reply-doubtful"),
        ({"name": "utter_age_reserve", "text": f"Voyez la date sur {OFFICIAL}"}, "reply-doubtful"),
        ({"name": "utter_salutation", "text": "Bonjour."}, "reply-carries"),
        ({"name": "utter_salutation", "buttons": ()}, "reply-menu"),
        ({"name": "utter_perte_vol_documents_vole", "text": "Oui. " * 195}, "reply-long"),
    ],
)  # fmt: skip
def test_each_rule_sees_its_fault(changes: dict[str, Any], code: str) -> None:
    given = dict(changes)
    name = given.pop("name", "utter_permis_points")
    if "buttons" in given:
        given["buttons"] = tuple(Button(*one) for one in given["buttons"])
    assert code not in codes(name)
    assert code in codes(name, **given)


def test_variations_that_may_not_be() -> None:
    def of(name: str, *texts: str) -> set[str]:
        one = REPLIES.responses[name]
        changed = replace(one, variations=tuple(replace(one.variations[0], text=text) for text in texts))
        return {found.code for found in reply_rules.of_reply(changed, REPLIES, TODAY)}

    assert "reply-variations" in of("utter_nuit", "a", "b"), "read outside Rasa: no draw between variations"
    assert "reply-variations" in of("utter_clarify", "a")
    assert "reply-variations" in of("utter_armes", "a", "a")
    assert "reply-variations" not in of("utter_armes", "a", "b")


def test_an_old_check_is_a_warning() -> None:
    one = REPLIES.responses["utter_permis_points"]
    old = replace(one, variations=(replace(one.variations[0], checked=date(2025, 7, 1)),))
    (found,) = [f for f in reply_rules.of_reply(old, REPLIES, TODAY) if f.code == "reply-stale"]
    assert found.severity == "warning"
    assert "01/07/2025" in found.what


def changed(name: str, text: str) -> Replies:
    """The replies with one other text."""
    one = REPLIES.responses[name]
    return replace(
        REPLIES,
        responses={**REPLIES.responses, name: replace(one, variations=(replace(one.variations[0], text=text),))},
    )


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("utter_nuit", "Bonsoir. Composez le 17, le 112 ou le 114.", "salut"),
        ("utter_nuit", "Composez le 17, le 112 ou le 114. Rien n’est transmis.", "transmis"),
        ("utter_nuit_grave", "Votre message n’est pas lu. Composez le 17, le 112 ou le 114.", "transmis"),
        ("utter_filet", "En danger, appelez le 17.", "le 114 est dit 0 fois"),
        ("utter_filet", "Oui. " * 190, "octets"),
        ("utter_detresse", " ", "manquants"),
        ("utter_urgence_retard", "é" * 400, "trop longs"),
        ("utter_langue_ro", "17 112 114 " * 90, "octets"),
    ],
)
def test_what_only_the_whole_message_shows(name: str, text: str, says: str) -> None:
    assert any(says in what for what in errors(reply_rules.together(changed(name, text), FACTS)))
    assert errors(reply_rules.together(REPLIES, FACTS)) == []


def test_a_reply_that_is_missing_or_useless_is_found() -> None:
    without = {name: one for name, one in REPLIES.responses.items() if name != "utter_nuit"}
    assert "utter_nuit" in errors(reply_rules.together(replace(REPLIES, responses=without), FACTS))[0]
    assert set(USES) == set(REPLIES.responses), "dead text, or a name that nothing answers to"


def test_titles_of_subjects() -> None:
    def with_title(name: str, at: int, title: str, payload: str = "") -> list[str]:
        one = REPLIES.responses[name]
        buttons = list(one.variations[0].buttons)
        buttons[at] = buttons[at]._replace(title=title, **({"payload": payload} if payload else {}))
        new = replace(one, variations=(replace(one.variations[0], buttons=tuple(buttons)),))
        return errors(reply_rules.titles(replace(REPLIES, responses={**REPLIES.responses, name: new})))

    theme = REPLIES.responses["utter_theme_plainte"].variations[0].buttons
    assert reply_rules.titles(REPLIES) == []
    assert with_title("utter_theme_plainte", 0, theme[1].title)
    assert with_title("utter_theme_plainte", 0, "Autre", "/au_revoir")


def test_typography_is_set_and_stays_set() -> None:
    for bad in ("Bonjour !", "Bonjour!", "ici : là", "ici: là", "« ici »", "a\u00a0 :", "«ici»", "l'un...  l'autre ?"):
        good = reply_rules.typeset(bad)
        assert reply_rules.typography(bad) or "'" in bad
        assert reply_rules.typography(good) == []
        assert reply_rules.forbidden(good) == []
        assert reply_rules.typeset(good) == good
    assert reply_rules.typeset("Là: https://x.fr/?a:b!c") == "Là\u00a0: https://x.fr/?a:b!c"
    for name, one in REPLIES.responses.items():
        assert reply_rules.typeset_reply(one) == one, f"{name}: the button would change what is right"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Si tu veux", "familiar address"),
        ("Une patrouille arrive", "help is coming"),
        ("Nous arrivons", "help is coming"),
        ("N’hésitez pas", "filler"),
        ("www.pre-plainte-en-ligne.gouv.fr", "old names"),
        ("avant 35 ans", "old rules"),
        ("gardien de la paix, 35 ans", "old rules"),
        ("l'agent", "wrong apostrophe"),
    ],
)
def test_forbidden_words_see_faults(text: str, kind: str) -> None:
    assert kind in reply_rules.forbidden(text)


def test_a_change_with_an_error_is_refused() -> None:
    allow = reply_checks.gate(("utter_filet",), TODAY, FACTS)
    allow(REPLIES, REPLIES)
    with pytest.raises(reply_checks.BadReply) as refused:
        allow(REPLIES, changed("utter_filet", "En danger, appelez le 17."))
    assert "114" in refused.value.what


def test_the_satisfaction_question_has_its_answers() -> None:
    assert {b.payload for name, b in BUTTONS if name == satisfaction.QUESTION} == set(satisfaction.ANSWERS)


def test_menu_reaches_each_theme() -> None:
    themes = set(constant("accueil", "THEMES"))
    assert [name for name, b in BUTTONS if b.payload == '/salutation{"theme": "autre"}'], "the way out of a choice"
    assert {f"utter_theme_{theme}" for theme in themes} <= set(DOMAIN["responses"])


# The whole ---


def _rules() -> dict[str, str]:
    rows = _yaml("data/rules.yml")["rules"]
    rules = rules_of(rows)
    assert len(rules) == len(rows), "two rules for one intent"
    return rules


def _every_intent() -> list[str]:
    """Those of the table, and what trainers have added to one of them (`armes_chasse` to `armes`)."""
    return [str(name) for name in DOMAIN["intents"]]


def test_every_intent_has_reply_and_rule() -> None:
    rules = _rules()
    assert [name for name in _every_intent() if name in INTENTS] == list(INTENTS)
    assert set(rules) == {*_every_intent(), "nlu_fallback"}
    for intent in _every_intent():
        assert intent in INTENTS or any(intent.startswith(name + "_") for name in INTENTS), intent
        policy = policy_of(intent)
        assert f"utter_{intent}" in DOMAIN["responses"]
        if policy.route in (HANDOFF, EMERGENCY):
            assert rules[intent] == "action_handoff"
        else:
            assert rules[intent] != "action_handoff"


def _actions() -> list[str]:
    return [one if isinstance(one, str) else next(iter(one)) for one in DOMAIN["actions"]]


def test_stories_agree_with_rules() -> None:
    rules, told = _rules(), set()
    for story in _yaml("data/stories.yml")["stories"]:
        steps = story["steps"]
        assert len(steps) % 2 == 0
        for said, done in zip(steps[::2], steps[1::2], strict=True):
            assert done["action"] == rules[said["intent"]], story["story"]
            for entity in said.get("entities", []):
                ((name, value),) = entity.items()
                assert name in DOMAIN["entities"]
                assert name == "ville" or value in values(name)
            told.add(done["action"])
    assert set(_actions()) <= told


def test_actions_exist() -> None:
    source = _sources()
    declared = set(re.findall(r'return "(action_\w+)"', source))
    assert declared == set(_actions())


def test_slots_are_read_and_entities_filled() -> None:
    source = _sources()
    for slot, settings in DOMAIN["slots"].items():
        assert settings["influence_conversation"] is False
        assert f'"{slot}"' in source, f"no action reads or sets {slot}"
        for mapping in settings["mappings"]:
            assert mapping["type"] in ("from_entity", "from_intent", "custom")
            if mapping["type"] == "from_entity":
                assert mapping["entity"] in DOMAIN["entities"]
    filled = {m["entity"] for s in DOMAIN["slots"].values() for m in s["mappings"] if "entity" in m}
    assert set(DOMAIN["entities"]) - filled == {"theme"}  # read from the message itself


def _sources() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "actions").glob("*.py")))


def test_no_french_sentence_in_actions() -> None:
    for path in sorted((ROOT / "actions").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # A docstring is an expression of its own; names and word lists have no capital and no full stop.
        statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
                assert not re.search(r"[A-ZÀÉÊ]\w* \w+ |\w ?[?!.]$", node.value), f"{path.name}: {node.value!r}"


def test_each_precision_leads_to_a_reply_and_away_from_one() -> None:
    names = [row["reponse"] for row in PRECISIONS]
    lines = [(general, line) for row in PRECISIONS for general in row["au_lieu_de"] for line in row["mots"]]
    assert len(set(lines)) == len(lines), "a line that is written twice"
    for row in PRECISIONS:
        assert row["reponse"] in DOMAIN["responses"], row["reponse"]
        for general in row["au_lieu_de"]:
            assert general in DOMAIN["responses"], f"{row['reponse']} au lieu de {general}"
            assert general not in names, "no reply is narrowed twice"


def test_the_reply_about_ones_data_is_one_message() -> None:
    """As a stranger gets it in doubt: introduced, with the longest limits, and the line on 17 and 114."""
    limits = replace(retention.DEFAULT, everyday=36_499, emergencies=36_500)
    said = retention.told(by_name("utter_donnees"), limits)
    assert "100\u00a0ans" in said and "36499\u00a0jours" in said and "{" not in said
    assert size("\n\n".join((f"{by_name('utter_assistant')} {said}", by_name("utter_filet")))) <= 1000


def test_system_texts_exist() -> None:
    assert set(SYSTEM) <= set(DOMAIN["responses"])


# What trainers read and play ---


def test_lookups_lead_to_knownvalues() -> None:
    """Each word of the lists means a value that the actions answer for, and each such value can be said."""
    rows = _yaml("data/nlu.yml")["nlu"]
    value_of = {word: row["synonym"] for row in rows if "synonym" in row for word in _lines(row)}
    lists = {row["lookup"]: _lines(row) for row in rows if "lookup" in row}
    # « cap emploi », « vol de nuit »: found first, so that no word of theirs is taken for a diploma or a theft; then dropped.
    assert set(lists) == (set(DOMAIN["entities"]) - {"theme"}) | {"autre_sens"}
    for entity in ("corps", "diplome", "document", "circonstance", "pays", "infraction"):
        said = {value_of.get(word, word) for word in lists[entity]}
        assert said == values(entity) - ({"autre"} if entity == "corps" else set()), entity


def _lines(row: dict[str, str]) -> list[str]:
    return [line.removeprefix("- ").strip() for line in row["examples"].splitlines()]


def test_guide_defines_each_intent() -> None:
    guide = (ROOT / "docs" / "guide-formateur.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^#### (\w+)\n(.*?)(?=^#{2,4} |\Z)", guide, re.MULTILINE | re.DOTALL))
    assert set(sections) == set(_every_intent())
    for intent, section in sections.items():
        assert section.startswith("**"), f"{intent}: the definition comes first"
        assert len(re.findall(r"«\s.+?\s»", section.split("Frontières")[0])) >= 3, f"{intent}: three examples"
    for action in _actions():
        assert action in guide


ANSWERS = [v.text for one in catalogue.read(ROOT).questions.values() for v in one.variants]


def test_conversations_have_the_agreed_form() -> None:
    files = sorted((ROOT / "tests" / "engine" / "conversations").glob("*.yml"))
    assert len(files) >= 15
    met = set()
    for path in files:
        turns = _yaml(str(path.relative_to(ROOT)))
        assert turns
        for turn in turns:
            assert set(turn) in ({"user", "expect"}, {"payload", "expect"}), path.name
            assert set(turn["expect"]) <= {
                "responses_contain",
                "responses_lack",
                "handoff",
                "clarify",
                "silence",
                "intent",
                "replies",
                "quick_replies",
            }
            if "payload" in turn:
                assert turn["payload"] in _payloads(), turn
            met.add(turn["expect"].get("intent"))
            whole = "\n".join([*(text for _, text in TEXTS), *ANSWERS])
            assert all(part in whole for part in turn["expect"].get("responses_contain", [])), path.name
    assert met - {None} <= set(INTENTS)


def _payloads() -> set[str]:
    return {button.payload for _, button in BUTTONS} | {f"/{intent}" for intent in INTENTS}

"""Reads domain.yml, rules and actions as a careful colleague would.

Length, sources, words, typography, numbers, links, buttons, and that nothing is missing or dead.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

from bot.core.dialogue import HandoffRequest, Reply, Turn, Understanding
from bot.policy import route, satisfaction
from bot.policy.intents import EMERGENCY, HANDOFF, INTENTS, policy_of
from bot.policy.language import FRENCH, SPOKEN

ROOT = Path(__file__).resolve().parents[2]
MAX_BYTES = 1000

# Sent outside the engine, by these exact names.
SYSTEM = (
    "utter_urgence",
    "utter_detresse",
    "utter_urgence_anglais",
    "utter_detresse_anglais",
    "utter_urgence_retard",
    "utter_urgence_nuit",
    "utter_urgence_rappel",
    "utter_nuit",
    "utter_nuit_violences",
    "utter_nuit_sexuelles",
    "utter_nuit_disparition",
    "utter_nuit_cyber",
    "utter_nuit_transmis",
    "utter_nuit_grave",
    "utter_filet",
    "utter_attente_minutes",
    "utter_attente_heure",
    "utter_agent_arrive",
    "utter_assistant_revient",
    "utter_assistant",
    "utter_boucle",
    "utter_panne",
    "utter_satisfaction",
    "utter_satisfaction_merci",
    "utter_media_image",
    "utter_media_images",
    "utter_media_ephemere",
    "utter_media_vocal",
    "utter_media_video",
    "utter_media_fichier",
    "utter_media_lieu",
    "utter_media_sticker",
    "utter_media_coeur",
    "utter_media_story",
    "utter_media_partage",
    "utter_media_autre",
    "utter_autre_langue",
    *(f"utter_langue_{code}" for code in SPOKEN),
    "utter_langue_suite",
    "utter_anglais_bonjour",
    "utter_anglais_merci",
)
PLACEHOLDERS = {
    "utter_urgence_nuit": ["heure"],
    "utter_attente_heure": ["heure"],
    "utter_attente_minutes": ["minutes"],
    "utter_clarify_deux": ["premier", "second"],
}
NUMBERS = {
    "17",
    "112",
    "15",
    "18",
    "114",
    "3919",
    "119",
    "3018",
    "116 006",
    "116 000",
    "3114",
    "0 805 805 817",
    "33700",
}
DOMAINS = {
    "www.devenirpolicier.fr",
    "www.inscription-concours.interieur.gouv.fr",
    "www.police-nationale.interieur.gouv.fr",
    "moncommissariat.interieur.gouv.fr",
    "masecurite.interieur.gouv.fr",
    "www.service-public.gouv.fr",
    "www.service-public.fr",
    "www.maprocuration.gouv.fr",
    "www.antai.gouv.fr",
    "www.amendes.gouv.fr",
    "mespoints.permisdeconduire.gouv.fr",
    "casier-judiciaire.justice.gouv.fr",
    "ants.gouv.fr",
    "17cyber.gouv.fr",
    "www.internet-signalement.gouv.fr",
    "arretonslesviolences.gouv.fr",
    "www.defenseurdesdroits.fr",
    "contacts-demarches.interieur.gouv.fr",
    "signal.conso.gouv.fr",
}


class Text(NamedTuple):
    """One variation of a response."""

    name: str
    text: str
    buttons: list[dict[str, str]]
    metadata: dict[str, Any]

    @property
    def french(self) -> bool:
        """Whether the rules of French typography hold."""
        return not self.name.startswith(("utter_langue_", "utter_anglais_")) and not self.name.endswith("_anglais")

    @property
    def prose(self) -> str:
        """The text without its links."""
        return LINK.sub("lien", self.text)


LINK = re.compile(r"https?://[^\s,;]*[^\s,;.)]")


def _yaml(path: str) -> Any:
    return YAML(typ="safe").load((ROOT / path).read_text(encoding="utf-8"))


DOMAIN = _yaml("domain.yml")
PRECISIONS = _yaml("data/precisions.yml")["precisions"]
TEXTS = [
    Text(name, one["text"], one.get("buttons", []), one.get("metadata", {}))
    for name, variations in DOMAIN["responses"].items()
    for one in variations
]
BUTTONS = [(one.name, button) for one in TEXTS for button in one.buttons]
every_text = pytest.mark.parametrize("one", TEXTS, ids=lambda one: one.name)


def by_name(name: str) -> str:
    """The text of a response that has one variation."""
    (one,) = [text for text in TEXTS if text.name == name]
    return one.text


def size(text: str) -> int:
    """Bytes of UTF-8, which is what Instagram counts."""
    return len(text.encode())


# Each reply ---


@every_text
def test_length(one: Text) -> None:
    assert 0 < size(one.text) <= MAX_BYTES
    assert one.text == one.text.strip()


@every_text
def test_metadata(one: Text) -> None:
    assert set(one.metadata) == {"source", "seen", "checked"}
    source = one.metadata["source"]
    assert source.startswith("https://") or source == "aucune\u00a0: texte propre au service"
    assert isinstance(one.metadata["seen"], str)
    assert one.metadata["seen"]
    checked = one.metadata["checked"]
    assert checked is None or re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(checked))


@every_text
def test_a_figure_has_a_source(one: Text) -> None:
    """An age, a delay, an amount: somebody must be able to look it up."""
    without_numbers = PHONE.sub("", one.prose)
    if re.search(r"\d", re.sub(r"n°\s\d|\{\w+\}", "", without_numbers)):
        assert one.metadata["source"].startswith("https://"), one.text


FORBIDDEN = {
    "familiar address": r"\b(tu|toi|te|ton|ta|tes|t['’])\b",
    "help is coming": r"arriv(e|ent) (sur place|chez)|est en route|sont en route|secours (arrivent|sont prévenus)|"
    r"(patrouille|équipage|policiers?) (arriv|est envoy|vont venir|vient|viennent)|\bon arrive"
    r"|nous arrivons|help is coming|on the way",
    "filler": r"n['’]hésitez pas|afin de|veuillez|dans le cadre de|dans les meilleurs délais|il convient|susmentionné|"
    r"nous accusons|suite à votre|en vue de|procéder à|à cet effet",
    "old names": r"pre-plainte-en-ligne|moncommissariat\.fr|objectifpolice|0 ?811|0800 22|acropol",
    "old rules": r"1,60|15/10|(?<!maximal, )\b35 ans\b",  # said of officers, where sources differ, as one of two
    "wrong apostrophe": r"'",
    "three dots": r"\.\.\.",
    "shouting": r"!!|\?\?|[A-ZÉÈÀ]{12,}",
    "leftovers": r"TODO|FIXME|XXX|lorem",
}


def faults(text: str) -> list[str]:
    """The kinds of forbidden words in a text."""
    return [k for k, words in FORBIDDEN.items() if re.search(words, text, re.IGNORECASE if k != "shouting" else 0)]


@every_text
def test_forbidden_words(one: Text) -> None:
    assert not [kind for kind in faults(one.prose) if kind != "old names"]
    assert "old names" not in faults(one.text)


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
    assert kind in faults(text)


@every_text
def test_typography(one: Text) -> None:
    if not one.french:
        return
    for text in [one.prose, *(button["title"] for button in one.buttons)]:
        assert not re.search(r"(?<!\u202f)[;!?]", text), f"U+202F before ; ! ? : {text!r}"
        assert not re.search(r"(?<!\u00a0):", text), f"U+00A0 before a colon: {text!r}"
        assert not re.search(r"«(?!\u00a0)|(?<!\u00a0)»", text), f"U+00A0 inside quotes: {text!r}"
        assert not re.search(r" [\u00a0\u202f]|[\u00a0\u202f] |  ", text), f"two spaces: {text!r}"


def test_typography_sees_faults() -> None:
    """The check itself is checked."""
    for bad in ("Bonjour !", "Bonjour!", "ici : là", "ici: là", "« ici »", "a\u00a0 :"):
        with pytest.raises(AssertionError):
            test_typography(Text("utter_x", bad, [], {}))
    test_typography(Text("utter_x", "«\u00a0Ici\u00a0»\u202f! Là\u00a0: https://x.fr/?a", [], {}))


PHONE = re.compile(
    r"(?<![\d€])(?:0 ?8\d\d ?\d\d\d ?\d\d\d|0[1-9](?:[ .]?\d\d){4}|116 \d{3}|33700|3\d{3}|11[0-9]|1[578])(?!\d)"
)
# What else may be a figure: amounts, durations, dates, ages.
MEASURE = re.compile(
    r"\d[\d ]*(?:,\d+)?\s?(?:€|(?:ans?|mois|jours?|days|h)\b)|1er janvier"
    r"|(?:\d{1,2} )?(?:janvier|mars|octobre|novembre) 20\d\d|(?:[Ee]n|source de) 20\d\d|(?:de|entre) \d+ (?:à|et) \d+|n°\s\d"
)


@every_text
def test_only_known_numbers(one: Text) -> None:
    rest = MEASURE.sub(" ", one.prose)
    found = set(PHONE.findall(rest))
    assert found <= NUMBERS, found - NUMBERS
    left = PHONE.sub(" ", rest).replace("17Cyber", " ")
    assert not re.search(r"\d{2,}", left), f"a figure that is neither a known number nor a measure: {left!r}"


@every_text
def test_only_official_links(one: Text) -> None:
    for link in LINK.findall(one.text):
        parts = urlsplit(link)
        assert parts.scheme == "https"
        assert parts.hostname in DOMAINS, link
    assert "www." not in one.prose, "a link without https:// cannot be tapped"


@every_text
def test_placeholders(one: Text) -> None:
    assert re.findall(r"\{(.*?)\}", one.text) == PLACEHOLDERS.get(one.name, [])


@every_text
def test_quick_reply_limits(one: Text) -> None:
    assert len(one.buttons) <= 13
    titles = [button["title"] for button in one.buttons]
    assert len(set(titles)) == len(titles)
    assert len({button["payload"] for button in one.buttons}) == len(titles)
    for title in titles:
        assert 0 < len(title) <= 20, title


# Buttons ---


@pytest.mark.parametrize(("name", "button"), BUTTONS, ids=lambda value: str(value)[:60])
def test_button_is_accepted(name: str, button: dict[str, str]) -> None:
    if name == satisfaction.QUESTION:  # read before the engine
        assert button["payload"] in satisfaction.ANSWERS
        return
    match = re.fullmatch(r'/(\w+)(?:\{"\w+": "\w+"(?:, "\w+": "\w+")*\})?', button["payload"])
    assert match, button
    assert match[1] in INTENTS
    assert INTENTS[match[1]].route != EMERGENCY, "no button declares an emergency"
    for entity, value in re.findall(r'"(\w+)": "(\w+)"', button["payload"]):
        assert entity in DOMAIN["entities"]
        assert value in _values(entity), f"{entity}={value} is read by no action"


def _values(entity: str) -> set[str]:
    """The values that actions know, read in their source: the SDK is not installed in this environment."""
    where = {
        "corps": ("recrutement", "CORPS"),
        "diplome": ("recrutement", "DIPLOMES"),
        "document": ("documents", "DOCUMENTS"),
        "circonstance": ("documents", "CIRCUMSTANCES"),
        "pays": ("documents", "COUNTRIES"),
        "infraction": ("plainte", "OFFENCES"),
        "theme": ("accueil", "THEMES"),
    }
    known = {"autre"} if entity == "corps" else set()
    if entity in where:
        module, constant = where[entity]
        known |= set(_constant(module, constant))
    return known


def _constant(module: str, name: str) -> list[str]:
    source = (ROOT / "actions" / f"{module}.py").read_text(encoding="utf-8")
    match = re.search(rf"^{name} = \((.*?)\)$", source, re.MULTILINE | re.DOTALL)
    assert match, f"{name} in actions/{module}.py"
    return re.findall(r'"(\w+)"', match[1])


def test_each_subject_has_one_title() -> None:
    """« Est-ce l’un de ces sujets ? » reads titles in the menus."""
    titles: dict[str, str] = {}
    for name, button in BUTTONS:
        if name.startswith("utter_theme_") and "{" not in button["payload"]:
            intent = button["payload"][1:]
            assert titles.setdefault(intent, button["title"]) == button["title"]
    assert len(set(titles.values())) == len(titles)
    # Nobody is asked whether a message was a greeting, an insult or a danger.
    without = {"salutation", "au_revoir", "insulte_troll", "danger_immediat", "detresse_suicide"}
    assert set(titles) == set(INTENTS) - without


def test_menu_reaches_each_theme() -> None:
    themes = set(_constant("accueil", "THEMES"))
    for menu in ("utter_salutation", "utter_clarify", "utter_theme_autre"):
        offered = {b["payload"] for name, b in BUTTONS if name == menu} - {"/hors_perimetre"}
        assert offered == {f'/salutation{{"theme": "{theme}"}}' for theme in themes - {"autre"}} | {"/parler_humain"}
    assert [name for name, b in BUTTONS if b["payload"] == '/salutation{"theme": "autre"}'], "the way out of a choice"
    assert {f"utter_theme_{theme}" for theme in themes} <= set(DOMAIN["responses"])


# The whole ---


def _rules() -> dict[str, str]:
    rules = {}
    for rule in _yaml("data/rules.yml")["rules"]:
        intent, action = (next(iter(step.values())) for step in rule["steps"])
        assert intent not in rules, intent
        rules[intent] = action
    return rules


def test_every_intent_has_reply_and_rule() -> None:
    rules = _rules()
    assert list(DOMAIN["intents"]) == list(INTENTS)
    assert set(rules) == set(INTENTS) | {"nlu_fallback"}
    for intent, policy in INTENTS.items():
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
                assert name == "ville" or value in _values(name)
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


def test_each_response_is_used() -> None:
    """A reply that nothing utters is dead text that trainers would polish for nobody."""
    reachable = set(SYSTEM) | {f"utter_{intent}" for intent in INTENTS}
    reachable |= set(re.findall(r'"(utter_\w+[a-z])"', _sources()))
    reachable |= {f"utter_theme_{theme}" for theme in _constant("accueil", "THEMES")}
    reachable |= {f"utter_diplome_{value}" for value in _constant("recrutement", "DIPLOMES")}
    reachable |= set(_recruitment())
    reachable |= {f"utter_age_{corps}" for corps in _constant("recrutement", "CORPS")}
    documents = ["retrouve", "carte_bancaire", "vole", "circonstance", "perdu", "etranger", "pays", "france"]
    documents += ["vole_etranger", "retrouve_etranger"]
    documents += [f"perdu_{value}" for value in _constant("documents", "LOST")]
    reachable |= {f"utter_perte_vol_documents_{value}" for value in documents}
    reachable.add("utter_commissariat_contact_horaires_ville")
    reachable |= {row["reponse"] for row in PRECISIONS}
    assert reachable == set(DOMAIN["responses"])


def test_each_precision_leads_to_a_reply_and_away_from_one() -> None:
    names = [row["reponse"] for row in PRECISIONS]
    lines = [(general, line) for row in PRECISIONS for general in row["au_lieu_de"] for line in row["mots"]]
    assert len(set(lines)) == len(lines), "a line that is written twice"
    for row in PRECISIONS:
        assert row["reponse"] in DOMAIN["responses"], row["reponse"]
        for general in row["au_lieu_de"]:
            assert general in DOMAIN["responses"], f"{row['reponse']} au lieu de {general}"
            assert general not in names, "no reply is narrowed twice"


def _recruitment() -> Iterator[str]:
    for topic in _constant("recrutement", "ASKS_CORPS"):
        for corps in _constant("recrutement", "CORPS"):
            yield f"utter_{topic}_{corps}"
    source = (ROOT / "actions" / "recrutement.py").read_text(encoding="utf-8")
    for topic, values in re.findall(r'^    "(recrutement_\w+)": \((.*?)\),$', source, re.MULTILINE):
        for corps in re.findall(r'"(\w+)"', values):
            yield f"utter_{topic}_{corps}"


# What matters most ---

NOBODY = "Écrire ici n’alerte personne."


@pytest.mark.parametrize("name", ["utter_urgence", "utter_detresse"])
def test_emergency_text(name: str) -> None:
    text = by_name(name)
    assert text.startswith(NOBODY)
    assert size(text) <= 600
    assert "?" not in text
    for number in ("112", "15", "114", "SMS"):
        assert number in text
    assert ("3114" if name == "utter_detresse" else "17") in text
    if name == "utter_urgence":
        assert text.index("17") < text.index("112") < text.index("15") < text.index("18") < text.index("114")


def test_emergency_text_of_the_engine_is_the_same() -> None:
    assert by_name("utter_danger_immediat") == by_name("utter_urgence")
    assert by_name("utter_detresse_suicide") == by_name("utter_detresse")


@pytest.mark.parametrize("name", ["utter_urgence", "utter_detresse"])
def test_emergency_fits_in_one_message(name: str) -> None:
    parts = ["utter_urgence_retard", name, f"{name}_anglais", "utter_urgence_nuit"]
    assert size("\n".join(map(by_name, parts))) <= MAX_BYTES
    english = by_name(f"{name}_anglais")
    assert english.startswith("Writing here does not alert anyone.")
    assert "?" not in english.replace("Cannot speak?", "")


# A text's name → the text; of several variations the longest.
LONGEST = {one.name: one.text for one in sorted(TEXTS, key=lambda one: size(one.text))}


def composed(
    intent: str, spoken: str = FRENCH, told: bool | None = None, facts: str = "", clarify: bool = False
) -> str:
    """The one message that a stranger gets: by day, or at night (`told`: after this night's message)."""
    policy = policy_of(intent)
    request = HandoffRequest(policy.category, policy.priority, intent) if policy.route == HANDOFF else None
    reply = Reply(LONGEST["utter_clarify" if clarify else f"utter_{intent}"])
    turn = Turn(Understanding(intent, 0.9, french=spoken == FRENCH), (reply,), request, clarify)
    wait = LONGEST["utter_attente_minutes"]
    outcome = route.by_day(turn, route.Situation(wait=wait, spoken=spoken, facts=facts), LONGEST)
    if told is not None:
        outcome = route.at_night(outcome, told, LONGEST, spoken)
    return "\n\n".join(reply.text for reply in outcome.replies)


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text."""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s|\n", text) if part.strip()]


HANDED_OFF = [intent for intent, policy in INTENTS.items() if policy.route == HANDOFF]


@pytest.mark.parametrize("told", [None, False, True], ids=["day", "night", "told"])
@pytest.mark.parametrize("intent", [*HANDED_OFF, "armes"])
def test_nothing_is_said_twice_in_one_message(intent: str, told: bool | None) -> None:
    whole = composed(intent, told=told, clarify=intent == "armes")
    assert size(whole) <= MAX_BYTES
    assert len(set(sentences(whole))) == len(sentences(whole))
    for number in ("17", "114"):
        found = len(re.findall(rf"(?<![\d]){number}(?!\d|Cyber)", LINK.sub("", whole)))
        due = intent != "remerciements" if told is None else whole != ""
        assert found == (1 if due or told is False else 0), whole


def test_night_does_not_contradict_itself() -> None:
    grave = composed("violences_conjugales", told=False)
    assert "pas lu" not in grave
    assert "transm" in grave
    assert "transm" not in composed("reclamation_police", told=False)
    for intent in HANDED_OFF:
        for hour in ("Bonsoir", "Bonjour", "bonne nuit"):  # it is sent from midnight to six
            assert hour not in composed(intent, told=False)


@pytest.mark.parametrize("code", SPOKEN)
def test_another_language_fits_in_one_message_with_its_numbers(code: str) -> None:
    facts = [row["reponse"] for row in PRECISIONS if f"utter_langue_{code}" in row["au_lieu_de"]]
    assert bool(facts) is (code == "en")
    messages = [composed("armes", code, facts=name) for name in ["", *facts]]
    messages += [composed(intent, code, told) for intent in HANDED_OFF for told in (None, False)]
    messages.append(composed("armes", code, told=False))
    for whole in messages:
        assert size(whole) <= MAX_BYTES, whole
    for number in ("17", "112", "114"):
        assert number in LONGEST[f"utter_langue_{code}"]
    assert messages[0].startswith(LONGEST["utter_assistant"])
    assert LONGEST["utter_filet"] not in messages[0], "theirs carries the numbers"


def test_no_button_leads_back_to_its_own_reply() -> None:
    for name, button in BUTTONS:
        if "{" not in button["payload"]:
            assert name != f"utter_{button['payload'][1:]}", f"{name}: {button['title']}"


def test_night_fits_in_one_message() -> None:
    for number in ("17", "112", "114"):
        assert number in by_name("utter_nuit")
        assert number in by_name("utter_nuit_grave")
    assert "3919" in by_name("utter_nuit_violences")
    assert "116 000" in by_name("utter_nuit_disparition")
    assert "3018" in by_name("utter_nuit_cyber")


def test_handoff_replies_leave_room_and_ask_what_agents_need() -> None:
    extra = size("\n".join(map(by_name, ["utter_filet", "utter_attente_minutes", "utter_assistant"]))) + 3
    for one in TEXTS:
        intent = one.name.removeprefix("utter_")
        if intent in INTENTS and INTENTS[intent].route == HANDOFF:
            assert size(one.text) + extra <= MAX_BYTES, one.name
            assert re.search(r"[Dd]ites-(nous|lui)|dans quelle ville|écrivez ici|lieu et la date", one.text), one.name


@pytest.mark.parametrize(
    ("intent", "needed"),
    [
        ("violences_conjugales", ("17", "114", "3919", "116 006", "arretonslesviolences.gouv.fr")),
        ("violences_sexuelles", ("17", "114", "3919", "116 006", "arretonslesviolences.gouv.fr")),
        ("harcelement_cyber", ("3018", "17cyber.gouv.fr", "17")),
        ("disparition", ("17", "114", "116 000", "aucun délai")),
        ("reclamation_delai_disparition", ("justice", "Un agent")),
        ("disparition_avis", ("17", "114", "116 000", "justice", "Un agent")),
        ("age_officier", ("se contredisent", "35 ans", "45 ans", "fiche officielle", "devenirpolicier.fr")),
        ("cout_vacances", ("gratuite", "F34634")),
        ("reclamation_delai_refus", ("procureur", "Un agent")),
        ("precis_passe_judiciaire", ("casier", "devenirpolicier.fr", "agrément")),
        ("temoignage_info_enquete", ("17", "114", "justice", "masecurite")),
        ("precis_sac_vole", ("opposition", "plainte")),
        ("precis_plaque", ("plainte", "antai.gouv.fr")),
        ("reclamation_police", ("IGPN", "defenseurdesdroits.fr", "personnellement")),
        ("arnaque_cyber", ("opposition", "17cyber.gouv.fr", "Thésée", "Perceval", "Pharos", "33700", "0 805 805 817")),
        ("hors_perimetre", ("mairie", "préfecture", "gendarmerie", "pompiers", "douane")),
        ("contenu_illicite", ("internet-signalement.gouv.fr",)),
    ],
)
def test_what_a_reply_carries(intent: str, needed: tuple[str, ...]) -> None:
    for word in needed:
        assert word in by_name(f"utter_{intent}")


def test_the_question_of_the_place_fits_behind_each_answer() -> None:
    """The channel joins it to the answer; one that left no room would send it as a second message."""
    question = size(by_name("utter_perte_vol_documents_pays"))
    answers = [one for one in TEXTS if one.name.startswith(("utter_perte_vol_documents_", "utter_precis_sac_vole"))]
    assert all(size(one.text) + 1 + question <= MAX_BYTES for one in answers)


@pytest.mark.parametrize(
    ("name", "affirmed"),
    [
        ("utter_perte_vol_documents_perdu_carte_identite", "guichet"),
        ("utter_perte_vol_documents_perdu_passeport", "guichet"),
        ("utter_precis_tatouage", "sont admis"),
        ("utter_cout_plainte", "gratuit"),
        ("utter_cout_recrutement", "gratuit"),
        ("utter_diplome_licence", "passer le concours d’officier"),
    ],
)
def test_doubtful_facts_give_the_official_page_instead(name: str, affirmed: str) -> None:
    assert affirmed not in by_name(name)
    assert re.search(r"vérifi|page officielle", by_name(name), re.IGNORECASE)
    assert re.search(r"https://www\.(service-public\.gouv|devenirpolicier)\.fr", by_name(name))


@pytest.mark.parametrize("name", ["utter_age_demande_reserve", "utter_age_limite_reserve", "utter_age_reserve"])
def test_the_reserve_names_no_date(name: str) -> None:
    assert not re.search(r"\bdate\b", by_name(name))


def test_two_wordings_where_people_meet_them_often() -> None:
    for name in (
        "utter_salutation",
        "utter_remerciements",
        "utter_insulte_troll",
        "utter_clarify",
        "utter_clarify_question",
        "utter_precision_notee",
        "utter_parler_humain_suite",
    ):
        assert len({one.text for one in TEXTS if one.name == name}) == 2
    for one in TEXTS:
        if one.name == "utter_salutation":
            assert "je suis un assistant automatique" in one.text.lower()
            assert "agent" in one.text


def test_system_texts_exist() -> None:
    assert set(SYSTEM) <= set(DOMAIN["responses"])
    for name in SYSTEM:
        assert len(DOMAIN["responses"][name]) == 1, "read outside Rasa: no draw between variations"


# What trainers read and play ---


def test_lookups_lead_to_known_values() -> None:
    """Each word of the lists means a value that the actions answer for, and each such value can be said."""
    rows = _yaml("data/nlu.yml")["nlu"]
    value_of = {word: row["synonym"] for row in rows if "synonym" in row for word in _lines(row)}
    lists = {row["lookup"]: _lines(row) for row in rows if "lookup" in row}
    # « cap emploi », « vol de nuit »: found first, so that no word of theirs is taken for a diploma or a theft; then dropped.
    assert set(lists) == (set(DOMAIN["entities"]) - {"theme"}) | {"autre_sens"}
    for entity in ("corps", "diplome", "document", "circonstance", "pays", "infraction"):
        said = {value_of.get(word, word) for word in lists[entity]}
        assert said == _values(entity) - ({"autre"} if entity == "corps" else set()), entity


def _lines(row: dict[str, str]) -> list[str]:
    return [line.removeprefix("- ").strip() for line in row["examples"].splitlines()]


def test_guide_defines_each_intent() -> None:
    guide = (ROOT / "docs" / "guide-formateur.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^#### (\w+)\n(.*?)(?=^#{2,4} |\Z)", guide, re.MULTILINE | re.DOTALL))
    assert set(sections) == set(INTENTS)
    for intent, section in sections.items():
        assert section.startswith("**"), f"{intent}: the definition comes first"
        assert len(re.findall(r"«\s.+?\s»", section.split("Frontières")[0])) >= 3, f"{intent}: three examples"
    for action in _actions():
        assert action in guide


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
            whole = "\n".join(one.text for one in TEXTS)
            assert all(part in whole for part in turn["expect"].get("responses_contain", [])), path.name
    assert met - {None} <= set(INTENTS)


def _payloads() -> set[str]:
    return {button["payload"] for _, button in BUTTONS} | {f"/{intent}" for intent in INTENTS}

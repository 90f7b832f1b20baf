"""What was not understood: ask which of two subjects, ask to rephrase, then a human."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import catalogue
from actions.handoff import ask_human, response
from actions.relance import CHOICE, asks_again
from actions.said import known
from bot.policy.intents import FALLBACK

PLAUSIBLE = 0.15  # an intent below this is not worth naming
TOGETHER = 0.6  # two intents that are less likely than this together are a guess
PROPOSED = "utter_clarify_propositions"
# Messages without words, by the kind that the engine gives them.
WORDLESS = {"nombre": "utter_nombre_seul", "emoji": "utter_emoji_seul"}


def clarify(dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask to say it in other words; at the second time in a row, ask for a human."""
    count = int(tracker.get_slot("incompris") or 0) + 1
    if count > 1:
        dispatcher.utter_message(response=response(tracker, "utter_incompris"))
        ask_human(dispatcher, tracker, like="parler_humain", reason="incompris")
        return [SlotSet("incompris", count), SlotSet("question", None)]
    dispatcher.utter_message(json_message={"clarify": True})
    return [*rephrase(dispatcher, tracker, domain), SlotSet("incompris", count)]


def rephrase(dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> list[dict[str, Any]]:
    """The nearest questions of the catalogue with what answers them, where one is near enough; the two closest subjects if both are
    plausible; the question that is still open; the nearest questions, which `catalogue.offer` names; else the menu."""
    kind = str(tracker.latest_message.get("kind") or "")
    wordless = WORDLESS.get(kind)
    offered = catalogue.nearest(tracker) and PROPOSED in (domain.get("responses") or {})  # a model of before has none
    if offered and catalogue.preview(dispatcher, tracker):
        dispatcher.utter_message(response=PROPOSED)
        return []
    near = [] if kind else closest(tracker, titles(domain))
    if near:
        first, second = (button["title"] for button in near)
        dispatcher.utter_message(response="utter_clarify_deux", premier=first, second=second, buttons=near)
        return [SlotSet("question", CHOICE.join(button["payload"][1:] for button in near))]
    question = known(tracker, "question") or ""
    if not wordless and asks_again(question):
        dispatcher.utter_message(response="utter_clarify_question")
        return asks_again(question, dispatcher)
    dispatcher.utter_message(response=wordless or (PROPOSED if offered else "utter_clarify"))
    return []


def closest(tracker: Tracker, names: dict[str, str]) -> list[dict[str, str]]:
    """Buttons of the best two intents if both have a title and are plausible, and together likely."""
    ranking = [row for row in tracker.latest_message.get("intent_ranking") or [] if row["name"] != FALLBACK][:2]
    chances = [row["confidence"] for row in ranking]
    if len(ranking) < 2 or min(chances) < PLAUSIBLE or sum(chances) < TOGETHER:
        return []
    if not all(row["name"] in names for row in ranking):
        return []
    return [{"title": names[row["name"]], "payload": f"/{row['name']}"} for row in ranking]


def titles(domain: dict[str, Any]) -> dict[str, str]:
    """The title that the menus (`utter_theme_…`) give each intent."""
    return {
        button["payload"][1:]: button["title"]
        for name, variations in (domain.get("responses") or {}).items()
        if name.startswith("utter_theme_")
        for variation in variations
        for button in variation.get("buttons") or []
        if "{" not in button["payload"]
    }

"""« au fait, c'est gratuit ? »: what it costs, under what is being talked about; then the open question is asked again."""

from __future__ import annotations

from typing import Any, Optional

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.recrutement import AGE, ASKS_CORPS, TOPICS
from actions.relance import CHOICE, OFFER, SUBJECT, asks_again
from actions.said import NO_SUBJECT, intent, is_tap, known, last_subject, text
from bot.policy.intents import ANSWER, is_grave, policy_of
from bot.policy.normalise import BOUNDARIES, tokens


def _word_set(words: str) -> frozenset[str]:
    return frozenset(words.split())


LONGEST = 12  # words of a question that names its subject itself
_GENERAL = "utter_cout"
# Subject → the reply. What is not here has the general one; a fine is about money in its own reply.
REPLIES = {
    **dict.fromkeys(TOPICS, "utter_cout_recrutement"),
    **dict.fromkeys(
        ("plainte_comment", "pre_plainte_en_ligne", "main_courante", "suivi_plainte"), "utter_cout_plainte"
    ),
    **dict.fromkeys(("arnaque_cyber", "contenu_illicite"), "utter_cout_internet"),
    "operation_tranquillite_vacances": "utter_cout_vacances",
    "procuration": "utter_cout_procuration",
    "attestation_casier": "utter_cout_casier",
    "contravention": "utter_contravention",
}
# Words as `tokens` folds them: no accents, no doubled letters. Any of these asks for a price.
_PRICE = _word_set(
    "gratuit gratui gratuite gratuits gratuites gratos payant payante payants payan coute coutent cout couts koute tarif tarifs"
    " prix frais"
)
# With « faut » or « dois », « payer » asks for a price too.
_MUST = _word_set("faut doit dois devra devrai falloir est va vais")
# What may stand around it without naming what the price is asked of.
_AROUND = _word_set(
    "au fait o fet et sinon a propos en bonjour bonsoir salut merci svp stp s il te vous plait dites dite moi euh ah ok oui non"
    " mais alors donc c ca sa se ce cela est ces que esk eske es elle elles ils on je j tu y t ya aura sera la le les l un une de"
    " des du d quel quelle quels quelles pour tout toute tous toutes vraiment bien aussi ou pas n ne rien quelque chose service"
    " demarche savoir question petite autre derniere voulais voudrais aimerais demander besoin combien kombien cb payer faut doit"
    " dois devra devrai falloir va vais"
)


def answer(dispatcher: CollectingDispatcher, tracker: Tracker) -> Optional[list[dict[str, Any]]]:
    """The reply's events; None if the message does not ask for a price, or of what is unknown."""
    if is_tap(tracker) or is_grave(intent(tracker)):
        return None
    words = [word for word in tokens(text(tracker)) if word not in BOUNDARIES]
    elliptic = is_elliptic(words)
    about = _about(tracker) if elliptic else _named(tracker, words)
    subject = ASKS_CORPS[0] if about == AGE else about
    if not subject or policy_of(subject).route != ANSWER:
        return None
    dispatcher.utter_message(response=REPLIES.get(subject, _GENERAL))
    # The message's own intent is a guess: what it asked of stays the subject, for « et ça coûte combien ? ».
    kept = [SlotSet("sujet", about)] if elliptic else []
    return [*kept, *_goes_on(dispatcher, tracker)]


def is_asked_alone(tracker: Tracker) -> bool:
    """« c'est gratuit ? »: of what is talked about."""
    return is_elliptic([word for word in tokens(text(tracker)) if word not in BOUNDARIES])


def is_elliptic(words: list[str]) -> bool:
    """A price is asked, of nothing that is named: « ça coûte combien ? », « faut payer ? »."""
    asked = not _PRICE.isdisjoint(words) or ("payer" in words and not _MUST.isdisjoint(words)) or words in _ALONE
    return asked and all(word in _PRICE or word in _AROUND for word in words)


_ALONE = (["c", "est", "combien"], ["ca", "fait", "combien"], ["combien", "ca", "fait"], ["combien", "c", "est"])


def _about(tracker: Tracker) -> Optional[str]:
    """The open question's subject, else what was talked about before: an intent or « age »."""
    question = known(tracker, "question") or ""
    if question in (OFFER, "") or CHOICE in question or question in NO_SUBJECT:
        return last_subject(tracker) or known(tracker, "sujet")
    return SUBJECT.get(question, question)


def _named(tracker: Tracker, words: list[str]) -> Optional[str]:
    """The message says itself what the price is asked of, and the general reply to that has none."""
    name = intent(tracker)
    short = len(words) <= LONGEST and not _PRICE.isdisjoint(words)
    return name if short and name in REPLIES and name != "contravention" else None


def _goes_on(dispatcher: CollectingDispatcher, tracker: Tracker) -> list[dict[str, Any]]:
    """The open question is asked again, once; it stays open anyhow."""
    question = known(tracker, "question") or ""
    last = tracker.latest_message.get("last", True)
    if last and question and known(tracker, "relance") != question:
        return asks_again(question, dispatcher)
    return []

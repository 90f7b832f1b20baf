"""« supprimez mes messages », « qui lit mes messages ? »: who asks about what is kept here, and who tells of something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.app import policy
from bot.core.dialogue import HandoffRequest, Reply, Turn, Understanding
from bot.policy import data_rights, route
from bot.policy.intents import policy_of
from bot.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
POLICY = policy.build(Settings(), files=ROOT)

ASKED = """
supprimez mes messages
SUPPRIMEZ MES MESSAGES !!!
supprimez mes msg stp
suprimé tt mes msg svp
SUPPRIME MES DONNEES
Effacez mes données, s’il vous plaît
je veux supprimer mes messages
j'veux supprimer mes messages
je veux que vous effaciez mes messages
pouvez-vous effacer notre conversation ?
effacez tout ce que vous avez sur moi
effacez ce que je vous ai écrit
oubliez tout ce que je vous ai dit
effacez les photos que je vous ai envoyées
le message que je viens d’envoyer, supprimez-le
retirez-moi de votre base de données
supprimez moi de vos fichiers
je demande l'effacement de mes données
je veux la suppression de mes données personnelles
j’aimerais que mes données soient supprimées
j'exerce mon droit à l’effacement
je veux faire valoir mon droit d'accès
je m'oppose au traitement de mes données
je retire mon consentement
je veux une copie de mes données
je souhaite rectifier mes données
mes données
mes donnees perso svp
RGPD
comment contacter le délégué à la protection des données
dpo
c'est quoi votre politique de confidentialité
qui lit mes messages ?
Qui lit mes messages
c ki ki lit mes msg
qui peut lire ce que j'écris ici ?
qui a accès à cette conversation
vous lisez mes messages ?
est-ce que mes messages sont lus par quelqu’un ?
ma conversation est-elle confidentielle ?
mes messages sont-ils conservés ?
combien de temps conservez-vous mes messages ?
Quelles données gardez-vous sur moi ?
vs gardé koi sur moi
qu'est-ce que vous savez sur moi ?
que faites-vous de mes informations personnelles ?
où vont mes données ?
vous partagez mes infos avec qui ?
""".strip().splitlines()

ELSE = """
on a piraté mes données
mes données ont fuité
vol de mes données
un site demande mes données
mes données de connexion ont été changées
quelqu'un se fait passer pour moi et a mes données
quelqu'un a effacé mes données
il lit mes messages
mon copain lit mes messages
mon patron lit mes messages professionnels
elle fouille dans mon téléphone et lit mes messages
mon mari lit mes messages, qui peut m'aider ?
comment savoir qui lit mes messages, je pense que mon mari m'espionne
il a supprimé mes messages
facebook a supprimé mes messages
qqn a supprimé mes messages instagram
supprimez la vidéo de ma fille
supprimez cette vidéo
qui peut supprimer la vidéo de ma fille sur TikTok ?
supprimez ce compte qui usurpe mon identité
comment effacer mon historique pour que mon mari ne voie rien
comment supprimer mes messages envoyés à mon ex ?
il m'a forcé à effacer tous mes messages
faut-il effacer les messages qu'il m'a envoyés
il a publié mes données
ils savent tout sur moi
effacer mon casier judiciaire
je veux effacer mon fichage taj
supprimer mes points de permis
je retire ma plainte
qui a lu ma plainte
est-ce que mon témoignage est confidentiel
qui a vu mon chat
effacez l'amende
""".strip().splitlines()


@pytest.mark.parametrize("words", ASKED)
def test_who_asks_about_what_is_kept_is_heard(words: str) -> None:
    assert data_rights.asks(words)
    assert POLICY.facts("fr", words) == "utter_donnees"


@pytest.mark.parametrize("words", ELSE)
def test_who_tells_of_something_else_is_not_taken_for_it(words: str) -> None:
    assert not data_rights.asks(words)
    assert POLICY.facts("fr", words) == ""


def test_a_story_is_more_than_the_demand_in_it() -> None:
    assert not data_rights.asks("supprimez mes messages " + "merci " * 60)
    assert not data_rights.asks("supprimez mes messages, il va me tuer")
    assert data_rights.tells_of_others("quelqu’un a effacé mes données")


def test_texts_of_a_version_before_have_no_such_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(POLICY.texts, "utter_donnees")
    assert POLICY.facts("fr", "supprimez mes messages") == ""


def read_as(intent: str, words: str, danger: float = 0.0, faint: bool = False, chance: float = 0.6) -> route.Outcome:
    """What words get by day when the engine read this in them."""
    named = policy_of(intent)
    request = HandoffRequest(named.category, named.priority, intent) if named.route == "handoff" else None
    turn = Turn(Understanding(intent, chance, danger=danger), (Reply("Du moteur."),), request)
    situation = route.Situation(
        introduced=True, facts=POLICY.facts("fr", words), faint=faint, rights=data_rights.asks(words)
    )
    return route.by_day(turn, situation, POLICY.texts)


def rights_told(outcome: route.Outcome) -> bool:
    return "Vos droits" in " ".join(reply.text for reply in outcome.replies)


@pytest.mark.parametrize("words", ASKED)
def test_it_is_answered_also_where_harassment_or_nothing_was_read(words: str) -> None:
    for intent in ("harcelement_cyber", "salutation", "hors_perimetre_precision"):
        # A message that says nothing to the engine is unsure, and has a trace of anything.
        outcome = read_as(intent, words, danger=0.02, chance=0.2)
        assert rights_told(outcome)
        assert (outcome.handoff, outcome.category) == (None, "none")


def test_a_trace_of_danger_keeps_the_engines_own_reply() -> None:
    words = "supprimez mes messages"
    for outcome in (
        read_as("harcelement_cyber", words, danger=0.2),
        read_as("harcelement_cyber", words, faint=True),
        read_as("violences_conjugales", words),
        read_as("harcelement_cyber", "supprimez la vidéo de ma fille"),
    ):
        assert not rights_told(outcome)
        assert outcome.category == "sensitive"
        assert outcome.handoff is not None


def test_at_night_it_waits_as_a_question_does() -> None:
    def night(
        words: str, intent: str = "harcelement_cyber", danger: float = 0.0, uneasy: bool = False
    ) -> route.Outcome:
        named = policy_of(intent)
        request = HandoffRequest(named.category, named.priority, intent)
        understood = route.Outcome(
            "handoff", named.category, "waiting", (), request, Understanding(intent, 0.5, danger=danger)
        )
        return route.without_mistaken(understood, data_rights.asks(words), uneasy)

    assert night("supprimez mes messages").handoff is None
    assert night("supprimez mes messages").category == "none"
    assert night("supprimez mes messages", danger=0.2).handoff is not None
    assert night("supprimez mes messages", uneasy=True).handoff is not None  # a distress may be meant
    assert night("supprimez mes messages", "violences_conjugales").handoff is not None
    assert night("il publie mes messages").handoff is not None
    assert route.without_mistaken(route.Outcome("clarify", "none", "waiting"), True, False).understanding is None

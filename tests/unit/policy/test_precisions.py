"""Narrower replies by the words of a message: how a line of data/precisions.yml is read, and what the file itself finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.core import yaml_text
from bot.policy.precisions import LONGEST, Precisions

FILE = Path(__file__).resolve().parents[3] / "data" / "precisions.yml"
TABLE = Precisions.from_mapping(yaml_text.values(FILE.read_text(encoding="utf-8")))


def table(*words: str, unless: tuple[str, ...] = ()) -> Precisions:
    row = {"reponse": "utter_a", "au_lieu_de": ["utter_x"], "mots": list(words), "sauf": list(unless)}
    return Precisions.from_mapping({"precisions": [row]})


@pytest.mark.parametrize(
    ("line", "text", "found"),
    [
        ("nid guêpe*", "UN NID DE GUEPES", True),
        ("nid guêpe*", "guêpes dans leur nid", False),
        ("plaque volé*", "ma plaque de voiture a été volée", True),
        ("plaque volé*", "ma plaque, tu sais, celle que j'avais repeinte, volée", False),
        ("sac|porte-monnaie perdu", "porte monnaie perdu", True),
        ("sac|porte-monnaie perdu", "les sacs perdus", True),
        ("sac", "sacoche", False),
        ("bus", "le bus", True),
        ("carte d'identité", "cartes d identite", True),
        ("c'est quoi 114", "c koi le 114 ?", True),
    ],
)
def test_a_line(line: str, text: str, found: bool) -> None:
    assert (table(line).find("utter_x", text) is not None) is found


def test_the_first_entry_that_holds_wins_and_others_are_not_asked() -> None:
    rows = [
        {"reponse": "utter_a", "au_lieu_de": ["utter_x"], "mots": ["vélo volé"]},
        {"reponse": "utter_b", "au_lieu_de": ["utter_x", "utter_y"], "mots": ["vélo"]},
    ]
    both = Precisions.from_mapping({"precisions": rows})
    assert both.find("utter_x", "un vélo volé") == "utter_a"
    assert both.find("utter_x", "un vélo") == "utter_b"
    assert both.find("utter_y", "un vélo volé") == "utter_b"
    assert both.find("utter_z", "un vélo volé") is None
    assert [name for name, _ in both.replies()] == ["utter_a", "utter_b"]


def test_exceptions_and_long_stories() -> None:
    bag = table("sac", unless=("sac à dos",))
    assert bag.find("utter_x", "mon sac") == "utter_a"
    assert bag.find("utter_x", "mon sac à dos") is None
    assert bag.find("utter_x", "mon sac " + "et puis " * (LONGEST // 2)) is None


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (None, "manque"),
        ({"precisions": {}}, "manque"),
        ({"precisions": ["x"]}, "entrée n° 1"),
        ({"precisions": [{"au_lieu_de": ["x"], "mots": ["y"]}]}, "entrée n° 1"),
        ({"precisions": [{"reponse": "utter_a", "au_lieu_de": ["x"], "mots": ["y"], "autre": 1}]}, "utter_a"),
        ({"precisions": [{"reponse": "utter_a", "au_lieu_de": [], "mots": ["y"]}]}, "pas vides"),
        ({"precisions": [{"reponse": "utter_a", "au_lieu_de": ["x"], "mots": "y"}]}, "pas vides"),
        ({"precisions": [{"reponse": "utter_a", "au_lieu_de": ["x"], "mots": ["y"], "sauf": 3}]}, "pas vides"),
        ({"precisions": [{"reponse": "utter_a", "au_lieu_de": ["x"], "mots": [" "]}]}, "vide"),
        ({"precisions": [{"reponse": "utter_a", "au_lieu_de": ["x"], "mots": ["sac|*"]}]}, "il manque un mot"),
    ],
)
def test_what_is_wrong_is_named(data: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Precisions.from_mapping(data)


@pytest.mark.parametrize(
    ("general", "text", "reply"),
    [
        ("hors_perimetre", "ya un gros nid de frelons ds mon jardin", "precis_insectes"),
        ("hors_perimetre", "mon ex paie plus la pension alimentaire", "precis_famille"),
        ("hors_perimetre", "garde alternée comment on fait", "precis_famille"),
        ("plainte_comment", "il ne me rend pas les enfants le dimanche", "precis_famille"),
        ("hors_perimetre", "mon fils s'est fait bannir de Fortnite", "precis_jeux"),
        ("hors_perimetre", "comment devenir gendarme", "precis_autres_corps"),
        ("hors_perimetre", "numéro de la gendarmerie de Gex", "precis_gendarmerie"),
        ("hors_perimetre", "renouveler mon passeport", "precis_titres"),
        ("hors_perimetre", "RDV PREFECTURE TITRE DE SEJOUR", "precis_etranger"),
        ("hors_perimetre", "le proprio garde ma caution", "precis_logement"),
        ("hors_perimetre", "la CAF me doit de l'argent", "precis_social"),
        ("hors_perimetre", "mon colis amazon jamais reçu", "precis_conso"),
        ("hors_perimetre", "demain il fera quel temps météo", "precis_autre_sujet"),
        ("hors_perimetre", "on m'observe", None),
        ("autre_procedure", "on ma volé ma plaque d'immatriculation", "precis_plaque"),
        ("vol_vehicule_fourriere", "plaques dérobées cette nuit", "precis_plaque"),
        ("contravention", "ma plaque a été usurpée, je reçois des PV", "precis_plaque"),
        ("contravention", "je peux avoir la photo du radar ?", "precis_photo_radar"),
        ("contravention", "comment payer mon amende", None),
        ("autre_procedure", "j'ai reçu une convocation", "precis_convocation"),
        ("autre_procedure", "mon frère est en garde à vue", "precis_garde_a_vue_proche"),
        ("autre_procedure", "durée d'une gav", "precis_garde_a_vue"),
        ("autre_procedure", "trouvé un iphone dans le tram", "precis_objet_trouve"),
        ("vol_vehicule_fourriere", "une voiture garée devant mon garage", "precis_stationnement"),
        ("vol_vehicule_fourriere", "ma voiture volée devant mon garage", None),
        ("plainte_comment", "on m'a arraché mon sac", "precis_sac_vole"),
        ("perte_vol_documents_vole", "sac volé avec tous mes papiers", "precis_sac_vole"),
        ("plainte_comment", "on m a piqué mon telephone ds le metro", "precis_telephone_vole"),
        ("plainte_comment", "on a été cambriolés pendant les vacances", "precis_cambriolage"),
        ("plainte_comment", "ils refusent de prendre ma plainte", "precis_plainte_refusee"),
        ("plainte_comment", "est-il trop tard pour porter plainte", "precis_plainte_delai"),
        ("plainte_comment", "comment porter plainte", None),
        ("reclamation_delai", "pourquoi l'alerte enlèvement est sortie si tard", "reclamation_delai_disparition"),
        (
            "reclamation_delai",
            "3 jours pour publier la photo de la petite, honte à vous",
            "reclamation_delai_disparition",
        ),
        ("reclamation_police", "l'agent s'est moqué de moi quand j'ai signalé la disparition de ma fille", None),
        ("reclamation_police", "un policier a publié la photo de mon enfant", None),
        ("insulte_troll", "vous êtes des nuls", None),
        ("insulte_troll", "bande de gamins", None),
        ("temoignage_info_enquete", "j'ai vu l'avis pour la petite, je l'ai croisée hier", None),
        ("temoignage_info_enquete", "je crois avoir reconnu l'enfant de votre avis de recherche", None),
        ("temoignage_info_enquete", "pouvez-vous lancer un appel à témoins pour le vol de ma moto ?", None),
        ("disparition", "ma fille de 14 ans a disparu depuis hier", None),
        ("disparition", "fugue de mon fils, il faut lancer l'alerte enlèvement", None),
        ("reclamation_delai", "un petit appel de vos services, ça fait six mois que j'attends", None),
        ("reclamation_delai", "deux heures pour venir hier soir", None),
        ("reclamation_delai", "ma plainte date d'un an et toujours rien", None),
        ("reclamation_delai", "ils refusent de prendre ma plainte", "reclamation_delai_refus"),
        ("reclamation_delai", "ils veulent pas enregistrer ma plainte", "reclamation_delai_refus"),
        ("recrutement_aptitude", "rappel à la loi à 16 ans, grave ?", "precis_passe_judiciaire"),
        ("recrutement_aptitude", "un petit casier pour un vol, je peux postuler", "precis_passe_judiciaire"),
        ("recrutement_conditions", "j'ai 38 ans, c'est trop tard ?", None),
        ("recrutement_aptitude", "tatoo ds le cou", "precis_tatouage"),
        ("perte_vol_documents_carte_bancaire", "on m'a volé mon sac avec ma cb", "precis_sac_vole"),
        ("perte_vol_documents_vole", "on m'a volé mon sac avec ma cb", "precis_sac_vole"),
        ("perte_vol_documents_carte_bancaire", "carte bleue avalée", None),
        ("parler_humain", "t'es un robot ?", "parler_humain_robot"),
        ("parler_humain", "je veux parler à un humain pas un robot", None),
        ("langue_en", "I lost my passport in Nice", "anglais_papiers"),
        ("langue_en", "my phone was stolen", "anglais_carte"),
        ("langue_en", "how can I report a theft", "anglais_plainte"),
        ("langue_en", "opening hours of the station", "anglais_horaires"),
        ("langue_en", "can you recommend a park", None),
        ("signalement_trafic", "ça deale tous les soirs dans notre hall", "signalement_trafic_drogue"),
        ("signalement_trafic", "on retrouve des seringues dans le square", "signalement_trafic_drogue"),
        ("signalement_trafic", "rodéos sur le parking tous les dimanches", None),
        ("signalement_trafic", "une fille est exploitée au deuxième étage", None),
        ("remerciements", "courage à vous et à votre collègue", "remerciements_soutien"),
        ("remerciements", "toutes mes condoléances", "remerciements_soutien"),
        ("remerciements", "merci aux policiers venus hier, ils ont retrouvé mon fils", None),
        ("remerciements", "merci à la policière qui m'a aidée quand je suis tombée", None),
        ("parler_humain", "je voudrais en parler de vive voix", "parler_humain_voix"),
        ("parler_humain", "vous pouvez me rappeler ?", "parler_humain_voix"),
        ("parler_humain", "je m'appelle Jean et je veux un agent", None),
    ],
)
def test_the_file(general: str, text: str, reply: str | None) -> None:
    assert TABLE.find(f"utter_{general}", text) == (reply and f"utter_{reply}")


# Anger about a missing child's appeal that came late, whatever the classifier takes it for.
LATE_APPEAL = (
    "pourquoi l’alerte pour cette petite n’est sortie que le lendemain ??",
    "personne a diffusé l’avis pour le petit",
    "pk vs avé pa lancé l'alerte pr le gosse",
    "24h avant de prévenir les gens pour la gamine c'est honteux",
    "rien sur votre page avec la photo de l'ado, rien",
    "IL A FALLU TROIS JOURS POUR VOIR LA PHOTO DU PETIT",
    "la fillette est partie mardi et l'avis sort jeudi, bravo",
    "vous avez attendu qu'elle soit morte pour lancer l'alerte",
    "cet enfant était recherché depuis deux jours et personne a relayé",
    "aucun appel pour retrouver cette gamine, bande d'incapables",
    "vous auriez pu partager le portrait de la petite plus tot",
    "pourquoi avoir publié l'appel si tard",
)


@pytest.mark.parametrize("text", LATE_APPEAL)
@pytest.mark.parametrize("general", ["reclamation_delai", "reclamation_police", "insulte_troll"])
def test_a_late_appeal_is_told_of_the_judicial_framework(general: str, text: str) -> None:
    assert TABLE.find(f"utter_{general}", text) == "utter_reclamation_delai_disparition"


@pytest.mark.parametrize("text", [*LATE_APPEAL[:3], LATE_APPEAL[-1], "l'avis est sorti le lendemain, une honte"])
def test_a_reproach_taken_for_a_witness_or_a_disappearance(text: str) -> None:
    assert TABLE.find("utter_temoignage_info_enquete", text) == "utter_reclamation_delai_disparition"
    assert TABLE.find("utter_disparition", text) == "utter_disparition_avis"


MINE = """
c koi vous faites de mes données
comment vous utilisez mes données
comment sont utilisées mes données
supprimez mes messages
je veux savoir ce que vous avez sur moi
droit à l'oubli
RGPD
jveux exercer mon droit d'accès a mes données
ki li mes messages
vous gardez mes messages combien de temps
comment supprimer notre conversation
effacez tout
suprimez mes message
c koi que vous fete avec mes infos
je voudrais contacter votre délégué à la protection des données
mes messages sont gardés combien de temps
""".strip().splitlines()
NOT_MINE = """
on m'a volé mes données bancaires
mon ex lit mes messages
mon copain veut que je supprime mes messages
il a effacé nos messages
on a piraté mon compte et supprimé mes messages
je veux porter plainte pour fuite de données personnelles
mes données ont été publiées sur internet
dois je effacer les messages de harcèlement
suis-je fiché
j'ai un couteau sur moi
quelqu'un lit mes messages
il menace de diffuser mes photos
mon employeur a donné mes données personnelles à un tiers
je veux parler à un agent
un escroc a mes données personnelles et fait des crédits
on utilise mes données pour souscrire un prêt
mes données ont été récupérées par un escroc
qqn se sert de mes données perso pr prendre un abonnement
""".strip().splitlines()


@pytest.mark.parametrize("said", MINE)
def test_who_asks_about_their_data_is_heard(said: str) -> None:
    assert TABLE.find("utter_assistant", said) == "utter_donnees"


@pytest.mark.parametrize("said", NOT_MINE)
def test_who_tells_of_something_else_is_not_taken_for_it(said: str) -> None:
    assert TABLE.find("utter_assistant", said) is None

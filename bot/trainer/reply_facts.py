"""What a reply may and must say: the numbers and sites that were verified, names that other parts send, words that must stay.

A new number or site is added here, after somebody has seen it on an official page.
"""

from __future__ import annotations

from bot.policy.language import SPOKEN
from bot.policy.scripts import SCRIPTS

MAX_BYTES = 1000  # UTF-8, which is what Instagram counts
AIM_BYTES = 600  # what is read on a phone without scrolling

# An emergency's words by whom they speak to, and the line before those about somebody else (bot/policy/scripts.py).
EMERGENCY = (
    *(one.reply for one in SCRIPTS.values() if one.reply.startswith("utter_urgence_")),
    "utter_urgence_retard_autre",
)
# The words for a danger that is only likely, and what they say instead of `NOBODY`: an agent reads, no help is called.
LIKELY = ("utter_danger_probable", "utter_detresse_probable")
NO_HELP = "écrire ici n’appelle pas les secours"
WHO_WANTS_TO_DIE = ("utter_detresse", "utter_detresse_suicide")  # who alone reads « votre vie compte »
LONGEST_EMERGENCY = 700  # bytes of one of these: with the lines that go with it, it is one message
# Sent outside the engine, by these exact names.
SYSTEM = (
    "utter_urgence",
    "utter_detresse",
    "utter_urgence_anglais",
    "utter_detresse_anglais",
    "utter_urgence_retard",
    "utter_urgence_nuit",
    "utter_urgence_rappel",
    *EMERGENCY,
    "utter_agent_lira",
    "utter_nuit",
    "utter_nuit_violences",
    "utter_nuit_sexuelles",
    "utter_nuit_disparition",
    "utter_nuit_cyber",
    "utter_danger_probable",
    "utter_detresse_probable",
    "utter_nuit_detresse",
    "utter_nuit_transmis",
    "utter_nuit_grave",
    "utter_filet",
    "utter_doute",
    "utter_doute_suite",
    "utter_attente_minutes",
    "utter_attente_heure",
    "utter_agent_arrive",
    "utter_assistant_revient",
    "utter_assistant",
    "utter_boucle",
    "utter_donnees",
    "utter_panne",
    "utter_panne_attente",
    "utter_affluence",
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
    "utter_question_probable": ["question"],
    "utter_donnees": ["courantes", "autres"],
}
NUMBERS = frozenset(
    {
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
        "0 800 05 95 95",
        "08 019 019 11",
        "33700",
        # Of the catalogue, each with its source beside the answer that gives it.
        "0 892 705 705",  # opposition to a bank card: service-public F2428
        "0 800 005 696",  # radicalisation: service-public F31654
        "39 28",  # discrimination: antidiscriminations.fr
        "3133",  # elder abuse, since March 2026: chu-caen.fr, 16/03/2026
        "3977",  # which it replaces
        "3677",  # animals: DILA, 25/06/2024
        "36 46",  # health insurance: ircem.com, mutuelle.fr
        "116 117",  # doctor on duty: service-public F33954
        "115",  # who has no roof: service-public
        "31 17",  # safety aboard trains: sncf.com
        "31 177",  # the same by SMS
        "32 37",  # chemists on duty: two regional sources
        "0 800 473 333",  # smell of gas: energie-info.fr and three others
        "09 72 67 50",  # power cut, with the number of the département: the same
        "+33 1 80 52 33 76",  # 116 006 from abroad: france-victimes.fr
    }
)
EMAILS: frozenset[str] = frozenset(
    {
        "delegue-protection-donnees@interieur.gouv.fr",  # cnil.fr, 06/10/2025
        "nepasrepondre_noreply@antai.gouv.fr",  # antai.gouv.fr
        "contact@i-cad.fr",  # i-cad.fr
    }
)
DOMAINS = frozenset(
    {
        "www.devenirpolicier.fr",
        "www.inscription-concours.interieur.gouv.fr",
        "www.police-nationale.interieur.gouv.fr",
        "moncommissariat.interieur.gouv.fr",
        "masecurite.interieur.gouv.fr",
        "www.service-public.gouv.fr",
        "www.service-public.fr",
        "www.maprocuration.gouv.fr",
        "www.cnil.fr",
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
        "www.i-cad.fr",
        "sia.detenteurs.interieur.gouv.fr",
        "www.stationnement.gouv.fr",
        "www.fva-assurance.fr",
        "timbres.impots.gouv.fr",
        "www.impots.gouv.fr",
        "www.ameli.fr",
        "france-identite.gouv.fr",
        "teleservices.paris.fr",
        "www.signal-spam.fr",
        "www.douane.gouv.fr",
        "www.justice.fr",
        "www.caf.fr",
        "www.info-retraite.fr",
        "www.diplomatie.gouv.fr",
        "choisirleservicepublic.gouv.fr",
        "www.1jeune1solution.gouv.fr",
    }
)
# What a reply must go on carrying, whatever its wording.
CARRIED: dict[str, tuple[str, ...]] = {
    "utter_violences_conjugales": ("17", "114", "3919", "116 006", "arretonslesviolences.gouv.fr"),
    "utter_violences_sexuelles": ("17", "114", "3919", "116 006", "arretonslesviolences.gouv.fr"),
    "utter_harcelement_cyber": ("3018", "17cyber.gouv.fr", "17"),
    "utter_disparition": ("17", "114", "116 000", "aucun délai"),
    "utter_reclamation_delai_disparition": ("justice", "Un agent"),
    "utter_disparition_avis": ("17", "114", "116 000", "justice", "Un agent"),
    "utter_age_officier": ("18 ans", "fiche officielle", "devenirpolicier.fr"),
    "utter_cout_vacances": ("gratuite", "F34634"),
    "utter_reclamation_delai_refus": ("procureur", "Un agent"),
    "utter_precis_passe_judiciaire": ("casier", "devenirpolicier.fr", "agrément"),
    "utter_temoignage_info_enquete": ("17", "114", "justice", "masecurite"),
    "utter_precis_sac_vole": ("opposition", "plainte"),
    "utter_precis_plaque": ("plainte", "antai.gouv.fr"),
    "utter_reclamation_police": ("IGPN", "defenseurdesdroits.fr", "personnellement"),
    "utter_arnaque_cyber": (
        "opposition", "17cyber.gouv.fr", "Thésée", "Perceval", "Pharos", "33700", "0 805 805 817",
    ),
    "utter_hors_perimetre": ("mairie", "préfecture", "gendarmerie", "pompiers", "douane"),
    "utter_contenu_illicite": ("internet-signalement.gouv.fr",),
    "utter_nuit": ("17", "112", "114"),
    "utter_nuit_grave": ("17", "112", "114"),
    "utter_nuit_violences": ("3919",),
    "utter_nuit_disparition": ("116 000",),
    "utter_nuit_detresse": ("3114",),
    "utter_danger_probable": ("17", "112", "15", "114", "SMS", "agent"),
    "utter_detresse_probable": ("3114", "15", "112", "17", "114", "SMS", "agent"),
    "utter_nuit_cyber": ("3018",),
    "utter_urgence": ("17", "112", "15", "18", "114", "SMS"),
    "utter_detresse": ("3114", "112", "15", "114", "SMS"),
    "utter_urgence_temoin": ("17", "112", "15", "18", "114", "SMS", "quelqu’un d’autre"),
    "utter_urgence_couple_victime": (
        "17", "112", "15", "114", "SMS", "3919", "116 006", "arretonslesviolences.gouv.fr", "annulez pas l’envoi",
    ),
    "utter_urgence_couple_auteur": ("17", "112", "15", "114", "SMS", "08 019 019 11", "3114"),
    "utter_urgence_couple_proche": ("17", "112", "15", "114", "SMS", "3919", "119"),
    "utter_urgence_couple_mineur": ("17", "112", "15", "114", "SMS", "119", "3919"),
    "utter_urgence_enfant": ("17", "112", "15", "114", "SMS", "119", "3018"),
    "utter_urgence_proche_acte": ("15", "112", "18", "17", "114", "SMS", "3114"),
    "utter_urgence_proche_detresse": ("15", "112", "17", "114", "SMS", "3114"),
    "utter_urgence_detresse": ("3114", "15", "112", "17", "18", "114", "SMS"),
    "utter_urgence_couple": (
        "17", "112", "15", "114", "SMS", "3919", "116 006", "119", "08 019 019 11", "arretonslesviolences.gouv.fr",
        "annulez pas l’envoi",
    ),
    "utter_urgence_sexuelle": (
        "17", "112", "15", "114", "SMS", "3919", "116 006", "119", "0 800 05 95 95", "08 019 019 11",
        "arretonslesviolences.gouv.fr",
    ),
    "utter_urgence_silence": ("114", "SMS", "17", "112", "15", "18"),
    "utter_urgence_agent": ("17", "112", "15", "114", "SMS", "IGPN", "defenseurdesdroits.fr"),
    "utter_urgence_violence_passee": ("3919", "116 006", "119", "17", "114", "SMS", "3114", "0 800 05 95 95"),
    "utter_urgence_en_ligne": ("17", "112", "114", "SMS", "internet-signalement.gouv.fr", "3018", "3114"),
    "utter_urgence_ancienne": ("17", "112", "114", "SMS", "15", "masecurite", "116 006"),
    **{f"utter_langue_{code}": ("17", "112", "114") for code in SPOKEN},
}  # fmt: skip
# Facts that sources doubt: the reply gives the official page instead of affirming.
DOUBTFUL = {
    "utter_perte_vol_documents_perdu_carte_identite": "guichet",
    "utter_perte_vol_documents_perdu_passeport": "guichet",
    "utter_precis_tatouage": "sont admis",
    "utter_cout_recrutement": "gratuit",
    "utter_diplome_licence": "passer le concours d’officier",
}
NO_DATE = ("utter_age_demande_reserve", "utter_age_limite_reserve", "utter_age_reserve")
# People meet these often: two wordings, drawn by lot.
TWICE = (
    "utter_salutation",
    "utter_remerciements",
    "utter_insulte_troll",
    "utter_clarify",
    "utter_clarify_question",
    "utter_precision_notee",
    "utter_parler_humain_suite",
)
FORBIDDEN = {
    "familiar address": r"\b(tu|toi|te|ton|ta|tes|t['’])\b",
    "help is coming": r"arriv(e|ent) (sur place|chez)|est en route|sont en route|secours (arrivent|sont prévenus)|"
    r"(patrouille|équipage|policiers?) (arriv|est envoy|vont venir|vient|viennent)|\bon arrive"
    r"|nous arrivons|help is coming|on the way",
    "filler": r"n['’]hésitez pas|afin de|veuillez|dans le cadre de|dans les meilleurs délais|il convient|susmentionné|"
    r"nous accusons|suite à votre|en vue de|procéder à|à cet effet",
    "old names": r"pre-plainte-en-ligne|moncommissariat\.fr|objectifpolice|0 ?811|0800 22|acropol",
    "old rules": r"1,60|15/10|(?<!maximal, )\b35 ans\b",  # said of officers, where sources differ, as one of two
    "our reading": r"je n['’]ai pas d['’]information sûre|n['’]en ai pas lu|sources se contredisent|d['’]après une source",
    "wrong apostrophe": r"'",
    "three dots": r"\.\.\.",
    "shouting": r"!!|\?\?|[A-ZÉÈÀ]{12,}",
    "leftovers": r"TODO|FIXME|XXX|lorem",
}
# What is wrong with each, and the remedy.
FORBIDDEN_SAYS = {
    "familiar address": ("la personne est tutoyée", "Écrivez « vous »."),
    "help is coming": (
        "le texte laisse croire que quelqu’un vient",
        "Écrire à Planton n’alerte personne : retirez cette phrase.",
    ),
    "filler": ("une formule administrative", "Dites la même chose avec des mots simples, ou retirez-la."),
    "old names": ("un nom ou un numéro qui n’existe plus", "Donnez le site ou le numéro d’aujourd’hui."),
    "old rules": ("une règle qui n’est plus en vigueur", "Donnez la page officielle au lieu du chiffre."),
    "our reading": (
        "le texte parle de ce que nous avons lu",
        "Dites le fait, ou donnez la page officielle qui le dit.",
    ),
    "wrong apostrophe": ("une apostrophe droite (')", "Le bouton « Mettre les espaces » la remplace par ’."),
    "three dots": ("trois points (...)", "Le bouton « Mettre les espaces » les remplace par …"),
    "shouting": ("des majuscules ou des signes répétés", "Écrivez en minuscules, avec un seul signe."),
    "leftovers": ("un reste de brouillon", "Finissez la phrase ou retirez-la."),
}

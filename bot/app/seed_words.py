"""The words of invented conversations: names drawn by lot, the examples that trainers edit, sentences of our own.

Nobody here exists. Everything is drawn from one generator, so that the same seed says the same.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

FIRST = """
Adèle Adrien Agathe Aïcha Alban Alexis Alice Amandine Amine Anaïs André Anouk Antoine Arthur Audrey Aurore Axel Baptiste
Bastien Béatrice Benoît Bérénice Bruno Camille Carla Cécile Céline Chantal Charles Chloé Christelle Clara Clément Corentin
Damien Daniel Delphine Denis Diane Dorian Édith Élise Élodie Émile Emma Éric Esteban Éva Fabien Fanny Farid Fatou Félix
Flavie Florent Françoise Gaël Gaspard Gilles Guillaume Hanna Hélène Henri Hugo Idriss Inès Irène Jade Jean-Luc Jeanne Jérôme
Joël Jonas Judith Jules Karim Kévin Khadija Laetitia Laure Léa Léo Lila Loïc Louise Lucas Lucie Ludovic Maël Malika Manon
Marc Margaux Marie-Anne Mathilde Maxime Mehdi Mélanie Moussa Myriam Nadia Nathan Nicolas Noémie Nora Océane Odette Olivier
Ophélie Oscar Pascal Paul Pauline Philippe Quentin Rachida Raphaël Rémi Robin Romane Rosalie Sabrina Salomé Samuel Sandrine
Sarah Sébastien Simon Sofia Solène Sophie Sylvain Tanguy Théo Thomas Timothée Ulysse Valentin Vanessa Victor Violette Wassim
Xavier Yann Yasmine Yves Zacharie Zoé
""".split()  # noqa: SIM905
LAST = (
    """
Abadie Alvarado Amrani Aubertin Azoulay Bachelet Barthes Baudrier Belkacem Berthelot Bidault Blanchard Bonnefoy Bouvier
Brémond Cardinal Castagné Chabrol Chevreuil Clavel Colombier Coulibaly Courtial Dangeau Darmon Delaunoy Desmoulins Diallo
Dieudonné Dubreuil Dupuis Escoffier Estève Fabrègue Fauconnier Ferrand Fontanel Forestier Fournel Gaillac Garrigue Gauthier
Géraud Girardin Goncalves Grandin Guérinel Hamidi Haudry Hébrard Huguenin Imbert Jacquemin Jaubert Kerlan Laborde Lachaume
Lagrange Lambertin Laporte Lasserre Le Bris Le Goff Legendre Lemoine Lescure Loiseau Lopez-Garcia Magnan Malherbe Marchetti
Marsan Maubert Mazurier Mercadier Meunier Monteil Morvan N’Diaye Nadaud Nguyen Noblet Oudin Pacaud Pasquier Pélissier
Perrault Peyrac Pichard Poitevin Quéméner Rabier Ravel Reboul Renaudin Ribeiro Rochebrune Roussin Sabatier Saint-Jean
Salvador Santoni Sauvage Sénéchal Sorel Tabard Teissier Thibaudet Toubon Traoré Urbain Vaillant Valette Vasseur Verdier
Viguier Villard Weber Ybert Zemmouri
""".strip()
    .replace("Le ", "Le_")
    .split()
)
TOWNS = """
Amiens Angers Annecy Avignon Bayonne Besançon Béziers Bordeaux Brest Caen Calais Cergy Chambéry Colmar Créteil Dijon Dunkerque
Évry Grenoble Laval Lille Limoges Lorient Lyon Marseille Melun Metz Montpellier Mulhouse Nancy Nantes Nice Nîmes Orléans Pau
Perpignan Poitiers Quimper Reims Rennes Roubaix Rouen Strasbourg Tarbes Toulon Toulouse Tours Troyes Valence Vannes Versailles
""".split()  # noqa: SIM905
_PLACES = (
    "rue de la République", "avenue Jean-Jaurès", "place du Marché", "boulevard Victor-Hugo", "quai des Tanneurs", "rue des Lilas",
    "devant la gare", "à l’arrêt du tram", "sur le parking du supermarché", "près du lycée", "dans le hall de mon immeuble",
    "rue du Moulin", "avenue de la Libération", "impasse des Peupliers", "dans la cave", "au bord du canal", "rue Pasteur",
)  # fmt: skip
_WHEN = (
    "hier soir", "ce matin", "cette nuit", "avant-hier", "samedi dernier", "vers 18 h", "il y a trois jours", "lundi",
    "depuis deux semaines", "le week-end dernier", "mardi matin", "tout à l’heure", "il y a une heure", "jeudi vers minuit",
)  # fmt: skip
_THINGS = (
    "mon vélo",
    "mon téléphone",
    "mon portefeuille",
    "ma voiture grise",
    "mon scooter",
    "mon sac à dos",
    "mes clés",
    "ma carte d’identité",
    "mon ordinateur portable",
    "la poussette",
    "ma trottinette",
    "mon passeport",
    "une enveloppe avec des papiers",
    "mon casque",
)
_WHO = (
    "mon voisin du dessus",
    "un homme en blouson noir",
    "deux jeunes",
    "une conductrice pressée",
    "un livreur",
    "un ancien collègue",
    "quelqu’un que je ne connais pas",
    "le gérant du bar",
    "un automobiliste",
    "une bande de motards",
    "un faux conseiller bancaire",
)
_SERVICES = (
    "le commissariat",
    "l’accueil du commissariat",
    "la brigade",
    "le standard",
    "la police municipale",
    "l’hôtel de police",
)

HELLO = (
    "Bonjour,", "Bonjour madame, monsieur,", "Bonsoir,", "bonjour", "slt", "Bjr,", "Bonjour à vous,", "Excusez-moi,", "", "", "",
)  # fmt: skip
DETAILS = (
    "Ça s’est passé {when} {place} à {town}.", "C’était {when}, {who} était là.", "J’habite {place} à {town}.",
    "On m’a pris {thing} {when}.", "{who} m’a menacé {when}.", "J’ai déjà appelé {service}, sans réponse.",
    "Je peux envoyer des photos si besoin.", "Il y avait deux témoins.", "Ma mère est âgée et elle a très peur.",
    "C’est la troisième fois depuis {when}.", "Je voudrais savoir quoi faire.", "J’ai gardé {thing} et la facture.",
    "Je ne dors plus.", "Mon fils de huit ans a tout vu.", "Je travaille de nuit, rappelez plutôt l’après-midi.",
    "La caméra de la copropriété a peut-être filmé.", "{service} m’a dit de vous écrire.", "Rien n’a bougé {when}.",
    "On m’a demandé de revenir avec {thing}.", "Il faisait nuit et la lumière {place} ne marche pas.",
    "J’ai noté une partie de la plaque.", "Le chien aboie jour et nuit.", "Les pompiers sont venus {when}.",
)  # fmt: skip
FOLLOW_UPS = (
    "D’accord, merci.", "ok merci bcp", "Et combien de temps faut-il ?", "Je n’ai pas compris, pouvez-vous préciser ?",
    "Oui, c’est bien à {town}.", "Non, {when} seulement.", "J’ai ajouté les détails que vous demandiez.", "Toujours rien…",
    "Vous avez des nouvelles ?", "Je vous envoie la date : {when}.", "C’était {place}.", "Merci pour votre réponse rapide !",
    "Je préfère parler à quelqu’un.", "Et si je n’ai pas {thing} ?", "Dois-je venir à {service} ?", "👍", "Parfait, bonne journée.",
)  # fmt: skip
AGENT = (
    "Bonjour, je reprends votre demande. Pouvez-vous préciser le lieu et la date ?",
    "Votre message a été transmis au service compétent de {town}.",
    "Merci pour ces précisions, je me renseigne auprès de {service}.",
    "Vous pouvez déposer plainte dans n’importe quel commissariat, avec {thing} si vous l’avez.",
    "Nous comprenons votre inquiétude. Un équipage passera {place} dans la soirée.",
    "Avez-vous une photo de {thing} ?",
    "La plateforme de signalement de l’IGPN recevra votre témoignage, le lien est dans mon message précédent.",
    "Votre remerciement sera lu à l’équipage de {town}. Merci à vous.",
    "Je vous confirme que votre dossier est bien enregistré.",
    "Pour {thing}, présentez-vous à {service} avec une pièce d’identité.",
    "N’hésitez pas à nous réécrire. Bonne journée.",
    "Pour votre sécurité, en cas de danger appelez le 17.",
    "Votre courrier est parti {when}, comptez deux semaines.",
)
NOTES = (
    "Rappeler {service} demain matin.",
    "La personne écrit souvent, rester bref.",
    "Vu avec le chef de service : attendre la réponse de {town}.",
    "Doublon probable avec une demande de {when}.",
    "A envoyé une photo de {thing}.",
    "Ton agressif, prévenir l’équipe.",
    "Vérifier {place} avec l’équipage du secteur.",
    "Traduction faite, la personne parle peu français.",
    "Sensible : ne rien promettre.",
    "{who} serait connu du service.",
    "À transmettre au référent violences.",
)

_ENTITY = re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\{[^}]*\})")
_INTENT = re.compile(r"\s+- intent: (\w+)")
_EXAMPLE = re.compile(r"\s+- (.+)")


def examples(path: Path) -> dict[str, list[str]]:
    """Intent → the sentences that trainers gave as its examples, marks of entities left out."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in path.read_text(encoding="utf-8").splitlines():
        if named := _INTENT.match(line):
            current = found.setdefault(named[1], [])
        elif line.lstrip().startswith(("- lookup:", "- synonym:", "- regex:")):
            current = None
        elif current is not None and (example := _EXAMPLE.match(line)):
            current.append(_ENTITY.sub(r"\1", example[1]).strip())
    return found


class Words:
    """Draws sentences. `intents`: sentences of each intent; `replies`: the bot's own texts by name."""

    def __init__(self, rng: random.Random, intents: Mapping[str, Sequence[str]], replies: Mapping[str, str]) -> None:
        self._rng = rng
        self._intents = intents
        self._replies = replies
        self._names = sorted(replies)
        self._by_intent = {i: [n for n in self._names if n.startswith(f"utter_{i}")] for i in intents}

    def name(self) -> str:
        """An invented person's name."""
        name = f"{self._rng.choice(FIRST)} {self._rng.choice(LAST).replace('_', ' ')}"
        return name if self._rng.random() < 0.85 else plain(name).lower()

    def fill(self, sentence: str) -> str:
        """A sentence with its gaps filled."""
        if "{" not in sentence:
            return sentence
        choice = self._rng.choice
        return sentence.format(
            when=choice(_WHEN),
            place=choice(_PLACES),
            thing=choice(_THINGS),
            who=choice(_WHO),
            town=choice(TOWNS),
            service=choice(_SERVICES),
        )

    def opening(self, intent: str) -> str:
        """What somebody writes first."""
        rng = self._rng
        parts = [rng.choice(HELLO), rng.choice(self._intents[intent])]
        parts += [self.fill(rng.choice(DETAILS)) for _ in range(rng.choice((0, 0, 1, 1, 2)))]
        return self._typed(" ".join(part for part in parts if part))

    def more(self) -> str:
        """What somebody adds."""
        return self._typed(self.fill(self._rng.choice(DETAILS if self._rng.random() < 0.4 else FOLLOW_UPS)))

    def reply(self, intent: str) -> str:
        """The bot's reply."""
        return self._replies[self._rng.choice(self._by_intent.get(intent) or self._names)]

    def line(self, sentences: Sequence[str]) -> str:
        """One of these sentences."""
        return self.fill(self._rng.choice(sentences))

    def _typed(self, text: str) -> str:
        """As people type: often without accents, sometimes in capitals."""
        drawn = self._rng.random()
        if drawn < 0.22:
            return plain(text).lower()
        return text.upper() if drawn < 0.24 else text


def plain(text: str) -> str:
    """Without accents."""
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))

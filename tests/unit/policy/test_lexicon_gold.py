"""The lexicon that ships, class by class, on invented messages: what it must find and what it must let pass."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from bot.core import yaml_text
from bot.policy.lexicon import Lexicon

DANGER_FILE = Path(__file__).parents[3] / "data" / "danger.yml"

DANGERS: dict[str, list[str]] = {
    "appel au secours": [
        "au secours", "AU SECOOOURS !!!", "o secour", "aidez-moi", "aideeez moiii svp", "à l'aide", "S.O.S aidez nous",
        "police vite svp", "envoyez une patrouille vite", "appelez la police svp", "venez vite je vous en supplie",
        "je suis en danger", "edé moi vite", "sauvez moi", "il nous faut du secours tout de suite",
    ],
    "arme": [
        "il a un couteau", "ya un mec avec un kouto devan lécole", "un homme armé est dans le magasin",
        "il m'a mis un couteau sous la gorge", "ils sont armés", "un type sort un flingue dans le bar",
        "il me menace avec une machette", "il a un\ncouteau", "mon père a sorti le fusil", "il a un 🔪 dans la main",
        "il court dans la rue avec une hache", "il vient de donner des coups de couteau à un passant",
    ],
    "tirs, attentat, otage": [
        "ça tire en bas de l'immeuble", "j'entends des coups de feu", "fusillade devant la boîte", "on nous tire dessus",
        "prise d'otage à la banque", "il y a un colis suspect dans la gare",
        "peut être une bombe ce paquet", "sac bizarre au guichet, peut-être une bombe",
        "le colis posé dans le hall fait tic-tac", "une valise toute seule à l'aéroport depuis une heure",
        "il dit qu'il a une bombe", "une voiture fonce dans la foule", "grosse explosion dans la rue",
    ],
    "intrusion": [
        "quelqu'un essaie d'entrer chez moi", "y'a quelqu'un dans ma maison", "un homme force ma porte",
        "il tape à la porte comme un fou", "kelkun è rentré ché moi jenten d pa", "j'entends des pas en bas",
        "des cambrioleurs sont chez le voisin", "un inconnu est dans le jardin", "on défonce la porte",
        "la poignée bouge toute seule", "ils veulent rentrer chez nous",
    ],
    "agression": [
        "on me frappe", "des mecs nous agressent dans le bus", "une femme se fait agresser dans ma rue",
        "il y a une bagarre en bas", "ils se battent avec des barres", "il est en train de me frapper",
        "un homme est en train d'étrangler une dame", "on vient de m'agresser", "mon voisin tabasse sa femme",
        "ma mère se fait frapper par mon beau-père", "j'entends une femme crier au secours chez les voisins",
    ],
    "violences, menaces": [
        "mon mari me frappe", "il va me tuer", "mon ex veut me tuer", "il dit qu'il va nous égorger",
        "il va tuer mon fils ce rat", "je vais tuer notre voisin, ce serpent",
        "il va tuer un rat puis ma mère", "il va tuer les rats et me tuer", "j'ai tué un rat et ma femme",
        "il va descendre dans la rue et nous tuer tous", "il va planter mon frère", "il va brûler les papiers et me tuer",
        "il va me tuer il a perdu la tête", "c'est pas un jeu il va me tuer", "il veut fumer un mec",
        "mon mari est policier, il me menace avec son arme de service", "je rigole pas il a un couteau",
        "c'est pas un exercice il y a un tireur dans le lycée",
        "je suis morte de peur, il est derrière la porte avec un couteau", "il a un couteau et mon téléphone va mourir",
        "il me frappe il hurle je meurs de peur", "ma femme va me tuer elle a un couteau",
        "il menace de tuer mon chat et mon lapin et moi avec son fusil",
        "il menace de mettre le feu", "j'ai peur pour ma vie", "si je sors il me tue", "ma vie est en danger",
        "il m'a frappée et il est derrière la porte", "mon copain casse tout dans l'appart j'ai peur",
        "je vais la tuer", "j'ai tué ma femme", "mon conjoint est devenu fou, il a pris un couteau",
    ],
    "demi-mot": [
        "il est rentré, il a bu, je me suis enfermée avec les petits",
        "mon ex est revenu, il est saoul, on est cachés dans la chambre",
        "j'ai peur il est en bas de chez moi", "je peux pas parler il est à côté", "il m'empêche de sortir",
        "je suis cachée dans le placard", "je me suis enfermé dans les toilettes il hurle", "il me retient chez lui",
        "viiite il arrive",
    ],
    "cris isolés": [
        "مساعدة", "مساعدة!!", "مساعدة من فضلكم", "أحتاج مساعدة الآن", "помощь", "ПОМОЩЬ!!!", "на помощь", "нужна помощь",
        "tulong", "Tulooong po", "tolong", "tolong saya", "tolong saya cepat", "nisaidie", "nisaidieni tafadhali",
        "vonjeo", "anmwe", "salisa ngai", "apua", "ช่วยด้วย", "🆘", "🚨🚨", "🚨 🚨 🚨 🚨", "🚨🚨!!", "🔪🚨", "🚨🔪🚨",
    ],
    "suivi, enlèvement": [
        "on me court apres aidez moi", "ils nous courent derrière", "il me court après depuis la gare",
        "un homme me suit", "je suis suivie depuis le métro", "une voiture nous suit", "ils courent après moi",
        "on vient d'enlever ma fille", "ils l'ont mise de force dans une camionnette", "mon fils a été kidnappé",
        "un type essaie de faire monter une petite dans sa voiture",
    ],
    "feu, blessé, accident": [
        "il y a le feu dans mon immeuble", "la maison brûle", "fuite de gaz dans la cage d'escalier",
        "il ne respire plus", "elle est inconsciente", "il y a du sang partout", "accident grave sur la rocade",
        "un enfant vient de se faire renverser", "je viens d'avoir un accident je suis coincée dans la voiture",
        "mon père fait une crise cardiaque", "une voiture roule à contresens sur l'autoroute",
    ],
    "vol sous les yeux": [
        "des gars cassent ma voiture là sous mes yeux", "cambriolage en cours chez mon voisin",
        "ils braquent le tabac", "deux types sont en train de voler un scooter", "braquage à la bijouterie vite",
    ],
    "passé puis présent": [
        "Il y a trois ans mon ex m'a frappée. Là il est devant ma porte avec un couteau.",
        "il m'a déjà agressée en 2019 et maintenant il force ma porte",
        "l'an dernier il m'avait menacée mais là il est armé",
    ],
    "langues": [
        "help me please", "he has a gun", "someone is breaking into my house", "he is going to kill me",
        "ayuda por favor", "me quiere matar", "tiene un cuchillo", "socorro", "ele tem uma faca", "aiuto",
        "ha una pistola", "mi sta seguendo", "Hilfe", "er hat ein Messer", "ich werde verfolgt", "ajutor",
        "are un cuțit", "pomocy", "on ma nóż", "imdat", "beni öldürecek", "помогите", "у него нож", "меня убьют",
        "допоможіть", "у нього ніж", "ساعدوني", "معه سكين", "يريد قتلي", "3awnouni", "救命",
    ],
    "à côté, chez soi, derrière soi": [
        "chez les voisins du dessus ça hurle et ça cogne", "le couple du troisième crie, on entend des coups sourds",
        "mon fils détruit toute la cuisine et nous menace", "ma sœur casse les meubles, elle menace tout le monde",
        "j'ai la sensation d'être suivie jusqu'au parking",
    ],
}  # fmt: skip

DISTRESS: dict[str, list[str]] = {
    "explicite": [
        "je veux mourir", "jveu mourir", "je vais me suicider", "j'ai envie de mourir", "je vais me tuer ce soir",
        "je veux en finir", "envie de me jeter sous un train", "je pense au suicide, je veux me suicider",
        "je veux mettre fin à mes jours", "je vais m'ouvrir les veines",
    ],
    "voilé, adieux": [
        "je n'ai plus envie de vivre", "plus la force de continuer", "vous serez mieux sans moi",
        "c'est mon dernier message", "quand vous lirez ça je serai parti", "prenez soin de mes enfants",
        "la vie n'a plus de sens", "je voudrais m'endormir pour toujours", "adieu à tous",
        "je veux juste que tout s'arrête",
    ],
    "moyens": [
        "j'ai avalé deux boîtes de somnifères", "j'ai pris tous mes cachets", "je suis sur le pont je vais sauter",
        "je suis sur le rebord du toit", "jai une corde pour en finir", "j'ai avalé des cachets au secours",
    ],
    "un tiers": [
        "mon ami veut se suicider", "ma fille menace de se jeter par la fenêtre", "un homme va sauter du pont",
        "elle s'est ouvert les veines", "ma copine m'a envoyé un message d'adieu",
    ],
    "langues": [
        "i want to die", "i want to kill myself", "quiero morir", "quero morrer", "voglio morire",
        "ich will sterben", "vreau să mor", "chcę umrzeć", "ölmek istiyorum", "хочу умереть", "хочу померти",
        "أريد أن أموت", "bghit nmout",
    ],
}  # fmt: skip

HARMLESS: dict[str, list[str]] = {
    "courir, bagages": [
        "un chien me court après", "le fisc me court après", "j'ai oublié mon sac tout seul dans le train",
        "une bombe de peinture dans son sac",
    ],
    "chasse, nuisibles": [
        "un renard a tué mes poules", "j'ai tué un gros sanglier", "je vais tuer les rats de la cave",
        "j'ai abattu un renard dans mon poulailler", "j'ai tué une vipère au jardin", "mon chat a tué un rat",
        "on va tuer le cochon dimanche", "il va planter des tomates", "on va fumer une clope", "il va descendre à la cave",
    ],
    "passé": [
        "mon père a été poignardé en 2009", "il y a trois ans un homme m'a menacée avec un couteau",
        "quand j'étais petite mon oncle me frappait", "l'an dernier on m'a agressé dans le métro",
        "j'ai été cambriolée la semaine dernière", "un accident grave a eu lieu ici en 2015",
        "il y a 10 ans j'ai voulu mourir", "hier soir quelqu'un a essayé d'entrer chez moi, je veux porter plainte",
    ],
    "hypothèse, droit": [
        "que faire si quelqu'un entre chez moi ?", "si quelqu'un me suit dans la rue je dois faire quoi",
        "ai-je le droit d'avoir un couteau sur moi", "que risque-t-on pour des coups et blessures",
        "en cas d'incendie qui appeler", "c'est quoi la différence entre le 17 et le 112",
        "à quoi sert le 114", "quelle peine pour une menace de mort",
    ],
    "idiome": [
        "je suis mort de rire", "tu me tues", "je tue le temps", "mes parents vont me tuer si je rate le concours",
        "j'ai explosé de rire", "j'ai mal aux pieds ça me tue", "il pleut des cordes", "je meurs de faim",
        "j'ai grillé un feu rouge", "ma mère va me tuer j'ai perdu mon passeport", "mon téléphone est mort",
        "vous me donnez un coup de main",
    ],
    "fiction, infos": [
        "j'ai vu un film où un homme armé prend des otages", "dans GTA je tire sur la police",
        "j'ai rêvé que quelqu'un me suivait", "aux infos ils parlent d'une fusillade",
        "j'écris un roman policier avec un tueur", "hier dans la série il lui tire dessus",
    ],
    "métier": [
        "je veux rejoindre le RAID pour intervenir sur les prises d'otages", "le concours comprend du tir à l'arme ?",
        "un policier est-il armé en dehors du service", "comment devenir maître-chien",
        "je souhaite travailler à police secours",
    ],
    "négation": [
        "il n'est pas armé", "il n'y a pas de danger", "rien de grave", "personne n'est blessé",
        "ce n'est pas urgent", "je ne suis pas en danger", "il ne me frappe pas", "il n'a pas d'arme",
    ],
    "sport": [
        "le PSG a tiré deux fois sur le poteau", "l'attaquant a massacré la défense hier au foot",
        "je fais du tir sportif le samedi",
    ],
    "demandes courantes": [
        "bonjour je voudrais porter plainte", "comment faire une procuration", "j'ai perdu ma carte d'identité",
        "on m'a volé mon vélo", "mon voisin fait du bruit toutes les nuits", "j'ai reçu une amende",
        "comment passer le concours de gardien de la paix", "merci à l'équipe qui est intervenue",
        "j'ai été arnaqué sur internet", "où est le commissariat le plus proche", "bonjour", "merci beaucoup",
        "mon ex me harcèle sur snap", "un compte insta me suit et m'envoie des messages",
        "je suis suivie par un psychologue", "je suis enfermée dehors, j'ai oublié mes clés",
        "🚨", "🚨🚨 alerte : les inscriptions au concours sont ouvertes", "🚨🚨 merci pour votre travail", "🚓🚨👮", "🔥🔥",
        "المساعدة القانونية للاجئين", "أريد مساعدة في ملف الإقامة", "нужна помощь с документами", "помощь юриста",
        "Tolong bantu saya isi formulir", "c'est quoi tulong", "Saïdia", "Toulon", "உதவித்தொகை",
        "avec l'aide de mon avocat j'ai rempli le dossier", "le Secours populaire recrute-t-il",
        "mon réseau est tombé dans un trou", "j'ai pris la camionnette pour venir déposer un papier",
        "ma fille est enfermée dans sa chambre à réviser", "il passe devant ma fenêtre tous les matins",
        "un site explique comment se suicider, où le signaler", "un type avec une kalachnikov factice forçait la porte",
        "c'est mon dernier message, vous m'avez tout expliqué",
    ],
    "à côté, en paix": [
        "chez les voisins ça crie et ça cogne, ils regardent le match", "les voisins hurlent de rire, quelle fête, ça tape fort",
        "mon fils de deux ans casse la vaisselle", "j'ai la sensation d'être suivie par un bon médecin",
        "l'impression d'être suivie par mon conseiller",
    ],
}  # fmt: skip


# Cries that alarm whatever the score makes of them, and what only sounds like them.
SURE: dict[str, list[str]] = {
    "un proche va se tuer": [
        "MON FRERE VA SE DEFENESTRER", "ma voisine veut se pendre", "mon pote est en train de s'ouvrir les veines",
        "ma copine menace de se jeter sous un train", "un homme veut sauter du viaduc", "mon oncle s'est pendu",
    ],
    "langues": [
        "someone is in my house", "he is trying to get into my room", "they broke into our flat", "fire in the hotel",
        "there was a huge explosion",
    ],
    "sous les yeux": [
        "mon mari me frappe", "mon père me frape encore",
        "mon oncle étrangle ma tante", "le voisin tabasse sa femme", "papa étrangle maman", "mon frère egorge ma soeur svp",
        "tonton il frappe mamie elle est par terre", "le type du 3 bat sa gamine elle hurle", "une dame se fait lyncher",
        "il arrache le bébé des bras de sa mère", "ils la tabassent dans la cave", "ils arrêtent pas de lui taper dessus",
    ],
    "arme brandie": [
        "un type torse nu avec une machette", "ma coloc me menace avec un tournevis", "il menace la caissière avec un tesson",
        "un client a sorti un pistolet", "j'ai été poignardé rue de la gare", "deux gars aspergent une dame d'essence",
        "mon voisin me menace avec une casserole d'eau bouillante", "un fou tire au fusil sur les passants",
    ],
    "agent lynché": ["un pompier se fait tabasser avenue foch", "viol en cours quai de la loire"],
    "tirs et blessés": [
        "fusillade au marché, plusieurs personnes à terre", "coups de feu devant la boîte les gens courent",
        "explosion chez la voisine, fumée partout",
    ],
    "menaces à la porte": ["il crie ouvre ou je te bute", "sors sinon on te crame"],
    "sos et adresse": ["SOS 14 avenue des pins", "au secours 8 bis rue du port"],
    "noyé, inerte": [
        "mon fils n'est toujours pas remonté de l'eau", "un homme par terre qui respire plus",
        "ma soeur saigne beaucoup", "mon père qui saigne mon frère la poignardé",
    ],
}  # fmt: skip

NOT_SURE: dict[str, list[str]] = {
    "passé, habitude": [
        "mon oncle a étranglé ma tante en 2004", "mon père tabassait ma mère", "mon mari me frappait",
        "mon mari me frappe quand il boit", "mon ex me frappe depuis dix ans", "mon père tapait ma mère elle hurlait",
        "quand j'étais petit mon père tabassait ma mère",
        "depuis des années mon père frappe ma mère et elle crie", "hier mon voisin m'a menacé avec une batte",
        "mon frère s'est pendu il y a deux ans", "j'ai été poignardé en 2015, puis-je passer le concours",
    ],
    "fiction, jeu": [
        "dans le film le mari étrangle sa femme", "dans la série un homme veut sauter du pont",
        "mon héros égorge un garde au chapitre 3", "ya une vid qui tourne ou ils tapent un mec par terre",
    ],
    "autre sens": [
        "mon fils veut sauter du plongeoir", "mon mari étrangle le budget", "ma fille bat son frère aux échecs",
        "un homme avec un couteau à pain", "mon chat veut sauter du balcon", "maman s'est perdue au marché",
        "sos plombier 12 rue du moulin", "SOS clés tombées rue Pasteur", "ouvre ou je te mange mdr",
        "mon téléphone est par terre il répond plus", "le voisin a sorti un fusil de chasse pour le nettoyer",
        "I left my passport in the hotel", "the dog in the flat next door barks all day", "un shooting photo au parc",
        "explosion de ma facture d'électricité",
        "on a kidnappé mon caniche", "mes documents disparus", "certif d'immat perdu", "une prime ou nada",
    ],
    "agents en général": [
        "les policiers se font caillasser tous les jours dans ma rue", "un flic se fait tabasser sur twitter devant tout le monde",
    ],
    "question, démarche": [
        "que faire si un homme veut sauter du pont", "que risque un homme qui tabasse sa femme",
        "ma voisine s'est fait tabasser, elle a porté plainte, où en est le dossier",
    ],
}  # fmt: skip


@cache
def shipped() -> Lexicon:
    return Lexicon.from_mapping(yaml_text.values(DANGER_FILE.read_text(encoding="utf-8")))


def cases(lists: dict[str, list[str]]) -> list[object]:
    return [pytest.param(text, id=f"{name}: {text}") for name, texts in lists.items() for text in texts]


@pytest.mark.parametrize("text", cases(DANGERS))
def test_a_present_danger_is_found(text: str) -> None:
    hit = shipped().find(text)
    assert hit is not None
    assert hit.kind == "danger"


@pytest.mark.parametrize("text", cases(DISTRESS))
def test_distress_is_found_and_named(text: str) -> None:
    hit = shipped().find(text)
    assert hit is not None
    assert hit.kind == "distress"


@pytest.mark.parametrize("text", cases(HARMLESS))
def test_what_is_no_emergency_passes(text: str) -> None:
    assert shipped().find(text) is None


@pytest.mark.parametrize("text", cases(SURE))
def test_a_cry_needs_no_score(text: str) -> None:
    assert any(hit.sure for hit in shipped().entries_in(text))


@pytest.mark.parametrize("text", cases(NOT_SURE))
def test_what_only_sounds_like_a_cry_is_left_to_the_score(text: str) -> None:
    assert not any(hit.sure for hit in shipped().entries_in(text))


def test_a_long_story_does_not_hide_its_last_sentence() -> None:
    story = "Bonjour, j'habite ici depuis longtemps et je vous remercie pour votre travail. " * 40
    hit = shipped().find(story + "Il y a un homme armé dans mon salon.")
    assert hit is not None
    assert hit.entry == "arme_presente"

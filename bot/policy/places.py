"""Places and police services in a message, in whatever case people write: a known word, then a name.

« place bellecour », « commissariat de bobigny ». Common words end a name, or show that there is none: « en place »,
« dans la rue quand ». Linear in length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST_WORDS = 4  # of a name, the small ones not counted

_WAY = re.compile(
    r"\b(\d{1,4}\s?(?:bis|ter)?,?\s)?"
    r"(rue|avenue|av|bd|bld|boulevard|place|quai|impasse|allées?|allees?|chemin|route|cours|square|pont|rond-point|gare|métro|metro|"
    r"station|quartier|cité|cite|parc|faubourg|centre commercial)\b\.?",
    re.IGNORECASE,
)
_SERVICE = re.compile(
    r"\b(?:commissariat(?:\sde\spolice)?|h[ôo]tel de police|police municipale|gendarmerie|brigade)\b", re.IGNORECASE
)
_TOKEN = re.compile(r"[ \t\u00a0\u202f]{1,3}(\w[\w’'-]{0,30})")
_BEFORE = re.compile(r"(\w+)['’]?[ \t\u00a0\u202f]{0,3}$")
_POSTCODE = re.compile(r",?[ \t]{1,2}\d{5}(?!\d)")
_TOWN = re.compile(
    r"[ \t]{1,2}(à|a)[ \t](?:(?:la|le|les|saint|sainte|st|ste)[ \t])?([^\W\d][\w-]{1,30})(?![\w’'])", re.IGNORECASE
)

_ARTICLES = frozenset(("la", "le", "les", "l"))
_OF = frozenset(("de", "du", "des", "d"))
# Inside the name of a town: aulnay sous bois, bourg la reine, saint denis.
_INSIDE = frozenset(("sous", "sur", "en", "lès", "les", "la", "le"))
_SAINT = frozenset(("saint", "sainte", "st", "ste"))
_MONTHS = frozenset(
    "janvier février fevrier mars avril mai juin juillet août aout septembre octobre novembre décembre decembre".split()  # noqa: SIM905
)
_STOP = frozenset(
    """
    lundi mardi mercredi jeudi vendredi samedi dimanche un une deux trois quatre cinq six sept huit dix plusieurs a à
    ai as au aux avais avait avant avec après apres alors assez aucun aucune aussi autour auj ajd aujourdhui bah ben
    bien bonjour bonsoir bref ca ça car ce cela celui cet cette ces chez ci comme comment contre côté cote coup cause
    dans depuis derrière derriere devant déjà deja donc droite dont effet elle elles en encore enfin entre es est et
    étaient etaient étais etais était etait été ete étions etions eu eux face fait faire faut fin fois font gauche
    genre heure heures hier ici il ils jamais je jour jusqu jusque juste là leur leurs loin lors lorsque lui ma
    maintenant mais mal matin me même meme mes merci midi minuit mon monsieur madame ne ni niveau nos notre nous nuit
    on ont ou où par parce partir pas pendant personne peu peut peux pied plus plutôt plutot pour pourquoi pr près
    pres prochaine proche propos proximité proximite puis pk qd quand que quel quelle quelques qui quoi sa sans sauf
    se sera serait ses si soir son sont sous suis suite sur svp ta tard te temps tes tjs tjrs ton toujours tous tout
    toute toutes très tres trop tu va vais vélo velo vers veut veux via vite voilà voila vos votre vous vraiment vu y ya
    agent agents aide angle appartement argent bac bagnole brigade caméra camera chef clés cles copain copine dernier
    dernière derniere dessus dessous domicile école ecole enfant enfants extérieur exterieur femme femmes fille fils
    flic flics frère frere gars gens groupe homme hommes immeuble individu individus intérieur interieur jeune jeunes
    keuf keufs libre maison mari mère mere moment moto père pere parking plainte police policier policiers policière
    policiere problème probleme soeur scooter secours semaine stationnement travail type types véhicule vehicule
    véhicules vehicules vie voisin voisine voisins voiture voitures agresse agressé appelle appelé arrive arrivé
    arrêté brule brulé demande demandé disponible dit disparu eau fer ferme fermé frappe frappé garé gratuit gratuite
    insulte insulté menace menacé mis mordu parle perdu pousse poussé pris pu reçu recu refuse refusé répond repond
    répondu suit suivi tape tapé tiré trouve trouvé venu venue venus vendu vole volé volée voulu
    """.split()  # noqa: SIM905
)
# « en place », « sur la route de … » is a place, « ma place », « changer de place » is none.
_NO_PLACE_AFTER = frozenset(
    """
    en sur mon ma mes ton ta tes son sa ses notre nos votre vos leur leurs un une cette ce chaque aucune quelque quelques de pas
    """.split()  # noqa: SIM905
)
_LOOSE = frozenset(("place", "pont", "parc", "quartier"))  # their name may follow without « de »
_JOINED = frozenset(("route", "chemin", "station", "cité", "cite", "allée", "allées", "allee", "allees"))
_NEVER_LOWER = frozenset(("cours", "av"))  # « cours de droit », « av » for avant
# Ways that are other words too: « je suis allée », « il a cité », « il se gare ».
_ONLY_AFTER = {
    **dict.fromkeys(("allée", "allées", "allee", "allees"), frozenset(("", "l", "les"))),
    **dict.fromkeys(("cité", "cite"), frozenset(("", "la"))),
}
_NOT_AFTER = {
    **dict.fromkeys(_LOOSE | _JOINED, _NO_PLACE_AFTER),
    "gare": frozenset(("se", "me", "te", "je", "on", "il", "elle", "ils", "qui", "nous")),
    "impasse": frozenset(("une", "cette", "en")),
}
_KINDS = frozenset(
    "central nuit jour mineurs canine fluviale financière financiere criminelle équestre equestre routière routiere".split()  # noqa: SIM905
)
_NOBODY: frozenset[str] = frozenset()


def places(text: str) -> Iterator[tuple[int, str]]:
    """(position, words) of streets, squares, stations …, with number and town where they are told."""
    end = 0
    for match in _WAY.finditer(text):
        if match.start() < end:
            continue
        name = _Name(text, match.end(), loose=True, numbered=bool(match[1]))
        if name.words and (match[1] or name.is_proper or _is_place(match[2].lower(), text[: match.start()], name)):
            end = _with_town(text, name.end)
            yield match.start(), text[match.start() : end]


def services(text: str) -> Iterator[tuple[int, str]]:
    """(position, words) of police stations, brigades … that are named; « le commissariat » alone is none."""
    end = 0
    for match in _SERVICE.finditer(text):
        if match.start() < end:
            continue
        name = _Name(text, match.end(), loose=False, numbered=False)
        if not name.words:
            end = _town(text, match.end(), ("à",))
        elif name.is_proper or name.of or name.words[0].lower() in _KINDS:
            end = name.end
        if end > match.end():
            yield match.start(), text[match.start() : end]


class _Name:
    """The words of a name from position `at` on; `end`: where it ends; `of`: « de » is before it.

    `loose`: words without a capital may follow each other, as in « rue victor hugo »; after a town that is a sentence.
    """

    def __init__(self, text: str, at: int, loose: bool, numbered: bool) -> None:
        self.words: list[str] = []
        self.of = False
        self.end = at
        self._loose, self._numbered, self._before = loose, numbered, ""
        while len(self.words) < MOST_WORDS and (match := _TOKEN.match(text, at)):
            word, at = match[1].lower().replace("’", "'").rstrip("'"), match.end()
            if self._joins(word):
                self.of = self.of or word in _OF
            elif self._belongs(match[1], word):
                self.of = self.of or (not self.words and word.startswith("d'"))
                self.words.append(match[1])
                self.end = at
            else:
                break
            self._before = word

    @property
    def is_proper(self) -> bool:
        """Written with a capital, or a number: « commissariat 13 »."""
        return not self.words[0].split("'")[-1].split("’")[-1][:1].islower()

    def _joins(self, word: str) -> bool:
        if not self.words or word in _OF:
            return word in _OF or word in _ARTICLES
        return (word in _ARTICLES and self._before == "de") or (word in _INSIDE and not self._loose)

    def _belongs(self, written: str, word: str) -> bool:
        if word[0].isdigit():  # « du 8 mai 1945 », « commissariat 13 »; « dans la rue 2 hommes » is none
            return self._before in _MONTHS or (not self.words and (self.of or not self._loose))
        elided, apostrophe, rest = word.partition("'")
        if apostrophe and elided not in ("d", "l"):
            return False
        if (rest or word) in _STOP and not (word in _KINDS and not self._loose):
            return False
        if not self.of and not self.words and _WAY.fullmatch(word):
            return False
        if not self.words or not written[0].islower() or self._before in _INSIDE | _OF | _SAINT:
            return True
        return self._loose and (self._numbered or not self.is_proper or self._before.isdigit())


def _is_place(way: str, before: str, name: _Name) -> bool:
    """Whether a way without number or capital is one; `before` is the text before it."""
    match = _BEFORE.search(before[-40:])
    word = match[1].lower() if match else ""
    if way in _NEVER_LOWER or word in _NOT_AFTER.get(way, _NOBODY) or word not in _ONLY_AFTER.get(way, (word,)):
        return False
    return name.of or way not in _JOINED


def _with_town(text: str, end: int) -> int:
    """The end of a place with « à lyon » or « 69003 Lyon » after it."""
    code = _POSTCODE.match(text, end)
    if code is None:
        return _town(text, end, ("à", "a"))
    match = _TOKEN.match(text, code.end())
    return match.end() if match and match[1].lower() not in _STOP and match[1][0].isalpha() else code.end()


def _town(text: str, end: int, at: tuple[str, ...]) -> int:
    match = _TOWN.match(text, end)
    if match is None or match[1].lower() not in at:
        return end
    town = match[2].lower()
    is_verb = match[1].lower() == "a" and town.endswith(("é", "ée", "és", "ées", "er"))
    return end if is_verb or town in _STOP or _WAY.fullmatch(town) else match.end()

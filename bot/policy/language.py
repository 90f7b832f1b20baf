"""Which language a text is in, as far as letters and small words tell; what is unclear or short counts as French.

Word lists instead of a statistical model: on citizens' short messages the models take one French line in thirty for
another language, and these lists none (docs/decisions/language.md).
"""

from __future__ import annotations

import unicodedata
from collections import Counter

from bot.policy.normalise import BOUNDARIES, tokens

FRENCH = "fr"
OTHER = "xx"  # not French, and none of the languages that we have a reply in
# What the replies speak besides French.
SPOKEN = ("en", "es", "de", "it", "pt", "ro", "tr", "ru", "uk", "ar", "zh")

_FRENCH_WORDS = """
    je j tu il ils elle elles on me te se nous vous leur leurs lui moi toi eux y en ce cet cette ces celui celle ceux
    cela ca c qui que quoi dont où qu quel quelle quels quelles quand comment pourquoi combien lequel le la les l un
    une des du de d au aux mon ma mes ton ta tes son sa ses notre nos votre vos et ou mais donc or ni car si ne n pas
    plus moins tres trop assez jamais rien personne toujours encore deja aussi bien mal peu beaucoup tout tous toute
    toutes meme autre autres chaque quelque quelqu quelqun aucun aucune dans sur sous avec sans pour par chez entre
    vers depuis pendant avant apres devant derriere dehors contre jusqu jusque ici là voila voici alors puis ensuite
    enfin maintenant aujourdhui hier demain soir matin nuit jour jours mois an ans semaine heure heures minutes fois
    suis es est sommes etes sont ai as a avons avez ont etais etait etaient ete etre avoir avait avais fait fais font
    faire faut fallait va vas vais vont aller peut peux peuvent pouvez pouvoir possible veut veux veulent voulez
    voudrais voulais doit dois doivent devoir sait sais savoir dit dis dire vu voir vois voit mis met pris prend
    prendre porte porter donner demande demander trouve cherche chercher arrive venir viens vient rentrer parle parler
    appelle appeler appel ecrit ecris ecrire repond repondre merci bonjour bonsoir salut coucou svp stp monsieur
    madame monsieurs oui non ouais pardon desole mari femme mere pere fils fille frere soeur enfant enfants parents
    copain copine voisin voisine voisins patron collegue ami amie homme femmes gens gars mec petit petite grand chien
    chat maison appart appartement voiture vehicule rue ville route parking gare ecole travail boulot telephone tel
    compte papiers permis carte identite passeport plainte commissariat police policier policiers gendarmerie flic
    flics keuf concours dossier date delai reponse attente question numero adresse horaires rdv rendez file service
    agent agents mairie prefecture tribunal justice amende argent euros vol vole volee voler perdu perdue perdre casse
    frappe menace menaces peur mort tue tuer danger secours aide aidez urgence couteau feu accident disparu bruit
    problème savez besoin droit loi vrai faux probleme raison honte chose truc site internet message photo video
    compris gratuit obligatoire age devenir metier stage formation ecrits sport medicale comme bin biz bise bises bite
    frr allez allo pote b bac prune bravo courage bande top tro slt bjr bsr koi ki ke koman jsuis jpeux jveux chui
    ouai mdr ptn putain merde con sale mourir plante vivre paume festival
"""
# Per language: small words and what people ask the police about. Words that French has as well count for neither
# (they still help to tell two other languages apart).
_WORDS = {
    "en": """
        the is are am was were my his her their your our i we he she they them you us this that these those there with from
        have has had do does did don doesn didn not please help someone somebody anyone what when where how who why which can
        could would should will want wants need needs been being and of to in it im dont cant trying going name know hello hi
        thanks thank sorry lost stolen stole theft steal wallet bag phone passport report station officer opening hours open
        closed bike car towed fine ticket appointment complaint complain file speak speaking english find found missing got get
        become just robbed hacked account scam scammed someone's yesterday tomorrow today morning night tonight live here at
        for by about or if but because after before out up down over off only still wrote nobody replied answer take took
        tell talk call called number address lawyer embassy friend husband wife son daughter kids children roommate boyfriend
        girlfriend house room apartment hotel gun knife kill killed die hurt hit beat beating afraid scared
    """,
    "es": """
        el los las una unos mi mis su sus he ha han hay tengo tiene tienen estoy esta estan está soy somos es son fue era me te
        le nos que qué por para con sin como cómo donde dónde cuando cuándo quien quién cual pero muy más ya no si sí también
        ayuda ayudar necesito necesita quiero quiere puedo puede pueden poner hacer hablar hablo habla ir voy gracias hola
        buenos buenas dias días tardes noches favor perdido perdí perder robado robaron robo móvil movil teléfono pasaporte
        cartera bolso coche policía policia comisaría comisaria denuncia denunciar multa hora horas abren abierto ayer hoy
        mañana alguien alguno nadie hijo hija marido mujer hermano amigo casa calle documento identidad francés frances
        español espanol siguiendo golpea pega matar vivir morir del al lo
    """,
    "de": """
        der die das den dem ein eine einen einem einer ich du er sie es wir ihr mich mir uns mein meine meinen meinem meiner
        dein ihre ihren bin bist ist sind war waren habe hat haben hatte wurde werden kann kannst können konnte muss möchte
        mochte will nicht kein keine keinen und oder aber mit ohne für fur von vom zu zum zur im am auf aus bei nach vor wo
        wie was wann wer warum welche hier jetzt heute gestern morgen bitte danke dank vielen guten tag hallo hilfe helfen
        jemand niemand verloren gestohlen geklaut weg abgeschleppt polizei wache polizeiwache revier anzeige erstatten
        reisepass pass ausweis handy tasche geldbörse auto fahrrad strafzettel bezahlen zug tür haus mann frau kind kinder
        sohn tochter spreche sprechen französisch deutsch verstehe mehr leben messer schlägt öffnet nächste
    """,
    "it": """
        il lo gli uno una mio mia miei mie suo sua sono sei è siamo siete ho hai ha abbiamo hanno è era stato stata che chi non
        per con senza come dove quando perché perche quale quanto qualcuno nessuno mi ti ci vi si di del della dei dello nel
        nella al alla dal da sul questo questa grazie mille ciao buongiorno buonasera prego favore aiuto aiutare bisogno vorrei
        voglio posso può puo potete devo fare andare pagare parlare parla parlo perso smarrito rubato rubata rubare furto
        passaporto portafoglio borsa telefono cellulare macchina carta d'identità identità polizia questura carabinieri
        stazione denuncia multa ora aprite aperto domani oggi ieri stanotte stanno sta picchia picchiando casa figlio figlia
        marito moglie italiano farla finita
    """,
    "pt": """
        o os as um uma meu minha meus minhas seu sua eu ele ela nós nos você voce vocês foi fui estou está esta estão tenho tem
        têm há são sou não nao sim que quem onde quando como porque por para com sem mas muito mais já do da dos das no na nos
        ao à ontem hoje amanhã amanha obrigado obrigada olá ola bom boa dia tarde noite favor ajuda ajudar socorro preciso quero
        posso pode falar falo fala apresentar fazer perdi perdido roubaram roubado roubada roubo passaporte carteira telemóvel
        telemovel carro comboio bilhete polícia policia esquadra queixa denúncia multa horas abrem alguém alguem ninguém filho
        filha marido mulher casa rua português portugues francês rebocado vai matar presa quarto aqui
    """,
    "ro": """
        este sunt eşti esti am ai are avem au fost mi-am imi îmi mea meu mele mei sau si și pe cu fără fara la din în unde cand
        când cine cum ce de ce nu da va vă rog mulțumesc multumesc bună buna ziua salut ajutor ajutati ajutați nevoie vreau
        vrea pot poate fac face vorbesc vorbeste vorbește pierdut furat furata furată telefonul pașaportul pasaportul actele
        portofelul mașina masina poliție politie poliția politia secția sectia plângere plangere amendă amenda ora deschideți
        deschideti mâine maine ieri azi cineva nimeni copilul copii soțul sotul soția română romana franceza bate omoare casa
        suntem pentru mult
    """,
    "tr": """
        bir bu şu veya ile için icin ben benim bana sen biz bizim o onlar var yok değil degil ne nerede nereye nasıl nasil
       kim kaç kac saat neden mı evet hayır hayir merhaba selam lütfen lutfen teşekkür tesekkur teşekkürler ederim
        yardım yardim yardımınıza ihtiyacım edin istiyorum istiyor bilmiyorum konuşuyor konusuyor biri polis karakol
        pasaportumu pasaportum kimliğimi kaybettim kayboldu çalındı calindi çaldılar caldilar telefonum telefonumu cüzdanımı
        cuzdanimi arabam arabamı çekilmiş cekilmis şikayet sikayet şikayette açılıyor aciliyor ev evde evime kapıda kapida çok
        cok en yakın yakin bulunmak fransızca türkçe turkce imdat
    """,
    # None of these has a reply of its own; the list tells them from French.
    OTHER: """
        het een ik jij ben mijn zijn niet geen iemand hij zij wij er naar van met waar wat wanneer hoe kwijt gestolen verloren
        politie politiebureau paspoort alstublieft dank bedankt goedendag
        jest jestem są nie tak mnie mój moj moja moje pomocy proszę prosze dziękuję dziekuje gdzie kiedy jak ktoś ktos chce mam
        ma się sie zgubiłem zgubilem zgubiłam ukradli skradziono paszport komisariat policji policja dzień dobry telefon
        une ndihme jam është eshte kam nuk ku ju lutem humba pasaportën faleminderit
        pomoc mene moje sam nisam izgubio izgubila pasoš pasos gdje gde molim hvala ukraden
        elveszett útlevelem kérem köszönöm hol segítség
    """,
}
# Foreign words that French people use too: alone they prove nothing.
_WEAK = frozenset(
    tokens(
        "hello hi sorry please thanks thank ciao hola gracias danke bye report station account file open call live just up"
        " out off or at for by fine bag car number tag pass im am do in of to it el lo bon no al uno o os as do da hay era ora "
        "over polis die war van met es sei si sa ta ma une den man am vi ni da ne bu en var kim kam sam ma mi ci di e"
    )
) - {"."}
_ENOUGH = 1.0
_SHARED_WEIGHT = 0.1  # of a word that French shares with another language
_LATIN_SHARE = 0.5
_READ = 2000


def _vocabulary() -> tuple[frozenset[str], dict[str, frozenset[str]]]:
    """(words that only French has, each other language's words), as `tokens` writes them."""
    others = {code: frozenset(tokens(words)) for code, words in _WORDS.items()}
    return _FRENCH - frozenset().union(*others.values()), {code: words - _FRENCH for code, words in others.items()}


_FRENCH = frozenset(tokens(_FRENCH_WORDS))
_ONLY_FRENCH, _OTHERS = _vocabulary()
_FULL = {code: frozenset(tokens(words)) for code, words in _WORDS.items()}
_SCRIPTS = {"ARABIC": "ar", "CYRILLIC": "ru", "CJK": "zh", "HIRAGANA": "ja", "KATAKANA": "ja"}
_UKRAINIAN = frozenset("іїєґІЇЄҐ")
# Ukrainian words that have none of its own letters.
_UKRAINIAN_WORDS = frozenset(
    (
        "загубив",
        "загубила",
        "вкрали",
        "подати",
        "заяву",
        "дякую",
        "допомогу",
        "ласка",
        "добрий",
        "день",
        "де",
        "треба",
        "чому",
    )
)
_PERSIAN = frozenset("پچژگکیہھٹڈڑے")  # Persian and Urdu letters that Arabic lacks


def language(text: str) -> str:
    """`fr`, one of `SPOKEN`, or `OTHER`. Reads the first 2,000 characters; never raises."""
    text = text[:_READ]
    return _by_script(text) or _by_words([word for word in tokens(text) if word not in BOUNDARIES])


def is_french(text: str) -> bool:
    """Whether a text is French, or too unclear or short to be anything else."""
    return language(text) == FRENCH


def _by_script(text: str) -> str:
    """The language of a text most of whose letters are not Latin; "" otherwise."""
    scripts: Counter[str] = Counter()
    for character in text:
        if character.isalpha():
            name = "LATIN" if character < "\u0250" else unicodedata.name(character, "LATIN")
            first = name.split(" ")[0].split("-")[0]
            scripts["LATIN" if first in ("FULLWIDTH", "MATHEMATICAL") else first] += 1
    if scripts.total() - scripts["LATIN"] <= _LATIN_SHARE * scripts.total():
        return ""
    del scripts["LATIN"]
    if scripts["HIRAGANA"] or scripts["KATAKANA"]:
        return OTHER
    found = _SCRIPTS.get(scripts.most_common(1)[0][0], OTHER)
    letters = frozenset(text)
    if found == "ru" and (letters & _UKRAINIAN or _UKRAINIAN_WORDS & frozenset(text.lower().split())):
        return "uk"
    return OTHER if found == "ar" and letters & _PERSIAN else found


def _by_words(words: list[str]) -> str:
    french = sum(1.0 if word in _ONLY_FRENCH else _SHARED_WEIGHT for word in words if word in _FRENCH)
    words = sorted(set(words))  # « ô rage ô désespoir » is no Portuguese
    scores = {code: sum(_weight(word) for word in words if word in known) for code, known in _OTHERS.items()}
    best = max(scores.values())
    if best < _ENOUGH or best <= french:
        return FRENCH
    # Between two languages, the words that French shares with one of them count too.
    return max(scores, key=lambda code: (scores[code], sum(word in _FULL[code] for word in words)))


def _weight(word: str) -> float:
    """A word of two letters is too easily a slip or a fragment of French."""
    return 0.5 if word in _WEAK or len(word) <= 2 else 1.0

"""Whether a message asks this page about what it keeps of somebody's words: who reads them, for how long, their erasure.

Two pure questions on words. `asks`: the whole message is such a question or demand and nothing else, whatever an engine reads in
it. `tells_of_others`: the data or messages in it are in somebody else's hands, and our notice would be no answer.
"""

from __future__ import annotations

import re

from bot.policy.normalise import normalise

REPLY = "utter_donnees"
LONGEST = 240  # characters; a longer message tells a story

# All words below are written as `normalise` does: no accents, no doubled letters.
_OPENS = "(?:(?:bonjour|bonsoir|salut|helo|alors|et|mais|ok|oui|non|madame|monsieur|svp|stp|merci|s il vous plait|s il te plait) )*"
_ENDS = (
    "(?: (?:svp|stp|s il vous plait|s il te plait|merci|maintenant|imediatement|tout de suite|vite|rapidement|definitivement"
    "|completement|ici|deja|ou pas|hein|bonjour|cordialement|d avance|bonne journe|au juste|exactement|combien de temps"
    "|longtemps|jusqu a quand))*"
)
_WISH = (
    "(?:je (?:vous )?(?:veux|voudrais|souhaite|souhaiterais|desire|demande|exige|prie|peux|voulais)(?: bien)?"
    "|j (?:aimerais|exige|veux|voudrais)|(?:est ce que )?(?:vous|tu|on|je) (?:pouvez|pouriez|peux|pourais|peut)"
    "|(?:pouvez|pouriez) vous"
    "|(?:peux|pourais) tu|puis je|(?:il )?faut|merci de|priere de|veuilez|est (?:ce|il) posible de|c est posible de"
    "|coment(?: faire(?: pour)?| je (?:peux|fais pour)| puis je| on (?:peut|fait pour))?)"
)
_OURS = "(?:mes|ma|mon|nos|notre|cete|ces|cet)"
_THINGS = "(?:dones?|datas?|mesages?|conversations?|discusions?|echanges?|infos?|informations?)"
_KIND = "(?: (?:personele?s?|persos?|prives?|dernier|derniers))?"
_ALL = "(?:tou(?:te?s?|s|t) |l ensemble de |l integralite de )?"
_SENT = "(?: que je (?:vous |t |te |viens d |viens de )?(?:ai |a )?(?:envoyes?|envoyer|ecrits?|ecrire|ecris|dit))?"
_MINE = f"{_ALL}{_OURS} (?:dernier |derniers )?{_THINGS}{_KIND}{_SENT}"
_WITH_US = (
    "(?: (?:de|dans|sur|chez) (?:vos|votre|vous)(?: (?:fichiers?|bases?(?: de dones?| de dones?)?|serveurs?|systemes?|page"
    "|archives|cote))?)?"
)
_ABOUT_ME = (
    "(?:tout )?ce que (?:vous|tu) (?:avez|as|savez|sais|gardez|gardes|conservez|stockez)(?: garde| enregistre| note| stocke)?"
    "(?: comme (?:infos?|informations?|dones?))? sur moi|tout sur moi|tout ce qui me concerne"
)
_WORDS_OF_MINE = (
    "(?:tout )?ce que (?:je|j) (?:vous |t |te )?(?:ai|viens de|viens d) (?:dit|ecrit|envoye|raconte|dire|ecrire|envoyer)"
    "|ce que (?:j|je vous) (?:ecris|dis|envoie)"
)
_PICTURES = "(?:mes|les|la|le|ma) (?:photos?|videos?|documents?|fichiers?) que je vous ai envoyes?"
_ANY = f"(?:{_MINE}|{_ABOUT_ME}|{_WORDS_OF_MINE}|{_PICTURES})"
_ERASE = "(?:suprim|efac|enlev|retir|oubli|vid)(?:ez|er|e|es|iez|ent)|detrui(?:sez|re|s|siez)"
_RIGHT = "(?:efacement|supresion|rectification|corection|portabilite|oposition|aces|oubli|limitation|export|copie|communication)"
_READ = "(?:lit|li|lis|lisez|lisent|lire|lu|voit|voir|voient|voyez|vu|consulte|consultent|consulter|recoit|recoivent|surveile)"
_KEEP = "(?:gard|conserv|stock|enregistr|archiv|utilis|suprim|efac|partag|transm|analys)\\w*"
_KEPT_BY_YOU = "(?:gard|conserv|stock|enregistr|archiv|utilis|partag|analys)ez(?: vous)?|transmetez(?: vous)?"
_STATE = f"(?:{_KEEP}|lus?|lues?|vus?|vues?|confidentiel\\w*|secret\\w*|prive\\w*|anonymes?|securise\\w*|protege\\w*)"
_BY = "(?: par (?:quelqun|qui|un humain|une personne|un policier|des policiers|des agents|un agent|des humains|la police|vous))?"
_ASKING = "(?:combien de temps|pendant combien de temps|jusqu a quand|pourquoi|coment|ou|est ce que|quand|est ce|c est)"
_OFFICER = (
    "(?:rgpd|gdpr|cnil|dpo|droit a l oubli|protection des dones?|delegue a la protection des dones?"
    "|politique de confidentialite|confidentialite)"
)

_ASKS = (
    # « supprimez tous mes messages », « je veux que vous effaciez ce que je vous ai écrit », « retirez-moi de vos fichiers »
    f"(?:{_WISH} )?(?:que (?:vous|tu) )?(?:{_ERASE}) (?:moi |nous )?{_ANY}{_WITH_US}",
    f"(?:{_WISH} )?(?:que (?:vous|tu) )?(?:{_ERASE}) moi (?:de|dans) (?:vos|votre) "
    "(?:fichiers?|bases?(?: de dones?)?|listes?|archives?|systemes?)",
    f"(?:suprim|efac)(?:ez|er|e|es) tout{_WITH_US}",
    # Not « comment effacer mon historique » : so asks who hides from somebody.
    "(?:suprimez|efacez) (?:mon|notre|tout mon) historique",
    f"(?:le|mon|ce) (?:dernier )?mesage{_SENT} (?:{_ERASE}) (?:le|la)",
    # « je demande l’effacement de mes données », « j’aimerais que mes messages soient effacés », « une copie de mes données »
    f"(?:{_WISH} |je fais )?(?:l |la |le |une |un |d |a )?(?:avoir |obtenir |demander )?(?:l |la |le |une )?{_RIGHT}"
    f"(?: imediate?)? (?:de|a|d) {_ANY}",
    f"(?:{_WISH} )que {_MINE} (?:soient|soit|sois) (?:suprim|efac|detrui|enlev|retir)\\w*{_WITH_US}",
    f"{_WISH} (?:rectifier|coriger|consulter|voir|conaitre|obtenir|avoir|aceder a|savoir) "
    f"(?:{_ALL}mes (?:dones?|datas?){_KIND}|{_ABOUT_ME})",
    f"(?:{_WISH} )?(?:j |je )?(?:exerce|exercer|faire valoir|utiliser|invoque|invoquer) (?:mon|mes|le) droits?"
    f"(?: (?:a|d|de|au|sur)(?: l| la)? {_RIGHT}(?: (?:a|de|d) {_MINE})?| rgpd| sur {_MINE})",
    f"je (?:m opose|refuse|m opose a|ne veux pas)(?: au| le| du)? (?:traitement|l utilisation) de {_MINE}",
    "je (?:retire|revoque|reprends) mon (?:consentement|acord)",
    # « qui lit mes messages ? », « est-ce que vous lisez ce que j’écris ? », « qui a accès à cette conversation »
    f"(?:c est |savoir )?qui (?:est ce )?(?:qui )?(?:peut |peuvent |va |vont |a |ont )?{_READ} (?:{_ANY})",
    f"(?:c est )?qui (?:est ce )?(?:qui )?(?:a|ont|aura) (?:l )?aces a (?:{_ANY})",
    f"(?:est ce que )?(?:vous|tu|la police|les policiers|des policiers|un humain|un agent|des agents) (?:alez |va |vont |peuvent )?"
    f"{_READ} (?:vraiment )?(?:{_ANY})",
    # « mes messages sont-ils conservés ? », « cette conversation est-elle confidentielle ? »
    f"(?:est ce que )?{_MINE} (?:est|sont|reste|restent|sera|seront)(?: ils| eles?| el| il)?(?: bien)? {_STATE}{_BY}",
    f"(?:est ce que )?(?:{_MINE}) (?:vont|va) (?:etre|rester) {_STATE}{_BY}",
    # « combien de temps gardez-vous mes messages ? », « que faites-vous de mes données ? », « où vont mes données ? »
    f"(?:{_ASKING} )*(?:est ce que )?(?:(?:vous|tu) (?:avez le droit de |alez )?{_KEEP}|{_KEPT_BY_YOU}) {_MINE}"
    "(?: (?:avec|a|pour) (?:qui|quoi|d autres|des tiers))?",
    "(?:que|quoi|qu est ce que|c est quoi que|c est quoi ce que|c est quoi)? ?"
    f"(?:faites vous|vous (?:faites|fete)|fais tu|tu fais)(?: quoi)? (?:de|avec) {_MINE}",
    f"(?:ou|a quoi|a qui|coment) (?:vont|va|sont|partent|serent|servent|finisent)(?: utilise\\w*| stocke\\w*| garde\\w*)? {_MINE}",
    # « quelles données gardez-vous sur moi ? », « vous savez quoi sur moi ? »
    "(?:queles?|quels?) (?:dones?|infos?|informations?)(?: personeles?)? "
    "(?:avez|gardez|conservez|stockez|detenez) vous(?: sur moi)?",
    "(?:que|qu|quoi|qu est ce que|c est quoi ce que|je veux savoir ce que|je voudrais savoir ce que)? ?"
    "(?:vous )?(?:savez|avez|garde|gardez|conserve|conservez|stockez|detenez)(?: vous)?"
    "(?: quoi| des infos| des informations| des dones)? sur moi",
    # « mes données », « le DPO ? »
    f"(?:(?:et|pour|quid de|concernant|j ai une question sur) )?{_ALL}mes "
    "(?:dones?|datas?|infos personeles?|informations personeles?)"
    "(?: personele?s?| persos?)?",
    f"(?:(?:{_WISH} )?(?:contacter|joindre|ecrire a|parler a|conaitre|apliquer) )?"
    "(?:c est quoi |quele est |ou est |qui est |coment )?"
    f"(?:faire valoir )?(?:(?:le|la|les|votre|vos|mes|au|du) )?(?:droits? )?(?:au )?{_OFFICER}(?: svp)?",
    f"coment (?:suprimer|efacer) {_MINE}{_WITH_US}",
)
_WHOLE = re.compile(f"{_OPENS}(?:{'|'.join(f'(?:{one})' for one in _ASKS)}){_ENDS}")

# Whoever has the data, or where else they stand: our notice would answer nothing.
_OTHERS = re.compile(
    r"\b(?:quelqun|personne d autre|inconue?s?|facebok|fb|instagram|insta|mesenger|gmail|google|twiter|telegram|linkedin|discord"
    r"|aple|icloud|amazon|leboncoin|vinted|paypal|uber|connexion|conexion|fils|file|enfants?|ami|amie|copains|copines|colegues?"
    r"|policier m|hopital|medecin|ecole|banques?|asurance|operateur|orange|sfr|free|bouygues)\b"
)


def asks(words: str) -> bool:
    """Whether the whole message asks what is kept here of one's words, who reads it, or that it be erased or given."""
    return len(words) <= LONGEST and _WHOLE.fullmatch(normalise(words)) is not None


def tells_of_others(words: str) -> bool:
    """Whether somebody else or another service has to do with the data or the messages."""
    return _OTHERS.search(normalise(words)) is not None

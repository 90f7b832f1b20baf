"""« il est revenu », « ça recommence »: a few words that are danger after a story of danger, and nothing by themselves. Pure.

They are read as the emergency lexicon reads its own: slips, SMS spelling and missing accents are forgiven, a negation undoes them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Literal, Optional

from bot.policy.lexicon import Lexicon

# What was told before: violence; a danger that was but likely; somebody who is missing; harassment online, which no few words bring
# back.
Story = Literal["violence", "danger", "missing", "online"]
LONGEST = 400  # characters: a longer message tells its own story

_WHO = (
    "il, elle, ils, elles, mon ex, mon mari, mon copain, mon conjoint, mon compagnon, mon père, mon frère, mon fils, mon voisin, "
    "son mari, son ex, son copain, ce type, le type, ce mec, le mec, cet homme, le voisin, mon beau-père, papa"
)
_ACT = (
    "revient, reviennent, arrive, arrivent, approche, remonte, descend, frappe, tape, cogne, retape, refrappe, recommence, "
    "recommencent, monte, sonne, crie, gueule, gifle, "
    "continue, tambourine, défonce, hurle, menace, suit, attend, cherche, surveille, casse, étrangle, retrouve, "
    "force, insiste, insulte"
)
_ARM = "couteau, couteaux, arme, fusil, pistolet, marteau, machette, hache, batte, essence, lame, ciseaux"
_CALM = [
    "(tout va|ça va) (bien|mieux|très bien)",
    "(plus rien|rien de grave|pas grave|pas de souci|fausse alerte)",
    "(c'est|tout est) (réglé|fini|terminé|arrangé|calme)",
    "(pour|et) (me rassurer|m'aider|nous aider)",
    "(au téléphone|à la télé|dans le film|dans la série|dans un rêve)",
]
# Whence somebody comes and what for: it explains its own words, and not that he hits once he is there.
_WHENCE = [
    "(revenu|revenue|revenus|rentré|rentrée|rentrés|rentrer|revenir|rentre|revient|arrive|retour) .. (de|du|des) "
    "(vacances|travail|boulot|courses|marché|école|lycée)",
    "(revenu|revenue|revenus|revient|recommence|là) .. (pour|et) s'excuser",
]
# Relief after violence. « Il est revenu, aidez-moi, merci » is none, nor « merci, il est devant la porte »: only who begins by
# thanking, and tells that somebody came home.
_RELIEF = [
    "^ (ok|oui|bon|super|bonjour)? merci (beaucoup|bien|infiniment|encore|à vous|à tous|pour tout)? @qui "
    "(est|sont|va|vient de) (revenu|revenue|revenus|de retour|rentré|rentrée|rentrés|rentrer|revenir)",
    "(je suis|suis|on est) (soulagé|soulagée|soulagés|rassuré|rassurée|rassurés)",
    "(ouf|tant mieux|quel soulagement|bonne nouvelle)",
]
_COMES_BACK = [
    "@qui (est|sont|était) (revenu|revenue|revenus|de retour|rentré|rentrée|rentrés|encore là|toujours là|là|ici)",
    "@qui (est|sont|était) (devant|derrière|dehors|en bas|en haut|entré|entrée|entrés|à côté|dans)",
    "@qui (vient de|va) (rentrer|revenir|entrer|arriver|recommencer|monter|me retrouver)",
    "@qui (me|nous|la|le|les|l)? (à nouveau|encore)? @acte",
    "@qui a (cassé|défoncé|forcé|fracturé|ouvert|enfoncé) (la|ma|une|notre) (porte|fenêtre|serrure|vitre)",
    "@qui (veut|essaie|essaye|tente|cherche) (à|de|d)? (entrer|rentrer|ouvrir|monter|forcer|défoncer|casser|me frapper|me trouver)",
    "(@qui|ça) (ne|n)? (s)? (arrête|arrêtent) (pas|plus|jamais)",
    "@qui (ne|n)? (est|sont) (toujours|encore)? pas (parti|partie|partis)",
    "@qui (m|nous|l)? a (recommencé|retrouvé|retrouvée|refrappé|refrappée|retapé|suivi|suivie)",
    "@qui (m|nous|l)? a (encore|à nouveau) (frappé|frappée|tapé|tapée|battu|battue|menacé|menacée|giflé|giflée)",
    "@qui a (un|une|le|son|sorti|pris|encore)? @arme",
    "(et|puis) (me|nous)? (recommence|refrappe|retape)",
    "(ça|tout|cela) (recommence|a recommencé|continue|reprend|empire|va recommencer|redémarre)",
    "(c'est|ça) (reparti|repart|pire|de pire en pire)",
    "(je|j) (l'entends|les entends|entends) (.. (pas|porte|voix|escalier|monter|crier))?",
    "(on|quelqu'un) (frappe|tape|cogne|tambourine|sonne|essaie d'entrer|force)",
    "^ (au secours|à l'aide|vite|venez|aidez-moi|aidez moi|aide-moi|help) $",
    "(j'ai|jai|g) (très|trop|tellement|encore)? peur",
    "je (me suis|suis|m'étais) (enfermé|enfermée|caché|cachée|réfugié|réfugiée|barricadé|barricadée)",
]
_STILL_GONE = [
    "toujours (pas|rien|aucune|aucun|introuvable|disparu|disparue)",
    "(pas|jamais) (rentré|rentrée|revenu|revenue|arrivé|arrivée|là)",
    "(téléphone|portable|tel) (est|toujours)? (éteint|coupé)",
    "(répond|réponds|répondent) (pas|plus|toujours pas)",
    "(retrouvé|trouvé) (son|sa|ses) (sac|téléphone|vélo|manteau|veste|chaussure|chaussures|affaires|voiture|mot|lettre|cartable)",
    "(aucune|sans|plus de) (nouvelle|nouvelles|trace|traces)",
    # Somebody who will not find home, or not live through the night.
    "(alzheimer|désorienté|désorientée|perd la tête|confus|confuse)",
    "(retrouve|retrouvera|reconnaît|sait) (plus|pas) .. (maison|chemin|adresse|rue)",
    "il (gèle|neige|fait (très|vraiment)? froid)",
    "(pieds nus|en pantoufles|en pyjama|en chaussons|sans manteau|sans ses médicaments|sans son insuline)",
]
_HURTS = (
    "(coups|coup|frappé|frappée|frappe|frappait|battu|battue|tapé|tapée|tape|giflé|giflée|étranglé|étranglée|violences|menacé|"
    "menacée)"
)
_NEAR = "(mari|ex|conjoint|conjointe|copain|compagnon|compagne|concubin|père|beau-père|mère|frère|fils|voisin)"
_VIOLENCE = [f"{_HURTS} ... {_NEAR}", f"{_NEAR} ... {_HURTS}"]


# « Il est revenu, vous venez quand ? » asks for help; « et s’il revient ? » asks what if.
_CALLS = [
    "(venez|arrivez|intervenez|aidez|aide moi|envoyez|dépêchez|vite|secours)",
    "(pouvez|pouvais|pourriez) .. (venir|envoyer|aider)",
]
_WHAT_IF = [
    "(si|s|quand|lorsque|lorsqu) (il|elle|ils|elles|on|ça|jamais|@qui)",
    "(au|en) cas",
    "(est ce qu|peut|pourrait|risque)",
]


def _lexicon(name: str, lines: list[str], calm: list[str]) -> Lexicon:
    guards = {"calme": {"motifs": calm, "portee": "message"}, "retour": {"motifs": _WHENCE, "portee": "mots"}}
    return Lexicon.from_mapping(
        {
            "mots": {"qui": _WHO, "acte": _ACT, "arme": _ARM},
            "reperes": guards,
            "entrees": [{"nom": name, "genre": "danger", "motifs": lines}],
        }
    )


@functools.cache
def _of(story: Story) -> Lexicon:
    if story in ("violence", "danger"):
        return _lexicon(story, _COMES_BACK, [*_CALM, *_RELIEF])
    return _lexicon(story, _STILL_GONE, _CALM)


@functools.cache
def _calls() -> Lexicon:
    return _lexicon("appel", _CALLS, _WHAT_IF)


@functools.cache
def _violence() -> Lexicon:
    entry = {"nom": "violence", "genre": "danger", "motifs": _VIOLENCE}
    return Lexicon.from_mapping({"mots": {}, "reperes": {}, "entrees": [entry]})


def tells_violence(said: Iterable[str]) -> bool:
    """Whether one of the last messages told of blows or threats by somebody near: then « ça recommence » is danger, whatever
    subject that message was read as."""
    return any(_violence().find(text[:LONGEST]) is not None for text in said)


def goes_on(text: str, story: Optional[Story]) -> bool:
    """Whether a short message says that what was told before goes on, comes back or gets worse."""
    return (
        story in ("violence", "danger", "missing")
        and len(text) <= LONGEST
        and ("?" not in text or _calls().find(text) is not None)
        and _of(story).find(text) is not None
    )

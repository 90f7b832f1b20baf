"""What certain words say against a script, whatever its learnt chance: whoever has bruises is not who hits. Pure.

The chances of the scripts are learnt (`bot/policy/script_score.py`) from few examples, and wrong words may hurt. These are read as
the emergency lexicon reads its own: slips, SMS spelling and missing accents are forgiven, a negation undoes them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

from bot.policy.lexicon import Kind, Lexicon
from bot.policy.scripts import OWN_DISTRESS, PARTNER_AUTHOR, PARTNER_VICTIM, SEEN_ONLINE, WITNESS

DOUBT = 0.1  # what is left of a chance that the words speak against

_WHO = (
    "il, elle, ils, elles, qui, mari, femme, ex, conjoint, conjointe, copain, copine, compagnon, compagne, père, mère, frère, "
    "reuf, soeur, fils, oncle, tonton, cousin, voisin, voisine, mec, type, homme"
)
_HITS = (
    "frappe, frappent, frappait, tape, tapent, tapait, cogne, cognait, bat, battait, menace, menacent, menaçait, étrangle, gifle, "
    "pousse, viole, séquestre, enferme, insulte, surveille"
)
_HIT = (
    "frappé, frappée, tapé, tapée, cogné, cognée, battu, battue, menacé, menacée, étranglé, étranglée, giflé, giflée, poussé, "
    "poussée, violé, violée, séquestré, séquestrée, enfermé, enfermée, agressé, agressée"
)
_SWEARS = "juré, jure, jurait, promis, promet, menacé, menace, menaçait"
_KILLS = "tuer, buter, crever, planter, égorger, faire la peau"
_BRUISES = "bleu, bleus, hématome, hématomes, cocard, coquard, ecchymoses"
_BODY = "bras, jambe, jambes, cuisse, cuisses, corps, dos, cou, visage, oeil, yeux, épaule, poignet, poignets, ventre"
# Somebody else hurts or threatens the person. Who swears to kill, or to die, may be the person, and « j’ai fait des bleus » says
# who hits: nothing stands between « j’ai » and the bruises that the person has.
_SUFFERS = [
    "@qui (me|m|nous) (a|ont)? (encore|déjà)? (@frappe|@frappé)",
    "@qui (me|m|nous) (a|ont)? (encore|déjà)? (fait|laissé) .. @bleu",
    "(ai|avais) (encore|toujours|déjà)? (plein|couvert|couverte)? (de|des|les|le|la|un|une)? (gros|petits|nouveaux)? @bleu",
    "(ai|avais) (le|la|les|l|mon|ma|mes|un|une) @corps .. @bleu",
    "@qui (me|m|nous)? (a|ont|avait)? (encore|déjà|même)? @jure (de|qu'il va|qu'elle va|qu'ils vont)? (me|m|nous) @tuer",
    "@qui (me|m|nous)? (a|ont|avait)? (encore|déjà|même)? (@jure|dit) ... (pas|jamais) (vivant|vivante|en vie)",
    "(suis|étais|été) (encore|toujours|une|un)? (femme|homme|épouse)? (battu|battue)",
    "(suis|étais|été) (encore|toujours|une)? victime (de|des|d)",
    "(je|j) (subis|subissais)",
    "(violent|violente|méchant|méchante|dangereux|dangereuse) (avec|envers|contre|pour) (moi|nous)",
]
_DONE = (
    "arraché, volé, pris, piqué, chouré, dépouillé, dépouillée, emmené, emmenée, embarqué, embarquée, suivi, suivie, coursé, "
    "coursée, poursuivi, poursuivie, agressé, agressée, frappé, frappée, cogné, cognée, tapé, poussé, poussée, plaqué, plaquée, "
    "attrapé, attrapée, menacé, menacée, braqué, braquée, coincé, coincée, séquestré, séquestrée, enfermé, enfermée, percuté, "
    "percutée, renversé, renversée, drogué, droguée, racketté, rackettée, tabassé, tabassée, étranglé, étranglée"
)
_TO_DO = (
    "arracher, voler, piquer, dépouiller, agresser, frapper, braquer, tabasser, percuter, renverser, racketter, courser, suivre, "
    "cambrioler, emmener, enfermer, insulter, menacer"
)
_DOES = (
    "suit, suivent, colle, collent, course, coursent, poursuit, poursuivent, pourchasse, pourchassent, attendent, braque, "
    "braquent, menace, menacent, frappe, frappent, séquestre, séquestrent, retient, retiennent"
)
# What befalls the person, or is taken from the person.
_BEFALLS = [
    "(on|@qui) (me|m|nous) (a|ont) (encore|déjà)? @fait",
    "(on|@qui) (vient|viennent) de (me|m|nous) @faire",
    "(me|nous) (suis|sommes) (encore)? (fait|fais|faite) @faire",
    "(on|@qui) (me|m|nous) @agit",
    "(parti|partis|partie|partir|barré|barrés|enfui|filé) avec (ma|mon|mes|notre|nos)",
    "(on|@qui) (a|ont) (volé|arraché|piqué|pris|chouré) (ma|mon|mes|notre|nos)",
]
_ONLINE = [
    "(internet|net|web|site|sites|forum|forums|lien|liens|réseau|réseaux|ligne|contenu|contenus|écran|pseudo|profil|chaîne)",
    "(insta|instagram|tiktok|snap|snapchat|facebook|fb|twitter|discord|twitch|youtube|whatsapp|telegram|messenger|roblox)",
    "(fortnite|reddit|leboncoin|vinted|tinder|dm|appli|application|console|jeu|jeux|serveur|streameur|streamer)",
    "(live|direct|story|stories|post|posts|poste|posté|publie|publié|publication|commentaire|commentaires|compte|comptes)",
    "(stream|tweet|thread|mail|vidéo|vidéos|image|images|photo|photos|tof|tofs|nude|nudes|capture|captures|annonce|abonnés)",
    "(page|canal|blog|blogs|caméra|cam|reel|vues|screen|chat|tablette|visio|visioconférence|message|messages|film|montage)",
    "(youtubeur|youtubeuse|influenceur|influenceuse|twitto|twittos|article|avis|publicité|publicités|montages|com|coms)",
    "(filme|filment|écrit|=commente|commentent|scrolle|scrollais|scroller|circule|partage|partagé|lu|télégram)",
    "sur x",
]
_A_MINORS_AGE = re.compile(
    # Not « 15 ans de mariage », « 14 ans de moins », « 10 ans d’écart ».
    r"\b(?:j\W?\s?ai|g|jai|moi)\s+(?:que\s+)?(?:[6-9]|1[0-7])\s*(?:ans|an|piges|balais)\b(?!\s+(?:de\b|d['’]))",
    re.IGNORECASE,
)


_GROUPS = {
    "qui": _WHO, "frappe": _HITS, "frappé": _HIT, "jure": _SWEARS, "tuer": _KILLS, "bleu": _BRUISES, "corps": _BODY,
    "fait": _DONE, "faire": _TO_DO, "agit": _DOES,
}  # fmt: skip


def _lexicon(lines: list[str]) -> Lexicon:
    entry = {"nom": "signe", "genre": "danger", "motifs": lines}
    return Lexicon.from_mapping({"mots": _GROUPS, "reperes": {}, "entrees": [entry]})


@functools.cache
def _suffers() -> Lexicon:
    return _lexicon(_SUFFERS)


@functools.cache
def _befalls() -> Lexicon:
    return _lexicon(_BEFALLS)


@functools.cache
def _online() -> Lexicon:
    return _lexicon(_ONLINE)


def suffers(words: str) -> bool:
    """Whether somebody else hurts or threatens the person."""
    return _suffers().find(words) is not None


def befalls(words: str) -> bool:
    """Whether it is done to the person, who is no mere witness."""
    return _befalls().find(words) is not None


def seen_online(words: str) -> bool:
    """Whether the message speaks of what stands on a screen."""
    return _online().find(words) is not None


def is_minor(words: str) -> bool:
    """Whether the person gives an age below eighteen."""
    return _A_MINORS_AGE.search(words) is not None


def _doubted(words: str, kind: Kind) -> Iterable[str]:
    if suffers(words):
        yield PARTNER_AUTHOR
        if kind != "distress":
            yield OWN_DISTRESS
    if befalls(words):
        yield WITNESS
    if not seen_online(words):
        yield SEEN_ONLINE
    if is_minor(words):
        yield PARTNER_VICTIM


def borne_out(chances: Mapping[str, float], words: str, kind: Kind = "danger") -> dict[str, float]:
    """The chances with those much less that the words speak against; they sum to 1 again. `kind`: what a detector named; who wants
    to die may well be beaten, too."""
    doubted = frozenset(_doubted(words, kind))
    found = {name: chance * (DOUBT if name in doubted else 1.0) for name, chance in chances.items()}
    total = sum(found.values())
    return {name: chance / total for name, chance in found.items()}

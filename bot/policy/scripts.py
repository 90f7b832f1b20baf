"""Which words a message calls for: the scripts, the reply of each, and which words would harm whom.

A script is chosen among chances (`bot/policy/script_score.py`). Words that fit are not enough: those that could harm if the chances
err are left out, and general words go out in their place, which suit everybody and help less: those for a danger, those for
a distress of which nobody can tell whose it is, or those for a subject that the engine is sure of and that is no danger now.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Optional, TypeVar

from bot.policy.lexicon import Kind

Found = TypeVar("Found")

OWN_DANGER, WITNESS, CHILD, SILENT, OFFICER = "own_danger", "witness", "child", "silent", "officer"
PARTNER_VICTIM, PARTNER_AUTHOR = "partner_victim", "partner_author"
PARTNER_RELATIVE, PARTNER_MINOR = "partner_relative", "partner_minor"
OWN_DISTRESS, RELATIVE_ACT, RELATIVE_DISTRESS = "own_distress", "relative_act", "relative_distress"
VIOLENCE_PAST, SEEN_ONLINE, OLD_EMERGENCY = "violence_past", "seen_online", "old_emergency"
ANY_DISTRESS = "any_distress"  # somebody wants to die: the person or another
# Violence in a couple, or sexual violence: told by whom it happens to, by who does it, by somebody near, or by a minor.
ANY_PARTNER, ANY_SEXUAL = "any_partner", "any_sexual"
NONE = "none"  # it has the words of an emergency and is none


@dataclass(frozen=True)
class Script:
    """A script's reply, by its name in domain.yml, the kind of emergency that it belongs to (None: either), and the line before it
    when it comes late ("": it says itself that it may be over)."""

    reply: str
    kind: Optional[Kind] = "danger"
    late: str = "utter_urgence_retard_autre"


_YOU = "utter_urgence_retard"  # « si vous êtes toujours en danger »
SCRIPTS: dict[str, Script] = {
    OWN_DANGER: Script("utter_urgence", late=_YOU),
    WITNESS: Script("utter_urgence_temoin"),
    PARTNER_VICTIM: Script("utter_urgence_couple_victime", late=_YOU),
    PARTNER_AUTHOR: Script("utter_urgence_couple_auteur", late=""),
    PARTNER_RELATIVE: Script("utter_urgence_couple_proche"),
    PARTNER_MINOR: Script("utter_urgence_couple_mineur"),
    CHILD: Script("utter_urgence_enfant"),
    OWN_DISTRESS: Script("utter_detresse", "distress", _YOU),
    RELATIVE_ACT: Script("utter_urgence_proche_acte", "distress"),
    RELATIVE_DISTRESS: Script("utter_urgence_proche_detresse", "distress"),
    SILENT: Script("utter_urgence_silence", None, _YOU),
    OFFICER: Script("utter_urgence_agent", late=_YOU),
    VIOLENCE_PAST: Script("utter_urgence_violence_passee", late=""),
    SEEN_ONLINE: Script("utter_urgence_en_ligne", None, ""),
    OLD_EMERGENCY: Script("utter_urgence_ancienne", late=""),
    ANY_DISTRESS: Script("utter_urgence_detresse", "distress"),
    ANY_PARTNER: Script("utter_urgence_couple", late=""),
    ANY_SEXUAL: Script("utter_urgence_sexuelle", late=""),
}
# Words for everybody, which no message calls for by itself.
FOR_ALL = (ANY_DISTRESS, ANY_PARTNER, ANY_SEXUAL)
# Those that a message may call for, which are learnt and measured.
LEARNT = tuple(name for name in SCRIPTS if name not in FOR_ALL)
# Scripts whose messages are all of one intent, which they teach as well; the others may be of several.
INTENTS = {
    **dict.fromkeys((OWN_DANGER, WITNESS, SILENT), "danger_immediat"),
    **dict.fromkeys((OWN_DISTRESS, RELATIVE_ACT, RELATIVE_DISTRESS), "detresse_suicide"),
}
# What each kind says where no script is known: the words of before there were scripts.
GENERAL: dict[Kind, str] = {"danger": OWN_DANGER, "distress": OWN_DISTRESS}
REPLIES = {one.reply: name for name, one in SCRIPTS.items()}


def script_of(kind: Optional[str], script: Optional[str]) -> Optional[str]:
    """The script whose words went out, by the kind that is kept of them and the script; None: unknown. A version before writes the
    kind alone: a script of another kind is that of an earlier reply."""
    if script in SCRIPTS and SCRIPTS[script].kind in (kind, None):
        return script
    return next((name for of, name in GENERAL.items() if of == kind), None)


_EVERYBODY = frozenset(LEARNT)
_NOW = frozenset((
    OWN_DANGER, WITNESS, PARTNER_VICTIM, PARTNER_MINOR, CHILD, OWN_DISTRESS, RELATIVE_ACT, RELATIVE_DISTRESS, SILENT,
))  # fmt: skip
# Words → to whom they do harm (docs/decisions/scripts.md says why).
HARMS: dict[str, frozenset[str]] = {
    # Accuses whoever is no author, a victim above all; also somebody who jokes.
    PARTNER_AUTHOR: (_EVERYBODY | {NONE}) - {PARTNER_AUTHOR},
    # « Votre vie compte »: to fear of a partner, to a mother whose son took pills, to a neighbour.
    OWN_DISTRESS: _EVERYBODY - {OWN_DISTRESS, PARTNER_AUTHOR},
    # « Ce n’est pas votre faute » to an author; a grown-up's help lines to a child.
    PARTNER_VICTIM: frozenset((PARTNER_AUTHOR, CHILD)),
    PARTNER_MINOR: frozenset((PARTNER_AUTHOR,)),
    # To talk with somebody, where an ambulance is needed.
    RELATIVE_DISTRESS: frozenset((RELATIVE_ACT, OWN_DISTRESS)),
    RELATIVE_ACT: frozenset((OWN_DISTRESS,)),
    # Words without haste, where it is now.
    VIOLENCE_PAST: frozenset((PARTNER_AUTHOR, OWN_DANGER, WITNESS, SILENT, RELATIVE_ACT, OWN_DISTRESS)),
    SEEN_ONLINE: frozenset((OWN_DANGER, SILENT, RELATIVE_ACT, OWN_DISTRESS, PARTNER_VICTIM, CHILD)),
    OLD_EMERGENCY: _NOW,
}

_TO_MINORS = (PARTNER_MINOR, CHILD)
DISTRESS = (OWN_DISTRESS, RELATIVE_ACT, RELATIVE_DISTRESS)

# Limits, chosen by cross-validation (python -m bot.engine.script_learning measures them).
MOST_HARM = 0.15  # chance that the words do harm, from which others are sent
LEAST = 0.2  # chance below which no script is likely enough for words of its own, an emergency being given
OTHER_KIND = 0.2  # what a danger's script is worth where a detector named distress
MOSTLY = 0.5  # share of the distress scripts from which the general words are those for a distress, whatever a detector named
SURE = 0.45  # chance of a script from which it takes the place of an intent's own words
LEAST_MINOR = 0.05  # chance of a minor's scripts below which an age alone, which may be read wrongly, brings no words for children
# Whom the reply of an intent already speaks to, by its name's beginning.
_SPEAKS_TO = {
    "violences_conjugales": PARTNER_VICTIM,
    "violences_sexuelles": VIOLENCE_PAST,
    "reclamation_police": OFFICER,
    "contenu_illicite": SEEN_ONLINE,
}
# What suits everybody of an intent's subject.
_ANY = {"violences_conjugales": ANY_PARTNER, "violences_sexuelles": ANY_SEXUAL}
# Another's words in their place: where the intent's own would accuse, blame, or speak to somebody else.
_INSTEAD: dict[str, frozenset[str]] = {
    "violences_conjugales": frozenset((PARTNER_AUTHOR, PARTNER_RELATIVE, PARTNER_MINOR, CHILD, OFFICER, VIOLENCE_PAST)),
    "violences_sexuelles": frozenset((PARTNER_AUTHOR, PARTNER_MINOR, CHILD, OFFICER, VIOLENCE_PAST)),
}


def harm(reply: str, chances: Mapping[str, float]) -> float:
    """The chance that a script's words do harm."""
    return sum(chances.get(whom, 0.0) for whom in HARMS.get(reply, ()))


def choose(
    chances: Mapping[str, float],
    most: float = MOST_HARM,
    least: float = LEAST,
    kind: Kind = "danger",
    subject: str = OWN_DANGER,
) -> str:
    """The script of a message that is an emergency: the likeliest, if it is likely enough, whose words hardly do harm. Never NONE.
    Where there is none, general words, which do none and are nobody's own: with the 3114 where a detector named distress (`kind`),
    or where most of the chances are a distress's, though nobody can tell whose; else those of the `subject`, by `general_of`.
    Those of a danger go before them only where a danger is the likeliest.

    Likely enough by its own chance, too: a detector that named distress tells nothing of whose it is."""
    chances, own = weighed(chances, kind), chances
    ranked = sorted(LEARNT, key=lambda one: -chances.get(one, 0.0))
    told, known = _told(chances), _told(own)
    distress = sum(chances.get(name, 0.0) for name in DISTRESS)
    general = ANY_DISTRESS if kind == "distress" or (told and distress >= MOSTLY * told) else subject
    ranked = [name for name in ranked if name != OWN_DANGER or subject == OWN_DANGER or name == ranked[0]]
    likely = (name for name in ranked if min(chances.get(name, 0.0) / told, own.get(name, 0.0) / known) >= least)
    return next((name for name in likely if harm(name, chances) <= most * told), general) if told else general


def weighed(chances: Mapping[str, float], kind: Kind) -> dict[str, float]:
    """The chances where a detector named the kind: a distress is no danger from others; a danger may be anything."""
    if kind != "distress":
        return dict(chances)
    found = {name: chance * _beside_distress(name) for name, chance in chances.items()}
    return {name: chance / _total(found) for name, chance in found.items()} if _total(found) else found


def _beside_distress(name: str) -> float:
    if name not in SCRIPTS:
        return 1.0
    kind = SCRIPTS[name].kind
    return 1.0 if kind == "distress" else OTHER_KIND if kind == "danger" else math.sqrt(OTHER_KIND)


def _told(chances: Mapping[str, float]) -> float:
    """The chance that the message calls for any script's words."""
    return _total({name: chance for name, chance in chances.items() if name != NONE})


def _total(chances: Mapping[str, float]) -> float:
    return sum(chances.values())


def kind_of(script: str, seen: Kind) -> Kind:
    """The kind of an emergency whose script is known; `seen`: what the detector said."""
    return SCRIPTS[script].kind or seen


def spoken_to(intent: Optional[str]) -> str:
    """The script whose words an intent's own reply has; NONE for most."""
    return _of_family(_SPEAKS_TO, intent) or NONE


def _of_family(table: Mapping[str, Found], intent: Optional[str]) -> Optional[Found]:
    """What a table holds of an intent, by its name's beginning."""
    found = (value for name, value in table.items() if intent == name or (intent or "").startswith(name + "_"))
    return next(found, None)


def general_of(intent: Optional[str]) -> str:
    """The general words for an intent's subject; for most those for a danger."""
    return _of_family(_ANY, intent) or OWN_DANGER


def harms(sent: str, right: Collection[str]) -> bool:
    """Whether the words of `sent` do harm to whom the scripts `right` would suit."""
    return sent not in right and not HARMS.get(sent, frozenset()).isdisjoint(right)


def may_be_told_otherwise(intent: Optional[str]) -> bool:
    """Whether an intent's own words may not suit: only then is it worth asking whose words would."""
    return _of_family(_INSTEAD, intent) is not None


def instead(intent: Optional[str], chances: Mapping[str, float], minor: bool = False) -> Optional[str]:
    """The script whose words take the place of a sensitive intent's own: one that is sure, or any that hardly harms where the
    intent's own may well do. None: its own are right, or the message seems to be none of an emergency's. `minor`: the person is."""
    may = _of_family(_INSTEAD, intent)
    if may is None or not chances:
        return None
    own, best = spoken_to(intent), max(chances, key=lambda one: chances[one])
    if harm(own, chances) > MOST_HARM:
        return choose(chances, subject=general_of(intent))
    if best in may and chances[best] >= SURE and harm(best, chances) <= MOST_HARM:
        return best
    to_minor = max(_TO_MINORS, key=lambda one: chances.get(one, 0.0))
    return to_minor if minor and CHILD in HARMS[own] and chances.get(to_minor, 0.0) >= LEAST_MINOR else None


# Numbers that a reply gives, of those that another may need at once.
_GIVES: dict[str, frozenset[str]] = {
    **dict.fromkeys((OWN_DANGER, WITNESS, PARTNER_VICTIM, PARTNER_RELATIVE, PARTNER_MINOR, CHILD), frozenset(("114",))),
    **dict.fromkeys((ANY_PARTNER, ANY_SEXUAL), frozenset(("114",))),
    OWN_DISTRESS: frozenset(("3114", "15", "114")),
    RELATIVE_ACT: frozenset(("3114", "15", "114")),
    RELATIVE_DISTRESS: frozenset(("3114", "15", "114")),
    ANY_DISTRESS: frozenset(("3114", "15", "114")),
    SILENT: frozenset(("114",)),
}
_NEEDS: dict[str, frozenset[str]] = {
    OWN_DISTRESS: frozenset(("3114",)),
    RELATIVE_DISTRESS: frozenset(("3114",)),
    ANY_DISTRESS: frozenset(("3114",)),
    RELATIVE_ACT: frozenset(("15",)),
    SILENT: frozenset(("114",)),
}


def says_more(script: str, last: str) -> bool:
    """Whether a further danger, within minutes of a reply, needs words of its own: a number that the last one had not, or the last
    one would do harm now. Words about wanting to die do not: they hold every number, and who has them may well be attacked too."""
    if script == last:
        return False
    lacks = _NEEDS.get(script, frozenset()) - _GIVES.get(last, frozenset())
    return bool(lacks) or (last != OWN_DISTRESS and script in HARMS.get(last, ()))

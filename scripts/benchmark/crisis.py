"""An hour like that of November 2015, invented: when messages come, who writes, and what, in the spelling of panic.

Quiet at first; then within three minutes 11,000 messages an hour, with bursts of ten times that; many messages alike, and
among them people in danger. The same seed gives the same hour. `hour(factor=20)` presses it into three minutes.
Places and events are made up, nobody's words are used.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass

from bot.app import noise

HOUR = 3600.0  # seconds
TOTAL = 11_000
QUIET, STEP = 480.0, 180.0  # seconds: before anything happens; from then until everybody writes
CALM = 0.02  # messages a second before
BURSTS, BURST, TIMES = 8, 20.0, 10.0  # how many, seconds each, times the mean
DANGER, SEEK, WITNESS, QUESTION, ALIKE, THANKS = "danger", "seek", "witness", "question", "alike", "thanks"
# What is written, per cent. People in danger are few, and never silent for long.
SHARES = {DANGER: 3, SEEK: 10, WITNESS: 8, QUESTION: 24, ALIKE: 47, THANKS: 8}
AGAIN = 0.55  # the chance that a message comes from somebody who wrote already
RECENT = 400  # people who may write again
PANIC = 0.6  # the share of messages whose spelling suffers

PLACES = (
    "place du Marché", "rue des Tilleuls", "avenue de la Gare", "boulevard du Canal", "quai des Forges",
    "rue du Moulin", "place de la Fontaine", "rue des Écoles", "cours des Platanes", "rue du Vieux Pont",
)  # fmt: skip
VENUES = ("gymnase", "théâtre", "café du coin", "centre commercial", "cinéma", "stade", "marché couvert", "bowling")
RELATIVES = ("mon frère", "ma sœur", "mon fils", "ma fille", "mon mari", "ma mère", "mon meilleur ami", "ma collègue")
SENTENCES: dict[str, tuple[str, ...]] = {
    DANGER: (
        "ils tirent sur les gens {place}, je suis caché derrière une voiture, venez vite",
        "au secours, il y a des hommes armés dans le {venue}, on est enfermés dans les toilettes",
        "j’entends des coups de feu en bas de chez moi {place}, aidez-nous",
        "je suis blessée à la jambe, je saigne beaucoup, {place}, envoyez quelqu’un",
        "un homme avec une kalachnikov vient d’entrer dans le {venue}, vite",
        "on est couchés par terre au {venue}, ils sont encore là, au secours",
        "mon voisin s’est fait tirer dessus devant l’immeuble, il ne respire plus, {place}",
        "ils ont des otages dans le {venue}, je les vois par la fenêtre",
        "aidez-moi, quelqu’un essaie de forcer la porte de l’immeuble, il a une arme",
        "je suis cachée sous une table au {venue}, j’ai peur, ils reviennent",
    ),
    SEEK: (
        "je cherche {relative}, qui était au {venue} ce soir et ne répond plus",
        "{relative} n’est pas rentré et son téléphone sonne dans le vide, que faire",
        "avez-vous une liste des blessés ? je suis sans nouvelles de {relative}",
        "comment savoir si {relative} est à l’hôpital",
        "{relative} devait passer {place} et a disparu depuis deux heures",
    ),
    WITNESS: (
        "j’ai vu une voiture noire partir très vite, {place}, je peux témoigner",
        "j’ai filmé deux hommes qui couraient {place}, à qui envoyer la vidéo",
        "j’ai relevé une plaque d’immatriculation près du {venue}, cela peut aider l’enquête",
        "j’ai remarqué un sac abandonné devant le {venue}",
    ),
    QUESTION: (
        "est-ce que le commissariat est ouvert cette nuit",
        "peut-on encore sortir dans le quartier du {venue}",
        "les écoles seront-elles ouvertes demain",
        "je travaille près du {venue}, est-ce que je peux rentrer chez moi",
        "j’ai perdu ma carte d’identité en courant, comment la refaire",
        "où peut-on donner son sang",
        "ma voiture est restée {place}, comment la récupérer",
        "comment porter plainte pour ce qui s’est passé au {venue}",
        "je dois prendre le train demain, la gare est-elle ouverte",
    ),
    ALIKE: (
        "que se passe-t-il {place} ?",
        "c’est vrai ce qu’on dit sur les réseaux ?",
        "est-ce que c’est fini ?",
        "faut-il rester chez soi",
        "que se passe-t-il en ville",
        "il se passe quoi au {venue}",
        "y a-t-il un numéro d’information",
        "combien de victimes ?",
    ),
    THANKS: (
        "courage à vous tous et merci",
        "merci aux policiers pour ce que vous faites",
        "bravo à toutes les équipes, nous pensons à vous",
        "merci d’être là",
    ),
}


@dataclass(frozen=True)
class Written:
    """A message of the hour: seconds from its start, who, their how-manieth, its kind, its text."""

    at: float
    person: str
    number: int
    kind: str
    text: str


def hour(
    total: int = TOTAL, factor: float = 1.0, seed: int = 2015, prefix: str = "5", quiet: bool = True
) -> list[Written]:
    """The messages of the hour, in order, its length divided by `factor`. `quiet` False: without the time before."""
    order = random.Random(seed)
    found: list[Written] = []
    counts: dict[str, int] = {}
    recent: list[str] = []
    kinds = random.Random(seed + 1)
    for at in moments(total, order):
        kind = kinds.choices(list(SHARES), list(SHARES.values()))[0]
        if recent and order.random() < AGAIN and kind != DANGER:
            person = order.choice(recent)
        else:
            person = f"{prefix}{len(counts):07d}"
            recent = [*recent[-RECENT:], person]
        number = counts.get(person, 0)
        counts[person] = number + 1
        found.append(Written(at / factor, person, number, kind, text(kind, order)))
    if not quiet:
        start = QUIET / factor
        found = [Written(w.at - start, w.person, w.number, w.kind, w.text) for w in found if w.at >= start]
    return found


def bursts(order: random.Random) -> list[float]:
    """When bursts begin: apart from each other, once everybody writes."""
    first, step = QUIET + STEP, (HOUR - QUIET - STEP) / BURSTS
    return [first + step * number + order.uniform(0, step - BURST) for number in range(BURSTS)]


def rates(starts: Iterable[float]) -> list[float]:
    """Messages a second in each second of the hour, not compressed; they make TOTAL together.

    The mean that bursts are ten times of is the whole hour's; between them everybody writes a little less.
    """
    burst = [any(start <= at < start + BURST for start in starts) for at in range(int(HOUR))]
    risen = [min(1.0, max(0.0, (at - QUIET) / STEP)) for at in range(int(HOUR))]
    peak = TIMES * TOTAL / HOUR
    rest = TOTAL - peak * sum(burst) - CALM * sum(not share for share in risen)
    level = rest / sum(share for share, loud in zip(risen, burst, strict=True) if not loud)
    return [peak if loud else level * share or CALM for share, loud in zip(risen, burst, strict=True)]


def moments(total: int, order: random.Random) -> list[float]:
    """`total` moments of the hour, spread as `rates` says, in order."""
    sums = list(itertools.accumulate(rates(bursts(order))))
    shares = [(number + order.random()) / total * sums[-1] for number in range(total)]
    return sorted(bisect.bisect_left(sums, share) + order.random() for share in shares)


def text(kind: str, order: random.Random) -> str:
    """A message of a kind, two in three times in the spelling of panic."""
    said = order.choice(SENTENCES[kind]).format(
        place=order.choice(PLACES), venue=order.choice(VENUES), relative=order.choice(RELATIVES)
    )
    return panic(said, order) if order.random() < PANIC else said


def panic(text: str, order: random.Random) -> str:
    """As somebody types whose hands shake: slips, no accents, phone spelling, capitals, letters and marks too many."""
    kind = order.choice(("accents", "fautes", "majuscules", "sms", "sms", "fautes"))
    text = noise.apply(kind, text, order.randrange(10**6))
    if order.random() < 0.3:
        words = text.split(" ")
        at = order.randrange(len(words))
        words[at] = words[at] + words[at][-1:] * order.randint(2, 5)
        text = " ".join(words)
    return text + order.choice(("", "", "!!!", " svp", " ???", " vite"))


def load_of(written: Iterable[Written]) -> list[tuple[float, str, int, str]]:
    """As the load generator takes them."""
    return [(w.at, w.person, w.number, w.text) for w in written]

"""What people write in the comparison: each person a few messages on different subjects, so that replies tell them apart."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator

# Each line is one person's messages, in order. Every message gets a reply of its own, from Planton and from stock Rasa.
TALKS: tuple[tuple[str, ...], ...] = (
    ("bonjour", "comment faire une procuration pour dimanche", "c'est quoi une main courante"),
    ("comment obtenir un extrait de casier judiciaire", "combien de points il me reste sur mon permis", "au revoir"),
    ("slt c koi lé condition pr devenir gardien de la paix", "comment faire une pré-plainte en ligne", "au revoir"),
    ("je pars en vacances, vous pouvez surveiller ma maison ?", "comment contester une amende", "au revoir"),
    ("j'ai reçu un sms bizarre pour un colis, c'est une arnaque ?", "c'est quoi une main courante", "au revoir"),
    ("comment contester une amende de stationnement", "comment faire une procuration", "c'est quoi une main courante"),
    ("mon voisin fait du bruit toutes les nuits que faire", "comment récupérer des points sur mon permis", "au revoir"),
    ("on m'a volé ma voiture cette nuit devant chez moi", "comment faire une procuration", "au revoir"),
)
HELP = "au secours il est en train de défoncer la porte avec une hache"
HELP_EVERY = 16  # one person in so many ends with a cry for help

Message = tuple[float, str, int, str]  # moment, person, number, text


def people(prefix: str, seed: int = 7, dates: Iterator[int] | None = None) -> Iterator[tuple[str, list[str]]]:
    """Persons without end, each with their messages. `dates`: numbers for `dated`, so that no two texts are the same."""
    order = random.Random(seed)
    count = 0
    while True:
        for talk in order.sample(TALKS, len(TALKS)):
            count += 1
            texts = [*talk[:-1], HELP] if count % HELP_EVERY == 0 else list(talk)
            if dates is not None:
                texts = [dated(text, next(dates)) for text in texts]
            yield f"{prefix}{count:07d}", texts


MONTHS = (
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
)


def dated(text: str, number: int) -> str:
    """The same with a moment of its own: a text that nobody wrote before. `number`: below half a million."""
    minutes, days = number % 1440, number // 1440
    return f"{text}, depuis le {days % 28 + 1} {MONTHS[days // 28 % 12]} à {minutes // 60}h{minutes % 60:02d}"


def stream(
    prefix: str,
    rate: float,
    seconds: float,
    gap: tuple[float, float] = (1.0, 8.0),
    seed: int = 7,
    dates: Iterator[int] | None = None,
) -> list[Message]:
    """`rate` messages a second, evenly, for so long. A person writes again after `gap` seconds, the earliest first.
    `dates`: as for `people`."""
    order = random.Random(seed)
    total = round(rate * seconds)
    fresh = people(prefix, seed)
    again: list[tuple[float, str, int, list[str]]] = []  # a heap of who writes again, and from when on
    found: list[Message] = []
    for step in range(total):
        moment = step / rate
        if again and again[0][0] <= moment:
            _, person, number, texts = heapq.heappop(again)
        else:
            number, (person, texts) = 0, next(fresh)
        said = texts[number] if dates is None else dated(texts[number], next(dates))
        found.append((moment, person, number, said))
        if number + 1 < len(texts):
            heapq.heappush(again, (moment + order.uniform(*gap), person, number + 1, texts))
    return found

"""What the engine is asked and what it answers (see docs: the engine keeps nothing)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional, Protocol


@dataclass(frozen=True)
class QuickReply:
    """A tappable answer: `title` at most 20 characters, `payload` one of our own list."""

    title: str
    payload: str


@dataclass(frozen=True)
class Link:
    """An address that the catalogue of questions names, with its title."""

    title: str
    url: str

    @property
    def line(self) -> str:
        """How it stands in a text: « La fiche : https://… »."""
        title = self.title.replace("\u202f: ", ", ").replace(" : ", ", ")
        return f"{title} {self.url}" if title.endswith("?") else f"{title}\u202f: {self.url}"


@dataclass(frozen=True)
class Reply:
    """One message to a person; split under the platform's limit by the sender. `links`: those whose lines stand in the text,
    which may go out as buttons instead (`bot.meta.template`)."""

    text: str
    quick_replies: tuple[QuickReply, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class HandoffRequest:
    """The engine asks for a human. `category` and `priority` as in the policy's table; `slots` what is known so far."""

    category: str
    priority: int
    reason: str
    slots: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Understanding:
    """What a text means. `ranking`: best first, probabilities in [0, 1]; `intent` is the best named intent.
    `danger`: probability of danger_immediat plus detresse_suicide. `unknown`: how many of its words were never seen, neither in
    training nor among French words; `model`: the name of the model that read it, "" where the engine does not tell.
    `questions`: the nearest ones of the catalogue with their chances, at most four, the likeliest first.
    `scripts`: whose words it calls for if it is an emergency (`bot.policy.scripts`), by its meaning; {} if none were learnt.
    `called`: the chance that it calls for any: that by its meaning it tells an emergency of some kind."""

    intent: Optional[str]
    confidence: float
    ranking: tuple[tuple[str, float], ...] = ()
    entities: dict[str, str] = field(default_factory=dict)
    danger: float = 0.0
    french: bool = True
    unknown: int = 0
    model: str = ""
    questions: tuple[tuple[str, float], ...] = ()
    scripts: dict[str, float] = field(default_factory=dict)
    called: float = 0.0


@dataclass(frozen=True)
class Turn:
    """The outcome of one turn. `state` replaces the conversation's dialogue state, whatever it holds. `question`: that of the
    catalogue that was answered; `supposed`: as the one that may be meant, under it."""

    understanding: Understanding
    replies: tuple[Reply, ...] = ()
    handoff: Optional[HandoffRequest] = None
    clarify: bool = False
    silence: bool = False
    state: dict[str, Any] = field(default_factory=dict)
    question: Optional[str] = None
    supposed: bool = False


@dataclass(frozen=True)
class Piece:
    """Something in a text that speaks for an intent (`weight` above 0) or against it. `kind`: words, letters, sounds: how the
    words `text` were compared. A weight of 1.0 makes the intent about 2.7 times likelier than the mean of all."""

    text: str
    kind: str
    weight: float


@dataclass(frozen=True)
class Why:
    """Why an intent has its chance: pieces, the heaviest first, and what the mean meaning of the words (word vectors), the
    sentence encoder and the intent's own start add. All on the scale of `Piece.weight`."""

    intent: str
    chance: float
    pieces_for: tuple[Piece, ...]
    pieces_against: tuple[Piece, ...]
    meaning: float
    encoder: float
    base: float


@dataclass(frozen=True)
class Explanation:
    """What a text means and why. `whys`: the best intents of the text read as a whole; () where the model cannot tell.
    `danger`: (chance, where the alarm begins) of the danger score; None where there are too few words."""

    understanding: Understanding
    whys: tuple[Why, ...] = ()
    danger: Optional[tuple[float, float]] = None


class Engine(Protocol):
    """The port to the engine. All raise EngineDown or EngineRefused."""

    async def understand(self, text: str) -> Understanding: ...

    async def explain(self, text: str) -> Explanation: ...

    async def turn(
        self,
        sender: str,
        text: str,
        state: Optional[dict[str, Any]],
        payload: Optional[str] = None,
        meant: Optional[str] = None,
    ) -> Turn:
        """`meant`: the intent that a text is read as, whatever it looks like; what it tells besides is kept."""
        ...

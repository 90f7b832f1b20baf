"""A scripted engine: intents by a word of the text, replies that name the intent; it can fail, hang and be slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bot.core.dialogue import Explanation, HandoffRequest, Link, Piece, QuickReply, Reply, Turn, Understanding, Why
from bot.core.errors import EngineDown, EngineRefused
from bot.policy.intents import ANSWER, policy_of
from bot.policy.questions import asked
from bot.policy.told import keep

WORDS = {
    "plainte": "plainte_comment",
    "concours": "recrutement_concours",
    "procuration": "procuration",
    "merci": "remerciements",
    "frappe": "violences_conjugales",
    "disparu": "disparition",
    "igpn": "reclamation_police",
    "humain": "parler_humain",
    "trafic": "signalement_trafic",
    "bonjour": "salutation",
    "voilee": "danger_immediat",
    "opération": "danger_immediat",
    "inquiète": "hors_perimetre_precision",
}
# Words in which there is more or less of a danger.
DANGERS = {"voilee": 0.97, "opération": 0.6, "inquiète": 0.45}
# A cry for help, which tells nothing of the messages that follow it.
CRIES = ("secours", "couteau")


class ScriptedEngine:
    """Implements `bot.core.dialogue.Engine`. `fail`: errors to raise, one a call; `down`: raises EngineDown while true.
    `now`: seconds since 1970, for what the state keeps for a day. `questions`: a word → the questions of the catalogue that are
    nearest to a text with it; a surely asked one is answered, others are offered; a tap (`/intent/question`) asks surely.
    `answers`: question → its answer, else its name; `links`: question → what links it ends with; `beside`: question → the buttons
    under it."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.questions: dict[str, tuple[tuple[str, float], ...]] = {}
        self.answers: dict[str, str] = {}
        self.links: dict[str, tuple[Link, ...]] = {}
        self.beside: dict[str, tuple[QuickReply, ...]] = {}
        self.down = False
        self.fail: list[Exception] = []
        self.slow = 0.0
        self.free = asyncio.Event()  # cleared: every call waits until it is set
        self.free.set()
        self.calls: list[tuple[str, str]] = []  # ("turn" | "understand", text)
        self.meant: list[tuple[str, str]] = []  # (text, the intent that it was to be read as)
        self.refuses_meant = False

    async def _meet(self, kind: str, text: str) -> None:
        self.calls.append((kind, text))
        await self.free.wait()
        if self.slow:
            await asyncio.sleep(self.slow)
        if self.down:
            raise EngineDown("scripted")
        if self.fail:
            raise self.fail.pop(0)

    def _read(self, text: str) -> Understanding:
        word = next((word for word in WORDS if word in text.lower()), "")
        intent = WORDS.get(word)
        if any(cry in text.lower().split("\n")[-1] for cry in CRIES):
            ranking = (("danger_immediat", 0.97),)
            return Understanding("danger_immediat", 0.97, ranking, danger=0.97, model="scripted")
        # Beside an exam nothing sounds like a danger.
        danger = max([0.01, *(DANGERS[one] for one in DANGERS if one in text.lower() and word != "concours")])
        french = "please" not in text.lower()
        if intent is None:
            ranking = (("hors_perimetre", 0.2), ("plainte_comment", 0.15))
            return Understanding("hors_perimetre", 0.2, ranking, danger=danger, french=french, model="scripted")
        entities = {"ville": "Lyon"} if "Lyon" in text else {}
        sure = 0.3 if intent == "hors_perimetre_precision" else 0.9
        found = Understanding(intent, sure, ((intent, sure),), entities, danger, french, model="scripted")
        return replace(found, questions=self._nearest(text))

    def _nearest(self, text: str) -> tuple[tuple[str, float], ...]:
        if text.count("/") == 2:
            return ((text[1:], 1.0),)
        return next((near for word, near in self.questions.items() if word in text.lower()), ())

    async def understand(self, text: str) -> Understanding:
        """The intent by word."""
        await self._meet("understand", text)
        return self._read(text)

    async def explain(self, text: str) -> Explanation:
        """The word that it went by speaks for the intent; where it knew none, the text's first word speaks a little for it."""
        await self._meet("explain", text)
        found = self._read(text)
        word = next((word for word in WORDS if word in text.lower()), None)
        pieces = (Piece(word, "words", 2.5),) if word else (Piece(text.split()[0].lower(), "sounds", 0.2),)
        against = tuple(Piece(other, "letters", -0.4) for other in text.lower().split() if other not in WORDS)[:2]
        why = Why(found.intent or "", found.confidence, pieces, against, 0.5, 1.2, -0.3)
        return Explanation(found, (why,), (found.danger, 0.8))

    async def turn(
        self,
        sender: str,
        text: str,
        state: dict[str, Any] | None,
        payload: str | None = None,
        meant: str | None = None,
    ) -> Turn:
        """« <intent> n° <turn> », a hand-off where the policy has one, a question where nothing is understood."""
        await self._meet("turn", text)
        if meant is not None:
            self.meant.append((text, meant))
            if self.refuses_meant:
                raise EngineRefused("scripted")
        count = int((state or {}).get("turns", 0)) + 1
        understood = self._read(payload or text)
        if meant is not None:  # no more a danger, nor less of one
            understood = replace(understood, intent=meant, confidence=1.0)
        policy = policy_of(understood.intent)
        slots = {**(state or {}).get("slots", {}), **understood.entities}
        told = keep(state, "" if payload else text, self.now())
        after = {"turns": count, "at": self.now(), "slots": slots, "told": told}
        if understood.confidence < 0.5:
            reply = Reply("Pouvez-vous préciser ?", (QuickReply("Porter plainte", "/plainte_comment"),))
            return Turn(understood, (reply,), clarify=True, state=after)
        request = (
            HandoffRequest(policy.category, policy.priority, understood.intent or "")
            if policy.route != ANSWER
            else None
        )
        near = [{"name": name, "confidence": chance} for name, chance in understood.questions]
        found = asked(understood.intent or "", near)
        buttons = tuple(QuickReply(name.partition("/")[2][:20], f"/{name}") for name in found.near)
        sure = found.sure or ""
        buttons += self.beside.get(sure, ())
        links = self.links.get(sure, ())
        words = self.answers.get(sure, sure) or f"{understood.intent} n° {count}"
        said = "\n".join([words, *(link.line for link in links)])
        return Turn(understood, (Reply(said, buttons, links),), request, state=after, question=found.sure)


def refused() -> EngineRefused:
    """What an empty outcome raises."""
    return EngineRefused("scripted")

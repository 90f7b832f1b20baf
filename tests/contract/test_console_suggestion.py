"""Suggested replies: asked of the engine, the catalogue's answers first, honest for an agent to send, never for an emergency,
never sent by itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bot.core.clock import FrozenClock
from bot.core.dialogue import Reply, Turn
from bot.store.codec import Codec
from bot.store.conversations import STATE
from bot.store.db import Database
from tests.fakes.catalogue import ELECTIONS, search
from tests.fakes.console import Browser, RunningConsole, running_console
from tests.fakes.engine import ScriptedEngine, refused


class Engine(ScriptedEngine):
    """Its replies are set by the test; it remembers the state that it was given."""

    says: str = ""
    state: dict[str, Any] | None = None

    async def turn(
        self,
        sender: str,
        text: str,
        state: dict[str, Any] | None,
        payload: str | None = None,
        meant: str | None = None,
    ) -> Turn:
        """The scripted turn, with the words of `says`."""
        self.state = state
        turn = await super().turn(sender, text, state, payload, meant)
        return replace(turn, replies=(Reply(self.says),)) if self.says else turn


@pytest.fixture
def engine() -> Engine:
    """The engine that the console asks."""
    return Engine()


@pytest.fixture
async def console(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, wall: FrozenClock, engine: Engine
) -> AsyncIterator[RunningConsole]:
    """A console with an engine."""
    async with running_console(
        database, database_url, codec, frozen_clock, wall, engine=engine, catalogue=search
    ) as running:
        yield running


async def _offered(claire: Browser, number: int) -> list[dict[str, Any]]:
    answer = await claire.get(f"/conversations/{number}/suggestion")
    assert answer.status in (200, 204)
    return json.loads(answer.page) if answer.status == 200 else []


async def _suggested(claire: Browser, number: int) -> dict[str, Any] | None:
    return next(iter(await _offered(claire, number)), None)


async def test_what_the_assistant_would_answer(console: RunningConsole, claire: Browser, engine: Engine) -> None:
    number = await console.waiting(said="une procuration pour dimanche")
    await claire.act(number, "prendre")
    state = {"turns": 3}
    await console.execute("UPDATE conversations SET state = :s", s=console.codec.seal_json(state, STATE))
    engine.says = "Faites la demande sur https://www.maprocuration.gouv.fr."
    found = await _suggested(claire, number)
    assert found is not None
    assert (found["text"], found["source"], found["about"]) == (engine.says, "réponse de l’assistant", "procuration")
    assert (engine.state, (await console.conversation(number)).owner) == (state, "agent")  # asked, and nothing changed
    assert [m[1] for m in await console.outgoing(number)] == ["system"]
    await claire.act(number, "suggestion")
    assert (await console.audit())[-1] == ("suggestion_used", number)
    await claire.act(number, "repondre", message=engine.says)
    assert await _suggested(claire, number) is None  # answered
    await console.says("p1", "et pour une plainte ?", at=console.clock.now().replace(second=59))
    assert await _suggested(claire, number) is not None


async def test_a_state_that_cannot_be_read_is_begun_anew(
    console: RunningConsole, claire: Browser, engine: Engine
) -> None:
    number = await console.waiting(said="une procuration pour dimanche")
    await claire.act(number, "prendre")
    await console.execute("UPDATE conversations SET state = '\\x00'")
    assert await _suggested(claire, number) is not None
    assert engine.state is None


async def test_no_agent_speaks_as_the_assistant(console: RunningConsole, claire: Browser, engine: Engine) -> None:
    number = await console.waiting(said="mon concours")
    for engine.says in (
        "Je suis un assistant automatique.",
        "Un agent va lire votre message.",
        "Je n’ai pas accès aux dossiers.",
        "Voulez-vous qu’un agent vous oriente ?",
        "Touchez le bouton qui convient pour lire la réponse en entier, ou dites-le-moi autrement.",
    ):
        assert await _suggested(claire, number) is None
    engine.says = "Inscrivez-vous sur le site."
    assert await _suggested(claire, number) is not None


async def test_where_the_assistant_hands_off_a_canned_reply_serves(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting(said="un message pour l’igpn", name="Nadia B.")
    found = await _suggested(claire, number)
    assert found is not None
    assert "IGPN et Défenseur des droits" in found["source"]
    assert found["text"].startswith("Bonjour Nadia,")
    await console.execute("UPDATE canned_replies SET archived_at = now() WHERE shortcut = 'igpn'")
    assert await _suggested(claire, number) is None


async def test_none_for_dangers_doubts_and_other_languages(console: RunningConsole, claire: Browser) -> None:
    for said in ("je suis voilee", "blabla", "please procuration", "🙂"):
        assert await _suggested(claire, await console.waiting(said, said)) is None, said


async def test_none_for_an_emergency_nor_without_an_engine(
    console: RunningConsole, claire: Browser, engine: Engine
) -> None:
    number = await console.waiting(said="une procuration")
    engine.says = "Allez sur le site."
    assert await _suggested(claire, number) is not None
    engine.down = True
    assert await _suggested(claire, number) is None
    engine.down = False
    engine.fail = [refused()]
    assert await _suggested(claire, number) is None
    await console.hand_off(number, "emergency", "emergency_lexicon")
    assert await _suggested(claire, number) is None


# -- the catalogue ---------------------------------------------------------------------------------------------------------

ONLINE, ABROAD, HEIGHT = "procuration/en_ligne", "procuration/etranger", "recrutement_aptitude/taille"
ROBOT, IGPN = "salutation/robot", "reclamation_police/igpn_delai"


async def test_the_question_that_was_surely_asked_comes_first_as_the_person_would_read_it(
    console: RunningConsole, claire: Browser, engine: Engine
) -> None:
    number = await console.waiting(said="une procuration en ligne")
    engine.questions = {"en ligne": ((ONLINE, 0.71), (ABROAD, 0.2), (HEIGHT, 0.01))}
    engine.says = "Faites la demande en ligne."  # as the assistant says it, with what it knows of the person
    first, second = await _offered(claire, number)
    assert (first["text"], first["source"]) == (engine.says, "réponse du catalogue (71\u00a0%)")
    assert (first["about"], first["name"]) == ("Comment faire une procuration en ligne ?", "En ligne")
    assert (second["question"], second["text"]) == (ABROAD, "Allez à l’ambassade ou au consulat.")


async def test_questions_that_may_have_been_asked_come_before_general_words(
    console: RunningConsole, claire: Browser, engine: Engine
) -> None:
    number = await console.waiting(said="une procuration en ligne ou ailleurs")
    engine.questions = {"en ligne": ((ONLINE, 0.3), (ABROAD, 0.2))}
    found = await _offered(claire, number)
    assert [one["question"] for one in found] == [ONLINE, ABROAD, ""]
    assert found[0]["text"].endswith(f"\nProcuration de vote\u202f: {ELECTIONS}")
    assert found[2]["name"] == "Réponse de l’assistant"
    await claire.act(number, "prendre")
    await claire.act(number, "repondre", message="Voici.")
    assert await _offered(claire, number) == []  # answered


async def test_a_fact_for_what_only_agents_answer(console: RunningConsole, claire: Browser, engine: Engine) -> None:
    number = await console.waiting(said="mon dossier igpn ?")
    engine.questions = {"igpn": ((IGPN, 0.3),)}
    canned, fact = await _offered(claire, number)
    assert ("IGPN et Défenseur des droits" in canned["source"], fact["question"]) == (True, IGPN)
    engine.questions = {"igpn": ((IGPN, 0.8),)}
    assert [one["question"] for one in await _offered(claire, number)] == [IGPN, ""]


async def test_the_wording_is_for_this_person_and_none_speaks_as_the_assistant(
    console: RunningConsole, claire: Browser, engine: Engine
) -> None:
    number = await console.waiting(said="le concours, si on est petit ?")
    engine.questions = {"petit": ((ROBOT, 0.38), (HEIGHT, 0.3), ("procuration/disparue", 0.2))}
    assert [one["text"] for one in await _offered(claire, number)][:1] == ["Non, aucune taille minimale n’est exigée."]
    state = console.codec.seal_json({"slots": {"corps": "cadet"}}, STATE)
    await console.execute("UPDATE conversations SET state = :s", s=state)
    assert [one["text"] for one in await _offered(claire, number)][:1] == ["Pour un cadet non plus."]
    await console.hand_off(number, "emergency", "emergency_lexicon")
    assert await _offered(claire, number) == []

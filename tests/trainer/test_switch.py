"""The real engine hands over to the real engine, with two models of a quick training, while somebody asks all the time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.trainer import engines
from bot.trainer.candidates import SUFFIX
from bot.trainer.publishing import move
from tests.fakes.ports import free_port
from tests.scenario.processes import until
from tests.scenario.test_handover import Engines, Flow
from tests.trainer.conftest import Trained, clone

STARTS = 240.0  # seconds, on a busy machine


async def test_a_published_model_answers_and_conversations_go_on(trained: Trained, tmp_path: Path) -> None:
    project = clone(trained, tmp_path / "projet")
    there = Engines(project.root, [free_port()], STARTS, "real")
    there.start()
    try:
        first, second = f"{trained.current.hash}{SUFFIX}", f"{trained.candidate.hash}{SUFFIX}"
        await until(lambda: engines.status(there.var).models == {first}, STARTS, "the engine starts", every=0.2)
        flow = Flow(there.urls)
        flow.pause = 1 / 30
        async with flow:
            before = await flow.client.turn("7", "je veux devenir gardien de la paix", None)
            assert before.state["slots"]
            candidate = next((project.root / "models" / "candidates").glob(f"{trained.candidate.hash}{SUFFIX}"))
            moved = type(trained.candidate)(candidate, project.root)
            await asyncio.to_thread(move, moved, project.root / "models")
            wish = engines.ask(there.var, second)
            await until(
                lambda: (
                    engines.status(there.var).wanted == wish.id and engines.status(there.var).state != engines.SWITCHING
                ),
                STARTS,
                "the hand-over",
                every=0.2,
            )
            assert engines.status(there.var).failure == ""
            assert engines.status(there.var).models == {second}
            # The conversation that the old engine began goes on in the new one.
            after = await flow.client.turn("7", "et combien de temps dure la formation ?", before.state)
            assert after.replies
            await asyncio.sleep(1)
        assert flow.failed == []
        assert len(flow.said) > 30
        await until(lambda: len(there.pids()) == 1, 30, "the old engine has left")
        assert "Traceback" not in there.said
    finally:
        there.stop()

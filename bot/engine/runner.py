"""Runs a loaded model's graph node by node, in this thread.

Rasa hands each run to dask, which plans it anew, through queues and futures, and writes the message and the whole tracker
into a log line that nobody reads. Which nodes a target needs, and in which order, does not change after loading.
"""

from __future__ import annotations

from typing import Any, Optional

from rasa.engine.graph import GraphNode
from rasa.engine.runner.dask import DaskGraphRunner
from rasa.engine.runner.interface import GraphRunner

Plan = list[tuple[str, GraphNode, tuple[str, ...]]]  # name, node, names of what it needs


class StraightRunner(GraphRunner):
    """Takes over the nodes of the runner that loaded them."""

    def __init__(self, loaded: DaskGraphRunner) -> None:
        self.nodes: dict[str, GraphNode] = loaded._instantiated_nodes
        self._schema = loaded._graph_schema
        self._plans: dict[tuple[str, ...], Plan] = {}

    def components(self) -> list[Any]:
        """What the nodes run."""
        return [node._component for node in self.nodes.values()]

    @classmethod
    def create(cls, *_: Any, **__: Any) -> StraightRunner:
        """Rasa's loader makes its own runner."""
        raise NotImplementedError

    def run(self, inputs: Optional[dict[str, Any]] = None, targets: Optional[list[str]] = None) -> dict[str, Any]:
        """What each target gives. What a node raises comes as Rasa's GraphComponentException."""
        wanted = tuple(targets or self._schema.target_names)
        plan = self._plans.get(wanted)
        if plan is None:
            plan = self._plans[wanted] = self._plan(wanted)
        given = {name: (name, value) for name, value in (inputs or {}).items()}
        for name, node, needs in plan:
            given[name] = node(*[given[need] for need in needs])
        return {name: given[name][1] for name in wanted}

    def _plan(self, targets: tuple[str, ...]) -> Plan:
        """The nodes that the targets need, each behind those that it needs itself."""
        plan: dict[str, tuple[str, GraphNode, tuple[str, ...]]] = {}

        def add(name: str) -> None:
            if name in plan or name not in self.nodes:
                return
            needs = tuple(self._schema.nodes[name].needs.values())
            for need in needs:
                add(need)
            plan[name] = (name, self.nodes[name], needs)

        for target in targets:
            add(target)
        return list(plan.values())

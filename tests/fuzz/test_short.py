"""The quick form of `make fuzz`: the seeds and a few changes to them, the same each time; what the harness itself must see."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz import contract, meter, plain, targets
from tests.fuzz.meter import Meter
from tests.fuzz.targets import TARGETS, Defect, Target

INPUTS = 400


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_raises(name: str) -> None:
    counted = Meter(TARGETS[name])
    for data in plain.inputs(TARGETS[name], INPUTS):
        counted.run(data)
    told = counted.told()
    assert told["inputs"] == INPUTS
    assert len(told["outcomes"]) > 1, "the inputs all end alike: they reach nothing"  # type: ignore[arg-type]


@settings(max_examples=60, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(contract.bodies)
def test_bodies_of_the_contract_with_wrong_parts(data: bytes) -> None:
    assert targets.payload(data) in ("events", "empty", "refused")
    targets.gateway(data)


def test_the_harness_sees_an_exception_a_broken_promise_and_a_slow_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(raw: bytes) -> str:
        raise KeyError(len(raw))

    with pytest.raises(KeyError):
        Meter(Target("x", fails, list)).run(b"a")

    monkeypatch.setattr(targets, "verify", lambda *_: None)
    with pytest.raises(Defect, match="a wrong signature was accepted"):
        targets.signature(b"sha256=0\nx")

    monkeypatch.setattr(meter, "FLOOR", 0.0)
    monkeypatch.setattr(meter, "PER_ITEM", 0.0)
    with pytest.raises(meter.Slow):
        Meter(replace(TARGETS["payload"], per_byte=0.0)).run(b'{"object":"page","entry":[0]}')


def test_the_inputs_are_the_same_each_time_and_mostly_json() -> None:
    first, second = (list(plain.inputs(TARGETS["payload"], INPUTS)) for _ in range(2))
    assert first == second
    outcomes = [targets.payload(data) for data in first]
    assert outcomes.count("events") > INPUTS // 3


def test_an_address_space_that_ends_ends_the_input() -> None:
    # In a process of its own, since the bound stays.
    code = (
        "from tests.fuzz.meter import bounded\nbounded(50_000_000)\n"
        "try:\n    bytearray(200_000_000)\nexcept MemoryError:\n    print('bounded')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=targets.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "bounded"

"""A machine whose clock is wrong, for processes that tests start: Python imports this by itself (PYTHONPATH).

The JSON file that SKEW_FILE names says by how many seconds which role's clock is ahead: {"gateway": 3600, "sender": -3600}. It may
change while the process runs: the clock jumps. Monotonic clocks go on as they do on a machine.
"""

import json
import os
import sys
import time

LOOK = 0.1  # seconds between looks at the file
_file = os.environ.get("SKEW_FILE")
_true, _true_ns = time.time, time.time_ns
_state = {"at": float("-inf"), "skew": 0.0}


def _role() -> str:
    words = getattr(sys, "argv", [])
    return words[words.index("_role") + 1] if "_role" in words[:-1] else "launcher"


def _skew() -> float:
    now = time.monotonic()
    if now - _state["at"] >= LOOK:
        _state["at"] = now
        try:
            with open(_file or "", encoding="ascii") as told:
                _state["skew"] = float(json.load(told).get(_role(), 0.0))
        except (OSError, ValueError):
            pass  # no file: the clock is right; half written: it is as before
    return _state["skew"]


if _file:
    time.time = lambda: _true() + _skew()
    time.time_ns = lambda: _true_ns() + round(_skew() * 1e9)

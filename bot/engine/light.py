"""An engine that answers needs half of what Rasa imports and does at its start: the rest waits until something asks for it.

TensorFlow, of which nothing of ours makes use, comes by names that Rasa's helpers of neural networks import, and by the classes
of a model's training, which are looked up when the model is read; an algebra system, by what makes the encoder smaller when it
is made. And a model's domain is checked anew, slowly, although no training accepts a wrong one.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

NETWORKS = "rasa.utils.train_utils"
# Who imports: what takes long to import, and what is wanted of it.
IMPORTS = {
    NETWORKS: {
        "rasa.utils.tensorflow.callback": ("RasaTrainingLogger", "RasaModelCheckpoint"),
        "rasa.utils.tensorflow.data_generator": ("RasaBatchDataGenerator",),
    },
    "bot.engine.encoder.graph": {"onnxruntime.quantization": ("QuantType", "quantize_dynamic")},
}


def lighten() -> None:
    """Call this where models are read and none is trained, once Rasa is silent (bot/engine/quiet.py) and before it is imported."""
    for module in IMPORTS:
        without(module)
    import rasa.shared.utils.validation
    from rasa.engine.storage.storage import ModelMetadata

    rasa.shared.utils.validation.validate_yaml_schema = _accepted
    ModelMetadata.from_dict = classmethod(_without_training(ModelMetadata.from_dict.__func__))


def without(module: str) -> None:
    """Import one of these without what is heavy, unless that has been imported already."""
    if module not in sys.modules:
        _import(module, {name: names for name, names in IMPORTS[module].items() if name not in sys.modules})


def _import(module: str, heavy: dict[str, tuple[str, ...]]) -> None:
    """With stand-ins for what it wants of heavy modules, which whoever imports those next does not meet."""
    for name, names in heavy.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update({one: Later(name, one) for one in names})
    try:
        importlib.import_module(module)
    finally:
        for name in heavy:
            del sys.modules[name]


class Later:
    """Stands for a class or a function of a module, which is imported once this is called or asked for anything."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def _real(self) -> Any:
        return getattr(importlib.import_module(self._module), self._name)

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self._real()(*given, **named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # whoever looks at it closely (typing) is no reason to import
            raise AttributeError(name)
        return getattr(self._real(), name)


def check_once() -> None:
    """Call this where the trainers' files are read: Rasa reads each up to seven times, and checked its form as often."""
    from rasa.shared.utils import validation

    validation.validate_yaml_schema = functools.lru_cache(maxsize=None)(validation.validate_yaml_schema)


def _accepted(*_: Any, **__: Any) -> None:
    """Stands for the check of a file's form: the training has done it."""


def _without_training(read: Callable[..., Any]) -> Callable[..., Any]:
    """Reads what is known of a model, without how it was trained."""

    def from_dict(cls: type, serialized: dict[str, Any]) -> Any:
        return read(cls, {**serialized, "train_schema": {"nodes": {}}})

    return from_dict

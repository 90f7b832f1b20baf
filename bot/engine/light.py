"""An engine that answers needs half of what Rasa imports and does at its start: the rest waits until something asks for it.

TensorFlow, of which nothing of ours makes use, comes by names that Rasa's helpers of neural networks import, and by the classes
of a model's training, which are looked up when the model is read. And a model's domain is checked anew, slowly, although no
training accepts a wrong one.
"""

from __future__ import annotations

import copy
import functools
import importlib
import pickle
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

NETWORKS = "rasa.utils.train_utils"
RECIPE = "rasa.graph_components.validators.default_recipe_validator"  # asks whether a pipeline has one of these
COMPONENTS = "rasa.engine.recipes.default_components"  # whatever a pipeline may name
# Who imports: what takes long to import, and what is wanted of it.
IMPORTS = {
    NETWORKS: {
        "rasa.utils.tensorflow.callback": ("RasaTrainingLogger", "RasaModelCheckpoint"),
        "rasa.utils.tensorflow.data_generator": ("RasaBatchDataGenerator",),
    },
    RECIPE: {
        "rasa.nlu.classifiers.diet_classifier": ("DIETClassifier",),
        "rasa.nlu.selectors.response_selector": ("ResponseSelector",),
        "rasa.core.policies.ted_policy": ("TEDPolicy",),
    },
    COMPONENTS: {
        "rasa.nlu.classifiers.diet_classifier": ("DIETClassifier",),
        "rasa.nlu.featurizers.dense_featurizer.convert_featurizer": ("ConveRTFeaturizer",),
        "rasa.nlu.featurizers.dense_featurizer.lm_featurizer": ("LanguageModelFeaturizer",),
        "rasa.nlu.selectors.response_selector": ("ResponseSelector",),
        "rasa.core.policies.ted_policy": ("TEDPolicy",),
        "rasa.core.policies.unexpected_intent_policy": ("UnexpecTEDIntentPolicy",),
    },
}


def lighten() -> None:
    """Call this where models are read and none is trained, once Rasa is silent (bot/engine/quiet.py) and before it is imported."""
    without(NETWORKS)
    import rasa.shared.utils.validation
    from rasa.engine.storage.local_model_storage import LocalModelStorage
    from rasa.engine.storage.storage import ModelMetadata

    read_once()
    rasa.shared.utils.validation.validate_yaml_schema = _accepted
    LocalModelStorage._extract_archive_to_directory = staticmethod(_unpack)
    ModelMetadata.from_dict = classmethod(_without_training(ModelMetadata.from_dict.__func__))


def for_training() -> None:
    """Call this where models are trained, as `lighten`."""
    for module in (NETWORKS, RECIPE):
        without(module)
    check_once()
    _name_components()


def _name_components() -> None:
    """Rasa imports every component that a pipeline might name, TensorFlow with them, to find those that it names."""
    from rasa.engine.recipes.default_recipe import DefaultV1Recipe

    find = DefaultV1Recipe._from_registry.__func__

    def named(cls: type, name: str) -> Any:
        without(COMPONENTS)
        for module, names in IMPORTS[COMPONENTS].items():
            if name in names:
                importlib.import_module(module)  # and is registered by that
        return find(cls, name)

    DefaultV1Recipe._from_registry = classmethod(named)


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
        self._module, self._name, self.__name__ = module, name, name

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
    import rasa.shared.utils.io as files
    from rasa.shared.exceptions import YamlException
    from rasa.shared.utils import validation

    read_once()
    _merge_by_reference()
    check, read = validation.validate_yaml_schema, files.read_yaml

    @functools.cache
    def once(content: str, *schema: str) -> None:
        files.read_yaml = lambda content, reader_type="safe": read(content)  # without places, in a tenth of the time
        try:
            return check(content, *schema)
        except YamlException:
            pass
        finally:
            files.read_yaml = read
        return check(content, *schema)  # which says where it is wrong

    validation.validate_yaml_schema = once


def read_once() -> None:
    """Rasa reads each of the trainers' files up to seven times, and a model's domain three times: each is parsed once."""
    import rasa.shared.utils.io as files

    _match_once()
    parse = files.read_yaml

    @functools.lru_cache(maxsize=128)
    def parsed(content: str) -> bytes:
        return pickle.dumps(parse(content))

    def read(content: str, reader_type: Any = "safe") -> Any:
        return pickle.loads(parsed(content)) if reader_type == "safe" else parse(content, reader_type)  # noqa: S301 (our own)

    files.read_yaml = read


def _merge_by_reference() -> None:
    """Rasa merges the files' examples seven times, and each time copies every one, deeply, and takes its fingerprint anew. What is
    merged is not used again, and what does not change keeps its fingerprint."""
    import rasa.shared.nlu.training_data.training_data as merging

    merging.copy = _Shallow  # type: ignore[attr-defined]
    merging.TrainingData.sanitize_examples = staticmethod(_tidied)  # type: ignore[method-assign]


def _tidied(examples: list[Any]) -> list[Any]:
    """Rasa's `sanitize_examples`: names without spaces around them, no example twice."""
    for example in examples:
        for name in ("intent", "response"):
            told = example.get(name)
            if told and told != told.strip():
                example.set(name, told.strip())
    return list(dict.fromkeys(examples))


class _Shallow:
    """Stands for the module `copy` where lists and tables are made longer, and what they hold stays as it is."""

    copy = deepcopy = staticmethod(copy.copy)


def _match_once() -> None:
    """The parser tries each word against patterns (a number, a date …), and appends those that Rasa adds for all words to its list
    at each word: a long file took minutes. Here they are tried once. Call this once `rasa.shared.utils.io` is imported."""
    from ruamel.yaml.nodes import ScalarNode
    from ruamel.yaml.resolver import VersionedResolver

    unmatched = VersionedResolver.resolve

    def resolve(reader: Any, kind: type, value: Any, implicit: Any) -> Any:
        if kind is not ScalarNode or not implicit[0]:
            return unmatched(reader, kind, value, implicit)
        patterns = reader.versioned_resolver
        for tag, pattern in (*patterns.get(value[:1], ()), *patterns.get(None, ())):
            if pattern.match(value):
                return tag
        return unmatched(reader, kind, value, (False, implicit[1]))

    VersionedResolver.resolve = resolve


def pack_quickly() -> None:
    """Call this where models are trained, once Rasa is imported: an archive is pressed as hard as can be, for half a minute in
    which nothing else runs, to save a thirtieth of its size."""
    import rasa.engine.storage.local_model_storage as storage

    storage.TarSafe = _Quickly  # type: ignore[misc]


class _Quickly(tarfile.TarFile):
    """Stands for `TarSafe` where archives are written."""

    @classmethod
    def gzopen(
        cls, name: Any, mode: Any = "r", fileobj: Any = None, compresslevel: int = 1, **more: Any
    ) -> tarfile.TarFile:
        return super().gzopen(name, mode, fileobj, compresslevel, **more)


def _unpack(archive: Any, folder: Path) -> None:
    """Rasa's `_extract_archive_to_directory`, which goes through the archive twice: once to see that it is harmless."""
    with tarfile.open(archive, "r:gz") as tar:
        tar.extractall(folder, filter="data")


def _accepted(*_: Any, **__: Any) -> None:
    """Stands for the check of a file's form: the training has done it."""


def _without_training(read: Callable[..., Any]) -> Callable[..., Any]:
    """Reads what is known of a model, without how it was trained."""

    def from_dict(cls: type, serialized: dict[str, Any]) -> Any:
        return read(cls, {**serialized, "train_schema": {"nodes": {}}})

    return from_dict

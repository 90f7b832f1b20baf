"""Puts texts through the encoder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from bot.engine.encoder.adaptation import Adaptation
from bot.engine.encoder.tokens import Cutter
from bot.engine.encoder.weights import package_file, packaged

THREADS = 1  # one message at a time; several engines share the cores
TOGETHER = 16  # texts that are read in one go, where there are many


class Encoder:
    """`meaning(text)`, and `scores(meaning)`: what the adapted head makes of it."""

    def __init__(self, network: Path) -> None:
        self._weights = packaged()
        self._cutter = Cutter(self._weights.vocabulary)
        adaptation = Adaptation()
        self.names = adaptation.names
        self.learnt = adaptation.learnt
        self._head = adaptation.head
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = THREADS
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])

    @classmethod
    def make(cls, network: Path) -> Encoder:
        """Write the network from the package's weights and the adaptation, then load it. Raises SetupError."""
        from bot.engine.encoder import graph  # takes a second, and who only reads a network never writes one

        weights, adaptation = packaged(), Adaptation()
        adaptation.check(package_file())
        graph.write(network, weights.shape, lambda name: adaptation.changed(name, weights.array(name)))
        return cls(network)

    def meaning(self, text: str) -> np.ndarray:
        """(width,): mean of the last layer."""
        return self._read([self._cutter.pieces(text)])[0]

    def pieces(self, text: str) -> list[int]:
        """What the text is cut into: all that its meaning depends on."""
        return self._cutter.pieces(text)

    def meanings(self, texts: Sequence[str]) -> np.ndarray:
        """(texts, width): the same numbers; texts with as many pieces are read together, which takes a fifth less time."""
        cut = [self._cutter.pieces(text) for text in texts]
        alike = defaultdict(list)
        for number, pieces in enumerate(cut):
            alike[len(pieces)].append(number)
        found = np.zeros((len(texts), self._weights.shape.width), np.float32)
        for numbers in alike.values():
            for start in range(0, len(numbers), TOGETHER):
                part = numbers[start : start + TOGETHER]
                found[part] = self._read([cut[number] for number in part])
        return found

    def _read(self, cut: list[list[int]]) -> np.ndarray:
        """(texts, width) of texts with as many pieces."""
        rows = np.stack([self._weights.embedded(pieces) for pieces in cut])
        found: np.ndarray = self._session.run(None, {"rows": rows})[0]
        return found

    def scores(self, meaning: np.ndarray) -> np.ndarray:
        """(intents,): logits in the order of `names`, of a text's meaning."""
        matrix, bias = self._head
        found: np.ndarray = matrix @ meaning + bias
        return found

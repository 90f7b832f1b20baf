"""Writes the encoder's network as an ONNX file, with 8-bit weights, for onnxruntime.

The network is BERT's (Devlin et al., 2018, https://arxiv.org/abs/1810.04805): attention, then a feed-forward part, each
added to what came in and normalised.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bot.engine.encoder.weights import Shape

OPSET, IR = 17, 8  # the first with LayerNormalization
BITS, BLOCK = 8, 64  # of a weight; weights, and numbers that meet them, that share a scale
COMPUTED_IN_INTEGERS = 4  # onnxruntime's `accuracy_level`
Tensors = Callable[[str], np.ndarray]


class Network:
    """Collects nodes and constants."""

    def __init__(self, shape: Shape, tensors: Tensors) -> None:
        self._shape = shape
        self._tensors = tensors
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._count = 0

    def model(self) -> onnx.ModelProto:
        """Input `rows` (texts, pieces, width), output `meaning` (texts, width): the mean of the last layer."""
        sizes = ["texts", "pieces", self._shape.width]
        flow = self._normalised("rows", "emb.ln")
        for layer in range(self._shape.layers):
            flow = self._layer(flow, f"l{layer}.")
        self._node("ReduceMean", [flow], "meaning", axes=[1], keepdims=0)
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [helper.make_tensor_value_info("rows", TensorProto.FLOAT, sizes)],
            [helper.make_tensor_value_info("meaning", TensorProto.FLOAT, ["texts", self._shape.width])],
            list(self._constants.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR
        return model

    def _layer(self, flow: str, name: str) -> str:
        width, inner = self._shape.width, self._shape.inner
        seen = self._linear(self._attention(flow, name), name + "ao", width, width)
        flow = self._normalised(self._node("Add", [flow, seen]), name + "aln")
        wide = self._gelu(self._linear(flow, name + "fi", inner, width))
        thought = self._linear(wide, name + "fo", width, inner)
        return self._normalised(self._node("Add", [flow, thought]), name + "oln")

    def _attention(self, flow: str, name: str) -> str:
        width = self._shape.width
        size = width // self._shape.heads
        split = self._constant("split", np.array([0, 0, self._shape.heads, size], np.int64))
        joined = self._constant("joined", np.array([0, 0, width], np.int64))

        def heads(which: str, order: list[int], factor: float = 1.0) -> str:
            rows = self._linear(flow, name + which, width, width, factor)
            return self._node("Transpose", [self._node("Reshape", [rows, split])], perm=order)

        asked = heads("q", [0, 2, 1, 3], float(1 / np.sqrt(size)))
        likeness = self._node("MatMul", [asked, heads("k", [0, 2, 3, 1])])
        shares = self._node("Softmax", [likeness], axis=-1)
        taken = self._node("MatMul", [shares, heads("v", [0, 2, 1, 3])])
        return self._node("Reshape", [self._node("Transpose", [taken], perm=[0, 2, 1, 3]), joined])

    def _linear(self, flow: str, name: str, out: int, inside: int, factor: float = 1.0) -> str:
        matrix = self._tensors(name + ".w").reshape(out, inside).T * factor
        product = self._node("MatMul", [flow, self._constant(name + ".w", matrix.astype(np.float32))])
        bias = self._constant(name + ".b", (self._tensors(name + ".b") * factor).astype(np.float32))
        return self._node("Add", [product, bias])

    def _normalised(self, flow: str, name: str) -> str:
        parts = [self._constant(f"{name}.{part}", self._tensors(f"{name}.{part}")) for part in ("w", "b")]
        return self._node("LayerNormalization", [flow, *parts], axis=-1, epsilon=self._shape.epsilon)

    def _gelu(self, flow: str) -> str:
        root = self._constant("root", np.array(1 / np.sqrt(2), np.float32))
        one, half = self._constant("one", np.array(1, np.float32)), self._constant("half", np.array(0.5, np.float32))
        bent = self._node("Add", [self._node("Erf", [self._node("Mul", [flow, root])]), one])
        return self._node("Mul", [self._node("Mul", [flow, bent]), half])

    def _node(self, kind: str, inputs: list[str], output: str = "", **options: object) -> str:
        self._count += 1
        output = output or f"{kind.lower()}{self._count}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **options))
        return output

    def _constant(self, name: str, value: np.ndarray) -> str:
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name


def write(path: Path, shape: Shape, tensors: Tensors) -> None:
    """The network with 8-bit weights; the numbers that meet them are rounded to 8 bits as they come, in blocks of their own.

    In a few layers one number is ten to seventy times larger than all others: with one scale for all of them (`quantize_dynamic`)
    the rest is rounded away, which cost two points of real messages (docs/decisions/understanding.md).
    """
    quantizer = _quantizer()
    how = quantizer.DefaultWeightOnlyQuantConfig(
        block_size=BLOCK, is_symmetric=True, accuracy_level=COMPUTED_IN_INTEGERS, bits=BITS
    )
    rounded = quantizer.MatMulNBitsQuantizer(Network(shape, tensors).model(), algo_config=how)
    rounded.process()
    rounded.model.save_model_to_file(str(path), False)


def _quantizer() -> Any:
    """onnxruntime's module, which tells each node that it looks at and sets the root's logging for everybody: without that."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    module = importlib.import_module("onnxruntime.quantization.matmul_nbits_quantizer")
    root.handlers[:] = handlers
    root.setLevel(level)
    module.logger.setLevel(logging.WARNING)
    return module

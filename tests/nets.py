"""Small QONNX graphs, built node by node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgendt.errors import UnsupportedOp
from edgendt.export.graph import QUANT_DOMAIN
from edgendt.fixed import Int
from edgendt.lower import lower
from edgendt.lower.execute import run_qonnx
from edgendt.program import Program

BINS, CHANNELS = 6, 4
Y = Int(8, 2)

# Fields of our own nodes, as the exporter writes them.
ROTARY = {f"{name}_{key}": value for name in "xy" for key, value in (("bits", 8), ("frac", 4), ("signed", 1))} | {
    "size": 4
}
LAYERNORM = {f"{name}_{key}": value for name in ("x", "y", "gamma") for key, value in (("bits", 8), ("frac", 4))}
LAYERNORM |= {f"{name}_signed": 1 for name in ("x", "y", "gamma")} | {"size": 4, "eps_code": 1}


class Net:
    """A small QONNX graph, built node by node; each method gives the tensor it writes."""

    def __init__(self, shape: tuple[int, ...] = (BINS, CHANNELS)) -> None:
        self.shape: tuple[Any, ...] = shape
        self.domains, self.holds = [QUANT_DOMAIN, "edgendt"], TensorProto.FLOAT
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.rng = np.random.default_rng(0)

    def constant(self, values: Any) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(values, dtype=np.float32), name))
        return name

    def shape_of(self, *numbers: int) -> str:
        """Whole numbers."""
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.array(numbers, np.int64), name))
        return name

    def node(self, kind: str, *inputs: str, domain: str = "", name: str | None = None, **fields: Any) -> str:
        name = name or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, domain=domain, **fields))
        return name

    def quant(self, x: str, y: Int, scale: Any = None, zero: Any = 0.0, **fields: Any) -> str:
        tail = [self.constant(y.scale if scale is None else scale), self.constant(zero), self.constant(float(y.bits))]
        fields = {"signed": int(y.signed), "narrow": 0, "rounding_mode": "ROUND"} | fields
        return self.node("Quant", x, *tail, domain=QUANT_DOMAIN, **fields)

    def zero(self, kind: Any, value: Any) -> str:
        """A zero point."""
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    def counts(self) -> str:
        return self.quant("counts", Int(4, 0, False))

    def weights(self, rows: int, columns: int, scale: Any = None) -> str:
        return self.quant(self.constant(self.rng.normal(size=(rows, columns))), Int(4, 2), scale, narrow=1)

    def save(self, output: str, path: Path, opset: int = 18) -> Path:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("counts", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(output, self.holds, None)],
            self.initializers,
        )
        opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in self.domains)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
        return path


def equals_the_executor(path: Path) -> Program:
    """The lowered Program, after it gave the executor's codes on random counts."""
    program = lower(path)
    counts = np.random.default_rng(1).integers(0, 16, (BINS, program.channels))
    np.testing.assert_array_equal(run_qonnx(path, program, counts), program.run(counts))
    return program


def refused(net: Net, output: str, tmp_path: Path) -> str:
    with pytest.raises(UnsupportedOp) as caught:
        lower(net.save(output, tmp_path / "net.onnx"))
    return str(caught.value)


def matmul(net: Net, outputs: int = 3) -> str:
    return net.node("MatMul", net.counts(), net.weights(CHANNELS, outputs))


def bias_last(net: Net) -> str:
    return net.node("Add", matmul(net), net.constant([[0.25, -1.0, 2.5]]))


def relu(net: Net) -> str:
    return net.node("Relu", matmul(net))


def pair(net: Net, x: str, scale: float, other: float | None = None, zero: int = 0) -> str:
    """QuantizeLinear of one scale, DequantizeLinear of that or another."""
    point = net.zero(np.uint8, zero)
    codes = net.node("QuantizeLinear", x, net.constant(scale), point)
    return net.node("DequantizeLinear", codes, net.constant(scale if other is None else other), point)

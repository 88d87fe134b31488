"""Two faults of one file are both told at once, wherever they are outside attention."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from foreign import encoder, export
from onnx import helper, numpy_helper

from edgendt.errors import UnsupportedOp
from edgendt.lower import lower
from edgendt.lower.values import Refused

Fault = Callable[[onnx.ModelProto, onnx.NodeProto], None]
PAIRS = 60


def put(model: onnx.ModelProto, node: onnx.NodeProto, at: int, values: object) -> None:
    """Other numbers for one input."""
    name = f"{node.output[0]}.{at}"
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
    node.input[at] = name


def attribute(node: onnx.NodeProto, name: str, value: object) -> None:
    kept = [item for item in node.attribute if item.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def floor(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    attribute(node, "rounding_mode", "FLOOR")


def zero_point(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    put(model, node, 2, 1.0)


def negative_scale(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    put(model, node, 1, -0.5)


def half_a_bit(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    put(model, node, 3, 7.5)


def over_bins(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    attribute(node, "axis", 1)


def raw(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    """Weights without their Quant."""
    for reader in model.graph.node:
        reader.input[:] = [node.input[0] if name == node.output[0] else name for name in reader.input]


def longer(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    """A bias of one more element."""
    at = 0 if node.input[0].endswith("bias") else 1
    put(model, node, at, np.zeros(99))


def unknown(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    """Another operator behind it."""
    old, new = node.output[0], f"{node.output[0]}.unknown"
    for reader in model.graph.node:
        reader.input[:] = [new if name == old else name for name in reader.input]
    at = list(model.graph.node).index(node) + 1
    model.graph.node.insert(at, helper.make_node("Unknown", [old], [new], name=new, domain="lab"))


QUANTS = (floor, zero_point, negative_scale, half_a_bit)
FAULTS: dict[str, tuple[Fault, ...]] = {"LayerNormalization": (over_bins, unknown), "MatMul": (unknown,)}


def places(model: onnx.ModelProto) -> Iterator[tuple[Fault, str]]:
    """Every fault that a node outside attention can have, and which tensor it writes; nothing behind the output."""
    for node in model.graph.node:
        name, given = node.output[0], node.input[0] if node.input else ""
        if "/attention/" in name or name == model.graph.output[0].name or not given:
            continue
        for fault in (*FAULTS.get(node.op_type, ()), *(QUANTS if node.op_type == "Quant" else ())):
            yield fault, name
        if node.op_type == "Quant" and "weight_quant" in name:
            yield raw, name
        if node.op_type == "Add" and any(item.endswith(".bias") for item in node.input):
            yield longer, name


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return export(encoder(fused=True), tmp_path_factory.mktemp("twice") / "encoder.onnx").read_bytes()


def told(data: bytes, faults: list[tuple[Fault, str]], path: Path) -> set[str]:
    """Of a file with those faults, which nodes are refused."""
    model = onnx.load_model_from_string(data)
    for fault, name in faults:
        fault(model, next(node for node in model.graph.node if node.output[0] == name))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UnsupportedOp) as caught:
        lower(path)
    return {node.name for node in model.graph.node if f" {node.name}" in str(caught.value)}


def untold(data: bytes, path: Path) -> list[str]:
    """Pairs of faults of which what one alone is refused for is not told of both."""
    rng, found = random.Random(0), []
    every = list(places(onnx.load_model_from_string(data)))
    assert len({fault for fault, _ in every}) == 8
    for _ in range(PAIRS):
        pair = rng.sample(every, 2)
        if pair[0][1] != pair[1][1] and (missing := told(data, pair[:1], path) | told(data, pair[1:], path)) - (
            told(data, pair, path)
        ):
            found.append(f"{[(fault.__name__, name) for fault, name in pair]}: {missing}")
    return found


def test_two_faults_are_both_told(file: bytes, tmp_path: Path) -> None:
    assert untold(file, tmp_path / "twice.onnx") == []


def test_a_lowering_that_puts_nothing_in_the_place_of_a_refused_node_is_found(
    file: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgendt.lower.operators.instead", lambda node, inputs, lowering: Refused())
    assert untold(file, tmp_path / "twice.onnx")

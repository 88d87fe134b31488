"""Open an ONNX file without trusting it: every way it can be malformed is one clear sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgendt.errors import BadInput
from edgendt.export.graph import META, SUMS
from edgendt.fixed import Int
from edgendt.program import ACCUMULATOR, BINS, INPUT

if TYPE_CHECKING:
    import onnx


def load(path: Path | str) -> onnx.ModelProto:
    """The model in a file. BadInput when it is missing, no ONNX, incomplete, or reads a tensor that nothing writes."""
    import onnx

    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:
        raise BadInput(f"{path} is not an ONNX file, or is cut short") from error
    if not model.graph.node:
        raise BadInput(f"{path} is not an ONNX file with a network in it: its graph has no nodes")
    external = [t.name for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    if external:
        raise BadInput(f"{path} keeps {external[0]!r} in another file: save the model as one file")
    check_wiring(path, model.graph)
    return model


def check_wiring(path: Path | str, graph: onnx.GraphProto) -> None:
    """BadInput unless the nodes are in order, each tensor is written once before it is read, and the output is."""
    written = {item.name for item in (*graph.input, *graph.initializer)}
    for node in graph.node:
        for name in node.input:
            if name and name not in written:
                raise BadInput(f"{path} is malformed: {label(node)} reads {name!r}, which nothing before it writes")
        for name in node.output:
            if name in written:
                raise BadInput(f"{path} is malformed: {name!r} is written twice")
            written.add(name)
    if len(graph.output) != 1:
        raise BadInput(f"{path} must have one output, it has {len(graph.output)}")
    if graph.output[0].name not in written:
        raise BadInput(f"{path} is malformed: nothing writes its output {graph.output[0].name!r}")


def label(node: onnx.NodeProto) -> str:
    """A node's name for a person: its own, or the tensor it writes."""
    return str(node.name or (node.output[0] if node.output else node.op_type))


def constants(path: Path | str, graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    """Initializers by name. BadInput when the data of one is incomplete."""
    from onnx import numpy_helper

    arrays = {}
    for tensor in graph.initializer:
        try:
            arrays[tensor.name] = np.asarray(numpy_helper.to_array(tensor))
        except Exception as error:
            raise BadInput(f"{path} is malformed: the data of {tensor.name!r} do not fill its shape") from error
    return arrays


@dataclass(frozen=True)
class Given:
    """An input of a graph. node: its name in the Program; rows: 0 where they are open; axis: what they are."""

    name: str
    node: str
    rows: int
    size: int
    axis: str


def inputs(path: Path | str, graph: onnx.GraphProto, known: Mapping[str, Any]) -> list[Given]:
    """The inputs of a graph: counts per bin, or several that say by names of their first dimensions what rows are.

    BadInput for other shapes.
    """
    found = [item for item in graph.input if item.name not in known]
    dims = [item.type.tensor_type.shape.dim for item in found]
    if len(found) > 1 and all(len(d) == 2 and d[0].dim_param and d[1].dim_value for d in dims):
        return [
            Given(item.name, item.name, 0, d[1].dim_value, d[0].dim_param) for item, d in zip(found, dims, strict=True)
        ]
    if len(found) != 1:
        raise BadInput(
            f"{path} must have one input (counts), or several of shapes [AXIS, size] whose AXIS has a name; "
            f"it has {len(found)}"
        )
    shape = [dim.dim_value for dim in dims[0]]
    if len(shape) not in (2, 3) or not shape[-1] or (len(shape) == 3 and shape[0] != 1):
        raise BadInput(
            f"{path}: the input must be [bins, channels] or [1, bins, channels] with channels given, got {shape}"
        )
    return [Given(found[0].name, INPUT, shape[-2], shape[-1], BINS.name)]


def accumulator(path: Path | str, model: onnx.ModelProto) -> Int:
    """Format of the sums, which a file may say. BadInput where it says something else."""
    said = {item.key: item.value for item in model.metadata_props}.get(SUMS, str(ACCUMULATOR.bits))
    if not said.isascii() or not said.isdigit() or not 1 <= int(said) <= 32:
        raise BadInput(f"{path}: {SUMS} must be 1..32 bits, got {said!r}")
    return Int(int(said))


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes as Python values."""
    from onnx import helper

    values = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}


def meta(model: onnx.ModelProto) -> dict[str, Any]:
    """What `export_qonnx` was given as meta; empty for other people's files."""
    props = {item.key: item.value for item in model.metadata_props}
    try:
        found = json.loads(props.get(META, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

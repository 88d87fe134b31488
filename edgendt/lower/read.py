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
from edgendt.export.graph import META
from edgendt.lower.folding import LARGEST

if TYPE_CHECKING:
    import onnx

OLDEST = 7  # opset: broadcasting as it is today


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
    everything = {name for node in graph.node for name in node.output}
    written = {item.name for item in (*graph.input, *graph.initializer)}
    for node in graph.node:
        if not any(node.output):
            raise BadInput(f"{path} is malformed: {label(node)} writes nothing")
        for name in node.input:
            if name and name not in written:
                late = "only a later node writes: the graph has a cycle, or its nodes are out of order"
                why = late if name in everything else "nothing writes: an initializer or a node is missing"
                raise BadInput(f"{path} is malformed: {label(node)} reads {name!r}, which {why}")
        for name in node.output:
            if name and name in written:
                raise BadInput(f"{path} is malformed: {name!r} is written twice")
            written.add(name)
    if len(graph.output) != 1:
        raise BadInput(f"{path} must have one output, it has {len(graph.output)}")
    if graph.output[0].name not in written:
        raise BadInput(f"{path} is malformed: nothing writes its output {graph.output[0].name!r}")


def check_node(node: onnx.NodeProto, opset: int) -> None:
    """ValueError for a standard operator whose attributes or number of inputs are not those of its opset."""
    from onnx import checker

    context = checker.C.CheckerContext()
    context.ir_version, context.opset_imports = 10, {"": opset}
    try:
        checker.check_node(node, context)
    except checker.ValidationError as error:
        said = str(error).partition("==> Context")[0].replace(f", bad node: {node}", "")
        raise ValueError(f"it is malformed ({' '.join(said.split())[:160]})") from error


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
    """The one input of a graph: counts [bins, channels] behind `lead` dimensions of 1; bins 0: open."""

    name: str
    bins: int
    channels: int
    lead: int


def input_shape(path: Path | str, graph: onnx.GraphProto, known: Mapping[str, Any], bins: int = 0) -> Given:
    """BadInput when there are more inputs, the last dimension is open, or it holds no numbers.

    bins: where the file leaves them open.
    """
    from onnx import TensorProto

    inputs = [item for item in graph.input if item.name not in known]
    if len(inputs) != 1:
        raise BadInput(f"{path} must have one input (counts), it has {len(inputs)}")
    tensor = inputs[0].type.tensor_type
    shape = [dim.dim_value for dim in tensor.shape.dim]
    if tensor.elem_type in (TensorProto.STRING, TensorProto.BOOL, TensorProto.COMPLEX64, TensorProto.COMPLEX128):
        kind = TensorProto.DataType.Name(tensor.elem_type)
        raise BadInput(f"{path}: the input must hold counts, it holds {kind.lower()}")
    if len(shape) not in (2, 3) or not shape[-1] or (len(shape) == 3 and shape[0] > 1):
        raise BadInput(
            f"{path}: the input must be [bins, channels] or [1, bins, channels] with channels given, got {shape}"
        )
    if bins and shape[-2] not in (0, bins):
        raise BadInput(f"{path}: its input has {shape[-2]} bins, not {bins}")
    shape[-2] = shape[-2] or bins
    if min(shape) < 0 or max(shape[-2], 1) * shape[-1] > LARGEST:
        raise BadInput(f"{path}: the input must have at most {LARGEST} elements, got {shape}")
    return Given(inputs[0].name, shape[-2], shape[-1], len(shape) - 2)


def opset(path: Path | str, model: onnx.ModelProto) -> int:
    """The version of the standard operators. BadInput where it says none, or one that onnx does not know."""
    from onnx import defs

    known = defs.onnx_opset_version()
    version = next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), 0)
    if not OLDEST <= version <= known:
        raise BadInput(f"{path}: its operators must be those of opset {OLDEST} to {known}, got {version}")
    return int(version)


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

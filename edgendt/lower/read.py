"""Open an ONNX file without trusting it: every way it can be malformed is one clear sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgendt.errors import BadInput, elsewhere
from edgendt.export.graph import META, SUMS
from edgendt.fixed import Int
from edgendt.lower.folding import LARGEST
from edgendt.program import ACCUMULATOR, BINS, INPUT

if TYPE_CHECKING:
    import onnx

OLDEST = 7  # opset: broadcasting as it is today
STANDARD_DOMAINS = ("", "ai.onnx")
QUANT_DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")


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
        raise BadInput(f"{path} is not an ONNX file, or is cut short{elsewhere(path)}") from error
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
    """An input of a graph. node: its name in the Program; rows: 0 where they are open; axis: what they are.

    lead: dimensions of 1 before the rows.
    """

    name: str
    node: str
    rows: int
    size: int
    axis: str
    lead: int = 0


def inputs(path: Path | str, graph: onnx.GraphProto, known: Mapping[str, Any], bins: int = 0) -> list[Given]:
    """The inputs of a graph: counts per bin, or several that say by names of their first dimensions what rows are.

    bins: of counts, where the file leaves them open. BadInput for other shapes, and for inputs that are no numbers.
    """
    found = [item for item in graph.input if item.name not in known]
    for item in found:
        check_numbers(path, item)
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
    if len(shape) not in (2, 3) or not shape[-1] or (len(shape) == 3 and shape[0] > 1):
        raise BadInput(
            f"{path}: the input must be [bins, channels] or [1, bins, channels] with channels given, got {shape}"
        )
    if bins and shape[-2] not in (0, bins):
        raise BadInput(f"{path}: its input has {shape[-2]} bins, not {bins}")
    rows, size = shape[-2] or bins, shape[-1]
    if min(shape) < 0 or max(rows, 1) * size > LARGEST:
        raise BadInput(f"{path}: the input must have at most {LARGEST} elements, got {shape}")
    return [Given(found[0].name, INPUT, rows, size, BINS.name, len(shape) - 2)]


def check_numbers(path: Path | str, item: onnx.ValueInfoProto) -> None:
    """BadInput for an input of words or truth values."""
    from onnx import TensorProto

    kind = item.type.tensor_type.elem_type
    if kind in (TensorProto.STRING, TensorProto.BOOL, TensorProto.COMPLEX64, TensorProto.COMPLEX128):
        raise BadInput(f"{path}: the input must hold counts, it holds {TensorProto.DataType.Name(kind).lower()}")


def accumulator(path: Path | str, model: onnx.ModelProto) -> Int:
    """Format of the sums, which a file may say. BadInput where it says something else."""
    said = {item.key: item.value for item in model.metadata_props}.get(SUMS, str(ACCUMULATOR.bits))
    if not said.isascii() or not said.isdigit() or not 1 <= int(said) <= 32:
        raise BadInput(f"{path}: {SUMS} must be 1..32 bits, got {said!r}")
    return Int(int(said))


def opset(path: Path | str, model: onnx.ModelProto) -> int:
    """The version of the standard operators. BadInput where it says none, or one that onnx does not know."""
    from onnx import defs

    known = defs.onnx_opset_version()
    version = next((item.version for item in model.opset_import if item.domain in STANDARD_DOMAINS), 0)
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

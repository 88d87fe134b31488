"""Open an ONNX file without trusting it: every way it can be malformed is one clear sentence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgendt.errors import BadInput, elsewhere
from edgendt.export.functions import QUANT_DOMAIN, functions
from edgendt.export.graph import META, SUMS
from edgendt.export.nodes import DOMAIN
from edgendt.fixed import Int
from edgendt.lower.folding import LARGEST
from edgendt.program import ACCUMULATOR, BINS, INPUT

if TYPE_CHECKING:
    import onnx

OLDEST = 7  # opset: broadcasting as it is today
OLDEST_IR = 3  # that says its opset
MOST_NODES, DEEPEST = 100_000, 100  # that functions of a file may stand for, and call each other
STANDARD_DOMAINS = ("", "ai.onnx")
COUNTS = tuple("float double float16 bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64".split())
CONSTANTS = (*COUNTS, "bool", "int4", "uint4")  # types of tensors that are read
MOST_AXES = 8
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
        other = "" if Path(path).suffix == ".onnx" else elsewhere(path)
        raise BadInput(f"{path} is not an ONNX file, or is cut short{other}") from error
    if not model.graph.node:
        raise BadInput(f"{path} is not an ONNX file with a network in it: its graph has no nodes")
    check_words(path, model)
    if not OLDEST_IR <= model.ir_version <= onnx.IR_VERSION:
        raise BadInput(
            f"{path}: its ir_version must be {OLDEST_IR} to {onnx.IR_VERSION}, which the onnx package here knows, "
            f"got {model.ir_version}"
        )
    model = inlined(path, model)
    for item in (*model.opset_import, *model.graph.node):
        if item.domain in STANDARD_DOMAINS:
            item.domain = ""  # one name for it
    check_dense(path, model.graph)
    check_wiring(path, model.graph)
    return model


def inlined(path: Path | str, model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the nodes of its own functions in their places; those that are read by name stay.

    BadInput for functions that call themselves, that call others too deep, or that stand for absurdly many nodes.
    """
    from onnx import inliner

    read_by_name = (*STANDARD_DOMAINS, *QUANT_DOMAINS, DOMAIN)
    bodies = {(body.domain, body.name): body for body in model.functions if body.domain not in read_by_name}
    if not bodies:
        return model
    sizes: dict[tuple[str, str], int] = {}

    def nodes(called: Sequence[onnx.NodeProto], within: tuple[tuple[str, str], ...]) -> int:
        return sum(size((node.domain, node.op_type), within) for node in called)

    def size(kind: tuple[str, str], within: tuple[tuple[str, str], ...]) -> int:
        if kind in within:
            raise BadInput(f"{path} is malformed: its function {kind[1]} calls itself")
        if len(within) > DEEPEST:
            raise BadInput(f"{path}: its functions must call each other at most {DEEPEST} deep, {kind[1]} goes on")
        if kind in bodies and kind not in sizes:
            sizes[kind] = nodes(bodies[kind].node, (*within, kind))
        return sizes.get(kind, 1)

    if (total := nodes(model.graph.node, ())) > MOST_NODES:
        raise BadInput(f"{path}: its functions must stand for at most {MOST_NODES} nodes, got {total}")
    try:
        return inliner.inline_selected_functions(model, list(bodies))
    except Exception as error:
        said = " ".join(str(error).split())[:160]
        raise BadInput(f"{path}: its functions cannot be put in their places ({said})") from error


def check_words(path: Path | str, model: onnx.ModelProto) -> None:
    """BadInput for a name that is no text: protobuf gives it as bytes, which nothing compares with a name."""
    graph = model.graph
    words: list[object] = [item.name for item in (*graph.input, *graph.output, *graph.initializer)]
    words += [item.domain for item in model.opset_import]
    words += [word for item in model.metadata_props for word in (item.key, item.value)]
    words += [word for body in model.functions for word in (body.name, body.domain, *body.input, *body.output)]
    for node in (*graph.node, *(inner for body in model.functions for inner in body.node)):
        words += [node.name, node.op_type, node.domain, *node.input, *node.output]
        words += [item.name for item in node.attribute]
    if damaged := [word for word in words if isinstance(word, bytes)]:
        raise BadInput(f"{path} is malformed: the name {damaged[0]!r} is no UTF-8")


def check_dense(path: Path | str, graph: onnx.GraphProto) -> None:
    """BadInput for tensors that are not in the file, or not element by element."""
    from onnx import TensorProto

    within = [(node.output[0], item.t) for node in graph.node if node.output for item in node.attribute]
    for name, tensor in (*((tensor.name, tensor) for tensor in graph.initializer), *within):
        if tensor.data_location == TensorProto.EXTERNAL:
            how = "torch.onnx.export(..., external_data=False), or onnx.load and onnx.save"
            raise BadInput(f"{path} keeps {name!r} in another file: save the model as one file ({how})")
    if graph.sparse_initializer:
        name = graph.sparse_initializer[0].values.name
        raise BadInput(f"{path} keeps {name!r} as a sparse tensor: save its elements one by one")


def check_wiring(path: Path | str, graph: onnx.GraphProto) -> None:
    """BadInput unless the nodes are in order, each tensor is written once before it is read, and the output is."""
    everything = {name for node in graph.node for name in node.output}
    written = {item.name for item in (*graph.input, *graph.initializer)}
    for items in (graph.input, graph.initializer):  # an initializer may be an input's default
        name, times = next(iter(Counter(item.name for item in items).most_common(1)), ("", 0))
        if times > 1:
            raise BadInput(f"{path} is malformed: {name!r} is written twice")
    for node in graph.node:
        if not any(node.output):
            raise BadInput(f"{path} is malformed: {label(node)} writes nothing")
        if not node.op_type:
            raise BadInput(f"{path} is malformed: {label(node)} has no operator")
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


def label(node: onnx.NodeProto) -> str:
    """A node's name for a person: its own, or the tensor it writes."""
    return str(node.name or (node.output[0] if node.output else node.op_type))


def constants(path: Path | str, graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    """Initializers by name. BadInput when the data of one is incomplete."""
    arrays = {}
    for tensor in graph.initializer:
        try:
            arrays[tensor.name] = array_of(tensor)
        except ValueError as error:
            raise BadInput(f"{path} is malformed: the data of {tensor.name!r} {error}") from error
    return arrays


def array_of(tensor: onnx.TensorProto) -> NDArray[Any]:
    """A tensor's numbers. ValueError, to go on from `the data`, when they are none, or too few or too many."""
    from onnx import numpy_helper

    kind = spelt(tensor.data_type)
    if kind not in CONSTANTS:
        raise ValueError(f"are of type {kind}, which no operator of a Program computes with")
    if min(tensor.dims, default=0) < 0 or len(tensor.dims) > MOST_AXES:
        raise ValueError(f"must have at most {MOST_AXES} axes, none of them negative, got {list(tensor.dims)[:9]}")
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except Exception as error:
        raise ValueError("do not fill its shape") from error


def spelt(kind: int) -> str:
    """A type of numbers by its name in ONNX, in small letters."""
    from onnx import TensorProto

    names: dict[int, str] = {number: name.lower() for name, number in TensorProto.DataType.items()}
    return names.get(kind, str(kind))


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
        check_type(path, item, "input", "counts", COUNTS)
    check_type(path, graph.output[0], "output", "log-rates", ("undefined", *COUNTS[:4]))
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
    if any(dim.WhichOneof("value") == "dim_value" and dim.dim_value < 1 for dim in dims[0]):
        raise BadInput(f"{path}: the input must have dimensions of 1 and more, got {shape}")
    if len(shape) not in (2, 3) or not shape[-1] or (len(shape) == 3 and shape[0] > 1):
        raise BadInput(
            f"{path}: the input must be [bins, channels] or [1, bins, channels] with channels given, got {shape}"
        )
    if bins and shape[-2] not in (0, bins):
        raise BadInput(f"{path}: its input has {shape[-2]} bins, not {bins}")
    rows, size = shape[-2] or bins, shape[-1]
    if max(rows, 1) * size > LARGEST:
        raise BadInput(f"{path}: the input must have at most {LARGEST} elements, got {shape}")
    return [Given(found[0].name, INPUT, rows, size, BINS.name, len(shape) - 2)]


def check_type(path: Path | str, item: onnx.ValueInfoProto, end: str, what: str, types: Sequence[str]) -> None:
    """BadInput for an input or output of another type of numbers, or of words or truth values."""
    holds = item.type.WhichOneof("value") or "nothing"
    if holds == "tensor_type" or (holds == "nothing" and end == "output"):
        holds = spelt(item.type.tensor_type.elem_type)
    if holds not in types:
        raise BadInput(f"{path}: the {end} must hold {what}, it holds {holds}")


def accumulator(path: Path | str, model: onnx.ModelProto) -> Int:
    """Format of the sums, which a file may say. BadInput where it says something else."""
    said = {item.key: item.value for item in model.metadata_props}.get(SUMS, str(ACCUMULATOR.bits))
    if not said.isascii() or not said.isdigit() or len(said) > 2 or not 1 <= int(said) <= 32:
        raise BadInput(f"{path}: {SUMS} must be 1..32 bits, got {said[:9]!r}")
    return Int(int(said))


def opset(path: Path | str, model: onnx.ModelProto) -> int:
    """The version of the standard operators. BadInput where it says none, or one that onnx does not know."""
    from onnx import defs

    known = defs.onnx_opset_version()
    versions = sorted({item.version for item in model.opset_import if item.domain in STANDARD_DOMAINS}) or [0]
    if len(versions) > 1:
        raise BadInput(f"{path}: its operators must be those of one opset, got {' and '.join(map(str, versions))}")
    version = versions[0]
    if not OLDEST <= version <= known:
        raise BadInput(f"{path}: its operators must be those of opset {OLDEST} to {known}, got {version}")
    return int(version)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes as Python values. ValueError for one that says no type, or is there twice."""
    from onnx import AttributeProto, helper

    names = [item.name for item in node.attribute]
    for item in node.attribute:
        if item.type == AttributeProto.UNDEFINED or item.ref_attr_name or names.count(item.name) > 1:
            raise ValueError(f"its attribute {item.name!r} must be there once, with a type and a value of its own")
    values = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    return {
        name: value.decode(errors="replace") if isinstance(value, bytes) else value for name, value in values.items()
    }


def other_bodies(model: onnx.ModelProto) -> list[str]:
    """Operators that are read by their names, while the file says itself, otherwise than our export, what they do."""
    found = []
    for body in model.functions:
        nodes = [node for node in model.graph.node if (node.domain, node.op_type) == (body.domain, body.name)]
        ours = functions(nodes, body.opset_import[0].version) if body.domain in (QUANT_DOMAIN, DOMAIN) else []
        if nodes and body not in ours and body.domain in (*STANDARD_DOMAINS, *QUANT_DOMAINS, DOMAIN):
            found.append(body.name)
    return found


def meta(model: onnx.ModelProto) -> dict[str, Any]:
    """What `export_qonnx` was given as meta; empty for other people's files."""
    props = {item.key: item.value for item in model.metadata_props}
    try:
        found = json.loads(props.get(META, "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}

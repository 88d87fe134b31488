"""The file's own values, by onnx's reference implementation, and how far the Program's integers are from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from edgendt.errors import BadInput
from edgendt.fixed import Codes, Int
from edgendt.lower.qcdq import along, code_type, limits
from edgendt.lower.read import QUANT_DOMAINS, Given
from edgendt.lower.values import Constant, Grid, floats
from edgendt.program import INPUT, Node, Program
from edgendt.scales import relative_rms

if TYPE_CHECKING:
    import onnx

    from edgendt.lower import Lowered
    from edgendt.lower.calls import Place

SAMPLE = 200_000  # values of a tensor that are kept for choosing its scale
TRIALS = 20  # that are run


class Floats:
    """A file's graph in floats, its Quant nodes as they are. BadInput where it cannot be run."""

    def __init__(self, model: onnx.ModelProto, given: Sequence[Given]) -> None:
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        from edgendt.export.functions import functions

        own = {f.domain for f in model.functions}
        missing = [node for node in model.graph.node if node.domain == "edgendt" and node.domain not in own]
        if missing:
            model.functions.extend(functions(missing, 18))
        if len(given) > 1:
            raise BadInput("calibration data are counts, and the file reads something else")
        self.given = given[0]
        holds = {item.name: item.type.tensor_type.elem_type for item in model.graph.input}
        self.type = helper.tensor_dtype_to_np_dtype(holds[self.given.name])
        try:
            self.session = ReferenceEvaluator(model, new_ops=quant_operators())
        except Exception as error:
            raise cannot_run(error) from error

    def run(self, counts: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Every tensor of the file. counts: [bins, channels] of one trial; missing bins are empty ones."""
        bins, channels = self.given.rows or len(counts), self.given.size
        if counts.ndim != 2 or counts.shape[1] != channels:
            said = f"calibration counts must be [bins, {channels}], got {list(counts.shape)}"
            raise BadInput(f"{said}: give a recording of the {channels} channels of the file's input, in its order")
        padded = np.zeros((bins, channels), self.type)
        most = np.inf if floats(padded) else np.iinfo(self.type).max  # what an integer of the file cannot hold
        padded[: len(counts)] = np.minimum(counts[:bins], most)
        try:
            with np.errstate(all="ignore"):
                fed = {self.given.name: padded.reshape((1,) * self.given.lead + padded.shape)}
                return dict(self.session.run(None, fed, intermediate=True))
        except Exception as error:
            raise cannot_run(error) from error


def cannot_run(error: Exception) -> BadInput:
    said = " ".join(str(error).split())[:200]
    return BadInput(f"the file cannot be run on the calibration data: {said or type(error).__name__}")


def quant_operators() -> list[Any]:
    """Quant, as QONNX has it, and QuantizeLinear and its inverse of any opset, for the reference implementation."""
    from onnx.reference.op_run import OpRun

    names: list[tuple[str, str, Any]] = [
        (domain, kind, quant) for domain in QUANT_DOMAINS for kind in ("Quant", "IntQuant")
    ]
    names += [("", "QuantizeLinear", quantize_linear), ("", "DequantizeLinear", dequantize_linear)]
    return [type(kind, (OpRun,), {"op_domain": domain, "_run": run}) for domain, kind, run in names]


def quant(
    self: Any, x: Any, scale: Any, zero: Any, bits: Any, narrow: int = 0, signed: int = 1, rounding_mode: str = ""
) -> tuple[Any]:
    grid = Grid(int(np.ravel(bits)[0]), bool(signed), bool(narrow), np.zeros(1, np.int64))
    if np.any(zero):
        raise ValueError("a zero point that is not 0 is not held")
    return (grid.on(x, np.asarray(scale, np.float64)).astype(x.dtype if floats(x) else np.float32),)


def quantize_linear(
    self: Any, x: Any, scale: Any, zero: Any = None, axis: int = 1, output_dtype: int = 0, **_: Any
) -> tuple[Any]:
    zero = np.zeros((), code_type(None, output_dtype or 0)) if zero is None else zero
    low, high = limits(zero.dtype)
    codes = np.rint(x / lies(scale, axis, np.ndim(x))) + lies(zero, axis, np.ndim(x)).astype(np.float64)
    return (codes.clip(low, high).astype(zero.dtype),)


def dequantize_linear(self: Any, x: Any, scale: Any, zero: Any = None, axis: int = 1, **_: Any) -> tuple[Any]:
    shift = 0.0 if zero is None else lies(zero, axis, np.ndim(x)).astype(np.float64)
    return (((x.astype(np.float64) - shift) * lies(scale, axis, np.ndim(x))).astype(scale.dtype),)


def lies(values: Any, axis: int, dimensions: int) -> NDArray[Any]:
    """Numbers per channel, shaped to lie along an axis."""
    return along(Constant(np.asarray(values)), axis, dimensions).values


def ranges(
    model: onnx.ModelProto, given: Sequence[Given], calibration: Sequence[NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Some values of every tensor of floats, on calibration counts [bins, channels] of some trials."""
    file = Floats(model, given)
    kept: dict[str, list[NDArray[Any]]] = {}
    trials = calibration[:TRIALS]
    for counts in trials:
        for name, values in file.run(counts).items():
            if floats(np.asarray(values)):
                flat = np.ravel(values)
                some = flat[:: max(1, flat.size * len(trials) // SAMPLE)]
                kept.setdefault(name, []).append(some if some.dtype == np.float64 else some.astype(np.float32))
    return {name: np.concatenate(parts) for name, parts in kept.items()}


def deviations(
    model: onnx.ModelProto, given: Sequence[Given], made: Lowered, calibration: Iterable[NDArray[Any]]
) -> list[dict[str, Any]]:
    """Per node: how far its integers are from the file's values, fed with the file's values (`op`) and in the whole
    network (`network`): relative RMS, and the worst in steps of its format.
    """
    file, program = Floats(model, given), made.program
    apart: dict[str, list[NDArray[Any]]] = {}
    for counts in calibration:
        values = file.run(counts)
        codes = program.clip(counts[: program.bins or program.max_bins])[0]
        traced = program.trace(codes)
        for node in program.nodes:
            want = placed(values, node, made.places)[: len(traced[node.name])]
            alone = by_itself(program, node, values, made.places, codes)
            apart.setdefault(node.name, []).append(
                np.stack([want, alone * node.op.y.scale, traced[node.name] * node.op.y.scale])
            )
    return [
        {"node": node.name, **figures(np.concatenate(apart[node.name], axis=1), node.op.y)} for node in program.nodes
    ]


def figures(three: NDArray[Any], y: Int) -> dict[str, float]:
    """three: wanted, op alone, whole network [3, rows, size]."""
    want, found = three[0], {}
    for key, got in (("op", three[1]), ("network", three[2])):
        found[f"{key}_rms"] = relative_rms(got - want, want)
        found[f"{key}_worst"] = float(np.abs(got - want).max() / y.scale) if want.size else 0.0
    return found


def placed(values: Mapping[str, NDArray[Any]], node: Node, places: Mapping[str, Place]) -> NDArray[np.float64]:
    """The file's values [rows, size] of a node."""
    place = places.get(node.name)
    tensor = np.asarray(values[place.tensor if place else node.name], np.float64)
    if place is None or place.at is None:
        return tensor.reshape(-1, node.op.size) * (place.factor if place else 1)
    return tensor.reshape(-1)[place.at] * place.factor


def by_itself(
    program: Program, node: Node, values: Mapping[str, NDArray[Any]], places: Mapping[str, Place], counts: Codes
) -> Codes:
    """The op's codes when it is fed the file's values, each as the nearest code."""
    fed = []
    for name in node.inputs:
        if name == INPUT:
            fed.append(counts)
        else:
            source = program.node(name)
            y = source.op.y
            wanted = placed(values, source, places)
            if not program.rows(name) or program.rows(name) == (program.bins or 0):
                wanted = wanted[: len(counts)]
            fed.append(np.rint(np.ldexp(wanted, y.frac)).clip(y.lo, y.hi).astype(np.int64))
    return cast(Codes, cast(Any, node.op).run(*fed, **node.constants))

"""The CPU beside the engine: the same network in onnxruntime, float32, one bin per call, keys and values cached.

A float baseline for latency only: it rounds nothing, so it stands outside the chain of equality.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.fixed import Codes
from edgendt.ops import Add, Attention, LayerNorm, Linear, Position, Rotary, Table
from edgendt.ops.layernorm import NORM_FRAC
from edgendt.ops.rotary import TURN
from edgendt.program import INPUT, Node, Program

Floats = NDArray[np.float32]
BIN = "bin"  # graph input: index of the bin in its trial, for the position row or the phases
OPSET, IR = 17, 9


def float_constants(node: Node) -> dict[str, NDArray[np.floating]]:
    """A node's constants as the real numbers its codes stand for."""
    op = node.op
    if isinstance(op, Linear):
        w_frac = np.full(op.outputs, op.w.frac) if op.w_frac is None else np.asarray(op.w_frac)
        weight = np.ldexp(node.constants["weight"].astype(float), -w_frac[:, None])
        return {"weight": weight, "bias": np.ldexp(node.constants["bias"].astype(float), -(op.x.frac + w_frac))}
    if isinstance(op, Position):
        return {"table": node.constants["table"] * op.y.scale}
    if isinstance(op, LayerNorm):
        beta = np.ldexp(node.constants["beta"].astype(float), -(NORM_FRAC + op.gamma.frac))
        return {"gamma": node.constants["gamma"] * op.gamma.scale, "beta": beta}
    return {}


def epsilon(op: LayerNorm) -> float:
    """The variance floor that `eps_code` stands for."""
    return float(op.eps_code / (op.size**2 * 4.0**op.x.frac))


class _Graph:
    """ONNX nodes and initializers under construction; each op below adds its own."""

    def __init__(self, program: Program) -> None:
        from onnx import TensorProto, helper, numpy_helper

        self.helper, self.to_array = helper, numpy_helper.from_array
        self.float, self.whole = TensorProto.FLOAT, TensorProto.INT64
        self.program = program
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs = [
            helper.make_tensor_value_info(INPUT, self.float, [1, program.channels]),
            helper.make_tensor_value_info(BIN, TensorProto.INT64, [1]),
        ]
        self.outputs = [helper.make_tensor_value_info(program.output, self.float, [1, program.outputs])]

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(self.helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: Any, dtype: type = np.float32) -> str:
        self.constants.append(self.to_array(np.asarray(value, dtype=dtype), name))
        return name

    def linear(self, node: Node, op: Linear) -> None:
        real = float_constants(node)
        names = [self.constant(f"{node.name}/{key}", real[key]) for key in ("weight", "bias")]
        raw = node.name if op.y.signed else f"{node.name}/sum"
        self.add("Gemm", [node.inputs[0], *names], raw, transB=1)
        if not op.y.signed:
            self.add("Relu", [raw], node.name)

    def position(self, node: Node) -> None:
        table = self.constant(f"{node.name}/table", float_constants(node)["table"])
        row = self.add("Gather", [table, BIN], f"{node.name}/row", axis=0)
        self.add("Add", [node.inputs[0], row], node.name)

    def layernorm(self, node: Node, op: LayerNorm) -> None:
        real = float_constants(node)
        names = [self.constant(f"{node.name}/{key}", real[key]) for key in ("gamma", "beta")]
        self.add("LayerNormalization", [node.inputs[0], *names], node.name, axis=-1, epsilon=epsilon(op))

    def rotary(self, node: Node, op: Rotary) -> None:
        """Cosine and sine of this bin's phases; each pair of channels times its matrix."""
        at = node.name
        steps, turn = (self.constant(f"{at}/{n}", v, np.int64) for n, v in (("steps", op.steps), ("turn", TURN)))
        phase = self.add("Mod", [self.add("Mul", [steps, BIN], f"{at}/gone"), turn], f"{at}/phase")
        real = self.add("Cast", [phase], f"{at}/real", to=self.float)
        unit = self.constant(f"{at}/unit", (-2 if op.inverse else 2) * np.pi / TURN)
        angle = self.add("Mul", [real, unit], f"{at}/angle")
        cos, sin = (self.add(kind, [angle], f"{at}/{kind}") for kind in ("Cos", "Sin"))
        rows = self.add("Concat", [cos, sin, self.add("Neg", [sin], f"{at}/back"), cos], f"{at}/rows", axis=0)
        square = self.constant(f"{at}/square", [2, 2, len(op.steps)], np.int64)
        matrices = self.add(
            "Transpose", [self.add("Reshape", [rows, square], f"{at}/by")], f"{at}/turns", perm=[2, 0, 1]
        )
        shape = self.constant(f"{at}/pairs", [op.heads, len(op.steps), 1, 2], np.int64)
        points = self.add("Reshape", [node.inputs[0], shape], f"{at}/points")
        turned = self.add("MatMul", [points, matrices], f"{at}/turned")  # (even, odd) times [[cos, sin], [-sin, cos]]
        self.add("Reshape", [turned, self.constant(f"{at}/flat", [1, op.size], np.int64)], at)

    def table(self, node: Node, op: Table) -> None:
        """The entry of the nearest code."""
        at = node.name
        entries = self.constant(f"{at}/table", node.constants["table"] * op.y.scale)
        low, high, steps = (
            self.constant(f"{at}/{name}", value)
            for name, value in (("low", op.x.lo), ("high", op.x.hi), ("steps", 1 / op.x.scale))
        )
        near = self.add("Round", [self.add("Mul", [node.inputs[0], steps], f"{at}/scaled")], f"{at}/near")
        inside = self.add("Sub", [self.add("Clip", [near, low, high], f"{at}/code"), low], f"{at}/from_low")
        self.add("Gather", [entries, self.add("Cast", [inside], f"{at}/at", to=self.whole)], at)

    def attention(self, node: Node, op: Attention) -> None:
        """One query against the cached keys and this bin's; the cache keeps the last window - 1 bins."""
        at = node.name
        shape = self.constant(f"{at}/heads", [op.heads, 1, op.head_size], np.int64)
        q = self.add("Reshape", [node.inputs[0], shape], f"{at}/q")
        keys, values = (self._cached(node, op, kind, shape) for kind in ("k", "v"))
        turned = self.add("Transpose", [keys], f"{at}/turned", perm=[0, 2, 1])
        scores = self.add("MatMul", [q, turned], f"{at}/scores")
        root = self.constant(f"{at}/root", op.head_size**-0.5)
        scaled = self.add("Mul", [scores, root], f"{at}/scaled")
        weights = self.add("Softmax", [scaled], f"{at}/weights", axis=-1)
        mixed = self.add("MatMul", [weights, values], f"{at}/mixed")
        self.add("Reshape", [mixed, self.constant(f"{at}/flat", [1, op.size], np.int64)], at)

    def _cached(self, node: Node, op: Attention, kind: str, shape: str) -> str:
        """Joins this bin's keys or values to the cache; gives all of them, [heads, bins, d_h]."""
        at = f"{node.name}/{kind}"
        past, future, all_ = f"{at}_past", f"{at}_next", f"{at}_all"
        new = self.add("Reshape", [node.inputs["qkv".index(kind)], shape], f"{at}_new")
        self.add("Concat", [past, new], all_, axis=1)
        start = self.constant(f"{at}_start", [1 - op.window if op.window > 1 else 1], np.int64)
        end, axis = (self.constant(f"{at}_{n}", [v], np.int64) for n, v in (("end", 2**62), ("axis", 1)))
        self.add("Slice", [all_, start, end, axis], future)
        for names, name, bins in ((self.inputs, past, "past"), (self.outputs, future, "next")):
            names.append(self.helper.make_tensor_value_info(name, self.float, [op.heads, bins, op.head_size]))
        return all_

    def model(self) -> Any:
        for node in self.program.nodes:
            op = node.op
            if isinstance(op, Linear):
                self.linear(node, op)
            elif isinstance(op, Position):
                self.position(node)
            elif isinstance(op, LayerNorm):
                self.layernorm(node, op)
            elif isinstance(op, Attention):
                self.attention(node, op)
            elif isinstance(op, Rotary):
                self.rotary(node, op)
            elif isinstance(op, Table):
                self.table(node, op)
            elif isinstance(op, Add):
                self.add("Add", list(node.inputs), node.name)
        graph = self.helper.make_graph(self.nodes, "baseline", self.inputs, self.outputs, self.constants)
        opset = [self.helper.make_opsetid("", OPSET)]
        return self.helper.make_model(graph, ir_version=IR, opset_imports=opset, producer_name="edgendt")


def baseline_model(program: Program) -> Any:
    """The Program's real-valued network as an ONNX model of one bin; inputs counts, bin and the caches.

    Each attention has inputs `<name>/k_past`, `<name>/v_past` [heads, 0..window-1, d_h] and outputs `<name>/k_next`,
    `<name>/v_next` of at most window - 1 bins.
    """
    return _Graph(program).model()


class Baseline:
    """The model in onnxruntime, fed one bin at a time like `Program.stream`."""

    def __init__(self, program: Program, threads: int = 1) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        model = baseline_model(program).SerializeToString()
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        shapes = {i.name: i.shape for i in self.session.get_inputs() if i.name not in (INPUT, BIN)}
        self._empty = {name: np.zeros((shape[0], 0, shape[2]), np.float32) for name, shape in shapes.items()}
        self._names = [program.output, *(name.removesuffix("past") + "next" for name in shapes)]
        self.reset()

    def reset(self) -> None:
        """The next bin is bin 0 of a trial."""
        self.bin, self._cache = 0, self._empty

    def step(self, counts: Floats) -> Floats:
        """counts: [channels] of the next bin -> the network's output values [outputs]."""
        return self.timed_step(counts)[0]

    def timed_step(self, counts: Floats) -> tuple[Floats, int]:
        """(output values [outputs], nanoseconds of the inference call alone)."""
        feeds = {INPUT: counts[None], BIN: np.array([self.bin]), **self._cache}
        begin = perf_counter_ns()
        outputs = self.session.run(self._names, feeds)
        nanoseconds = perf_counter_ns() - begin
        self._cache = dict(zip(self._empty, outputs[1:], strict=True))
        self.bin += 1
        return outputs[0][0], nanoseconds

    def run(self, counts: Codes) -> Floats:
        """counts: [bins, channels] of one trial -> output values [bins, outputs]."""
        self.reset()
        return np.stack([self.step(row) for row in counts.astype(np.float32)])


@dataclass(frozen=True)
class CpuTime:
    """Time of one bin on this computer's CPU with one thread count, over the bins of the quickest round."""

    threads: int
    bins: int
    p50_us: float
    p99_us: float
    max_us: float


def measure(
    program: Program, trials: Sequence[Codes], bins: int = 1000, warmup: int = 200, rounds: int = 3
) -> tuple[CpuTime, ...]:
    """One CpuTime for one thread and one for all of them (the same on a single core). trials: [bins, channels] each.

    Thread counts take turns for `rounds` rounds of at least `bins` bins; the round with the lowest median counts,
    so other work on the computer slows the quoted figure as little as possible.
    """
    counts = sorted({1, cores()})
    baselines = {threads: Baseline(program, threads) for threads in counts}
    for baseline in baselines.values():
        _times(baseline, trials, warmup)
    best: dict[int, NDArray[np.float64]] = {}
    for _ in range(rounds):
        for threads, baseline in baselines.items():
            times = _times(baseline, trials, bins)
            if threads not in best or np.median(times) < np.median(best[threads]):
                best[threads] = times
    return tuple(_summary(threads, best[threads]) for threads in counts)


def _times(baseline: Baseline, trials: Sequence[Codes], bins: int) -> NDArray[np.float64]:
    """Microseconds of each of at least `bins` bins, whole trials over and over."""
    floats = [trial.astype(np.float32) for trial in trials]
    times: list[int] = []
    while len(times) < bins:
        for trial in floats:
            baseline.reset()
            times += [baseline.timed_step(row)[1] for row in trial]
            if len(times) >= bins:
                break
    return np.asarray(times) / 1e3


def _summary(threads: int, times: NDArray[np.float64]) -> CpuTime:
    p50, p99, top = (float(np.percentile(times, q)) for q in (50, 99, 100))
    return CpuTime(threads, len(times), round(p50, 3), round(p99, 3), round(top, 3))


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> str:
    """The CPU's name as its maker and the system give it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

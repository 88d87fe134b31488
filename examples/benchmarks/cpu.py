"""The reference network S on this computer's CPU, float32 in onnxruntime and the integer Program, beside the engine."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from networks import random_counts, random_of
from numpy.typing import NDArray

from benchmarks.cycles import FULL
from benchmarks.route import reached
from benchmarks.rtl import FAST_BINS, quickest
from edgendt.boards import DEFAULT, Board
from edgendt.engine.compile import compile_program
from edgendt.engine.cycles import steady
from edgendt.engine.reference import S
from edgendt.metrics import summary
from edgendt.ops import Attention
from edgendt.profile.cpu import BIN, Baseline, _Graph, cores, measure
from edgendt.program import INPUT, Node, Program

NOTE = """One bin of S, random weights, whole trials of 64 bins. cached: keys and values kept between calls, as by the
engine; window: the whole trailing window of 64 bins computed anew for its last bin, as a host without a
cache does; whole window: the same call, shared by its 64 bins. Only the call is timed; p50, p99 over bins
(calls). The quickest of three rounds counts. compiled RTL: all bins of a trial in one call, their mean. The last row
is no measurement: every bin of the engine takes the same cycles once the window is full, at the clock of the best seed
of `route-full`."""
CALLS, WARMUP, ROUNDS = 300, 30, 3


class _Window(_Graph):
    """The network over a whole window of bins at once, causal within it: input and output [window, ...]."""

    def __init__(self, program: Program, bins: int) -> None:
        super().__init__(program)
        self.bins = bins
        self.inputs = [
            self.helper.make_tensor_value_info(INPUT, self.float, [bins, program.channels]),
            self.helper.make_tensor_value_info(BIN, 7, [bins]),  # 7: int64
        ]
        self.outputs = [self.helper.make_tensor_value_info(program.output, self.float, [bins, program.outputs])]

    def attention(self, node: Node, op: Attention) -> None:
        at = node.name
        shape = self.constant(f"{at}/heads", [self.bins, op.heads, op.head_size], np.int64)
        q, k, v = (
            self.add("Reshape", [name, shape], f"{at}/{key}") for name, key in zip(node.inputs, "qkv", strict=True)
        )
        q, v = (self.add("Transpose", [one], f"{one}_heads", perm=[1, 0, 2]) for one in (q, v))
        k = self.add("Transpose", [k], f"{k}_heads", perm=[1, 2, 0])
        scores = self.add("MatMul", [q, k], f"{at}/scores")
        scaled = self.add("Mul", [scores, self.constant(f"{at}/root", op.head_size**-0.5)], f"{at}/scaled")
        future = np.triu(np.full((self.bins, self.bins), -1e9), 1)
        masked = self.add("Add", [scaled, self.constant(f"{at}/mask", future)], f"{at}/masked")
        weights = self.add("Softmax", [masked], f"{at}/weights", axis=-1)
        mixed = self.add(
            "Transpose", [self.add("MatMul", [weights, v], f"{at}/heads_mixed")], f"{at}/mixed", perm=[1, 0, 2]
        )
        self.add("Reshape", [mixed, self.constant(f"{at}/flat", [self.bins, op.size], np.int64)], at)


def table() -> list[dict[str, Any]]:
    """Rows by way of computing and threads."""
    program = random_of(S, 1, S.window)
    counts = random_counts(program, 1, S.window)
    rows = [
        _row("cached, one bin per call", one.threads, {"p50": one.p50_us, "p99": one.p99_us, "max": one.max_us})
        for one in measure(program, [counts])
    ]
    for threads in sorted({1, cores()}):
        call = window(program, counts.astype(np.float32), threads)
        rows.append(_row("window, one bin per call", threads, call))
        rows.append(_row("whole window, per bin", threads, {name: us / S.window for name, us in call.items()}))
    rows.append(_row("integers, `Program.stream`, numpy", 1, stream(program, counts)))
    rate = FAST_BINS / quickest()[0]
    rows.append({"how": "compiled RTL of `full`", "threads": 1, "bins/s": round(rate), "stage": "measured"})
    cycles, clock = steady(compile_program(S.program(), FULL)).total, reached()
    engine = f"`full` on the {Board.named(DEFAULT).title}, {cycles:,} cycles at {clock:g} MHz"
    micros = dict.fromkeys(("p50", "p99", "max"), cycles / clock)
    return [*rows, _row(engine, None, micros) | {"stage": "analytic cycles, post-route clock"}]


def _row(what: str, threads: int | None, micros: dict[str, float]) -> dict[str, Any]:
    quantiles = {f"{name} µs": round(float(value), 1) for name, value in micros.items()}
    return {"how": what, "threads": threads, **quantiles, "bins/s": round(1e6 / micros["p50"]), "stage": "measured"}


def window(program: Program, counts: NDArray[np.float32], threads: int) -> dict[str, float]:
    """p50, p99, max µs of a call over counts [window, channels]; its last rows are those of the cached network."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    model = _Window(program, len(counts)).model().SerializeToString()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feeds = {INPUT: counts, BIN: np.arange(len(counts))}
    # Two float32 networks that round in another order: neither is a link of the chain of equality.
    assert np.allclose(session.run(None, feeds)[0], Baseline(program).run(counts.astype(int)), atol=1e-2)
    rounds = [_micros(lambda: session.run(None, feeds), CALLS) for _ in range(ROUNDS)]
    return summary(min(rounds, key=np.median))


def stream(program: Program, counts: NDArray[np.int64]) -> dict[str, float]:
    """p50, p99, max µs of a bin of the integer reference."""
    steps = program.stream()
    iterator = iter(counts)
    return summary(_micros(lambda: steps.step(next(iterator)), len(counts), warmup=0))


def _micros(call: Any, times: int, warmup: int = WARMUP) -> list[float]:
    for _ in range(warmup):
        call()
    found = []
    for _ in range(times):
        begin = perf_counter()
        call()
        found.append((perf_counter() - begin) * 1e6)
    return found

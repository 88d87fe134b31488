"""Cycles per bin of reference networks, window full, and what the open boards hold; no tool runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from networks import random_ndt

from benchmarks.cut import cut_to
from edgendt.boards import DEFAULT as DEFAULT_BOARD
from edgendt.boards import Board, known
from edgendt.engine.compile import compile_program
from edgendt.engine.config import Engine
from edgendt.engine.cycles import Cycles, steady, tokens_of, window_of
from edgendt.engine.reference import DEFAULT, S4, TINY, M, S
from edgendt.program import Program
from edgendt.synth.size import part

NOTE = """Window full. bound: the larger of products over lanes (those with weights of at most 4 bits by two in a
packed engine) and weight bits over the width of the weight memories; efficiency = bound ÷ cycles. Weights have 4
bits, those of embedding and readout 8 unless said otherwise; tiny: 30 → 30, d 16, 1 layer, W 16; default:
30 → 30, d 64, 2 layers, W 32. Engines without a name have memories to fit: not each fits a part
(`docs/decisions/0009-pairs-and-splits.md`). The tests hold these cycles equal to the RTL's (`docs/engine.md`). A
causal STNDT has its weights between channels anew in every bin
(`docs/decisions/0021-time-courses-up-to-each-bin.md`)."""
BOARDS_NOTE = """The fastest engine whose memories, cut to the network, fit the part: analytic cycles, the window
full, at the clock that the board asks of the tools (assumed: not routed). RAM: blocks of 18 kbit. A network that no
board holds has no row with cycles."""

WINDOWS_NOTE = """All bins of a window in, all answers out; of a POYO 550 tokens in, ten answers out: cycles, those
from the last bin or spike on, and their time at the clock that the board asks of the tools, which `window` and
`tokens` keep (docs/synth.md) and the others are assumed to. The tests hold these cycles equal to the RTL's
(`sim/test_windows.py`, `sim/test_tokens.py`), the section below those of the published networks. Weights are random:
cycles do not depend on them. The networks of Lorenz here and above take all 30 channels; those that `edgendt
quantize` makes take 22, for eight are held out, and some cycles fewer (docs/engine.md)."""

FULL = Engine.named("full")
LARGE = Engine.named("large")
SMALL = Engine.named("small")
KV260 = Engine(segments=32, lanes=24, pipes=16, sfus=8)  # multipliers as a KV260 has them, memories as M asks


def roomy(engine: Engine, **fields: int) -> Engine:
    """The engine with memories that hold every network of the table."""
    depths = {"weight_depth": 1 << 14, "kv_depth": 1 << 12, "bias_depth": 1024, "act_depth": 1024, "res_depth": 128}
    depths |= {"pos_depth": 8192, "score_depth": 128, "gamma_depth": 2048}
    return replace(engine, **depths, **fields)


def plain(packed: int, splits: int) -> tuple[str, Engine]:
    """128 lanes of full's shape with twice its units and memories to fit."""
    return f"16 × 8, P 8, N 4, {shape(packed, splits)}", roomy(FULL, sfus=4, packed=packed, splits=splits)


def shape(packed: int, splits: int) -> str:
    return ", ".join(["packed"] * packed + [f"splits {splits}"] * (splits > 1)) or "plain"


ENGINES = [
    (TINY, "`tiny`", Engine.named("tiny")),
    (DEFAULT, "`small`", SMALL),
    (DEFAULT, "`full`", FULL),
    (S, "`small`, larger memories", roomy(SMALL)),
    *((S, *plain(packed, splits)) for packed, splits in ((0, 1), (0, 2), (0, 4), (1, 1), (1, 2), (1, 4))),
    (S, "`full` (N 2, packed, splits 4)", FULL),
    *((S4, *plain(1, splits)) for splits in (2, 4)),
    (S4, "`full` (N 2, packed, splits 4)", FULL),
    (S, "`large`", LARGE),
    (M, "`large` (32 × 8, P 16, N 8, packed, splits 8)", LARGE),
    *(
        (M, f"32 × 24, P 16, N 8, {shape(packed, splits)}", roomy(KV260, packed=packed, splits=splits))
        for packed, splits in ((0, 1), (0, 8), (1, 8))
    ),
    (M, "`kria-wide` (32 × 16, P 16, N 8, packed, splits 8)", Engine.named("kria-wide")),
]


CAUSAL = (  # two layers, two heads each way, FFN 128, unless said otherwise
    ("STNDT, causal, Lorenz, W 16", "window", {"channels": 30, "d": 30, "window": 16, "outputs": 30}),
    ("STNDT, causal, Lorenz, W 32", "window", {"channels": 30, "d": 30, "window": 32, "outputs": 30}),
    ("STNDT, causal, MC_Maze, W 16", "kria", {"channels": 137, "d": 182, "layers": 4, "window": 16, "outputs": 182}),
)
WINDOWS = (  # channels, d, layers, heads, FFN, outputs, bins, heads between channels, the counts' own time courses
    ("NDT, bidirectional, default, 50 bins", "window", DEFAULT_BOARD, (30, 64, 2, 2, 128, 30, 50, 0, False)),
    ("NDT, bidirectional, default, 100 bins", "window", DEFAULT_BOARD, (30, 64, 2, 2, 128, 30, 100, 0, False)),
    ("STNDT, Lorenz, 50 bins", "window", DEFAULT_BOARD, (30, 30, 2, 2, 128, 30, 50, 2, False)),
    ("STNDT, chaotic RNN, 100 bins", "window", DEFAULT_BOARD, (50, 50, 2, 2, 128, 50, 100, 2, False)),
    ("STNDT, Chewie, 14 bins", "kria", "kv260", (130, 174, 2, 2, 128, 174, 14, 2, False)),
    ("STNDT, MC_Maze, 180 bins", "kria", "kv260", (137, 182, 4, 2, 128, 182, 180, 2, False)),
    ("STNDT of the public layout, MC_Maze, 180 bins", "kria-window", "kv260", (137, 182, 4, 2, 128, 182, 180, 2, True)),
)
POYOS = (("compact", "tokens", DEFAULT_BOARD), ("small", "tokens-large", "zcu104"), ("1.3m", "kria", "kv260"))
UNITS, TOKENS, QUERIES = 174, 550, 10  # units as Chewie's; as many tokens as all of these engines have room for


def windows() -> list[dict[str, Any]]:
    """One row per network of whole windows, or of windows of tokens."""
    rows = []
    for name, engine, board, (channels, d, layers, heads, ffn, outputs, bins, spatial, courses) in WINDOWS:
        sizes = {"d": d, "layers": layers, "heads": heads, "ffn": ffn, "outputs": outputs, "bins": bins}
        program = random_ndt(1, channels, **sizes, causal=False, spatial=spatial, courses=courses)
        compiled = compile_program(program, Engine.named(engine))
        rows.append(_window(name, engine, board, window_of(compiled), window_of(compiled, bins - 1)))
    for name, engine, board in POYOS:
        compiled = compile_program(_poyo(name), Engine.named(engine))
        whole, behind = (tokens_of(compiled, TOKENS, QUERIES, first) for first in (0, TOKENS - 1))
        rows.append(_window(f"POYO, `{name}`", engine, board, whole, behind))
    return rows


def _poyo(name: str) -> Program:
    import torch

    from edgendt.models.poyo import POYO, Tokens, preset
    from edgendt.qat.poyo import QuantPOYO

    config = preset(name, UNITS)
    unit, kind, ms = np.random.default_rng(0).integers(0, [[[UNITS]], [[3]], [[config.window_ms]]], (3, 1, 99))
    seen = Tokens(*map(torch.tensor, (unit, kind, ms, [99], [0], [[config.window_ms - 50]])))
    return QuantPOYO.from_float(POYO(config), seen).program()


def _window(name: str, engine: str, board: str, whole: Cycles, behind: Cycles) -> dict[str, Any]:
    clock = Board.named(board).running(engine).clock_mhz
    named = {"network": name, "engine": f"`{engine}`", "board": board, "MHz": clock}
    return named | latency(whole, behind, clock) | {"stage": "analytic"}


def latency(whole: Cycles, behind: Cycles, clock: float) -> dict[str, Any]:
    """Columns of a window: all of it, and from its last bin or token on. clock: MHz."""
    return {
        "cycles": whole.total,
        "of them from the last on": behind.total,
        "bound": whole.bound,
        "efficiency": round(whole.efficiency, 3),
        "ms": round(whole.total / clock / 1e3, 3),
        "ms from the last on": round(behind.total / clock / 1e3, 3),
    }


def table() -> list[dict[str, Any]]:
    """One row per network and engine."""
    networks = [(one.name, title, engine, one.program()) for one, title, engine in ENGINES]
    for name, engine, sizes in CAUSAL:
        program = random_ndt(1, **sizes, ffn=128, bins=sizes["window"], spatial=2)
        networks.append((name, f"`{engine}`", Engine.named(engine), program))
    return [_bin(name, title, steady(compile_program(program, engine))) for name, title, engine, program in networks]


def _bin(name: str, engine: str, cycles: Cycles) -> dict[str, Any]:
    row = {"network": name, "engine": engine, "cycles": cycles.total, "bound": cycles.bound}
    return row | {"efficiency": round(cycles.efficiency, 3), "stage": "analytic"}


LIKE_M = (
    M,
    replace(M, name="M, W 64", window=64),
    replace(M, name="M, 2 layers", layers=2),
    replace(M, name="M, d 128", d=128),
    replace(M, name="M, d 128, W 64", d=128, window=64),
    replace(M, name="M, d 96, W 64", d=96, window=64),
    S,
)


def on_boards() -> list[dict[str, Any]]:
    """One row per network and board that holds it."""
    boards = [board for board in map(Board.named, known()) if board.open]
    rows: list[dict[str, Any]] = []
    for network in LIKE_M:
        held = [row for board in boards for row in _held(network, board)]
        rows += held or [{"network": network.name, "weights": network.weights, "board": "none", "stage": "analytic"}]
    return rows


def _held(network: Any, board: Board) -> list[dict[str, Any]]:
    """At most one row: the fastest engine of the board that holds the network."""
    found = list(cut_to(network, board))
    if not found:
        return []
    engine, cycles = min(found, key=lambda one: one[1])
    multipliers, blocks, *_ = part(board, engine).values()
    return [
        {
            "network": network.name,
            "weights": network.weights,
            "board": board.name,
            "lanes": engine.lane_count,
            "build": shape(engine.packed, engine.splits),
            "multipliers": multipliers["used"],
            "RAM": blocks["used"],
            "cycles": cycles,
            "µs": round(cycles / board.clock_mhz, 1),
            "MHz, assumed": board.clock_mhz,
            "stage": "analytic",
        }
    ]

"""Whole windows of recordings through the compiled RTL of the engines that hold their networks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from networks import random_ndt

from benchmarks.cycles import latency
from edgendt.boards import Board
from edgendt.compare import Tally
from edgendt.engine.compile import compile_program
from edgendt.engine.config import Engine
from edgendt.engine.cycles import tokens_of, window_of
from edgendt.errors import BadInput
from edgendt.program import Program
from edgendt.sim.fast import FastCore

ROOT = Path(__file__).parent.parent.parent
MAZE, REACH, SESSION = "mc_maze_2trials_1ms.npz", "miller_reach_myow.npz", "chewie_20131003_100ms_all"
COMPARED = """every code of every op compared with the Program, the cycles of every start with the model. Cycles, bound
and efficiency of the longest window, ms at the clock that the board asks of the tools (assumed: not routed). Last: the
last bin, or the last spike."""
NOTE = f"""Networks of the published sizes with random weights, whole windows of recordings through the compiled RTL of
`kria` (kv260): {COMPARED} MC_Maze: two trials in bins of 5 ms, windows of 180 that overlap, 137 of its 182 units
given."""
OPEN_NOTE = f"""The POYO of `edgendt quantize --model poyo` with random weights, windows of a recording through the
compiled RTL of `tokens` (ulx3s-85f): {COMPARED} Windows of 250 ms, for with a start and an end of each of Chewie's 174
units longer ones have more tokens than the engine has room for (docs/poyo.md)."""
Case = tuple[Program, list[Any]]


def recording(name: str) -> Path:
    """A file of shared/realdata; BadInput without it."""
    path = ROOT.parent / "shared" / "realdata" / name
    if not path.exists():
        raise BadInput(
            f"shared/realdata/{name} must lie beside the checkout: it is a recording, no part of the project"
        )
    return path


@cache
def maze() -> Case:
    """MC_Maze's STNDT: 137 -> 182 channels, 180 bins, four layers."""
    program = random_ndt(1, 137, d=182, layers=4, heads=2, ffn=128, outputs=182, bins=180, causal=False, spatial=2)
    windows = []
    for trial in ("trial_748", "trial_1356"):
        spikes = np.load(recording(MAZE))[f"{trial}/spikes"][:, : program.channels].astype(np.int64)
        bins = spikes[: len(spikes) // 5 * 5].reshape(-1, 5, program.channels).sum(axis=1)
        windows += [np.minimum(bins[at : at + 180], program.input.hi) for at in range(0, len(bins) - 179, 48)]
    return program, windows


@cache
def chewie() -> Case:
    """Chewie's STNDT: 130 -> 174 channels, 14 bins, two layers; shorter trials end in bins without spikes."""
    program = random_ndt(1, 130, d=174, layers=2, heads=2, ffn=128, outputs=174, bins=14, causal=False, spatial=2)
    data, windows = np.load(recording(REACH)), []
    spikes, trials = data[f"{SESSION}/spikes"][:, : program.channels], data[f"{SESSION}/trial"]
    for trial in np.unique(trials)[:24]:
        window = np.zeros((14, program.channels), np.int64)
        bins = spikes[trials == trial][:14]
        window[: len(bins)] = np.minimum(bins, program.input.hi)
        windows.append(window)
    return program, windows


@cache
def poyo() -> Case:
    """The preset `1.3m`: a second of spikes per window, ten bins asked for."""
    return _poyo("1.3m", 1000)


@cache
def compact() -> Case:
    """The preset `compact` with windows that always have at most 576 tokens, two bins asked for."""
    return _poyo("compact", 250)


def _poyo(name: str, window_ms: int) -> Case:
    """A preset of POYO on a session of Chewie: windows of whole trials, every bin asked for once."""
    from poyos import network, tokens

    from edgendt.data import load
    from edgendt.data.events import jittered
    from edgendt.data.tokens import spikes_last, whole
    from edgendt.models.poyo import preset
    from edgendt.qat.poyo import QuantPOYO, given

    data = (jittered(load(str(recording(REACH)), session=SESSION)),)
    cuts = list(whole(data[0], 0, np.arange(20), window_ms))[:20]
    config = preset(name, data[0].units, window_ms=window_ms)
    net = network(data, **{key: value for key, value in asdict(config).items() if key not in ("units", "sessions")})
    program = QuantPOYO.from_float(net, tokens(cuts[:8], data)).program(f"poyo-{name}")
    return program, [spikes_last(given(tokens([cut], data), 0)) for cut in cuts]


@dataclass(frozen=True)
class Recorded:
    """A network, its windows, and what runs them."""

    network: str
    case: Callable[[], Case]
    engine: str = "kria"
    board: str = "kv260"


RECORDED = (
    Recorded("STNDT, MC_Maze, 180 bins", maze),
    Recorded("STNDT, Chewie, 14 bins", chewie),
    Recorded("POYO, 1.3 million weights, Chewie", poyo),
)
OPEN = (Recorded("POYO, `compact`, Chewie", compact, "tokens", "ulx3s-85f"),)


@cache
def _core(one: Recorded) -> FastCore:
    core = FastCore(Engine.named(one.engine))
    core.load(compile_program(one.case()[0], core.engine))
    return core


def simulated(one: Recorded, number: int) -> Tally:
    """One window of one network: every op, every start's cycles."""
    return _core(one).compared(one.case()[1][number])


def _row(one: Recorded, tallies: Sequence[Tally]) -> dict[str, Any]:
    program, windows = one.case()
    compiled = compile_program(program, Engine.named(one.engine))
    tally = sum(tallies, Tally())
    if tally.first is not None:
        raise tally.first
    if program.bins:
        whole, behind = window_of(compiled), window_of(compiled, program.bins - 1)
    else:
        tokens, queries = max((compiled.waits(given), len(given["query_ms"])) for given in windows)
        whole, behind = tokens_of(compiled, tokens, queries), tokens_of(compiled, tokens, queries, tokens - 1)
    compared = {"windows": len(windows), "ops": tally.ops, "codes": tally.codes, "differ": tally.mismatches}
    columns = latency(whole, behind, Board.named(one.board).running(one.engine).clock_mhz)
    return {"network": one.network} | compared | columns | {"stage": "simulated"}


def table() -> list[dict[str, Any]]:
    """One row per published network, all its windows simulated."""
    return rows(RECORDED)


def on_open_boards() -> list[dict[str, Any]]:
    """The same of what an open board holds."""
    return rows(OPEN)


def rows(networks: Sequence[Recorded]) -> list[dict[str, Any]]:
    """One row per network, its windows on all processors."""
    for one in networks:
        FastCore(Engine.named(one.engine))  # built once, before the processes that run it
    jobs = [(one, at) for one in networks for at in range(len(one.case()[1]))]
    found: dict[str, list[Tally]] = {one.network: [] for one in networks}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for (one, at), tally in zip(jobs, pool.map(simulated, *zip(*jobs, strict=True)), strict=True):
            found[one.network].append(tally)
            print(f"{one.network}, window {at}: {tally.codes:,} codes, {tally.mismatches} differ", file=sys.stderr)
    return [_row(one, found[one.network]) for one in networks]

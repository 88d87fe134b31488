"""Whole windows of recordings through the compiled RTL of the engine that holds published networks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
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
ENGINE, BOARD = "kria", "kv260"
MAZE, REACH, SESSION = "mc_maze_2trials_1ms.npz", "miller_reach_myow.npz", "chewie_20131003_100ms_all"
NOTE = f"""Whole windows of recordings through the compiled RTL of `{ENGINE}` ({BOARD}): every code of every op
compared with the Program, the cycles of every start with the model. Networks of the published sizes with random
weights; MC_Maze: two trials in bins of 5 ms, windows of 180 that overlap, 137 of its 182 units given. Cycles, bound and
efficiency of the longest window, ms at the clock that the board asks of the tools (assumed: not routed). Last: the
last bin, or the last token."""
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
    """The POYO preset `1.3m` on a session of Chewie: a second of spikes per window, ten bins asked for."""
    from poyos import network, tokens

    from edgendt.data import load
    from edgendt.data.events import jittered
    from edgendt.data.tokens import whole
    from edgendt.models.poyo import PRESETS
    from edgendt.qat.poyo import QuantPOYO, given

    data = (jittered(load(str(recording(REACH)), session=SESSION)),)
    cuts = list(whole(data[0], 0, np.arange(20), 1000))[:20]
    net = network(data, dim=64, head_size=64, **PRESETS["1.3m"])
    program = QuantPOYO.from_float(net, tokens(cuts[:8], data)).program("poyo-1.3m")
    return program, [given(tokens([cut], data), 0) for cut in cuts]


@dataclass(frozen=True)
class Recorded:
    network: str
    case: Callable[[], Case]


RECORDED = (
    Recorded("STNDT, MC_Maze, 180 bins", maze),
    Recorded("STNDT, Chewie, 14 bins", chewie),
    Recorded("POYO, 1.3 million weights, Chewie", poyo),
)


@cache
def _core(which: int) -> FastCore:
    core = FastCore(Engine.named(ENGINE))
    core.load(compile_program(RECORDED[which].case()[0], core.engine))
    return core


def simulated(job: tuple[int, int]) -> Tally:
    """One window of one network: every op, every start's cycles."""
    which, number = job
    return _core(which).compared(RECORDED[which].case()[1][number])


def _row(one: Recorded, tallies: Sequence[Tally]) -> dict[str, Any]:
    program, windows = one.case()
    compiled = compile_program(program, Engine.named(ENGINE))
    tally = sum(tallies, Tally())
    if tally.first is not None:
        raise tally.first
    if program.bins:
        whole, behind = window_of(compiled), window_of(compiled, program.bins - 1)
    else:
        tokens, queries = max((compiled.waits(given), len(given["query_ms"])) for given in windows)
        whole, behind = tokens_of(compiled, tokens, queries), tokens_of(compiled, tokens, queries, tokens - 1)
    compared = {"windows": len(windows), "ops": tally.ops, "codes": tally.codes, "differ": tally.mismatches}
    columns = latency(whole, behind, Board.named(BOARD).clock_mhz)
    return {"network": one.network} | compared | columns | {"stage": "simulated"}


def table() -> list[dict[str, Any]]:
    """One row per network, all its windows simulated."""
    FastCore(Engine.named(ENGINE))  # built once, before the processes that run it
    jobs = [(which, at) for which, one in enumerate(RECORDED) for at in range(len(one.case()[1]))]
    found: list[list[Tally]] = [[] for _ in RECORDED]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for (which, at), tally in zip(jobs, pool.map(simulated, jobs), strict=True):
            found[which].append(tally)
            said = f"{RECORDED[which].network}, window {at}: {tally.codes:,} codes, {tally.mismatches} differ"
            print(said, file=sys.stderr, flush=True)
    return [_row(one, tallies) for one, tallies in zip(RECORDED, found, strict=True)]

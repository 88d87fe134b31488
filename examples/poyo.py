"""Velocity R² of POYO beside a causal ridge and a GRU: pre-trained on some sessions, adapted to one it never heard.

    python examples/poyo.py [--recording FILE.npz --sessions A,B --new C] [--steps N] [--few 10,30]

Without a recording: three built-in Lorenz sessions of different units. Prints a table. Beside the float networks stand
the integer one (docs/poyo.md), trained on from the float one; its float control of the same extra steps; and the
integer one adapted to the new session in integers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgendt.data import Dataset, Split, load, split
from edgendt.data.events import jittered
from edgendt.data.lorenz import lorenz_sessions
from edgendt.data.tokens import causal, whole
from edgendt.models.poyo import POYO, adapted, preset, weights
from edgendt.qat.decode import Counts, Sessions, ridge_score
from edgendt.qat.poyo import QuantPOYO
from edgendt.qat.poyo_job import new_poyo
from edgendt.qat.train import Masking, Phase, Plan

NOTHING = np.empty(0, np.int64)


def main() -> None:
    """Train, adapt, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", type=Path, help="an .npz of counts with `vel`, several sessions")
    parser.add_argument("--sessions", default="chewie_20131003_100ms_all,mihi_20140303_100ms_moving")
    parser.add_argument("--new", default="chewie_20131219_100ms_moving")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--qat", type=int, default=200, help="steps of quantization-aware training, 0 for none")
    parser.add_argument("--few", default="10,30", help="numbers of training trials of the new session")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)  # the rows that adaptation starts from
    if options.recording is None:
        data = list(lorenz_sessions(options.seed))
    else:
        names = [*options.sessions.split(","), options.new]
        data = [load(str(options.recording), session=name) for name in names]
    table = Table(options.seed, options.steps, options.qat, options.preset)
    table.fill(data, [int(few) for few in options.few.split(",")])


@dataclass(frozen=True)
class Table:
    """The rows, printed as they are known."""

    seed: int
    steps: int
    qat: int
    preset: str

    def fill(self, data: Sequence[Dataset], few: Sequence[int]) -> None:
        """data: the last session is the new one; few: numbers of its training trials to adapt with."""
        splits = [split(session, self.seed, held_out=0) for session in data]
        old = Sessions(tuple(jittered(d, self.seed) for d in data[:-1]), tuple(splits[:-1]))
        print(
            "| session | network | trained on | causal R² | whole-window R² | training s |\n|---|---|---|---|---|---|"
        )
        for session, parts in zip(data, splits, strict=True):
            self.baselines(session, parts, "its training trials")
        net = self.poyo(old)
        began = time.monotonic()
        self.train(net, old, self.steps, 2e-3)
        took = time.monotonic() - began
        for i, session in enumerate(data[:-1]):
            self.row(session, f"POYO, {weights(net):,} weights", f"{len(data) - 1} sessions", old, net, i, took)
        integer = self.quantize(net, old) if self.qat else None
        for trials in (*few, None):
            self.adapt(net, integer, data[-1], splits[-1], trials)

    def quantize(self, net: POYO, old: Sessions) -> QuantPOYO:
        """The integer network and its control, trained on from `net` on the same windows."""
        control = POYO(net.config)
        control.load_state_dict(net.state_dict())
        integer = QuantPOYO.from_float(net, old.calibration())
        for name, network in (("float control", control), ("integers", integer)):
            began = time.monotonic()
            plan = Plan("qat", self.qat, 16, 5e-4, 0.0, 0.05, Masking(), self.seed + 1)
            plan = plan if network is control else replace(plan, surrogate=0.9)
            Phase(plan, network, old, None).run(lambda *_: None)
            took = time.monotonic() - began
            for i, data in enumerate(old.data):
                self.row(data.binned, f"POYO, {name}", f"{len(old.data)} sessions", old, network, i, took)
        return integer

    def baselines(self, data: Dataset, parts: Split, on: str) -> None:
        """Ridge and GRU of one session."""
        print(line(data, "ridge, 5 bins", on, ridge_score(data, parts), None, None), flush=True)
        counts, began = Counts(data, parts), time.monotonic()
        net = counts.trained(self.seed, lambda *_: None)
        print(line(data, "GRU, 64", on, counts.score(net, parts.test), None, time.monotonic() - began), flush=True)

    def adapt(self, net: POYO, integer: QuantPOYO | None, data: Dataset, parts: Split, trials: int | None) -> None:
        """The new session: POYO adapted, and POYO and baselines from nothing, with so many training trials, or all."""
        on = "its training trials" if trials is None else f"{trials} of its trials"
        if trials is not None:  # those trials are all there is: none to choose weights on
            parts = replace(parts, train=parts.train[:trials], val=NOTHING)
            self.baselines(data, parts, on)
        new = Sessions((jittered(data, self.seed),), (parts,))
        ways: list[tuple[str, nn.Module, int, float]] = [
            ("POYO, only its units adapted", adapted(net, data.channels), self.steps // 4, 2e-2),
            ("POYO, from nothing", self.poyo(new), self.steps // 2, 2e-3),
        ]
        if integer is not None:
            ways += [("POYO, integers, only its units adapted", integer.adapted(data.channels), self.steps // 4, 2e-2)]
        for name, network, steps, lr in ways:
            began = time.monotonic()
            self.train(network, new, steps, lr, val=trials is None)
            self.row(data, name, on, new, network, 0, time.monotonic() - began)

    def poyo(self, sessions: Sessions) -> POYO:
        """A network before training."""
        return new_poyo(preset(self.preset, sessions.units, len(sessions.data), dropout=0.2), self.seed)

    def train(self, net: Any, task: Any, steps: int, lr: float, val: bool = True) -> None:
        """val: keep the weights that are best on validation trials; else the last."""
        plan = Plan("float", steps, 16, lr, 1e-2, 0.1, Masking(), self.seed, val_every=max(1, steps // 8))
        if isinstance(net, QuantPOYO):
            plan = replace(plan, surrogate=0.9)
        Phase(plan if val else replace(plan, val_every=None), net, task, None).run(lambda *_: None)

    def row(
        self, data: Dataset, name: str, on: str, task: Sessions, net: nn.Module, session: int, seconds: float
    ) -> None:
        """Print POYO's scores on the test trials."""
        scores = [task.score(net, session, task.splits[session].test, cuts) for cuts in (causal, whole)]
        print(line(data, name, on, *scores, seconds), flush=True)


def line(data: Dataset, name: str, on: str, past: float | None, both: float | None, seconds: float | None) -> str:
    """One row of the table."""
    took = "" if seconds is None else str(round(seconds))
    scores = ["" if score is None else f"{score:.3f}" for score in (past, both)]
    return f"| {' | '.join((data.name, name, on, *scores, took))} |"


if __name__ == "__main__":
    main()

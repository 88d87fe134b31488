"""Synthetic run folders: every stage as its room writes it, with made-up but consistent numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from networks import random_ndt

from edgendt.artifact import Run, write_json
from edgendt.data.lorenz import lorenz
from edgendt.program import Program

BOARD = "ulx3s-85f"
METRICS = {
    "float": {"co_bps": 0.5612, "rate_r2": 0.8231, "velocity_r2": 0.7012},
    "control": {"co_bps": 0.5634, "rate_r2": 0.8245, "velocity_r2": 0.7031},
    "integer": {"co_bps": 0.5619, "rate_r2": 0.8219, "velocity_r2": 0.7008},
    "baseline": {"co_bps": 0.4402, "rate_r2": 0.6127, "velocity_r2": 0.5541},
}
VELOCITY = {"decoder_r2": 0.7008, "readout_float_r2": 0.6512, "readout_r2": 0.6498}
DATA = {
    "name": "lorenz",
    "trials": 1300,
    "bins": 65000,
    "channels": 30,
    "bin_s": 0.02,
    "clipped": 4,
    "train": list(range(900)),
    "val": list(range(900, 1100)),
    "test": list(range(1100, 1300)),
    "held_in": [i for i in range(30) if i not in (3, 7, 20, 21, 27)],
    "held_out": [3, 7, 20, 21, 27],
}
LINKS = (
    ("torch", "pass", None, 24, 1_203_840, 0, 9.41, 120, 0),
    ("qonnx", "pass", None, 1, 3000, 0, 31.2, 100, 0),
    ("stream", "pass", None, 24, 1_203_840, 0, 6.03, 120, 0),
    ("hls4ml", "skipped", "hls4ml was not found: pip install 'edgendt[hls]'", 0, 0, 0, 0.0, 0, 0),
    ("engine", "fail", "engine: layer0.ln1 bin 3 index 7: expected 12, got 13", 24, 1_203_840, 2, 88.5, 120, 9_750),
)
ENGINE = {"Segments": 4, "Lanes": 8}
SOURCES = {"edt_core.sv": "5e1f", "edt_lane.sv": "77aa"}
SYNTH = {
    "board": BOARD,
    "flow": "engine",
    "stage": "post-route",
    "fmax_mhz": 91.37,
    "resources": {
        "TRELLIS_COMB": {"used": 11872, "available": 83640},
        "TRELLIS_FF": {"used": 7410, "available": 83640},
        "DP16KD": {"used": 61, "available": 208},
        "MULT18X18D": {"used": 41, "available": 156},
    },
    "critical_path": [
        "5.83 ns clk-to-q to u_engine.u_fifo.memory.0.0.DOB6",
        "3.19 ns routing to u_engine.u_crc.crc_q_TRELLIS_FF_Q_14_DI_LUT4_Z_C_LUT4_Z.D over u_engine.u_crc.data_i[6]",
        "0.24 ns logic to u_engine.u_crc.crc_q_TRELLIS_FF_Q_14_DI_LUT4_Z_C_LUT4_Z.F",
        "0.63 ns routing to u_engine.u_crc.crc_q_TRELLIS_FF_Q_25_DI_LUT4_Z_D_LUT4_Z.D over u_engine.u_crc.n",
    ],
    "bitstream": "edt_top.bit",
    "sources": SOURCES | {"edt_top_uart.sv": "0c3d"},
    "engine": ENGINE,
}


def add_quantize(run: Run, velocity: bool = True, truth: bool = True, seed: int = 11) -> Program:
    """Program, metrics, stimulus and predictions of a small Lorenz recording with trials of two lengths."""
    program = random_ndt(seed, channels=30, d=32, layers=2, heads=2, ffn=48, window=16, outputs=30, bins=50)
    data = lorenz(seed=4, conditions=6, trials=1)
    rng = np.random.default_rng(5)
    lengths = np.array([50, 50, 40, 50, 50, 31])
    smooth = data.rates * np.exp(0.12 * np.cumsum(rng.normal(0, 0.5, data.rates.shape), axis=1))
    arrays: dict[str, Any] = {
        "held_out": np.array([3, 7, 20, 21, 27]),
        "spikes": data.spikes,
        "lengths": lengths,
        "rates_float": smooth,
        "rates_integer": smooth * np.exp(rng.normal(0, 0.02, smooth.shape)),
    }
    if truth:
        arrays["rates_true"] = data.rates
    if velocity:
        angle = np.linspace(0, 6, 50)[None] + rng.uniform(0, 6, (6, 1))
        arrays["vel"] = np.stack([np.cos(angle), np.sin(angle)], axis=2)
        arrays["vel_integer"] = arrays["vel"] + rng.normal(0, 0.1, arrays["vel"].shape)
    with run.write("quantize", seed=3) as folder:
        program.save(folder / "program.edt")
        write_json(folder / "metrics.json", METRICS)
        write_json(folder / "data.json", DATA)
        if velocity:
            write_json(folder / "velocity.json", VELOCITY)
        np.savez(folder / "stimulus.npz", counts=data.spikes, lengths=lengths, bin_s=data.bin_s)
        np.savez(folder / "predictions.npz", **arrays)
    return program


def add_sim(run: Run) -> None:
    keys = ("name", "status", "reason", "ops", "codes", "mismatches", "seconds", "bins", "output_bins")
    with run.write("sim", inputs=[run.path / "quantize" / "program.edt"]) as folder:
        links = [dict(zip(keys, link, strict=True)) for link in LINKS]
        write_json(folder / "sim.json", {"run": str(run.path), "links": links, "sources": SOURCES, "engine": ENGINE})


def add_synth(run: Run, **changes: Any) -> None:
    synth = SYNTH | changes
    inputs = [run.path / "quantize" / "program.edt"] if run.has("quantize") else []
    with run.write(f"synth-{synth['board']}", inputs=inputs) as folder:
        write_json(folder / "synth.json", synth)


def whole_run(root: Path) -> Run:
    """A run with every stage but the profile, which its own room writes."""
    run = Run(root / "lorenz-demo")
    add_quantize(run)
    add_sim(run)
    add_synth(run)
    return run


def add_profile(run: Run) -> None:
    """A profile with made-up cycles, for the page alone."""
    program = Program.load(run.stage("quantize") / "program.edt")
    by_op = {node.name: 60 + 7 * i for i, node in enumerate(program.nodes)}
    cycles, clock = sum(by_op.values()), SYNTH["fmax_mhz"]
    data = {
        "board": BOARD,
        "cycles": {"p50": cycles, "p99": cycles + 4, "max": cycles + 4},
        "by_op": by_op,
        "bound_cycles": 2001,
        "efficiency": round(2001 / cycles, 4),
        "latency_us": {"p50": cycles / clock, "p99": (cycles + 4) / clock, "max": (cycles + 4) / clock},
        "cycles_stage": "simulated cycles",
        "clock_stage": "post-route",
        "cpu_us": 41.25,
        "clock_mhz": clock,
        "by_op_stage": "analytic",
        "link": {
            "request_bytes": 24,
            "answer_bytes": 75,
            "bytes": 99,
            "of": "bin",
            "baud": 3000000,
            "us": 330.0,
            "stage": "analytic",
        },
        "round_trip_us": {"p50": 1411.2, "p99": 1598.9, "max": 2111.5, "stage": "emulated", "bins": 271},
        "built": {"clock_mhz": 60.0, "p50": 61.25, "p99": 61.5, "max": 61.5},
        "cycles_by_bin": [cycles - 100 + min(4 * i, 104) for i in range(50)],
        "bin_us": 20000.0,
        "bin_share": {"p50": 0.121, "p99": 0.122, "max": 0.122},
        "cpu": {
            "model": "A CPU",
            "runs": [
                {"threads": 1, "bins": 1000, "p50_us": 41.25, "p99_us": 110.5, "max_us": 400.125},
                {"threads": 8, "bins": 1000, "p50_us": 43.5, "p99_us": 210.5, "max_us": 900.125},
            ],
        },
    }
    with run.write(f"profile-{BOARD}") as folder:
        write_json(folder / "profile.json", data)

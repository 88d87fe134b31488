"""The hls4ml firmware in a simulation: behind the engine's ports, through DPI. One build serves every network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgendt.compare import Tally, compare
from edgendt.engine.image import Image, Section, engine_id
from edgendt.errors import ToolFailed
from edgendt.firmware import Firmware
from edgendt.fixed import Codes
from edgendt.program import Program
from edgendt.sim.simulator import build, last_error, rtl, simulate
from edgendt.tools import share

PARAMETERS = {"Firmware": 1}  # stands for an engine's parameters: the shell's EngineId is the CRC of these
TOP = "firmware_shell"
BENCH = "model_bench"  # the engine's own


def shell_image(program: Program) -> Image:
    """An image that opens the link: sizes, and one word that the shell forgets."""
    bins = program.max_bins or 0
    return Image(PARAMETERS, program.channels, program.outputs, bins, (Section(0, 0, np.array([1], np.uint64)),))


def sources() -> list[Path]:
    """The link as the engine has it, and the shell."""
    return [*rtl("edt_crc32", "edt_link"), share("sim") / "firmware_shell.sv"]


def build_shell(files: Sequence[Path] | None = None) -> Path:
    """Build folder of the shell for cocotb and Verilator; the C++ glue's content is part of its name."""
    glue = share("sim") / "firmware_dpi.cpp"
    digest = hashlib.sha256(glue.read_bytes()).hexdigest()[:12]
    args = [str(glue), "-CFLAGS", f"-DGLUE_{digest}", "-LDFLAGS", "-ldl"]
    return build(TOP, files or sources(), {"EngineId": f"32'd{engine_id(PARAMETERS)}"}, args=args)


def simulated(firmware: Firmware, trials: Sequence[Codes], folder: Path, **bench: Any) -> Tally:
    """Run trials (counts [bins, channels] each) through the shell; every op of every bin against the Program.

    `folder` gets stimulus and trace; bench: idle, stall. ToolMissing without Verilator; ToolFailed when the bench
    itself fails.
    """
    program = firmware.program
    names = ("image.edi", "program.edt", "trials.npz", "trace.npz")
    paths = {name.partition(".")[0]: str(folder / name) for name in names}
    shell_image(program).save(Path(paths["image"]))
    program.save(paths["program"])
    arrays: dict[str, Any] = {str(index): counts for index, counts in enumerate(trials)}
    np.savez(paths["trials"], **arrays)
    try:
        simulate(BENCH, TOP, build_shell(), {**paths, "library": str(firmware.compile().library), **bench})
    except (AssertionError, RuntimeError) as error:
        (folder / "bench.log").write_text(str(error))
        raise ToolFailed("the firmware's bench", folder / "bench.log", last_error(str(error))) from None
    tally = Tally()
    with np.load(paths["trace"]) as found:
        for index, counts in enumerate(trials):
            tally += _compare(program, counts, found, index)
    return tally


def _compare(program: Program, counts: Codes, found: Any, trial: int) -> Tally:
    """Every trace point of one trial, the output as it was answered."""
    events = [found[f"{trial}/events/{bin}"] for bin in range(len(counts))]
    got = {
        node.name: np.concatenate([bin[bin[:, 0] == at, 2] for bin in events]).reshape(-1, node.op.size)
        for at, node in enumerate(program.nodes)
    }
    got[program.output] = found[f"{trial}/answers"]
    expected = program.trace(counts)
    return compare("hls4ml", {name: expected[name] for name in program.trace_points}, got, program)

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
from edgendt.simulator import build, rtl, simulate
from edgendt.tools import share

PARAMETERS = {"Firmware": 1}  # stands for an engine's parameters: the shell's EngineId is the CRC of these
TOP = "firmware_shell"
BENCH = "firmware_bench"


def shell_image(program: Program) -> Image:
    """An image that opens the link: sizes, and one word that the shell forgets."""
    bins = program.max_bins or 65535
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


def simulated(firmware: Firmware, trials: Sequence[Codes], folder: Path) -> Tally:
    """Run trials (counts [bins, channels] each) through the shell; every op of every bin against the Program.

    `folder` gets the stimulus and the trace. ToolMissing without Verilator; ToolFailed when the bench itself fails.
    """
    stimulus, trace, program = folder / "trials.npz", folder / "trace.npz", folder / "program.edt"
    firmware.program.save(program)
    arrays: dict[str, Any] = {str(index): counts for index, counts in enumerate(trials)}
    np.savez(stimulus, **arrays)
    paths = {"program": str(program), "library": str(firmware.library), "trials": str(stimulus), "trace": str(trace)}
    try:
        simulate(BENCH, TOP, build_shell(), paths, tests="recorded_trials_are_traced")
    except (AssertionError, RuntimeError) as error:
        (folder / "bench.log").write_text(str(error))
        raise ToolFailed("the firmware's bench", folder / "bench.log", str(error).strip().splitlines()[-1]) from None
    tally = Tally()
    with np.load(trace) as got:
        for index, counts in enumerate(trials):
            mine = {name.partition("/")[2]: got[name] for name in got.files if name.startswith(f"{index}/")}
            expected = firmware.program.trace(counts)
            seen = {name: expected[name] for name in firmware.program.trace_points}
            tally += compare("hls4ml", seen, mine)
    return tally

"""Builds the shell around the hls4ml firmware: one build serves every network, the library is named at run time."""

import hashlib
from pathlib import Path

import numpy as np
from bench import build, rtl

from edgendt.engine.image import Image, Section, engine_id
from edgendt.program import Program
from edgendt.tools import share

PARAMETERS = {"Firmware": 1}  # stands for an engine's parameters: the shell's EngineId is the CRC of these
TOP = "firmware_shell"


def shell_image(program: Program) -> Image:
    """An image that opens the link: sizes, and one word that the shell forgets."""
    bins = program.max_bins or 65535
    return Image(PARAMETERS, program.channels, program.outputs, bins, (Section(0, 0, np.array([1], np.uint64)),))


def sources() -> list[Path]:
    """The link as the engine has it, and the shell."""
    return [*rtl("edt_crc32", "edt_link"), share("sim") / "firmware_shell.sv"]


def build_shell(files: list[Path] | None = None) -> Path:
    """Build folder of the shell for cocotb and Verilator; the C++ glue's content is part of its name."""
    glue = share("sim") / "firmware_dpi.cpp"
    digest = hashlib.sha256(glue.read_bytes()).hexdigest()[:12]
    args = [str(glue), "-CFLAGS", f"-DGLUE_{digest}", "-LDFLAGS", "-ldl"]
    return build(TOP, files or sources(), {"EngineId": f"32'd{engine_id(PARAMETERS)}"}, args=args)

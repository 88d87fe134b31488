"""What every op of the firmware gave, for benches of its shell: read from the very library that the shell calls."""

import os
from pathlib import Path

import numpy as np

from edgendt.firmware.library import Firmware
from edgendt.program import Program


class FirmwareTap:
    """Traces the library at `library`, which runs the Program at `program`. Make it before the first clock edge."""

    def __init__(self, program, library):
        os.environ["EDT_FIRMWARE"] = str(library)  # the shell opens it at its first call
        self.firmware = Firmware(Program.load(program), Path(library).parent, Path(library).name)
        self.firmware.trace_on()

    def codes(self):
        """Every op's codes [size], or [rows, size], of the last bin."""
        return self.firmware.traced()

    def take(self):
        """The same as events, like those of the engine's taps: (node index, element, code). [n, 3]"""
        parts = [
            np.stack([np.full(codes.size, node), np.arange(codes.size), codes.ravel()], axis=1)
            for node, codes in enumerate(self.codes().values())
        ]
        return np.concatenate(parts)

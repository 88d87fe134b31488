"""The engine's RTL, compiled: Verilator behind a small C ABI, millions of cycles per second, for whole recordings."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.compare import Tally, compare
from edgendt.engine.compile import Compiled
from edgendt.engine.config import Engine
from edgendt.engine.cycles import cycles_per_start
from edgendt.errors import EdgendtError
from edgendt.fixed import Codes
from edgendt.sim.compiled import build_library
from edgendt.tools import share

CORE = (
    "edt_pkg edt_reg edt_ram edt_mul edt_round edt_lane edt_segment edt_chain edt_tags edt_issue edt_narrow edt_drain "
    "edt_kcol edt_scores edt_stats edt_recip edt_angle edt_sfu edt_sfu_seq edt_seq edt_core"
).split()
SERIAL = "edt_pkg edt_mem edt_spram edt_serial".split()
LIMIT = 8_000_000  # cycles of one bin before the model is declared stuck
FAILURES = {-2: "it did not finish the bin", -3: "an assertion of the RTL failed", -4: "cycles_o disagrees"}


class SimulationStuck(EdgendtError):
    """The simulated engine hung or broke one of its own assertions."""


def core_sources(serial: bool = False) -> list[Path]:
    """hls/rtl files of edt_core or edt_serial, in compilation order."""
    return [share("hls") / "rtl" / f"{stem}.sv" for stem in (SERIAL if serial else CORE)]


def build_core(engine: Engine, sources: Sequence[Path] | None = None, speed: str = "-O2") -> Path:
    """Shared library of the verilated core; built once per content of sources and parameters. speed: g++'s."""
    parameters = engine.parameters()
    serial = bool(parameters.pop("Serial", 0))
    defines = {"EDT_TAP": 1, "EDT_PIPES": parameters["Pipes"]} | ({"EDT_SERIAL": 1} if serial else {})
    top, files = "edt_serial" if serial else "edt_core", list(sources or core_sources(serial))
    return build_library(top, files, share("sim") / "fast_model.cpp", parameters, defines, speed)


class FastCore:
    """One verilated core, loaded with one image after another."""

    def __init__(self, engine: Engine, sources: Sequence[Path] | None = None, speed: str = "-O2") -> None:
        self.engine = engine
        self._lib = _library(build_core(engine, sources, speed))
        self._model = self._lib.edt_new()
        self.compiled: Compiled | None = None

    def __del__(self) -> None:
        if getattr(self, "_model", None):
            self._lib.edt_free(self._model)
            self._model = None

    def load(self, compiled: Compiled) -> None:
        """Write the image; the trial starts over."""
        for section in compiled.image.sections:
            words = np.ascontiguousarray(section.words, np.uint64)
            self._lib.edt_load(self._model, section.mem, section.start, words.ctypes.data, len(words))
        self.compiled = compiled
        self.reset()

    def reset(self) -> None:
        """Start of a trial."""
        self._lib.edt_reset(self._model)

    def step(self, counts: Codes, taps: bool = False) -> tuple[Codes, int]:
        """counts: [channels] of the next start -> (output codes [outputs], cycles); `taps`: its events are kept."""
        assert self.compiled is not None, "load an image first"
        program = self.compiled.program
        data = np.ascontiguousarray(np.minimum(counts, 255), np.uint8)
        codes = np.zeros(program.outputs, np.uint16)
        args = (data.ctypes.data, len(data), len(codes), codes.ctypes.data, int(taps), LIMIT)
        cycles = int(self._lib.edt_bin(self._model, *args))
        if cycles < 0:
            raise SimulationStuck(f"engine model: {FAILURES.get(cycles, 'the bin was refused: reset first')}")
        y = program.output_format
        signed = codes.astype(np.int64) if not y.signed else codes.astype(np.int16).astype(np.int64)
        return signed, cycles

    def _events(self) -> NDArray[np.int64]:
        pointer = ctypes.POINTER(ctypes.c_int32)()
        count = int(self._lib.edt_events(self._model, ctypes.byref(pointer)))
        if not count:
            return np.zeros((0, 3), np.int64)
        return np.ctypeslib.as_array(pointer, shape=(count, 3)).astype(np.int64)

    def run(self, counts: Any, taps: bool = False) -> tuple[Codes, NDArray[np.int64], dict[str, Codes]]:
        """counts: [bins, channels] of one trial, or what a network of tokens is given -> (outputs [rows, outputs],
        cycles [starts], codes by op).
        """
        assert self.compiled is not None, "load an image first"
        self.reset()
        outputs, cycles, events = [], [], []
        for row in self.compiled.starts(counts):
            codes, took = self.step(row, taps)
            outputs.append(codes)
            cycles.append(took)
            events += [self._events()] if taps else []
        ops = self.compiled.decode(events, counts) if events else {}
        return self.compiled.answers(np.array(outputs, np.int64), counts), np.array(cycles, np.int64), ops

    def compared(self, given: Any, taps: bool = True) -> Tally:
        """One trial or window against the Program that is loaded: trace points with taps, outputs, cycles."""
        assert self.compiled is not None, "load an image first"
        program = self.compiled.program
        output, cycles, got = self.run(given, taps)
        expected = program.trace(given)
        tally = compare("engine", {name: expected[name] for name in program.trace_points if taps}, got, program)
        name = program.output
        tally += compare("engine's answer", {name: expected[name]}, {name: output}, program)
        model = np.array(cycles_per_start(self.compiled, given))[:, None]
        return tally + compare("engine", {"cycles": model}, {"cycles": cycles[:, None]})


def _library(path: Path) -> Any:
    lib = ctypes.CDLL(str(path))
    lib.edt_new.restype = ctypes.c_void_p
    lib.edt_free.argtypes = [ctypes.c_void_p]
    lib.edt_load.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_int64]
    lib.edt_reset.argtypes = [ctypes.c_void_p]
    lib.edt_bin.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
    lib.edt_bin.argtypes += [ctypes.c_int, ctypes.c_int64]
    lib.edt_bin.restype = ctypes.c_int64
    lib.edt_events.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    lib.edt_events.restype = ctypes.c_int64
    return lib

"""Firmware compiled with g++: one call per bin or whole window, a reset, and the codes of every op."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgendt.errors import BadInput
from edgendt.firmware.folding import Folding, plan
from edgendt.firmware.reload import packet
from edgendt.firmware.room import most_rows
from edgendt.firmware.target import AMD, BACKENDS, EMULATED, Target
from edgendt.fixed import Codes
from edgendt.program import Program, structure
from edgendt.tools import run_tool, share

STACK = 256 << 20  # bytes: the top of a network of tokens keeps a window's codes on its stack
FLAGS = ("-std=c++14", "-O1", "-fPIC", "-shared", "-w", "-fno-gnu-unique")
FAST = ("-O3", "-DEDT_FAST")


def flags(folder: Path, backend: str = AMD) -> tuple[str, ...]:
    """g++ flags for the library of a project folder: its weights are read from there."""
    weights = f'-DWEIGHTS_DIR="{folder / "firmware" / "weights"}"'
    rooms = (".", *BACKENDS[backend], "firmware", "firmware/nnet_utils")
    return (*FLAGS, *(f"-I{room}" for room in rooms), weights)


def build(
    program: Program,
    folder: Path | str,
    folding: Folding | None = None,
    most: Mapping[str, int] | None = None,
    target: Target = EMULATED,
) -> Firmware:
    """Write the hls4ml project of `program` into `folder`. UnsupportedOp for an op that has no layer.

    most: of a network of tokens the rows of each axis that there is room for; see room.most_rows.
    """
    from edgendt.firmware.writer import write_sources

    if target.backend not in BACKENDS:
        raise BadInput(f"backend must be one of {', '.join(BACKENDS)}, got {target.backend!r}")
    home = Path(folder).resolve()
    home.mkdir(parents=True, exist_ok=True)
    for old in home.glob("edgendt-*.so"):  # of an earlier Program in this folder
        old.unlink()
    with (home / "hls4ml.log").open("w") as log, redirect_stdout(log):
        write_sources(program, home, folding or plan(program), target, most)
    return Firmware(program, home, most=most or {}, backend=target.backend)


@dataclass(frozen=True)
class Firmware:
    """A written project, and its compiled library once `compile` has run; `name` is for a library built otherwise.

    most: see build. fast: the sums of Linears in plain integers in the place of hls4ml's kernel, for long recordings.
    """

    program: Program
    folder: Path
    name: str | None = None
    most: Mapping[str, int] = field(default_factory=dict)
    fast: bool = False
    backend: str = AMD

    @cached_property
    def library(self) -> Path:
        """Its name tells networks and backends apart: the loader takes a path it has seen for what it has loaded."""
        suffix = ("" if self.backend == AMD else f"-{self.backend.lower()}") + ("-fast" if self.fast else "")
        return self.folder / (self.name or f"edgendt-{_digest(self.program)[:12]}{suffix}.so")

    @property
    def sources(self) -> tuple[str, ...]:
        """What the library is compiled from; the network itself is included by the first."""
        top = "firmware/edgendt_axis.cpp"  # where the top has streams
        host = "edt_window.cpp" if self.program.inputs else "edt_abi.cpp"
        return (host, *([top] if (self.folder / top).exists() else []))

    def compile(self) -> Firmware:
        """Compile with g++, unless the library is there already. ToolMissing, ToolFailed."""
        if self.fast and self.backend != AMD:
            raise BadInput(f"fast emulation is of the backend {AMD}: leave fast out with {self.backend}")
        if not self.library.exists():
            beside = self.library.with_suffix(".part")
            words = (*flags(self.folder, self.backend), *(FAST if self.fast else ()))
            command = ("g++", *words, *self.sources, "-o", str(beside))
            run_tool(command, self.folder / "compile.log", cwd=self.folder)
            beside.replace(self.library)
        return self

    @cached_property
    def _abi(self) -> Any:
        """The loaded library. Its state belongs to the file: two Firmwares of one folder share it."""
        self.compile()
        library = ctypes.CDLL(str(self.library))
        codes = np.ctypeslib.ndpointer(np.int32, ndim=1, flags="C_CONTIGUOUS")
        if self.program.inputs:
            library.edt_window.argtypes = [ctypes.POINTER(ctypes.c_void_p), codes, codes]
        else:
            library.edt_step.argtypes = [codes, codes]
        library.edt_load.argtypes = [codes, ctypes.c_int32]
        library.edt_traced.argtypes = [ctypes.c_int32, codes]
        return library

    def reset(self) -> None:
        """The next bin is bin 0."""
        self._abi.edt_reset()

    def step(self, counts: Any) -> Codes:
        """counts: [channels] of the next bin -> output codes [outputs]. BadInput past the last position row."""
        (codes,) = self._calls(np.asarray(counts)[None])
        return self._call(codes)[0]

    def _call(self, codes: Any) -> Codes:
        """One call of the top: checked counts [bins of a call, channels] -> output codes [bins of a call, outputs]."""
        bins = self.program.bins or 1
        if len(codes) != bins:
            raise BadInput(f"a call takes {bins} bins, got {len(codes)}")
        out = np.empty((bins, self.program.outputs), np.int32)
        refused = self._abi.edt_step(codes.ravel(), out.ravel())
        assert refused < 2, "the top refused codes that were checked"
        if refused:
            raise BadInput(f"bin {self._abi.edt_bin()} has no position row ({self.program.max_bins} rows): reset first")
        return out.astype(np.int64)

    def _calls(self, counts: Any) -> Iterator[Any]:
        """counts of a trial, checked, in the parts that one call takes each: a whole window is one part."""
        codes = self.program.check_counts(counts).astype(np.int32)
        return iter([codes] if self.program.bins else codes[:, None])

    def run(self, given: Any) -> Codes:
        """given: counts [bins, channels] of one trial from its first bin, or inputs by name of a window -> output codes
        [rows, outputs].
        """
        if self.program.inputs:
            return self._window(given)
        self.reset()
        return np.concatenate([self._call(part) for part in self._calls(given)])

    @cached_property
    def _room(self) -> dict[str, int]:
        """Rows of each open axis that there is room for; none of bins."""
        return most_rows(self.program, self.most)

    def _rows(self, fed: Mapping[str, Codes]) -> dict[str, int]:
        """Rows of each open axis of a window; BadInput where there is no room for them."""
        asked = [item for item in self.program.inputs if item.codes is None]
        rows = {item.axis.name: len(fed[item.name]) for item in asked}
        for axis, many in rows.items():
            if many > self._room[axis]:
                raise BadInput(f"the firmware has room for {self._room[axis]} {axis}, the window has {many}")
        return rows

    def _window(self, given: Any) -> Codes:
        """One call of the top of a network of tokens, on a stack that holds the codes of a whole window."""
        fed = self.program.feed(given)
        rows = self._rows(fed)
        asked = [fed[item.name] for item in self.program.inputs if item.codes is None]
        held = [np.ascontiguousarray(codes, dtype=np.int32) for codes in asked]
        out = np.empty(rows[self.program.axis(self.program.output).name] * self.program.outputs, np.int32)
        pointers = (ctypes.c_void_p * len(held))(*(codes.ctypes.data for codes in held))
        arguments = (pointers, np.array(list(rows.values()), np.int32), out)
        abi, old, refused = self._abi, threading.stack_size(STACK), list[int]()
        try:
            call = threading.Thread(target=lambda: refused.append(abi.edt_window(*arguments)))
            call.start()
        finally:
            threading.stack_size(old)
        call.join()
        assert refused == [0], "the top refused codes that were checked"
        return out.astype(np.int64).reshape(-1, self.program.outputs)

    def load(self, program: Program) -> Firmware:
        """Another network in the place of this one, whose firmware this is from now on. BadInput for one of another
        structure, and for a firmware whose weights are of its build.
        """
        if structure(program) != structure(self.program):
            raise BadInput(
                f"{program.name} has another structure (ops, sizes, formats) than {self.program.name}, for which the "
                "firmware was built: build it anew"
            )
        if self.fast:
            raise BadInput("a fast firmware reads its weights once: load networks into one that is not")
        words = packet(program)
        if self._abi.edt_load(words, len(words)):
            raise BadInput("the firmware's weights are constants of its build: build it with weights reload")
        return replace(self, program=program, name=self.library.name)

    def trace_on(self, on: bool = True) -> None:
        """Keep every op's codes of each step from now on, whoever takes it, or stop keeping them."""
        self._abi.edt_trace(int(on))

    def traced(self) -> dict[str, Codes]:
        """Every op's codes [size], or [rows, size] of a whole window, in the last step taken with tracing on."""
        out = {}
        for index, node in enumerate(self.program.nodes):
            rows = self._room.get(self.program.axis(node.name).name) or self.program.rows(node.name)
            codes = np.empty((rows or 1) * node.op.size, np.int32)
            self._abi.edt_traced(index, codes)
            out[node.name] = codes.astype(np.int64).reshape(*([rows] if rows else []), node.op.size)
        return out

    def trace(self, given: Any) -> dict[str, Codes]:
        """given: as for `run` -> every op's codes [rows, size]."""
        return self._trace_window(given) if self.program.inputs else self._trace_bins(given)

    def _trace_window(self, given: Any) -> dict[str, Codes]:
        self.trace_on()
        self._window(given)
        traced, rows = self.traced(), self._rows(self.program.feed(given))
        self.trace_on(False)
        return {name: codes[: rows.get(self.program.axis(name).name)] for name, codes in traced.items()}

    def _trace_bins(self, counts: Any) -> dict[str, Codes]:
        rows: dict[str, list[Codes]] = {node.name: [] for node in self.program.nodes}
        self.reset()
        self.trace_on()
        for part in self._calls(counts):
            self._call(part)
            for name, codes in self.traced().items():
                rows[name].append(np.atleast_2d(codes))
        self.trace_on(False)
        return {name: np.concatenate(codes) for name, codes in rows.items()}


def cached(program: Program, folder: Path, most: Mapping[str, int] | None = None, fast: bool = False) -> Firmware:
    """A compiled firmware in a subfolder of `folder` named by what it is made of; an earlier one is used again.

    most: see build. fast: see Firmware.
    """
    rooms = "".join(f"-{axis}-{rows}" for axis, rows in sorted((most or {}).items()))
    home = folder / f"{_digest(program)}{rooms}"
    folder.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one process builds, the others wait and find it built
        there = Firmware(program, home, most=most or {})
        if not there.library.exists():
            build(program, home, most=most).compile()
        return replace(there, fast=True).compile() if fast else there


def _digest(program: Program) -> str:
    """Name of everything a library is made of: the Program, our sources, hls4ml and the compiler's flags."""
    digest = hashlib.sha256(f"{version('hls4ml')}{FLAGS}".encode())
    for source in sorted([*(share("hls") / "cpp").iterdir(), *Path(__file__).parent.glob("*.py")]):
        digest.update(source.read_bytes())
    with TemporaryDirectory() as folder:
        program.save(Path(folder) / "program.edt")
        digest.update((Path(folder) / "program.edt").read_bytes())
    return digest.hexdigest()[:20]

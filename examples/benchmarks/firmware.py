"""The hls4ml firmware of the reference network S: from Program to a verified library, and emulation bin by bin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from networks import random_counts, random_of

from edgendt.compare import compare
from edgendt.engine.reference import S
from edgendt.firmware import Firmware, build
from edgendt.fixed import Codes
from edgendt.program import Program

NOTE = """S, random weights, a trial of 64 bins, one core; medians. verified: written, compiled with g++, and every op
of the trial equal to the Program. plain integers: the sums of Linears without hls4ml's kernel, equal at every op too
(`docs/firmware.md`). Other work on the machine shows in seconds, not in CPU seconds."""
BUILDS, RUNS = 3, 7


def table() -> list[dict[str, Any]]:
    """Rows by what is done."""
    program = random_of(S, 1, S.window)
    counts = random_counts(program, 1, S.window)
    with TemporaryDirectory() as folder:
        built = [_timed(lambda: _verified(build(program, folder), program, counts)) for _ in range(BUILDS)]
        kernels = build(program, folder).compile()
        plain = replace(kernels, fast=True)
        _verified(plain, program, counts)
        rows = [_row("Program to verified firmware", built, 1)]
        for what, firmware in (("emulation, hls4ml's kernels", kernels), ("emulation, plain integers", plain)):
            firmware.run(counts)
            runs = [_timed(lambda one=firmware: one.run(counts)) for _ in range(RUNS)]
            rows.append(_row(what, runs, len(counts)))
    return rows


def _verified(firmware: Firmware, program: Program, counts: Codes) -> None:
    """Compiled, and equal at every op."""
    tally = compare("hls4ml", program.trace(counts), firmware.trace(counts), program)
    if tally.first or tally.ops != len(program.nodes):
        raise tally.first or AssertionError("an op was not compared")


def _timed(work: Callable[[], Any]) -> tuple[float, float]:
    """(seconds, CPU seconds) of it, children included."""
    begin, before = perf_counter(), _cpu()
    work()
    return perf_counter() - begin, _cpu() - before


def _cpu() -> float:
    """Seconds so far, of this process and of its children that have ended."""
    used = [getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _row(what: str, times: list[tuple[float, float]], bins: int) -> dict[str, Any]:
    seconds, cpu = (median(column) for column in zip(*times, strict=True))
    each = {} if bins == 1 else {"bins/s": round(bins / seconds), "bins per CPU second": round(bins / cpu)}
    return {"what": what, "seconds": round(seconds, 3), "CPU seconds": round(cpu, 3), **each, "stage": "measured"}

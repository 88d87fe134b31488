"""The firmware by hls4ml's other backends, AMD's and Algorithmic C's types, equals the Program; and what they refuse.

Every op by itself: test_firmware_ops.py. Networks with every layer, without a warning: test_firmware_cpp.py.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from needs import needs
from networks import random_counts, random_ndt
from op_harness import OF_AMD
from test_firmware import NETWORKS, demand, linear_and_attention

from edgendt.compare import compare
from edgendt.errors import BadInput
from edgendt.firmware import Firmware, build
from edgendt.firmware.folding import Folding, plan
from edgendt.firmware.library import flags
from edgendt.firmware.target import AMD, BACKENDS, Target
from edgendt.program import Program
from edgendt.tools import run_tool

OTHERS = [backend for backend in BACKENDS if backend != AMD]


def built(program: Program, folder: Path, backend: str, folding: Folding | None = None) -> Firmware:
    needs("g++")
    return build(program, folder, folding, target=Target(backend=backend))


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("name", ["odd sizes", "whole window"])
def test_a_random_network_is_equal_at_every_op(name: str, backend: str, tmp_path: Path) -> None:
    """Of fractions per output, and in the first case of a wider residual stream; a trial after another."""
    program = NETWORKS[name]()
    library = built(program, tmp_path, backend)
    for seed in (1, 2):
        counts = random_counts(program, seed, program.max_bins or 40)
        demand(program, counts, library.trace(counts))


@pytest.mark.parametrize("backend", OTHERS)
def test_a_linear_that_is_folded_and_large_is_equal(backend: str, tmp_path: Path) -> None:
    """Quartus pads weights from 2,049 of them on to powers of two, and has another kernel where a multiplier has
    several outputs.
    """
    program = random_ndt(3, 5, 30, 1, 2, 72, 3, 4, 9)
    folding = plan(program)
    several = {name: 3 * reuse for name, reuse in folding.reuse.items() if name.endswith((".f1", ".f2", ".q"))}
    library = built(program, tmp_path, backend, replace(folding, reuse={**folding.reuse, **several}))
    padded = re.findall(r"rf_pad = ([^0]\d*);", (tmp_path / "firmware" / "parameters.h").read_text())
    assert len(padded) == 2 * (backend == "Quartus")
    counts = random_counts(program, 1, 9)
    demand(program, counts, library.trace(counts))


@pytest.mark.parametrize("backend", OTHERS)
def test_a_wrong_weight_is_named_by_op_bin_and_index(backend: str, tmp_path: Path) -> None:
    program = random_ndt(10, 5, 6, 1, 2, 7, 3, 4, 12)
    library, op = built(program, tmp_path, backend), program.node("readout").op
    (found,) = re.findall(r"dense\w*<\w+, result_t, \w+>\(\S+ \S+ (w\d+),", source(library))
    weights = tmp_path / "firmware" / "weights" / (f"{found}.h" if backend == "Quartus" else f"{found}.txt")
    text = weights.read_text()
    listed = text.split("{")[-1].split("}")[0]
    values = listed.split(", ")
    value = float(values[3 * op.inputs])
    values[3 * op.inputs] = str(value - op.w.scale * np.sign(value))  # one step, in output 3
    weights.write_text(text.replace(listed, ", ".join(values)))
    counts = random_counts(program, 1, 12)
    tally = compare("hls4ml", program.trace(counts), library.trace(counts), program)
    assert tally.first is not None and (tally.first.op, tally.first.index) == ("readout", 3)
    assert 0 < tally.mismatches <= len(counts)


def source(library: Firmware) -> str:
    return (library.folder / "firmware" / "edgendt.cpp").read_text()


@pytest.mark.parametrize("backend", OTHERS)
def test_equal_programs_are_equal_projects(backend: str, tmp_path: Path) -> None:
    program = NETWORKS["whole window"]()
    first, second = (build(program, tmp_path / name, target=Target(backend=backend)).folder for name in ("a", "b"))
    for path in sorted(p for p in first.rglob("*") if p.is_file() and p.name != "hls4ml.log"):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path


def test_a_folder_built_again_by_another_backend_is_that_one(tmp_path: Path) -> None:
    """What was there before is neither compiled nor loaded."""
    program = linear_and_attention(1)
    counts = random_counts(program, 1, 9)
    for backend in (*BACKENDS, AMD):
        library = built(program, tmp_path, backend)
        demand(program, counts, library.trace(counts))
        (found,) = tmp_path.glob("*.so")
        assert found == library.library and ("edt_ac.h" in library_headers(library)) == (backend not in OF_AMD)


def library_headers(library: Firmware) -> str:
    """What the preprocessor read of it."""
    words = (*flags(library.folder, library.backend), "-M", "edt_abi.cpp")
    return run_tool(("g++", *words), library.folder / "headers.log", library.folder)


def test_what_a_backend_does_not_have_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^backend must be one of Vitis, Vivado, Quartus, Catapult, got 'oneAPI'$"):
        build(NETWORKS["odd sizes"](), tmp_path, target=Target(backend="oneAPI"))
    with pytest.raises(BadInput, match=r"^ports axis are of the backends Vitis and Vivado: take ports arrays with Q"):
        Target(backend="Quartus", ports="axis")
    program = NETWORKS["odd sizes"]()
    with pytest.raises(BadInput, match=r"^fast emulation is of the backend Vitis: leave fast out with Catapult$"):
        replace(Firmware(program, tmp_path, backend="Catapult"), fast=True).run(np.zeros((1, program.channels), int))

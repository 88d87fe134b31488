"""Whole networks on the RTL at its stream ports: every op of every bin equals the Program, and faults are named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from bench import mutate
from needs import needs
from networks import golden_ndt, random_counts, random_ndt
from op_engine import TINY
from trained import NAMES, trained

from edgendt.engine import layout
from edgendt.engine.compile import Compiled, compile_program
from edgendt.engine.config import Engine
from edgendt.engine.image import Image, Section
from edgendt.engine.sources import engine_sources
from edgendt.errors import Mismatch, ToolFailed
from edgendt.ops import LayerNorm
from edgendt.ops.layernorm import table_index
from edgendt.sim import rtl

SMALL = Engine.named("small")
pytestmark = pytest.mark.xdist_group("edt_engine")  # one build, run by one worker


@pytest.fixture(autouse=True)
def simulator() -> None:
    needs("verilator"), needs("g++")


@pytest.mark.parametrize("name", NAMES)
def test_a_trained_network_equals_the_program_at_every_op_in_the_predicted_cycles(name: str, tmp_path: Path) -> None:
    program, trials = trained(name)
    assert sum(map(len, trials)) >= 100
    compiled = compile_program(program, SMALL)
    traced = rtl.trace(compiled, trials, tmp_path)
    tally = rtl.check(program, trials, traced)
    assert tally.first is None and tally.ops == len(program.trace_points)
    rtl.check_cycles(compiled, trials, [trial.cycles for trial in traced])


@pytest.mark.parametrize("long", [0, 3])
def test_idle_and_stalling_streams_change_nothing(long: int, tmp_path: Path) -> None:
    program = random_ndt(7, channels=20, d=16, window=4, bins=9)
    compiled, trials = compile_program(program, SMALL), [random_counts(program, seed, 9) for seed in range(2)]
    traced = rtl.trace(compiled, trials, tmp_path, idle=0.4, stall=0.4, long=long)
    assert rtl.check(program, trials, traced).first is None
    rtl.check_cycles(compiled, trials, [trial.cycles for trial in traced])


def corrupted(compiled: Compiled, memory: int, address: int, bit: int) -> Image:
    """The image with one bit of one word flipped; its CRCs are made anew."""
    sections, done = [], 0
    for section in compiled.image.sections:
        words, at = section.words.copy(), address - section.start
        if section.mem == memory and 0 <= at < len(words):
            words[at] ^= np.uint64(1 << bit)
            done += 1
        sections.append(Section(section.mem, section.start, words))
    assert done == 1
    return dataclasses.replace(compiled.image, sections=tuple(sections))


def reported(memory: int, address: int, bit: int, folder: Path) -> Mismatch:
    """What the check says first of a golden network with one flipped bit."""
    program, counts, _ = golden_ndt()
    compiled, trials = compile_program(program, SMALL), [counts[:4]]
    traced = rtl.trace(compiled, trials, folder, image=corrupted(compiled, memory, address, bit))
    tally = rtl.check(program, trials, traced)
    assert tally.first is not None and tally.mismatches > 0 and tally.first.link == "engine"
    assert tally.first.row["bin"] in range(len(trials[0])) and tally.first.expected != tally.first.got
    return tally.first


def root_entry() -> int:
    """Entry of the reciprocal root that the golden network's first LayerNorm reads in bin 0."""
    program, counts, _ = golden_ndt()
    op, x = program.node("layer0.ln1").op, program.trace(counts[:1])["embed"][0]
    assert isinstance(op, LayerNorm)
    v = int(op.size * (x * x).sum() - x.sum() ** 2 + op.eps_code)
    length = np.int64(v.bit_length() + v.bit_length() % 2)
    return int(table_index(np.int64(v), length))


@pytest.mark.parametrize(
    "memory,address,bit,op",
    [
        (layout.MEM_WEIGHT, 0, 6, "embed"),
        (layout.MEM_BIAS, 0, 20, "embed"),
        (layout.MEM_POS, 0, 3, "embed"),
        (layout.MEM_GAMMA, 0, 29, "layer0.ln1"),
        (layout.MEM_TABLE, root_entry(), 13, "layer0.ln1"),
        (layout.MEM_TABLE, 1024 + (255 << 2), 13, "layer0.attention"),  # in bin 0 there is one key: the sum is 255
        (layout.MEM_EXP, 0, 12, "layer0.attention"),
    ],
    ids=["weight", "bias", "position", "gamma", "root", "reciprocal", "exponential"],
)
def test_one_flipped_bit_of_the_image_is_reported_with_op_and_bin(
    memory: int, address: int, bit: int, op: str, tmp_path: Path
) -> None:
    assert reported(memory, address, bit, tmp_path).op == op


@pytest.mark.parametrize(
    "op,field", [("layer0.ln1", "xstride"), ("layer0.q", "sbase"), ("layer0.res1", "add_res"), ("readout", "bias_base")]
)
def test_one_flipped_bit_of_the_microprogram_is_reported_with_op_and_bin(op: str, field: str, tmp_path: Path) -> None:
    names = [name for name, _ in layout.INSTR]
    at = sum(bits for _, bits in layout.INSTR[names.index(field) + 1 :])  # the field's lowest bit
    index = [instr.owner for instr in compile_program(golden_ndt()[0], SMALL).instrs].index(op)
    chunk, bit = divmod(at, layout.CHUNK_BITS)
    assert reported(layout.MEM_PROG, 8 * index + chunk, bit, tmp_path).op == op


@pytest.mark.parametrize("engine", [TINY, Engine(1, 4, 2, 1, serial=1)], ids=["array", "serial"])
def test_a_link_that_resets_the_trial_of_a_running_bin_is_stopped_by_the_core(engine: Engine, tmp_path: Path) -> None:
    program = random_ndt(7, channels=5, d=8, layers=1, heads=2, ffn=6, window=3, outputs=4, bins=9)
    compiled, counts = compile_program(program, engine), random_counts(program, 1, 3)
    early = mutate(engine_sources(), "trial_reset_o <= reset_bins && !rst_i;", "trial_reset_o <= start_o;")
    with pytest.raises(ToolFailed, match="a trial is reset while a bin runs"):
        rtl.trace(compiled, [counts], tmp_path, sources=early)

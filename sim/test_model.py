"""Whole networks on the RTL at its stream ports: every op of every bin equals the Program, and faults are named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from needs import needs
from networks import golden_ndt, random_counts, random_ndt
from trained import NAMES, trained

from edgendt.engine import layout
from edgendt.engine.compile import Compiled, compile_program
from edgendt.engine.config import Engine
from edgendt.engine.image import Image, Section
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
    rtl.check_cycles(compiled, [trial.cycles for trial in traced])


def test_idle_and_stalling_streams_change_nothing(tmp_path: Path) -> None:
    program = random_ndt(7, channels=20, d=16, window=4, bins=9)
    compiled, trials = compile_program(program, SMALL), [random_counts(program, seed, 9) for seed in range(2)]
    traced = rtl.trace(compiled, trials, tmp_path, idle=0.4, stall=0.4)
    assert rtl.check(program, trials, traced).first is None
    rtl.check_cycles(compiled, [trial.cycles for trial in traced])


def corrupted(compiled: Compiled, memory: int, word: int, bit: int) -> Image:
    """The image with one bit of one word of a memory's first section flipped; its CRCs are made anew."""
    sections, done = [], False
    for section in compiled.image.sections:
        words = section.words.copy()
        if section.mem == memory and not done:
            words[word] ^= np.uint64(1 << bit)
            done = True
        sections.append(Section(section.mem, section.start, words))
    assert done
    return dataclasses.replace(compiled.image, sections=tuple(sections))


@pytest.mark.parametrize(
    "memory,word,bit,op",
    [
        (layout.MEM_WEIGHT, 0, 6, "embed"),
        (layout.MEM_BIAS, 0, 20, "embed"),
        (layout.MEM_POS, 0, 3, "embed"),
        (layout.MEM_GAMMA, 0, 29, "layer0.ln1"),
        (layout.MEM_EXP, 0, 12, "layer0.attention"),
    ],
    ids=["weight", "bias", "position", "gamma", "exponential"],
)
def test_one_flipped_bit_of_the_image_is_reported_with_op_and_bin(
    memory: int, word: int, bit: int, op: str, tmp_path: Path
) -> None:
    program, counts, _ = golden_ndt()
    compiled, trials = compile_program(program, SMALL), [counts[:4]]
    traced = rtl.trace(compiled, trials, tmp_path, image=corrupted(compiled, memory, word, bit))
    tally = rtl.check(program, trials, traced)
    assert tally.first is not None and tally.mismatches > 0
    assert (tally.first.link, tally.first.op) == ("engine", op)
    assert tally.first.bin in range(len(trials[0])) and tally.first.expected != tally.first.got

"""What the load bus writes: memory contents as sections of an image, in the memory map of docs/engine.md."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from edgendt.engine import layout as lay
from edgendt.engine.config import Engine
from edgendt.engine.image import Section
from edgendt.engine.schedule import Emitter, Weights
from edgendt.engine.tiling import both
from edgendt.ops.attention import EXP, RECIP
from edgendt.ops.layernorm import RSQRT
from edgendt.ops.rotary import COS


def sections(emitter: Emitter, engine: Engine, config: Mapping[str, int]) -> list[Section]:
    """Everything the load bus writes, in the memory map of docs/engine.md."""
    words = emitter.words
    made = [Section(lay.MEM_CFG, 0, _u64([config[name] for name in lay.CFG]))]
    if engine.windows:
        made.append(Section(lay.MEM_CFG, lay.ROWS_AT, _u64([config[name] for name in lay.CFG_ROWS])))
    assert engine.windows or all(instr.word() < 1 << lay.INSTR_BITS for instr in emitter.instrs), "xbase is too large"
    program = np.zeros((len(emitter.instrs), 8), np.uint64)
    for index, instr in enumerate(emitter.instrs):
        program[index, : len(instr.chunks())] = instr.chunks()
    made.append(Section(lay.MEM_PROG, 0, program.ravel()))
    if words.weights:
        made += _weight_sections(words.weights, engine)
        bias = np.concatenate(words.bias).reshape(-1, 2)
        made.append(Section(lay.MEM_BIAS, 0, _u64(bias[:, 0] << 28 | bias[:, 1] & 0xFFFFFFF)))
    if words.pos is not None:
        made.append(Section(lay.MEM_POS, 0, _u64(words.pos.ravel() & 0xFFFF)))
    if words.tables:
        start = emitter.rows.tables * engine.pipes
        made.append(Section(lay.MEM_POS, start, _u64(np.concatenate(words.tables).ravel() & 0xFFFF)))
    if words.times is not None:
        made.append(Section(lay.MEM_TIME, 0, _u64(words.times)))
    if words.functions:
        made.append(Section(lay.MEM_GELU, 0, _u64(np.concatenate(words.functions) & 0xFFFF)))
    if words.gamma:
        rows = np.concatenate(words.gamma).reshape(-1, 2)
        made.append(Section(lay.MEM_GAMMA, 0, _u64((rows[:, 0] & 0xFF) << 24 | rows[:, 1] & 0xFFFFFF)))
        made.append(Section(lay.MEM_TABLE, 0, _u64(RSQRT)))
    if words.steps:
        steps = np.concatenate(words.steps)
        steps[-1] |= 2 << lay.STEP_BITS
        made.append(Section(lay.MEM_STEP, 0, _u64(steps)))
        made.append(Section(lay.MEM_COS, 0, _u64(COS & 0xFFF)))
    if any(instr["op"] == lay.OP_EXP for instr in emitter.instrs):
        made.append(Section(lay.MEM_TABLE, 1024, _u64(RECIP)))
        made.append(Section(lay.MEM_EXP, 0, _u64(EXP)))
    return made


def _weight_sections(passes: list[Weights], engine: Engine) -> list[Section]:
    """Of passes one behind the other; four lanes share a load word, a byte each."""
    depth_bits, row, sections = (engine.weight_depth - 1).bit_length(), 0, []
    for paired, group in groupby(passes, key=attrgetter("tiling.paired")):
        weights = np.concatenate([one.codes() for one in group])
        bytes_ = (weights if not paired else both(weights)) & 0xFF
        words = bytes_.reshape(len(weights), -1, 4) @ (1 << 8 * np.arange(4))
        mem = lay.MEM_PAIR if paired else lay.MEM_WEIGHT
        sections += [Section(mem, quad << depth_bits | row, _u64(words[:, quad])) for quad in range(words.shape[1])]
        row += len(weights)
    return sections


def _u64(values: object) -> NDArray[np.uint64]:
    return np.asarray(values, dtype=np.int64).astype(np.uint64)

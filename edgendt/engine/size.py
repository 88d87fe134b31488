"""What an engine costs on a part, before any build: memory blocks and multipliers exactly, logic by formula."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from edgendt.blocks import BLOCKS, LARGE, ULTRA, Memory, blocks, ultra_rams
from edgendt.engine.config import Engine
from edgendt.engine.layout import ANGLES, CHUNK_BITS, INSTR_BITS
from edgendt.ops.rotary import COS

MULTIPLIER = {"ecp5": "MULT18X18D", "gowin": "MULT18X18", "ice40": "ICESTORM_DSP", "xilinx": "DSP48"}
LOGIC = {"ecp5": ("TRELLIS_COMB", "TRELLIS_FF"), "gowin": ("LUT4", "DFF"), "xilinx": ("LUT", "FF")}
LOGIC["ice40"] = ("ICESTORM_LC", "ICESTORM_LC")  # a cell is both


def memories(engine: Engine) -> tuple[Memory, ...]:
    """Every memory of edt_core."""
    pipes = engine.pipes
    if engine.serial:
        return _serial(engine)
    return (
        *(() if engine.ultra else _operands(engine)),
        Memory("bias", pipes, engine.bias_depth, 34),
        Memory("positions", pipes, engine.pos_depth, 16),
        Memory("activations", 1, engine.act_depth, 8 * pipes),
        *_residual(engine),
        Memory("scores", 1, engine.score_depth, engine.acc_bits * pipes),
        Memory("key row", 1, engine.key_size // pipes, 8 * pipes),
        Memory("outputs", 1, 256 // pipes, 16 * pipes),
        Memory("gamma, beta", engine.sfus, engine.gamma_depth, 32),
        Memory("exponentials", engine.sfus, 256, 16),
        Memory("reciprocals", 1, 2048, 16),
        Memory("program", -(-INSTR_BITS // CHUNK_BITS), engine.prog_depth, CHUNK_BITS),
        *(_rotary(engine) if engine.rotary else ()),
        *(_tokens(engine) if engine.tokens else ()),
    )


def ultra(engine: Engine) -> tuple[Memory, ...]:
    """The memories of edt_core that lie in UltraRAM."""
    if not engine.ultra:
        return ()
    return (Memory("weights and kv", engine.segments, engine.weight_depth + engine.kv_depth, 9 * engine.lanes),)


def _operands(engine: Engine) -> Iterator[Memory]:
    """Stationary operands: weights, and keys and values of four lanes in a word."""
    yield from _weights(engine)
    yield Memory("kv", engine.segments * -(-engine.lanes // 4), engine.kv_depth, 32)


def _weights(engine: Engine) -> Iterator[Memory]:
    """A memory for each load word of four lanes, in each segment that has some of them: nine bits for each it has."""
    lanes = Counter((lane // engine.lanes, lane // 4) for lane in range(engine.lane_count))
    for own, count in sorted(Counter(lanes.values()).items()):
        yield Memory(f"weights of {own}", count, engine.weight_depth, 9 * own)


def _residual(engine: Engine) -> tuple[Memory, ...]:
    """Words of P codes; with tokens each code has its own enable, which takes nine bits for eight."""
    if engine.tokens:
        return (Memory("residual", engine.pipes // 2, engine.res_depth, 36),)
    return (Memory("residual", 1, engine.res_depth, 16 * engine.pipes),)


def _rotary(engine: Engine) -> tuple[Memory, ...]:
    """Memories of edt_angle."""
    return (
        Memory("steps", 1, ANGLES, 18),
        Memory("cosine", 1 + engine.tokens, len(COS), 12),
        Memory("angles", engine.sfus, ANGLES // engine.sfus, 24),
    )


def _tokens(engine: Engine) -> tuple[Memory, ...]:
    """Times of constant rows; tables of GELU."""
    return Memory("times", 1, ANGLES, 16), Memory("GELU", engine.sfus, 1024, 16)


def _serial(engine: Engine) -> tuple[Memory, ...]:
    """Every memory of edt_serial but those with one port."""
    return (
        Memory("bias", 1, 2 * engine.bias_depth, 34),
        Memory("activations", 1, 2 * engine.act_depth, 8),
        Memory("residual", 1, 2 * engine.res_depth, 16),
        Memory("scores", 1, 2 * engine.score_depth, engine.acc_bits),
        Memory("outputs", 1, 256, 16),
        Memory("gamma, beta", 1, engine.gamma_depth, 32),
        Memory("exponentials", 1, 256, 16),
        Memory("reciprocals", 1, 1280, 15),
        Memory("program", 1, 8 * engine.prog_depth, CHUNK_BITS),
    )


def single_port(engine: Engine) -> tuple[Memory, ...]:
    """Memories of edt_serial with one port: four weights a word; keys and values of four lanes, or two positions."""
    if not engine.serial:
        return ()
    return Memory("weights", 1, engine.weight_depth, 32), Memory(
        "kv, positions", 1, engine.kv_depth + engine.pos_depth, 32
    )


def resources(engine: Engine, target: str = "ecp5") -> dict[str, int]:
    """Resources of the core by the part's names: blocks and multipliers counted, logic estimated (15 %)."""
    if engine.serial:
        return _resources_serial(engine, target)
    ram, multiplier = BLOCKS[target][0], MULTIPLIER[target]
    lanes, pipes, sfus, acc = engine.lane_count, engine.pipes, engine.sfus, engine.acc_bits
    pair = LUT_PAIR_XILINX if target == "xilinx" else LUT_PAIR
    return {
        ram: sum(blocks(memory, target) for memory in memories(engine)),
        **_ultra(engine),
        multiplier: lanes + pipes + 1 + 4 * sfus + engine.rotary,
        LOGIC[target][0]: LUT_BASE
        + lanes * (LUT_LANE + LUT_ACC * acc)
        + pipes * LUT_PIPE
        + sfus * LUT_SFU
        + engine.packed * (lanes * pair + engine.splits * pipes * acc)  # high halves, group ends
        + 2 * (engine.splits - 1) * pipes * acc  # adders over the groups
        + engine.windows * (LUT_WINDOWS + LUT_GATHER * pipes + LUT_SHARE * sfus)
        + engine.rotary * sfus * LUT_TURN
        + engine.tokens * LUT_TOKENS,
        LOGIC[target][1]: FF_BASE
        + lanes * (FF_LANE + FF_ACC * acc)
        + engine.segments * FF_SEGMENT
        + pipes * FF_PIPE
        + sfus * FF_SFU
        + engine.packed * lanes * 2 * acc
        + max(0, engine.splits - 2) * pipes * acc
        + engine.folds * FF_FOLDS
        + engine.windows * (FF_WINDOWS + FF_GATHER * pipes)
        + engine.tokens * FF_TOKENS,
    }


def _ultra(engine: Engine) -> dict[str, int]:
    each = [ultra_rams(one) for one in ultra(engine)]
    return {ULTRA[0]: sum(each)} if each else {}


def _resources_serial(engine: Engine, target: str) -> dict[str, int]:
    found = {BLOCKS[target][0]: sum(blocks(memory, target) for memory in memories(engine))}
    if target in LARGE:
        kind, words, bits = LARGE[target]
        found[kind] = sum(-(-one.words // words) * -(-one.bits // bits) for one in single_port(engine))
    else:
        found[BLOCKS[target][0]] += sum(blocks(memory, target) for memory in single_port(engine))
    return found | {MULTIPLIER[target]: 2, LOGIC[target][1]: FF_SERIAL} | {LOGIC[target][0]: LUT_SERIAL}


# Fitted to post-synthesis counts of engines within 8 % (docs/synth.md, Size).
LUT_BASE, LUT_LANE, LUT_ACC, LUT_PIPE, LUT_SFU = 3700, 50, 3, 621, 1600
FF_BASE, FF_LANE, FF_ACC, FF_SEGMENT, FF_PIPE, FF_SFU = 3490, 17, 2, 120, 486, 551
LUT_PAIR, LUT_PAIR_XILINX, FF_FOLDS = 91, 138, 100
LUT_WINDOWS, LUT_GATHER, LUT_SHARE, FF_WINDOWS, FF_GATHER = 370, 40, 260, 360, 16  # counted unit by unit
LUT_TURN = 1000  # of a unit
LUT_TOKENS, FF_TOKENS = 1800, 1000  # fitted to the engine `tokens` alone
LUT_SERIAL, FF_SERIAL = 2037, 668

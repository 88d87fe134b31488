"""Bits of the instruction word, memory numbers and configuration addresses: the mirror of hls/rtl/edt_pkg.sv."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgendt.fixed import Int

INSTR_BITS = 200
CHUNK_BITS = 36  # a load word: the width of a block RAM

# Most significant field first, as in the packed struct instr_t.
INSTR: tuple[tuple[str, int], ...] = (
    ("op", 3),
    ("kv", 1),
    ("grouped", 1),
    ("xsigned", 1),
    ("red_keys", 1),
    ("tiles_keys", 1),
    ("src_use", 1),
    ("src_tag", 3),
    ("bar_use", 1),
    ("bar_tag", 3),
    ("dst_tag", 3),
    ("tag_clear", 1),
    ("tag_fin", 1),
    ("mode", 2),
    ("dst", 5),
    ("add_res", 1),
    ("add_pos", 1),
    ("stats", 1),
    ("y1", 5),
    ("y2", 5),
    ("sbase", 20),
    ("sstride", 11),
    ("n_red", 11),
    ("n_tiles", 9),
    ("xbase", 15),
    ("xstride", 6),
    ("steps", 9),
    ("words", 9),
    ("bias_base", 13),
    ("dst_base", 13),
    ("add_base", 13),
    ("kv_base", 18),
    ("last_mask", 5),
    ("paired", 1),
    ("split", 2),
    ("bar_late", 1),
    ("aged", 1),
    ("bar_begun", 1),
    ("kv_unsigned", 1),
)
# Above them, as in rows_t: what the sequencer of an engine for whole windows does itself; the highest bits of xbase.
ROWS: tuple[tuple[str, int], ...] = (
    ("xtop", 2),
    ("loop", 1),
    ("pause_each", 1),
    ("pause_last", 1),
    ("rows_x", 1),
    ("rows_dst", 1),
    ("rows_add", 1),
)
ROWS_BITS = sum(bits for _, bits in ROWS)
OP_END, OP_MAC, OP_NORM, OP_EXP, OP_SYNC, OP_TURN, OP_SHAPE, OP_SHARE = range(8)
MODE_NARROW, MODE_SCORE, MODE_VALUE, MODE_GATHER = range(4)
DST_ACT, DST_RES, DST_KV, DST_KCOL, DST_OUT = 16, 8, 4, 2, 1
MEM_WEIGHT, MEM_BIAS, MEM_POS, MEM_GAMMA, MEM_TABLE, MEM_EXP, MEM_PROG, MEM_CFG, MEM_PAIR, MEM_STEP, MEM_COS = range(11)
MEM_TIME, MEM_GELU = 11, 12  # of engines for windows of tokens
TAGS = 8
KEYS = 2047  # of an engine for windows of tokens
ANGLES = 256  # channels whose angles are kept
SIGHT_BITS = 9  # of how far a row sees ahead, in a score pass's kv_base, in front of which stands how far it sees back
X_BITS = 15  # of xbase, in front of which xtop stands
STEP_BITS = 16  # of a step; above it: an odd channel of its pair, the last channel
SHIFT_BIAS = 16  # the shift of a bias word is stored as shift + 16
SHIFTS = (-16, 31)  # beyond them a 28-bit sum has left the output format or vanished: clamping is exact

CFG = (
    "count_max",
    "max_bins",
    "window",
    "gshift",
    "groups",
    "group_words",
    "key_words",
    "head_dim",
    "head_sets",
    "heads",
    "key_tiles",
    "set_stride",
    "pos_stride",
    "group_segs",
    "value_split",
    "value_rows",
)
CFG_ROWS = ("act_stride", "res_stride")  # of engines for whole windows, from address ROWS_AT on
ROWS_AT = 16


def fmt(y: Int) -> int:
    """fmt_t of a format of at most 16 bits."""
    return (16 if y.signed else 0) | (y.bits - 1)


@dataclass(frozen=True)
class Instr:
    """One instruction. `fields` by the names of INSTR and ROWS, xbase with all its bits; `owner` names the op whose
    cycles these are.
    """

    owner: str
    fields: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> int:
        return self.fields.get(name, 0)

    def word(self) -> int:
        """The instruction as an integer of INSTR_BITS bits; ValueError when a field overflows."""
        value = 0
        left = dict(self.fields)
        left["xtop"], left["xbase"] = divmod(left.get("xbase", 0), 1 << X_BITS)
        for name, bits in ROWS + INSTR:
            part = left.pop(name, 0)
            if not 0 <= part < 1 << bits:
                raise ValueError(f"{name} must be 0..{(1 << bits) - 1}, got {part} in {self.owner}")
            value = value << bits | part
        if left:
            raise ValueError(f"unknown instruction fields {sorted(left)}")
        return value

    def chunks(self) -> list[int]:
        """The word as load words, least significant first."""
        word = self.word()
        return [word >> at & (1 << CHUNK_BITS) - 1 for at in range(0, INSTR_BITS + ROWS_BITS, CHUNK_BITS)]

"""Packed records of the control units as integers: what the benches of the control units drive and read."""

from collections.abc import Mapping

from edgendt.engine.layout import CFG, INSTR_BITS, Instr

# Widths of cfg_t, most significant field first; the order is that of the configuration addresses.
CFG_BITS = dict(zip(CFG, (8, 16, 9, 4, 4, 9, 9, 9, 4, 4, 9, 18, 13, 11), strict=True))

# One accumulator word on its way through the narrowing pipes (nctl_t), one beat of the special-function units (sctl_t).
NARROW_BITS = {
    "valid": 1,
    "dst": 5,
    "add_res": 1,
    "add_pos": 1,
    "stats": 1,
    "first": 1,
    "last": 1,
    "y1": 5,
    "y2": 5,
    "dst_addr": 13,
    "add_addr": 13,
    "kv_addr": 18,
    "kv_base": 18,
    "flat": 9,
    "row": 13,
    "tag": 3,
    "fin": 1,
    "last_mask": 5,
    "pc": 10,
}
BEAT_BITS = {
    "valid": 1,
    "op": 2,
    "group": 3,
    "sub": 5,
    "count": 5,
    "dst_addr": 13,
    "gb_addr": 13,
    "tag": 3,
    "word_end": 1,
    "fin": 1,
    "y": 5,
    "pc": 10,
}
NORM, EXPONENTIAL, VALUE = range(3)  # op of a beat


def unpacked(value: int, bits: Mapping[str, int]) -> dict[str, int]:
    """The fields of a packed record, most significant first in `bits`."""
    fields = {}
    for name in reversed(bits):
        fields[name], value = value & (1 << bits[name]) - 1, value >> bits[name]
    assert not value, "the record is wider than its fields"
    return fields


def description(word: int, pc: int, first: bool, last: bool) -> int:
    """desc_t: an instruction word, its address, and whether the tile is the pass's first and last."""
    assert word < 1 << INSTR_BITS
    return ((word << 10 | pc) << 1 | int(first)) << 1 | int(last)


def configuration(**fields: int) -> int:
    """cfg_t with these fields, the others zero."""
    value = 0
    for name, bits in CFG_BITS.items():
        value = value << bits | fields.pop(name, 0)
    assert not fields, f"unknown configuration {sorted(fields)}"
    return value


def instruction(**fields: int) -> int:
    """instr_t with these fields, the others zero."""
    return Instr("bench", fields).word()

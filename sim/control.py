"""Packed records of the control units as integers: what the benches of the control units drive and read."""

import re
from collections.abc import Mapping

from edgendt.engine.layout import INSTR_BITS, Instr
from edgendt.sim.simulator import rtl


def record(name: str) -> dict[str, int]:
    """Fields of a packed record of edt_pkg.sv with their widths, most significant first."""
    text = re.sub(r"//.*", "", rtl("edt_pkg")[0].read_text())
    found = re.search(r"struct packed \{([^}]*)\}\s*" + name + ";", text)
    assert found, f"edt_pkg has no record {name}"
    fields = {}
    for kind, high, field in re.findall(r"(\w+)\s*(?:\[(\d+):0\])?\s+(\w+);", found[1]):
        fields[field] = int(high or 0) + 1 if kind == "logic" else sum(record(kind).values())
    return fields


CFG_BITS = record("cfg_t")
NARROW_BITS = record("nctl_t")  # one accumulator word on its way through the narrowing pipes
BEAT_BITS = record("sctl_t")  # one beat of the special-function units
NORM, EXPONENTIAL, VALUE, TURN = range(4)  # op of a beat


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

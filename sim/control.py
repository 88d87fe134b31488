"""Packed records of the control units as integers: what sim/{tags,issue,kcol}_bench.py drive."""

from edgendt.engine.layout import CFG, Instr

# Widths of cfg_t, most significant field first; the order is that of the configuration addresses.
CFG_BITS = dict(zip(CFG, (8, 16, 9, 4, 4, 9, 9, 9, 4, 4, 9, 18, 13, 11), strict=True))


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

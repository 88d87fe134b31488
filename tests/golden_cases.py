"""The golden vectors as ops with inputs, constants and expected outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from edgendt.fixed import Codes, Int
from edgendt.ops import Attention, LayerNorm, Linear, Op

FILE = Path(__file__).parent / "golden" / "semantics.npz"


@dataclass(frozen=True)
class Case:
    """One golden case: op.run(*inputs, **constants) must equal y."""

    name: str
    op: Op
    inputs: tuple[Codes, ...]
    constants: dict[str, Codes]
    y: Codes


@cache
def arrays() -> dict[str, Codes]:
    """Every golden array by its name."""
    with np.load(FILE, allow_pickle=False) as data:
        return {name: data[name] for name in data.files}


def group(op: str) -> Iterator[tuple[str, dict[str, Codes]]]:
    """(case name, arrays of the case) for each case of one op."""
    names = dict.fromkeys(name.split("/")[1] for name in arrays() if name.startswith(f"{op}/"))
    for case in names:
        prefix = f"{op}/{case}/"
        yield f"{op}/{case}", {n.removeprefix(prefix): a for n, a in arrays().items() if n.startswith(prefix)}


def scalar(a: Codes) -> int:
    """A golden scalar, kept as [1] or []."""
    return int(np.ravel(a)[0])


def width(codes: Codes) -> Int:
    """The narrowest format of the golden inputs: 8 bits, unsigned when no code is negative and one needs it."""
    if codes.min() >= 0 and codes.max() > 127:
        return Int(8, 0, signed=False)
    return Int(8 if np.abs(codes).max() <= 128 else 16)


def linear_cases() -> list[Case]:
    """Golden Linear cases."""
    cases = []
    for name, a in group("linear"):
        x, y = width(a["x"]), Int(scalar(a["bits"]), 0, bool(scalar(a["signed"])))
        op = Linear(a["x"].shape[1], len(a["w"]), x, Int(8, scalar(a["shift"])), y)
        cases.append(Case(name, op, (a["x"],), {"weight": a["w"], "bias": a["b"]}, a["y"]))
    return cases


def layernorm_cases() -> list[Case]:
    """Golden LayerNorm cases."""
    cases = []
    for name, a in group("layernorm"):
        op = LayerNorm(
            size=a["x"].shape[1],
            x=Int(16, scalar(a["xfrac"])),
            gamma=Int(8, scalar(a["gfrac"])),
            y=Int(8, scalar(a["yfrac"])),
            eps_code=scalar(a["E"]),
        )
        cases.append(Case(name, op, (a["x"],), {"gamma": a["gamma"], "beta": a["beta"]}, a["y"]))
    return cases


def attention_cases() -> list[Case]:
    """Golden attention cases."""
    cases = []
    for name, a in group("attention"):
        q, k, v, y = (Int(8, scalar(a[f"{n}frac"])) for n in "qkvy")
        op = Attention(a["q"].shape[1], scalar(a["heads"]), scalar(a["window"]), q, k, v, y)
        assert op.scale == (scalar(a["C"]), scalar(a["shift"]))
        cases.append(Case(name, op, (a["q"], a["k"], a["v"]), {}, a["y"]))
    return cases


def all_cases() -> list[Case]:
    """Every golden case of a single op."""
    return [*linear_cases(), *layernorm_cases(), *attention_cases()]

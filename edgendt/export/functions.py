"""Bodies of standard operators for every node that is not one, so that any ONNX runtime runs an exported file.

Codes are whole numbers in double precision. No value reaches 2**53, a product with a power of two is exact and Round
takes ties to even, so round(a * 2**-s) is `rne(a, s)` whatever the sign of s. What is computed is said in edgendt/ops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx

from edgendt.export.body import Body, Tensor
from edgendt.fixed import Int
from edgendt.ops import GEGLU
from edgendt.ops.attention import EXP, EXP_ZERO, LOG2_E, RECIP
from edgendt.ops.layernorm import NORM_FRAC, RSQRT
from edgendt.ops.rotary import ANGLES, COS, FRAC, SIN, TURN

QUANT_DOMAIN = "qonnx.custom_op.general"
QUANT = ("x", "scale", "zero_point", "bits")
LOWEST = -(2.0**52)  # below any score


def power(exponent: Tensor) -> Tensor:
    """2**exponent."""
    return exponent.body.tensor(2.0).call("Pow", exponent.wide())


def codes(b: Body, name: str, form: str | None = None) -> Tensor:
    """Input `name`, values on the grid of attribute format `form`, as codes."""
    return b.input(name).wide() * power(b.attribute(f"{form or name}_frac"))


def reach(bits: Tensor, signed: Tensor) -> tuple[Tensor, Tensor]:
    """(lo, hi) of codes."""
    top = power(bits - signed)
    return -top * signed.wide(), top - 1.0


def narrow(b: Body, a: Tensor, fracs: Tensor) -> Tensor:
    """`a`, a sum at `fracs` fraction bits, narrowed to the attribute format y: values."""
    bits, frac, signed = (b.attribute(f"y_{key}") for key in ("bits", "frac", "signed"))
    lo, hi = reach(bits, signed)
    code = (a * power(frac.wide() - fracs.wide())).round().call("Max", lo).call("Min", hi)
    return (code * power(-frac)).values()


def bit_length(a: Tensor) -> Tensor:
    powers = a.body.tensor(2.0 ** np.arange(53))
    return (a.column(-1) >= powers).wide().sum(-1, keep=False)


def leading(a: Tensor, length: Tensor) -> Tensor:
    """The ten leading bits of a number of that bit length, as an address."""
    return (a * power(-length + 10.0)).floor().whole()


def score_scale(head_size: Tensor, fracs: Tensor) -> tuple[Tensor, Tensor]:
    """(C, sh) of channels per head and q.frac + k.frac."""
    b = head_size.body
    base = b.tensor(LOG2_E) / head_size.wide().call("Pow", 0.5) * power(-fracs + 8)
    fits = (base.column(-1) * power(b.tensor(np.arange(1, 64)))).round() < float(1 << 15)
    shift = fits.whole().sum(-1, keep=False)
    return (base * power(shift)).round(), shift


def exponentials(scores: Tensor, head_size: Tensor, fracs: Tensor, seen: Tensor | None = None) -> Tensor:
    """scores [..., keys], which of them are seen (all by default) -> e."""
    c, shift = score_scale(head_size, fracs)
    largest = (scores if seen is None else seen.where(scores, LOWEST)).max(-1)
    u = ((largest - scores) * c * power(-shift)).floor()
    inside = u < float(EXP_ZERO)
    inside = inside if seen is None else inside & seen
    u = inside.where(u, 0.0)
    page = (u / 256.0).floor()
    e = ((u - page * 256.0).whole().of(EXP).wide() * power(-page - 8.0)).round()
    return inside.where(e, 0.0)


def reciprocal(total: Tensor) -> tuple[Tensor, Tensor]:
    """(g, L) of sums of exponentials; entry 0 of the table is 0, as g of nothing is."""
    length = bit_length(total)
    return leading(total, length).of(RECIP).wide(), length


def heads(x: Tensor, count: Tensor) -> Tensor:
    """[rows, size] -> [heads, rows, size / heads]."""
    return x.reshape(0, count, -1).transpose(1, 0, 2)


def layernorm(b: Body) -> Tensor:
    x, d = codes(b, "x"), b.attribute("size").wide()
    s1 = x.sum(-1)
    v = d * (x * x).sum(-1) - s1 * s1 + b.attribute("eps_code").wide()
    half = (bit_length(v) / 2.0).call("Ceil")
    r = leading(v, half * 2.0).of(RSQRT).wide()
    t = ((d * x - s1) * r * power(-half - 2.0)).round()
    a = t * b.input("gamma").wide() + b.input("beta").wide()
    return narrow(b, a, b.attribute("gamma_frac") + NORM_FRAC)


def attend(b: Body, seen: Tensor | None) -> Tensor:
    """Queries over keys, of which `seen` [queries, keys] are seen, all where it is None."""
    count = b.attribute("heads")
    q, k, v = (heads(codes(b, name), count) for name in "qkv")
    fracs = b.attribute("q_frac") + b.attribute("k_frac")
    e = exponentials(q @ k.transpose(0, 2, 1), b.attribute("size") / count, fracs, seen)
    g, length = reciprocal(e.sum(-1))
    y = narrow(b, e @ v * g, length + 14.0 + b.attribute("v_frac").wide())
    return y.transpose(1, 0, 2).like(b.input("q"))


def times(b: Body, name: str) -> Tensor:
    """0, 1, 2, ... for the rows of an input. [rows]"""
    return b.call("Range", 0, b.input(name).call("Shape", start=0, end=1).call("Squeeze"), 1)


def attention(b: Body) -> Tensor:
    i = times(b, "q")
    back = i.column(1) - i
    recent = (back >= 0) & (back < b.attribute("window"))
    reach, ahead = b.attribute("back"), b.attribute("ahead")
    near = ((reach < 0) | (back < reach + 1)) & ((ahead < 0) | (-back < ahead + 1))
    whole = b.attribute("causal").call("Equal", 0)
    return attend(b, (whole & near) | (whole.call("Not") & recent))


def cross_attention(b: Body) -> Tensor:
    return attend(b, None)


def rotary(b: Body) -> Tensor:
    x, steps = codes(b, "x"), b.attribute("steps", several=True)
    given = len(b.uses[0].input) > 1
    at = (b.input("times").whole().reshape(-1) if given else times(b, "x")).column(1, 2)
    phase = (at.call("Mod", TURN) * steps).call("Mod", TURN)
    address = ((phase + TURN // ANGLES // 2) / (TURN // ANGLES)).call("Mod", ANGLES)  # [rows, 1, pairs]
    cos, sin = address.of(COS).wide(), address.of(SIN).wide() * (b.attribute("inverse") * -2 + 1).wide()
    pairs = x.reshape(0, -1, steps.call("Size"), 2)
    even, odd = (pairs.call("Gather", part, axis=3) for part in (0, 1))
    turned = b.call("Concat", *(a.column(3) for a in (even * cos - odd * sin, even * sin + odd * cos)), axis=3)
    return narrow(b, turned.like(x), b.attribute("x_frac") + FRAC)


def spatial_weights(b: Body) -> Tensor:
    size, bins, count = (b.attribute(name) for name in ("size", "bins", "heads"))
    q, k = (codes(b, name).reshape(-1, size, count, bins / count) for name in "qk")
    scores = q.transpose(0, 2, 1, 3) @ k.transpose(0, 2, 3, 1)  # [n, heads, size, size]
    e = exponentials(scores, bins / count, b.attribute("q_frac") + b.attribute("k_frac"))
    g, length = reciprocal(e.sum(-1))
    longest = bit_length(size.wide() * 255.0)
    a = (e * g * power(longest - length)).sum(1, keep=False).reshape(-1, size)
    return narrow(b, a, longest + bit_length(count.wide()) + 13.0)


def spatial_mix(b: Body) -> Tensor:
    size, z = b.attribute("size"), codes(b, "z")
    a = codes(b, "A", "a").reshape(-1, size, size)  # one for all bins, or one for each
    y = (a @ z.column(-1)).reshape(-1, size)
    return narrow(b, y, b.attribute("a_frac") + b.attribute("z_frac"))


def transpose(b: Body) -> Tensor:
    """Of each bin those up to it, as many as `bins`; before the first one zeros."""
    x, bins = b.input("x"), b.attribute("bins")
    at = times(b, "x").column(1) + b.call("Range", 0, bins.call("Squeeze"), 1) - bins + 1  # [n, bins]
    seen = x.call("Gather", at.call("Max", 0), axis=0) * (at >= 0).values().column(2)
    return seen.transpose(0, 2, 1).reshape(-1, bins)


def lookup(b: Body) -> Tensor:
    tokens = b.input("x").whole()
    row, which = (tokens.call("Gather", column, axis=1) for column in (0, 1))
    pairs = b.attribute("pairs")
    entry = row * (pairs * (b.attribute("which") - 1) + 1) + which * pairs
    total = b.call("Gather", b.input("table"), entry) + b.call("Gather", b.input("kinds"), which)
    return narrow(b, total.wide(), b.attribute("y_frac"))


def geglu(b: Body) -> Tensor:
    """With the tables of the gates' fractions that the graph has: no runtime has an error function in double."""
    fracs = b.used("gate_frac")
    tables = [GEGLU(1, Int(8), Int(8, frac), Int(8)).table for frac in fracs]
    chosen = b.call("Equal", fracs, b.attribute("gate_frac")).whole().call("ArgMax", axis=0, keepdims=0)
    table = b.call("Gather", np.stack(tables), chosen)
    entries = b.call("Gather", table, codes(b, "gate").whole() + 128).wide()
    return narrow(b, codes(b, "a") * entries, b.attribute("a_frac") + b.attribute("gate_frac") + 8)


def table(b: Body) -> Tensor:
    """The first entry is the lowest code's."""
    lo, _ = reach(b.attribute("x_bits"), b.attribute("x_signed"))
    entries = b.call("Gather", b.input("table"), (codes(b, "x") - lo).whole())
    return narrow(b, entries.wide(), b.attribute("y_frac"))


def quant(b: Body) -> Tensor:
    """As qonnx has it, for ties to even."""
    scale, zero = (b.input(name).wide() for name in ("scale", "zero_point"))
    signed, tight = (b.attribute(name) for name in ("signed", "narrow"))
    lo, hi = reach(b.input("bits").whole(), signed)
    lo, hi = lo + (signed * tight).wide(), hi - ((-signed + 1) * tight).wide()
    clipped = (b.input("x").wide() / scale + zero).call("Max", lo).call("Min", hi)
    return ((clipped.round() - zero) * scale).values()


BODIES: dict[str, tuple[Callable[[Body], Tensor], tuple[str, ...]]] = {
    "LayerNorm": (layernorm, ("x", "gamma", "beta")),
    "Attention": (attention, ("q", "k", "v")),
    "Rotary": (rotary, ("x", "times")),
    "SpatialWeights": (spatial_weights, ("q", "k")),
    "SpatialMix": (spatial_mix, ("A", "z")),
    "Transpose": (transpose, ("x",)),
    "Lookup": (lookup, ("x", "table", "kinds")),
    "GEGLU": (geglu, ("a", "gate")),
    "CrossAttention": (cross_attention, ("q", "k", "v")),
    "Table": (table, ("x", "table")),
}


def functions(nodes: Sequence[onnx.NodeProto], opset: int) -> list[onnx.FunctionProto]:
    """The functions of the operators that `nodes` use and that are not standard ones."""
    made = []
    for domain, kind in sorted({(node.domain, node.op_type) for node in nodes if node.domain}):
        uses = [node for node in nodes if (node.domain, node.op_type) == (domain, kind)]
        write, inputs = (quant, QUANT) if domain == QUANT_DOMAIN else BODIES[kind]
        body = Body(uses)
        made.append(body.function(domain, kind, list(inputs[: len(uses[0].input)]), write(body), opset))
    return made

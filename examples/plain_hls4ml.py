"""A block of attention in plain hls4ml, only its ops are edgendt's: `python examples/plain_hls4ml.py [FOLDER]`.

    y = x + Dense(attention(Dense(n), Dense(n), Dense(n))), n = LayerNorm(x)

A call is a bin; attention sees the last WINDOW of them. hls4ml writes the model (Vitis backend), compiles it with
g++ and runs it; every code equals the ops.
"""

from __future__ import annotations

import sys
from typing import Any

import hls4ml
import numpy as np

import edgendt.plugin.layers  # noqa: F401  (makes EdtLayerNorm, EdtAttention, EdtAdd layers of hls4ml)
from edgendt.fixed import Int
from edgendt.ops import Add, Attention, LayerNorm, Linear
from edgendt.ops.attention import EXP, RECIP
from edgendt.ops.layernorm import RSQRT, eps_code

SIZE, HEADS, WINDOW, BINS = 16, 2, 8, 200
X, ACT, GAMMA, W = Int(12, 6), Int(8, 4), Int(8, 6), Int(4, 4)  # bits, fraction bits
SUM = Int(24, ACT.frac + W.frac)  # of products, exactly
NORM = LayerNorm(SIZE, X, GAMMA, ACT, eps_code(SIZE, X))
ATTENTION = Attention(SIZE, HEADS, WINDOW, ACT, ACT, ACT, ACT)
DENSE = {name: Linear(SIZE, SIZE, ACT, W, X if name == "o" else ACT) for name in ("q", "k", "v", "o")}
ADD = Add(SIZE, X)


def kind(form: Int, modes: str = "") -> str:
    """hls4ml's name of a format; by `,RND_CONV,SAT` a result is rounded once, ties to even, and saturates."""
    return f"fixed<{form.bits},{form.bits - form.frac}{modes}>"


def narrowed(form: Int) -> str:
    """The type of a result that rounds ties to even and saturates."""
    return kind(form, ",RND_CONV,SAT")


def layers(constants: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """hls4ml's layers, its own and ours. Ours take integer codes, Dense takes values."""

    def dense(name: str, source: str) -> dict[str, Any]:
        weight, bias = constants[name]["weight"].T * W.scale, constants[name]["bias"] * SUM.scale
        sizes = {"class_name": "Dense", "name": name, "inputs": [source], "n_in": SIZE, "n_out": SIZE}
        return sizes | {"weight_data": np.ascontiguousarray(weight), "bias_data": bias}

    def ours(op: str, name: str, *sources: str, **fields: Any) -> dict[str, Any]:
        return {"class_name": op, "name": name, "inputs": list(sources), "size": SIZE, "unroll": 4} | fields

    scale, norm = ATTENTION.scale, {f"{name}_data": codes for name, codes in constants["norm"].items()}
    tables = {"exp_data": EXP, "recip_data": RECIP[512:]}
    return [
        {"class_name": "InputLayer", "name": "x", "input_shape": [SIZE]},
        {"class_name": "InputLayer", "name": "reset", "input_shape": [1]},
        ours("EdtLayerNorm", "norm", "x", eps=NORM.eps_code, gamma_frac=GAMMA.frac, rsqrt_data=RSQRT[256:], **norm),
        *(dense(name, "norm") for name in ("q", "k", "v")),
        ours("EdtAttention", "a", "q", "k", "v", "reset", heads=HEADS, window=WINDOW, **scale._asdict(), **tables),
        dense("o", "a"),
        ours("EdtAdd", "y", "x", "o"),
    ]


def build(folder: str, constants: dict[str, dict[str, Any]]) -> Any:
    """A plain hls4ml model."""
    types: dict[str, dict[str, str]] = {
        "x": {"result": kind(X)},
        "reset": {"result": "uint<1>"},
        "norm": {"result": narrowed(ACT), "gamma": "int<8>", "beta": "int<24>", "rsqrt": "uint<16>"},
        "a": {"result": narrowed(ACT), "exp": "uint<16>", "recip": "uint<16>"},
        "y": {"result": narrowed(X)},
    }
    held = {"weight": kind(W), "bias": kind(SUM), "accum": kind(SUM)}
    types |= {name: held | {"result": narrowed(op.y)} for name, op in DENSE.items()}
    config = hls4ml.utils.config.create_config(output_dir=folder, backend="Vitis", io_type="io_parallel")
    config["HLSConfig"] = {
        "Model": {"Precision": "fixed<16,8>", "ReuseFactor": SIZE, "Strategy": "Resource"},
        "LayerName": {name: {"Precision": precision} for name, precision in types.items()},
    }
    graph = hls4ml.model.graph.ModelGraph
    return graph.from_layer_list(config, layers(constants), inputs=["x", "reset"], outputs=["y"])


def reference(x: Any, constants: dict[str, dict[str, Any]]) -> Any:
    """What the ops make of a trial: codes [BINS, SIZE], of x and of y."""
    n = NORM.run(x, **constants["norm"])
    a = ATTENTION.run(*(DENSE[name].run(n, **constants[name]) for name in ("q", "k", "v")))
    return ADD.run(x, DENSE["o"].run(a, **constants["o"]))


def main(folder: str = "plain_hls4ml") -> int:
    rng = np.random.default_rng(0)
    constants = {"norm": {"gamma": rng.integers(30, 90, SIZE), "beta": rng.integers(-(2**14), 2**14, SIZE)}}
    for name in DENSE:
        weight, bias = rng.integers(W.lo, W.hi + 1, (SIZE, SIZE)), rng.integers(-500, 500, SIZE)
        constants[name] = {"weight": weight, "bias": bias}
    model = build(folder, constants)
    model.compile()
    codes = rng.integers(X.lo, X.hi + 1, (BINS, SIZE))
    reset = np.arange(BINS)[:, None] == 0  # at the first bin
    found = model.predict([np.ascontiguousarray(codes * X.scale), reset.astype(float)]) / X.scale
    wanted = reference(codes, constants)
    wrong = int((found.reshape(wanted.shape) != wanted).sum())
    print(f"{wanted.size} codes of hls4ml's compiled model against the ops, {wrong} differ")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Reference networks as Programs of zeros: cycles and memories depend on sizes alone, so none has to be trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgendt.fixed import Int
from edgendt.ops import Add, Attention, LayerNorm, Linear, Position
from edgendt.ops.layernorm import eps_code
from edgendt.program import INPUT, Node, Program

COUNTS, RESIDUAL, ACT, HIDDEN, OUT = Int(4, 0, False), Int(12, 7), Int(8, 5), Int(8, 5, False), Int(16, 10)


@dataclass(frozen=True)
class Network:
    """Sizes of a causal NDT that embeds linearly; 4-bit weights, those of embedding and readout of `ends` bits."""

    name: str
    channels: int
    outputs: int
    d: int
    layers: int
    heads: int
    ffn: int
    window: int
    ends: int = 8

    @property
    def weights(self) -> int:
        """Weights of all Linears."""
        inner = self.layers * self.d * (4 * self.d + 2 * self.ffn)
        return inner + self.d * (self.channels + self.outputs)

    @property
    def cached(self) -> int:
        """Keys and values of a full window, in all layers."""
        return 2 * self.layers * self.window * self.d

    def program(self) -> Program:
        """The network with every constant zero and one position row per bin of the window."""
        nodes: list[Node] = []

        def add(name: str, op: Any, *inputs: str, **shapes: tuple[int, ...]) -> str:
            nodes.append(Node(name, op, inputs, {key: np.zeros(shape, np.int64) for key, shape in shapes.items()}))
            return name

        def linear(name: str, source: str, n: int, m: int, x: Int, bits: int, y: Int) -> str:
            return add(name, Linear(n, m, x, Int(bits, bits), y), source, weight=(m, n), bias=(m,))

        def norm(name: str, source: str) -> str:
            op = LayerNorm(d, RESIDUAL, Int(8, 6), ACT, eps_code(d, RESIDUAL))
            return add(name, op, source, gamma=(d,), beta=(d,))

        d = self.d
        linear("embed_linear", INPUT, self.channels, d, COUNTS, self.ends, RESIDUAL)
        stream = add("embed", Position(d, self.window, RESIDUAL), "embed_linear", table=(self.window, d))
        for layer in range(self.layers):
            p = f"layer{layer}."
            source = norm(p + "ln1", stream)
            heads = [linear(p + which, source, d, d, ACT, 4, ACT) for which in "qkv"]
            add(p + "attention", Attention(d, self.heads, self.window, ACT, ACT, ACT, ACT), *heads)
            linear(p + "o", p + "attention", d, d, ACT, 4, RESIDUAL)
            stream = add(p + "res1", Add(d, RESIDUAL), stream, p + "o")
            linear(p + "f1", norm(p + "ln2", stream), d, self.ffn, ACT, 4, HIDDEN)
            linear(p + "f2", p + "f1", self.ffn, d, HIDDEN, 4, RESIDUAL)
            stream = add(p + "res2", Add(d, RESIDUAL), stream, p + "f2")
        linear("readout", norm("lnf", stream), d, self.outputs, ACT, self.ends, OUT)
        return Program(self.name, self.channels, COUNTS, tuple(nodes))


# S and M are what the engine is measured with (M: the published MC_Maze size); `default` is what is
# trained unasked, `tiny` (examples/tiny.toml) what the serial core takes.
S = Network("S", channels=137, outputs=182, d=128, layers=4, heads=2, ffn=128, window=64)
S4 = replace(S, name="S, 4 bits throughout", ends=4)
M = Network("M", channels=182, outputs=182, d=182, layers=4, heads=2, ffn=128, window=180)
DEFAULT = Network("default", channels=30, outputs=30, d=64, layers=2, heads=2, ffn=128, window=32)
TINY = Network("tiny", channels=30, outputs=30, d=16, layers=1, heads=2, ffn=32, window=16)

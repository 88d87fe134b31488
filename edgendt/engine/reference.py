"""Reference networks as Programs of zeros: cycles and memories depend on sizes alone, so none has to be trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgendt.fixed import Int
from edgendt.ops import Add, Attention, LayerNorm, Linear, Position, Rotary
from edgendt.ops.layernorm import eps_code
from edgendt.ops.rotary import geometric
from edgendt.program import INPUT, Node, Program

RESIDUAL, ACT, HIDDEN, OUT = Int(12, 7), Int(8, 5), Int(8, 5, False), Int(16, 10)


@dataclass(frozen=True)
class Network:
    """Sizes of a causal NDT that embeds linearly.

    bits: of weights, those of embedding and readout have `ends`; counts: bits of a count; bins: position rows, one per
    bin of the window by default; rotary: queries and keys are turned instead.
    """

    name: str
    channels: int
    outputs: int
    d: int
    layers: int
    heads: int
    ffn: int
    window: int
    ends: int = 8
    bits: int = 4
    bins: int = 0
    rotary: bool = False
    counts: int = 4

    @classmethod
    def of(cls, program: Program) -> Network | None:
        """The sizes of a Program; None where no Network has its ops and wiring."""
        linears = [node.op for node in program.nodes if isinstance(node.op, Linear)]
        attentions = [node.op for node in program.nodes if isinstance(node.op, Attention)]
        if program.inputs or not attentions or len(linears) < 3:
            return None
        first, (embed, *inner, readout) = attentions[0], linears
        found = cls(
            program.name,
            program.channels,
            program.outputs,
            d=first.size,
            layers=len(attentions),
            heads=first.heads,
            ffn=inner[-1].inputs,
            window=first.window,
            ends=max(embed.w.bits, readout.w.bits),
            bits=max(op.w.bits for op in inner),
            bins=program.max_bins or 0,
            rotary=any(isinstance(node.op, Rotary) for node in program.nodes),
            counts=program.input.bits,
        )
        return found if _wiring(found.program()) == _wiring(program) else None

    @property
    def rows(self) -> int:
        """Bins of a trial at most, 0 for no end: position rows."""
        return 0 if self.rotary else self.bins or self.window

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
        """The network with every constant zero."""
        nodes: list[Node] = []

        def add(name: str, op: Any, *inputs: str, **shapes: tuple[int, ...]) -> str:
            nodes.append(Node(name, op, inputs, {key: np.zeros(shape, np.int64) for key, shape in shapes.items()}))
            return name

        def linear(name: str, source: str, n: int, m: int, x: Int, bits: int, y: Int) -> str:
            return add(name, Linear(n, m, x, Int(bits, bits), y), source, weight=(m, n), bias=(m,))

        def norm(name: str, source: str) -> str:
            op = LayerNorm(d, RESIDUAL, Int(8, 6), ACT, eps_code(d, RESIDUAL))
            return add(name, op, source, gamma=(d,), beta=(d,))

        d, counts = self.d, Int(self.counts, 0, False)
        linear("embed_linear", INPUT, self.channels, d, counts, self.ends, RESIDUAL)
        stream = "embed_linear"
        if not self.rotary:
            stream = add("embed", Position(d, self.rows, RESIDUAL), stream, table=(self.rows, d))
        for layer in range(self.layers):
            p = f"layer{layer}."
            source = norm(p + "ln1", stream)
            q, k, v = (linear(p + which, source, d, d, ACT, self.bits, ACT) for which in "qkv")
            if self.rotary:
                turn = Rotary(d, geometric(d // self.heads // 2, self.window), ACT, ACT)
                q, k = (add(name + "_rot", turn, name) for name in (q, k))
            add(p + "attention", Attention(d, self.heads, self.window, ACT, ACT, ACT, ACT), q, k, v)
            linear(p + "o", p + "attention", d, d, ACT, self.bits, RESIDUAL)
            stream = add(p + "res1", Add(d, RESIDUAL), stream, p + "o")
            linear(p + "f1", norm(p + "ln2", stream), d, self.ffn, ACT, self.bits, HIDDEN)
            linear(p + "f2", p + "f1", self.ffn, d, HIDDEN, self.bits, RESIDUAL)
            stream = add(p + "res2", Add(d, RESIDUAL), stream, p + "f2")
        linear("readout", norm("lnf", stream), d, self.outputs, ACT, self.ends, OUT)
        return Program(self.name, self.channels, counts, tuple(nodes))


def _wiring(program: Program) -> int:
    """Equal for Programs whose ops cost the same and read, in any order, outputs of ops for which that holds."""

    def sizes(op: Any) -> tuple[Any, ...]:
        if isinstance(op, Linear):
            return op.inputs, op.outputs, op.w.bits <= 4  # two such weights may share a lane
        if isinstance(op, Attention):
            return op.size, op.heads, op.window, op.causal
        return (op.size, op.bins) if isinstance(op, Position) else (op.size,)

    found = {INPUT: program.channels}
    for node in program.nodes:
        sources = sorted(found[name] for name in node.inputs)
        found[node.name] = hash((node.op.kind, *sizes(node.op), *sources))
    return found[program.output]


# S and M are what the engine is measured with (M: the published MC_Maze size); `default` is what is
# trained unasked, `tiny` (examples/tiny.toml) what the serial core takes.
S = Network("S", channels=137, outputs=182, d=128, layers=4, heads=2, ffn=128, window=64)
S4 = replace(S, name="S, 4 bits throughout", ends=4)
M = Network("M", channels=182, outputs=182, d=182, layers=4, heads=2, ffn=128, window=180)
DEFAULT = Network("default", channels=30, outputs=30, d=64, layers=2, heads=2, ffn=128, window=32)
TINY = Network("tiny", channels=30, outputs=30, d=16, layers=1, heads=2, ffn=32, window=16)

"""The graph of a quantized NDT: every node's op, formats and inputs, laid out once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from edgendt import ops
from edgendt.fixed import Codes, Int
from edgendt.models.ndt import NDTConfig
from edgendt.ops.layernorm import eps_code
from edgendt.program import INPUT
from edgendt.qat.formats import READOUT_BITS, Bits
from edgendt.scales import GAMMA_BITS

SKIPS = ("skip1", "skip2")  # what goes by a part, where LayerNorms are behind the sums
ONES = Int(2)  # weights of 0 and 1


class Step(NamedTuple):
    """One node: its op, and the nodes that feed it (or the network's input)."""

    op: ops.Op
    inputs: tuple[str, ...]


class Fracs(Protocol):
    """What decides the fraction of every tensor while the network is laid out."""

    def activation(self, name: str, y: Int) -> int:
        """Of a node's output, or of `residual`; y gives bits and sign."""

    def weights(self, name: str, x: Int, outputs: int) -> tuple[int, ...]:
        """Of a Linear's weights, one per output; x: what it multiplies."""

    def gamma(self, name: str) -> int:
        """Of a LayerNorm's gamma."""


@dataclass(frozen=True)
class Known:
    """Fractions by name: `residual` and each activation under its node's, the weights of a Linear under name.w, gamma
    of a LayerNorm under name.gamma; weights of a Linear's output with a fraction of its own under name.w.OUTPUT.
    """

    fracs: Mapping[str, int]

    def activation(self, name: str, y: Int) -> int:
        return self.fracs[name]

    def weights(self, name: str, x: Int, outputs: int) -> tuple[int, ...]:
        common = self.fracs[f"{name}.w"]
        return tuple(self.fracs.get(f"{name}.w.{output}", common) for output in range(outputs))

    def gamma(self, name: str) -> int:
        return self.fracs[f"{name}.gamma"]


def path(node: str) -> str:
    """Where a network's module of that node lies: layer0.q is layers.0.q."""
    return re.sub(r"^layer(\d+)", r"layers.\1", node)


def layout(config: NDTConfig, bits: Bits, fracs: Fracs) -> dict[str, Step]:
    """Every node of the network by name, in order."""
    graph = _Layout(config, bits, fracs)
    h = graph.embedding()
    course = graph.course() if config.courses else None
    for layer in (f"layer{i}." for i in range(config.layers)):
        before, h = h, graph.behind_norms(layer, h) if config.post_norm else graph.temporal(layer, h)
        if config.spatial_heads:
            h, course = graph.spatial(layer, course or graph.turned_about(layer + "tokens", before), h), None
    y = graph.norm("lnf", h)
    graph.linear("readout", y, graph.act("readout", bits=READOUT_BITS), config.outputs)
    return graph.steps


def fixed(config: NDTConfig, node: str) -> dict[str, Codes] | None:
    """weight and bias, in codes, of a Linear that nobody trains; None for any other node."""
    part = node.rpartition(".")[2]
    if part == "steps":  # [count >= k] of every channel, k from 1 on
        each = np.arange(1, config.most + 1)
        weight = np.repeat(np.eye(config.channels, dtype=np.int64), config.most, 0)
        return {"weight": weight, "bias": np.tile(1 - each, config.channels)}
    if part == "spread":  # each channel in its column
        weight = np.zeros((config.d_model, config.channels), np.int64)
        weight[list(config.courses), range(config.channels)] = 1
        return {"weight": weight, "bias": np.zeros(config.d_model, np.int64)}
    if part in SKIPS:
        return {"weight": np.eye(config.d_model, dtype=np.int64), "bias": np.zeros(config.d_model, np.int64)}
    return None


class _Layout:
    """What `layout` appends to; nodes go by their names."""

    def __init__(self, config: NDTConfig, bits: Bits, fracs: Fracs) -> None:
        self.config, self.bits, self.fracs = config, bits, fracs
        self.stream = self.act("residual", bits=bits.residual)
        self.steps: dict[str, Step] = {}

    def size(self, source: str) -> int:
        """Codes per row of a node, or of the network's input."""
        return self.config.channels if source == INPUT else self.steps[source].op.size

    def form(self, source: str) -> Int:
        """The format of these codes."""
        return Int(self.bits.counts, 0, False) if source == INPUT else self.steps[source].op.y

    def act(self, name: str, signed: bool = True, bits: int | None = None) -> Int:
        """bits: those of an activation by default."""
        size = bits or self.bits.activation
        return Int(size, self.fracs.activation(name, Int(size, 0, signed)), signed)

    def add(self, name: str, op: ops.Op, *inputs: str) -> str:
        self.steps[name] = Step(op, inputs)
        return name

    def linear(self, name: str, source: str, y: Int, outputs: int) -> str:
        x = self.form(source)
        own = self.fracs.weights(name, x, outputs)
        w_frac = own if len(set(own)) > 1 else None
        op = ops.Linear(self.size(source), outputs, x, Int(self.bits.of(name), own[0]), y, w_frac)
        return self.add(name, op, source)

    def ones(self, name: str, source: str, y: Int, outputs: int) -> str:
        """A Linear of `fixed` weights, which are 0 or 1."""
        return self.add(name, ops.Linear(self.size(source), outputs, self.form(source), ONES, y), source)

    def norm(self, name: str, source: str) -> str:
        size, x = self.size(source), self.form(source)
        gamma = Int(GAMMA_BITS, self.fracs.gamma(name))
        return self.add(name, ops.LayerNorm(size, x, gamma, self.act(name), eps_code(size, x)), source)

    def embedding(self) -> str:
        """Counts, or how many of each channel's steps they climb, to the stream; or to an operand, behind norms."""
        config, source = self.config, INPUT
        table = not config.rotary
        y = self.act("embed" if table else "embed_linear") if config.post_norm else self.stream
        if config.lookup:
            source = self.ones("steps", INPUT, Int(1, 0, False), config.channels * config.most)
        h = self.linear("embed_linear", source, y, config.d_model)
        return self.add("embed", ops.Position(config.d_model, config.bins, y), h) if table else h

    def residual(self, name: str, h: str, source: str) -> str:
        return self.add(name, ops.Add(self.config.d_model, self.stream), h, source)

    def temporal(self, layer: str, h: str) -> str:
        """models.ndt.Block without its spatial stream, its LayerNorms before the parts."""
        h = self.residual(layer + "res1", h, self.attention(layer, self.norm(layer + "ln1", h)))
        return self.residual(layer + "res2", h, self.hidden(layer, self.norm(layer + "ln2", h)))

    def behind_norms(self, layer: str, y: str) -> str:
        """The same with its LayerNorms behind the sums: what goes by a part are the codes that it reads, as wide as the
        sum they join.
        """
        for i, part in (("1", self.attention), ("2", self.hidden)):
            by = self.ones(f"{layer}skip{i}", y, self.stream, self.config.d_model)
            y = self.norm(f"{layer}ln{i}", self.residual(f"{layer}res{i}", by, part(layer, y)))
        return y

    def attention(self, layer: str, y: str) -> str:
        """Of LayerNorm's codes, or of other operands, to what the stream adds."""
        config, d = self.config, self.config.d_model
        q, k, v = (self.linear(layer + name, y, self.act(layer + name), d) for name in "qkv")
        if config.rotary:
            q, k = (self.turned(f"{source}_rot", source) for source in (q, k))
        q_form, k_form, v_form = (self.form(source) for source in (q, k, v))
        y_form = self.act(layer + "attention")
        sight = config.causal, config.back, config.ahead
        op = ops.Attention(d, config.heads, config.window, q_form, k_form, v_form, y_form, *sight)
        return self.linear(layer + "o", self.add(layer + "attention", op, q, k, v), self.stream, d)

    def turned(self, name: str, source: str) -> str:
        op = ops.Rotary(self.size(source), self.config.steps, self.form(source), self.act(name))
        return self.add(name, op, source)

    def hidden(self, layer: str, y: str, wide: str = "f1", back: str = "f2") -> str:
        """A feed-forward network, to what the stream adds."""
        table = self.config.activation != "relu"
        y = self.linear(layer + wide, y, self.act(layer + wide, signed=table), self.config.ffn)
        if table:
            y = self.add(f"{y}_act", ops.Table(self.config.ffn, self.form(y), self.act(f"{y}_act")), y)
        return self.linear(layer + back, y, self.stream, self.config.d_model)

    def course(self) -> str:
        """models.stndt.Courses."""
        d, bins = self.config.d_model, self.config.window
        y = self.act("course", bits=self.bits.residual)
        spread = self.ones("spread", INPUT, self.form(INPUT), d)
        x = self.linear("course_linear", self.turned_about("courses", spread), y, bins)
        return self.add("course", ops.Position(bins, d, y), x)

    def turned_about(self, name: str, source: str) -> str:
        """The time courses of columns, as rows."""
        config = self.config
        op = ops.Transpose(config.d_model, config.window, self.form(source), config.causal)
        return self.add(name, op, source)

    def spatial(self, layer: str, tokens: str, h: str) -> str:
        """models.stndt.Spatial."""
        d, bins = self.config.d_model, self.config.window
        y = self.norm(layer + "lns", tokens)
        q, k = (self.linear(layer + name, y, self.act(layer + name), bins) for name in ("sq", "sk"))
        a = self.act(layer + "weights", signed=False)
        op = ops.SpatialWeights(d, bins, self.config.spatial_heads, self.form(q), self.form(k), a)
        weights, z = self.add(layer + "weights", op, q, k), self.norm(layer + "ln3", h)
        mixed = self.add(layer + "mix", ops.SpatialMix(d, a, self.form(z), self.stream), weights, z)
        h = self.residual(layer + "res3", h, mixed)
        return self.residual(layer + "res4", h, self.hidden(layer, self.norm(layer + "ln4", h), "f3", "f4"))

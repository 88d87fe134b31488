"""The graph of a quantized NDT: every node's op, formats and inputs, laid out once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from edgendt import ops
from edgendt.fixed import Int
from edgendt.models.ndt import NDTConfig
from edgendt.ops.layernorm import eps_code
from edgendt.program import INPUT
from edgendt.qat.formats import READOUT_BITS, Bits
from edgendt.scales import GAMMA_BITS


class Step(NamedTuple):
    """One node: its op, and the nodes that feed it (or the network's input)."""

    op: ops.Op
    inputs: tuple[str, ...]


def path(node: str) -> str:
    """Where a network's module of that node lies: layer0.q is layers.0.q."""
    return re.sub(r"^layer(\d+)", r"layers.\1", node)


def layout(config: NDTConfig, bits: Bits, fracs: Mapping[str, int]) -> dict[str, Step]:
    """Every node of the network by name, in order.

    fracs: `residual`; the output of each ln, q, k, v, q_rot, k_rot, attention, f1 and readout under its node name, and
    of lns, sq, sk, weights, ln3, ln4, f3 of a spatial stream; the weights of a Linear under name.w; gamma of a
    LayerNorm under name.gamma; a Linear's output with a weight fraction of its own under name.w.OUTPUT.
    """
    graph = _Layout(config, bits, fracs)
    h = graph.linear("embed_linear", INPUT, graph.stream, config.d_model)
    if config.max_bins is not None:
        h = graph.add("embed", ops.Position(config.d_model, config.max_bins, graph.stream), h)
    for layer in (f"layer{i}." for i in range(config.layers)):
        before, h = h, graph.temporal(layer, h)
        if config.spatial_heads:
            h = graph.spatial(layer, before, h)
    graph.linear("readout", graph.norm("lnf", h), Int(READOUT_BITS, fracs["readout"]), config.outputs)
    return graph.steps


class _Layout:
    """What `layout` appends to; nodes go by their names."""

    def __init__(self, config: NDTConfig, bits: Bits, fracs: Mapping[str, int]) -> None:
        self.config, self.bits, self.fracs = config, bits, fracs
        self.stream = Int(bits.residual, fracs["residual"])
        self.steps: dict[str, Step] = {}

    def size(self, source: str) -> int:
        """Codes per row of a node, or of the network's input."""
        return self.config.channels if source == INPUT else self.steps[source].op.size

    def form(self, source: str) -> Int:
        """The format of these codes."""
        return Int(self.bits.counts, 0, False) if source == INPUT else self.steps[source].op.y

    def act(self, name: str, signed: bool = True) -> Int:
        return Int(self.bits.activation, self.fracs[name], signed)

    def add(self, name: str, op: ops.Op, *inputs: str) -> str:
        self.steps[name] = Step(op, inputs)
        return name

    def linear(self, name: str, source: str, y: Int, outputs: int) -> str:
        x, common = self.form(source), self.fracs[f"{name}.w"]
        own = tuple(self.fracs.get(f"{name}.w.{output}", common) for output in range(outputs))
        w_frac = own if len(set(own)) > 1 else None
        op = ops.Linear(self.size(source), outputs, x, Int(self.bits.of(name), own[0]), y, w_frac)
        return self.add(name, op, source)

    def norm(self, name: str, source: str) -> str:
        size, x = self.size(source), self.form(source)
        gamma = Int(GAMMA_BITS, self.fracs[f"{name}.gamma"])
        return self.add(name, ops.LayerNorm(size, x, gamma, self.act(name), eps_code(size, x)), source)

    def residual(self, name: str, h: str, source: str) -> str:
        return self.add(name, ops.Add(self.config.d_model, self.stream), h, source)

    def temporal(self, layer: str, h: str) -> str:
        """models.ndt.Block without its spatial stream."""
        config, d = self.config, self.config.d_model
        y = self.norm(layer + "ln1", h)
        q, k, v = (self.linear(layer + name, y, self.act(layer + name), d) for name in "qkv")
        if config.rotary:
            q, k = (self.turned(f"{source}_rot", source) for source in (q, k))
        q_form, k_form, v_form = (self.form(source) for source in (q, k, v))
        y_form = self.act(layer + "attention")
        sight = config.causal, config.back, config.ahead
        op = ops.Attention(d, config.heads, config.window, q_form, k_form, v_form, y_form, *sight)
        a = self.linear(layer + "o", self.add(layer + "attention", op, q, k, v), self.stream, d)
        return self.feed_forward(layer, self.residual(layer + "res1", h, a), ("ln2", "f1", "f2", "res2"))

    def turned(self, name: str, source: str) -> str:
        op = ops.Rotary(self.size(source), self.config.steps, self.form(source), self.act(name))
        return self.add(name, op, source)

    def feed_forward(self, layer: str, h: str, names: tuple[str, str, str, str]) -> str:
        """names: of the LayerNorm, the two Linears and the sum."""
        norm, wide, back, total = (layer + name for name in names)
        hidden = self.linear(wide, self.norm(norm, h), self.act(wide, signed=False), self.config.ffn)
        return self.residual(total, h, self.linear(back, hidden, self.stream, self.config.d_model))

    def spatial(self, layer: str, before: str, h: str) -> str:
        """models.stndt.Spatial, whose tokens are time courses of the layer's input `before`."""
        d, bins = self.config.d_model, self.config.bins
        y = self.norm(layer + "lns", self.add(layer + "tokens", ops.Transpose(d, bins, self.stream), before))
        q, k = (self.linear(layer + name, y, self.act(layer + name), bins) for name in ("sq", "sk"))
        a = self.act(layer + "weights", signed=False)
        op = ops.SpatialWeights(d, bins, self.config.spatial_heads, self.form(q), self.form(k), a)
        weights, z = self.add(layer + "weights", op, q, k), self.norm(layer + "ln3", h)
        mixed = self.add(layer + "mix", ops.SpatialMix(d, a, self.form(z), self.stream), weights, z)
        return self.feed_forward(layer, self.residual(layer + "res3", h, mixed), ("ln4", "f3", "f4", "res4"))

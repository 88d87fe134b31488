"""POYO in torch whose forward pass is integers: its graph run in real numbers, in torch, or as a Program.

Real numbers calibrate the formats, torch trains, and the Program is the reference that torch must equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from edgendt import ops
from edgendt.data.tokens import KINDS
from edgendt.errors import BadInput
from edgendt.fixed import Codes, Int
from edgendt.models.poyo import POYO, POYOConfig, Tokens
from edgendt.models.rotary import Rotary as FloatRotary
from edgendt.program import INDEX, Node, Program
from edgendt.qat import calibrate
from edgendt.qat.add import Add
from edgendt.qat.cross_attention import CrossAttention
from edgendt.qat.fixed import to_codes
from edgendt.qat.formats import Bits
from edgendt.qat.geglu import GEGLU
from edgendt.qat.layernorm import LayerNorm
from edgendt.qat.linear import Linear
from edgendt.qat.lookup import Lookup
from edgendt.qat.poyo_graph import ACCUMULATOR, OF_TOKENS, Step, build_ops, feed, graph_inputs, layout, output
from edgendt.qat.rotary import Rotary
from edgendt.qat.saved import read_state, write_state
from edgendt.scales import GAMMA_BITS
from edgendt.tabled import tabled

SCHEMA = 1
HEADROOM = 2.0  # times the largest value seen that rows of new units, and velocities, may reach
Trace = dict[str, Tensor]


def float_module(net: POYO, step: Step) -> nn.Module:
    """The module of a float POYO that holds a node's parameters."""
    if not step.block:
        return cast(nn.Module, getattr(net, step.name))
    block = getattr(net, step.block, None) or net.layers[int(step.block.removeprefix("layer"))]
    return cast(nn.Module, getattr(block.attention if step.part in ("q", "k", "v", "o") else block, step.part))


def tables(net: POYO, name: str) -> tuple[Tensor, Tensor]:
    """(table, kinds) of a Lookup; latents and queries are of one kind, which is zero."""
    if name == "embed":
        return net.unit.weight, net.kind.weight
    table = net.latents if name == "latent" else net.session.weight
    return table, torch.zeros(1, table.shape[1])


@torch.no_grad()
def real(net: POYO, tokens: Tokens) -> Trace:
    """Every node's values in real numbers, of a float network: what formats are calibrated on."""
    values = feed(net.config, tokens)
    seen = torch.arange(tokens.unit.shape[1]) < tokens.length[:, None]
    turn = FloatRotary(net.config.steps)
    for step in layout(net.config):
        x, *more = (values[name] for name in step.inputs)
        if step.kind == "lookup":
            table, kinds = tables(net, step.name)
            y = table[x[..., 0]] + kinds[x[..., 1]]
        elif step.kind == "rotary":
            y = turn(x, -more[0] if step.part == "back" else more[0])
        elif step.kind == "cross_attention":
            q, k, v = (part.unflatten(2, (step.heads(net.config), -1)).transpose(1, 2) for part in (x, *more))
            mask = seen[:, None, None] if step.block == "read" else None
            y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
        elif step.kind == "geglu":
            y = x * nn.functional.gelu(more[0])
        else:
            y = x + more[0] if step.kind == "add" else float_module(net, step)(x)
        values[step.name] = y
    return values


@torch.no_grad()
def choose_fracs(net: POYO, bits: Bits, tokens: Tokens) -> dict[str, int]:
    """The fraction of every format by squared error on some windows, of weights (NAME.w) and gammas (NAME.gamma)."""
    values, steps = real(net, tokens), {step.name: step for step in layout(net.config)}
    inside = torch.arange(tokens.unit.shape[1]) < tokens.length[:, None]
    seen: dict[str, list[Tensor]] = {}
    for name, step in steps.items():
        rows = values[name][inside] if name in OF_TOKENS else values[name]
        seen.setdefault(step.format, []).append(rows.flatten())
    fracs: dict[str, int] = {}
    for name, parts in seen.items():
        bare, together = output(Step(name, "", ()), bits, {name: 0}), torch.cat(parts)
        roomy = name in ("embed", "readout")
        fracs[name] = (
            calibrate.unclipped_frac(together, bare, HEADROOM) if roomy else calibrate.best_frac(together, bare)
        )
    for name, step in steps.items():
        if step.kind == "linear":
            linear = cast(nn.Linear, float_module(net, step))
            bias = torch.zeros(linear.out_features) if linear.bias is None else linear.bias
            x = output(steps[step.inputs[0]], bits, fracs)
            fracs[f"{name}.w"] = calibrate.weight_frac(linear.weight, bias, Int(bits.of(name)), x)
        elif step.kind == "layernorm":
            norm = cast(nn.LayerNorm, float_module(net, step))
            fracs[f"{name}.gamma"] = calibrate.gamma_frac(norm.weight, norm.bias, Int(GAMMA_BITS))
    return fracs


def sibling(net: POYO, step: Step, op: ops.Op) -> nn.Module:
    """The torch module of a node, with the parameters of the float network."""
    if isinstance(op, ops.Lookup):
        lookup = Lookup(op, *tables(net, step.name))
        lookup.kinds.requires_grad = op.which > 1
        return lookup
    if isinstance(op, ops.CrossAttention):
        return CrossAttention(op)
    if isinstance(op, ops.GEGLU):
        return GEGLU(op)
    if isinstance(op, ops.Linear):
        linear = cast(nn.Linear, float_module(net, step))
        return Linear(op, linear.weight, linear.bias)
    if isinstance(op, ops.LayerNorm):
        norm = cast(nn.LayerNorm, float_module(net, step))
        return LayerNorm(op, norm.weight, norm.bias)
    return Rotary(op) if isinstance(op, ops.Rotary) else Add(cast(ops.Add, op))


class QuantPOYO(nn.Module):
    """POYO with integers in its forward pass and straight-through gradients in its backward pass."""

    def __init__(self, net: POYO, bits: Bits, fracs: dict[str, int]) -> None:
        """The float network gives geometry and parameters; fracs: see choose_fracs. Most callers want `from_float`."""
        super().__init__()
        self.config, self.bits, self.fracs = net.config, bits, dict(fracs)
        built = build_ops(net.config, bits, fracs)
        self.graph = layout(net.config)
        self.parts = nn.ModuleDict({_key(step.name): sibling(net, step, built[step.name]) for step in self.graph})

    @classmethod
    def from_float(cls, net: POYO, tokens: Tokens, bits: Bits | None = None) -> QuantPOYO:
        """A quantized copy, scales chosen by squared error on some windows and frozen."""
        bits = bits or Bits()
        return cls(net, bits, choose_fracs(net, bits, tokens))

    def adapted(self, units: int) -> QuantPOYO:
        """A copy for one new session: only its rows of units and its session are left to train, in integers as well.

        They start at the mean of the known rows, as those of models.poyo.adapted. Formats and all else stay.
        """
        new = QuantPOYO(POYO(replace(self.config, units=units, sessions=1)), self.bits, self.fracs)
        rows = ("parts.embed.table", "parts.query.table")
        state = self.state_dict()
        fresh = new.state_dict()[rows[0]]
        state |= {name: state[name].mean(0, keepdim=True) for name in rows}
        state[rows[0]] = state[rows[0]] + fresh
        new.load_state_dict(state)
        for name, parameter in new.named_parameters():
            parameter.requires_grad = name in rows
        return new

    def state(self) -> dict[str, Any]:
        """Everything `from_state` needs, of types that torch.load accepts with weights_only=True."""
        bits = asdict(self.bits) | {"overrides": dict(self.bits.overrides)}
        meta = {"schema": SCHEMA, "model": "poyo", "config": asdict(self.config), "bits": bits, "fracs": self.fracs}
        return meta | {"weights": self.state_dict()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> QuantPOYO:
        """The network of `state`, in eval mode. BadInput for another schema or model."""
        if (found := (state.get("model"), state.get("schema"))) != ("poyo", SCHEMA):
            raise BadInput(f"quantized state must be a POYO's of schema {SCHEMA}, got {found[0]} of {found[1]}")
        q = cls(POYO(POYOConfig(**state["config"])), Bits(**state["bits"]), state["fracs"])
        q.load_state_dict(state["weights"])
        return q.eval()

    def save(self, path: Path | str) -> None:
        """Write `state` to a file."""
        write_state(self.state(), path)

    @classmethod
    def load(cls, path: Path | str) -> QuantPOYO:
        """The network that `save` wrote. BadInput when the file is something else."""
        return cls.from_state(read_state(path))

    def part(self, step: Step) -> Any:
        """The torch module of a node."""
        return self.parts[_key(step.name)]

    def forward(self, tokens: Tokens, surrogate: bool = False, trace: Trace | None = None) -> Tensor:
        """-> [batch, queries, outputs], exactly code · 2**-frac. surrogate: float LayerNorm, attention and GELU.

        trace: receives the values of every node.
        """
        values = feed(self.config, tokens)
        for step in self.graph:
            options: dict[str, Any] = {}
            if step.kind in ("layernorm", "cross_attention", "geglu"):
                options["surrogate"] = surrogate
            if step.name == "read.attention":
                options["length"] = tokens.length
            values[step.name] = self.part(step)(*(values[name] for name in step.inputs), **options)
        if trace is not None:
            trace |= values
        return values[self.graph[-1].name]

    def program(self, name: str = "poyo", meta: Mapping[str, Any] | None = None) -> Program:
        """The network as a Program, the definition of what it computes."""
        parts = ((step, self.part(step)) for step in self.graph)
        nodes = tuple(Node(step.name, part.op, step.inputs, part.constants()) for step, part in parts)
        return Program(name, 0, INDEX, nodes, meta or {}, ACCUMULATOR, graph_inputs(self.config))

    def token_table(self) -> tuple[Codes, Codes]:
        """Keys and values of every token there can be, before rotation by its time: each [units, KINDS, inner].

        They depend on unit and kind alone: hardware may keep this table and only turn what it reads.
        """
        program, shape = tabled(self.program()), (self.config.units, KINDS, -1)
        k, v = (program.node(name).constants["table"].reshape(shape) for name in ("read.k", "read.v"))
        return k, v

    @torch.no_grad()
    def trace(self, tokens: Tokens, window: int) -> dict[str, Codes]:
        """Codes [rows, size] of every node, of one window of a batch; padding of its tokens is cut off."""
        values: Trace = {}
        self.eval()(tokens, trace=values)
        values = _one(values, tokens, window)
        return {step.name: to_codes(values[step.name] * 2.0 ** self.part(step).op.y.frac) for step in self.graph}

    def trace_given(self, given: Mapping[str, Any]) -> dict[str, Codes]:
        """The same of what a Program is given."""
        return self.trace(read_given(given), 0)


def given(tokens: Tokens, window: int) -> dict[str, Codes]:
    """One window of a batch, as a Program takes it."""
    n = int(tokens.length[window])
    unit, kind, ms, query_ms = (part[window].numpy() for part in (tokens.unit, tokens.kind, tokens.ms, tokens.query_ms))
    queries = np.stack([np.full(len(query_ms), int(tokens.session[window])), 0 * query_ms], 1)
    pairs = np.stack([unit[:n], kind[:n]], 1)
    return {"tokens": pairs, "token_ms": ms[:n], "queries": queries, "query_ms": query_ms}


def read_given(given: Mapping[str, Any]) -> Tokens:
    """The batch of one window that a Program was given; all its queries are of one session."""
    pairs, ms, queries, query_ms = (
        torch.as_tensor(np.asarray(given[name])) for name in ("tokens", "token_ms", "queries", "query_ms")
    )
    if (queries != queries[0]).any():
        raise ValueError("queries of one window must be of one session")
    length = torch.tensor([len(pairs)])
    return Tokens(
        pairs[None, :, 0], pairs[None, :, 1], ms.reshape(1, -1), length, queries[:1, 0], query_ms.reshape(1, -1)
    )


def _one(values: Trace, tokens: Tokens, window: int) -> Trace:
    """One window of a batch, without the padding behind its tokens."""
    last = int(tokens.length[window])
    return {name: rows[window][: last if name in OF_TOKENS else None] for name, rows in values.items()}


def _key(name: str) -> str:
    """A node's name as torch takes it."""
    return name.replace(".", "/")

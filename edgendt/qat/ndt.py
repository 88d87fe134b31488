"""The NDT in torch whose forward pass is the integer Program: built from a float NDT, trained, saved, exported."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from edgendt import ops
from edgendt.errors import BadInput
from edgendt.fixed import Codes, Int
from edgendt.models.ndt import NDT, NDTConfig
from edgendt.qat import calibrate
from edgendt.qat.add import Add
from edgendt.qat.attention import Attention
from edgendt.qat.fixed import Fixed, to_codes
from edgendt.qat.formats import Bits, check_overrides
from edgendt.qat.layernorm import LayerNorm
from edgendt.qat.linear import Linear
from edgendt.qat.ndt_graph import Step, layout
from edgendt.qat.position import Position
from edgendt.qat.rotary import Rotary
from edgendt.qat.spatial_mix import SpatialMix
from edgendt.qat.spatial_weights import SpatialWeights
from edgendt.qat.transpose import Transpose

SCHEMA = 1
Sibling = Linear | Add | Position | LayerNorm | Attention | Rotary | Transpose | SpatialWeights | SpatialMix
PLAIN: dict[type, Any] = {  # siblings without parameters
    ops.Attention: Attention,
    ops.Add: Add,
    ops.Rotary: Rotary,
    ops.Transpose: Transpose,
    ops.SpatialWeights: SpatialWeights,
    ops.SpatialMix: SpatialMix,
}
Trace = dict[str, Tensor]


def sibling(op: ops.Op) -> Sibling:
    """The torch module of an op, its parameters zero."""
    if isinstance(op, ops.Linear):
        return Linear(op, torch.zeros(op.outputs, op.inputs), torch.zeros(op.outputs))
    if isinstance(op, ops.Position):
        return Position(op, torch.zeros(op.bins, op.size))
    if isinstance(op, ops.LayerNorm):
        return LayerNorm(op, torch.zeros(op.size), torch.zeros(op.size))
    return cast(Sibling, PLAIN[type(op)](op))


class QuantBlock(nn.Module):
    """One pre-LN layer in integers; dropout (training only) where the float layer has it."""

    def __init__(self, name: str, graph: Mapping[str, Step], dropout: float) -> None:
        super().__init__()
        self.name = name
        self.dropout = nn.Dropout(dropout)
        for node, step in graph.items():
            layer, _, part = node.rpartition(".")
            if layer == name:
                self.add_module(part, sibling(step.op))

    def forward(self, h: Tensor, surrogate: bool, trace: Trace) -> Tensor:
        """h [..., bins, d] -> the same; every node's values go into `trace` under its name."""

        def run(part: str, *inputs: Any) -> Tensor:
            out: Tensor = getattr(self, part)(*inputs)
            trace[f"{self.name}.{part}"] = out
            return out

        before = h
        y = run("ln1", h, surrogate)
        q, k, v = run("q", y), run("k", y), run("v", y)
        if hasattr(self, "q_rot"):
            q, k = run("q_rot", q), run("k_rot", k)
        attended = run("attention", q, k, v, surrogate)
        h = run("res1", h, self.dropout(run("o", attended)))
        hidden = self.dropout(run("f1", run("ln2", h, surrogate)))
        h = run("res2", h, self.dropout(run("f2", hidden)))
        if not hasattr(self, "tokens"):
            return h
        y = run("lns", run("tokens", before), surrogate)
        weights = run("weights", run("sq", y), run("sk", y), surrogate)
        h = run("res3", h, self.dropout(run("mix", weights, run("ln3", h, surrogate))))
        hidden = self.dropout(run("f3", run("ln4", h, surrogate)))
        return run("res4", h, self.dropout(run("f4", hidden)))


class QuantNDT(nn.Module):
    """NDT with the Program's integers in its forward pass and straight-through gradients in its backward pass."""

    def __init__(self, config: NDTConfig, bits: Bits, fracs: dict[str, int], calibrated: bool) -> None:
        """fracs: see layout. Most callers want `from_float` or `load`."""
        super().__init__()
        check_overrides(bits, config.layers, bool(config.spatial_heads))
        self.config, self.bits, self.fracs, self.calibrated = config, bits, dict(fracs), calibrated
        self.graph = layout(config, bits, fracs)
        first = cast(ops.Linear, self.graph["embed_linear"].op)
        self.input_quant = Fixed(first.x)
        # A position table carries the embedder's bias.
        bias = None if "embed" in self.graph else torch.zeros(first.outputs)
        self.embed_linear = Linear(first, torch.zeros(first.outputs, first.inputs), bias)
        self.embed_linear.weight.requires_grad_(not config.identity)
        self.embed = cast(Position, sibling(self.graph["embed"].op)) if "embed" in self.graph else None
        if self.embed is not None:
            self.embed.table.requires_grad_(config.position == "learned")
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList([QuantBlock(f"layer{i}", self.graph, config.dropout) for i in range(config.layers)])
        self.lnf = cast(LayerNorm, sibling(self.graph["lnf"].op))
        self.readout = cast(Linear, sibling(self.graph["readout"].op))

    @classmethod
    def from_float(cls, ndt: NDT, bits: Bits | None = None, calibration_counts: Any = None) -> QuantNDT:
        """A quantized copy of `ndt`, scales chosen by squared error and frozen.

        calibration_counts: [trials, bins, channels], without padding. Without them the activation scales are guesses:
        the network runs, and its export is refused.
        """
        bits = bits or Bits()
        check_overrides(bits, ndt.config.layers, bool(ndt.config.spatial_heads))
        seen = None
        if calibration_counts is not None:
            limit = Int(bits.counts, 0, False).hi
            seen = calibrate.activations(ndt, calibrate.check_counts(calibration_counts, limit))
        q = cls(ndt.config, bits, calibrate.choose_fracs(ndt, bits, seen), seen is not None)
        q.copy(ndt)
        return q.train(ndt.training)

    @torch.no_grad()
    def copy(self, ndt: NDT) -> None:
        """Take over a float network's parameters: √d goes into the embedder, its bias into a position table."""
        root = math.sqrt(ndt.config.d_model)
        self.embed_linear.weight.copy_(ndt.embed.weight * root)
        bias = ndt.embed.bias * root
        if self.embed is None:
            cast(Tensor, self.embed_linear.bias).copy_(bias)
        else:
            self.embed.table.copy_(cast(Tensor, ndt.pos) + bias)
        for name, module, _ in self.nodes():
            if isinstance(module, Linear) and module is not self.embed_linear and module.bias is not None:
                source = cast(nn.Linear, calibrate.float_module(ndt, name))
                module.weight.copy_(source.weight)
                module.bias.copy_(source.bias)
            if isinstance(module, LayerNorm):
                norm = cast(nn.LayerNorm, calibrate.float_module(ndt, name))
                module.gamma.copy_(norm.weight)
                module.beta.copy_(norm.bias)

    def forward(self, counts: Tensor, surrogate: bool = False, trace: Trace | None = None) -> Tensor:
        """counts [..., bins, channels] -> log-rates [..., bins, outputs], exactly code * 2**-frac.

        surrogate: float LayerNorm and attention between the quantizers (faster; not exact).
        trace: receives the values of every node. ValueError past the last position row.
        """
        trace = {} if trace is None else trace
        h = trace["embed_linear"] = self.embed_linear(self.input_quant(counts))
        if self.embed is not None:
            h = trace["embed"] = self.embed(h)
        h = self.dropout(h)
        for layer in self.layers:
            h = layer(h, surrogate, trace)
        y = trace["lnf"] = self.lnf(h, surrogate)
        out: Tensor = self.readout(y)
        trace["readout"] = out
        return out

    @torch.no_grad()
    def trace(self, counts: Any) -> dict[str, Codes]:
        """counts [bins, channels] -> int64 codes [rows, size] of every node, as Program.trace."""
        training = self.training
        values: Trace = {}
        self.eval()(torch.as_tensor(np.asarray(counts), dtype=torch.float32), trace=values)
        self.train(training)
        return {name: to_codes(values[name] * 2.0**module.op.y.frac) for name, module, _ in self.nodes()}

    def nodes(self) -> Iterator[tuple[str, Sibling, tuple[str, ...]]]:
        """(Program node name, module, names of its inputs) in order."""
        modules: dict[str, nn.Module] = {"embed_linear": self.embed_linear}
        if self.embed is not None:
            modules["embed"] = self.embed
        for layer in self.layers:
            modules |= {f"{layer.name}.{part}": m for part, m in layer.named_children() if part != "dropout"}
        modules |= {"lnf": self.lnf, "readout": self.readout}
        for name, module in modules.items():
            yield name, cast(Sibling, module), self.graph[name].inputs

    @property
    def input(self) -> Int:
        """Format of the counts."""
        return self.input_quant.y

    def state(self) -> dict[str, Any]:
        """Everything `load` needs, of types that torch.load accepts with weights_only=True."""
        bits = asdict(self.bits) | {"overrides": dict(self.bits.overrides)}
        meta = {"schema": SCHEMA, "config": asdict(self.config), "bits": bits, "fracs": self.fracs}
        return meta | {"calibrated": self.calibrated, "weights": self.state_dict()}

    def extended(self, weight: Tensor, bias: Tensor, fracs: Sequence[int]) -> QuantNDT:
        """A copy with further outputs: rows weight [n, d], bias [n] of the readout, weights at fractions [n]."""
        state, first = self.state(), self.config.outputs
        state["config"] |= {"outputs": first + len(weight)}
        state["fracs"] = self.fracs | {f"readout.w.{first + row}": frac for row, frac in enumerate(fracs)}
        more = {"readout.weight": weight, "readout.bias": bias}
        state["weights"] |= {key: torch.cat([state["weights"][key], rows]) for key, rows in more.items()}
        return QuantNDT.from_state(state)

    def save(self, path: Path | str) -> None:
        """Write `state` to a file."""
        torch.save(self.state(), path)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> QuantNDT:
        """The network of `state`, in eval mode. BadInput for another schema."""
        if state.get("schema") != SCHEMA:
            raise BadInput(f"quantized state must have schema {SCHEMA}, got {state.get('schema')}: quantize again")
        q = cls(NDTConfig(**state["config"]), Bits(**state["bits"]), state["fracs"], state["calibrated"])
        q.load_state_dict(state["weights"])
        return q.eval()

    @classmethod
    def load(cls, path: Path | str) -> QuantNDT:
        """The network that `save` wrote. BadInput when the file is something else."""
        try:
            state = torch.load(path, weights_only=True)
        except FileNotFoundError as error:
            raise BadInput(f"{path} does not exist") from error
        except Exception as error:  # whatever unpickling strange bytes raises
            raise BadInput(f"{path} is not a saved quantized network, or is damaged") from error
        if not isinstance(state, dict):
            raise BadInput(f"{path} is not a saved quantized network: it holds a {type(state).__name__}")
        return cls.from_state(state)

"""The NDT in torch whose forward pass is the integer Program: built from a float NDT, trained, saved, exported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from edgendt.ops.table import gelu, tabulate
from edgendt.program import INPUT
from edgendt.qat import calibrate
from edgendt.qat.add import Add
from edgendt.qat.attention import Attention
from edgendt.qat.fixed import Fixed, to_codes
from edgendt.qat.formats import Bits, check_overrides
from edgendt.qat.layernorm import LayerNorm
from edgendt.qat.linear import Linear
from edgendt.qat.ndt_graph import Known, fixed, layout, path
from edgendt.qat.position import Position
from edgendt.qat.rotary import Rotary
from edgendt.qat.saved import read_state, write_state
from edgendt.qat.spatial_mix import SpatialMix
from edgendt.qat.spatial_weights import SpatialWeights
from edgendt.qat.table import Table
from edgendt.qat.transpose import Transpose

SCHEMA = 1
Sibling = Linear | Add | Position | LayerNorm | Attention | Rotary | Transpose | SpatialWeights | SpatialMix | Table
PLAIN: dict[type, Any] = {  # siblings without parameters
    ops.Attention: Attention,
    ops.Add: Add,
    ops.Rotary: Rotary,
    ops.Transpose: Transpose,
    ops.SpatialWeights: SpatialWeights,
    ops.SpatialMix: SpatialMix,
}
SURROGATES = (LayerNorm, Attention, SpatialWeights, Table)  # siblings that can run in floats
# Parts of a layer that have it behind them, where the float layer does.
DROPOUT = ("o", "f1", "f1_act", "f2", "mix", "f3", "f3_act", "f4")
Trace = dict[str, Tensor]


def sibling(op: ops.Op, biased: bool = True) -> Sibling:
    """The torch module of an op, its parameters zero. Not biased: a Linear whose bias a table of positions carries."""
    if isinstance(op, ops.Linear):
        return Linear(op, torch.zeros(op.outputs, op.inputs), torch.zeros(op.outputs) if biased else None)
    if isinstance(op, ops.Position):
        return Position(op, torch.zeros(op.bins, op.size))
    if isinstance(op, ops.LayerNorm):
        return LayerNorm(op, torch.zeros(op.size), torch.zeros(op.size))
    if isinstance(op, ops.Table):
        return Table(op, tabulate(gelu, op.x, op.y), nn.functional.gelu)
    return cast(Sibling, PLAIN[type(op)](op))


class QuantNDT(nn.Module):
    """NDT with the Program's integers in its forward pass and straight-through gradients in its backward pass."""

    embed_linear: Linear
    embed: Position  # where there is a table of positions
    lnf: LayerNorm
    readout: Linear

    def __init__(self, config: NDTConfig, bits: Bits, fracs: dict[str, int], calibrated: bool) -> None:
        """fracs: see Known. Most callers want `from_float` or `load`."""
        super().__init__()
        check_overrides(bits, config.layers, bool(config.spatial_heads))
        self.config, self.bits, self.fracs, self.calibrated = config, bits, dict(fracs), calibrated
        self.graph = layout(config, bits, Known(fracs))
        self.input_quant = Fixed(Int(bits.counts, 0, False))
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList([nn.ModuleDict() for _ in range(config.layers)])
        carried = {step.inputs[0] for step in self.graph.values() if isinstance(step.op, ops.Position)}
        for name, step in self.graph.items():
            layer, _, part = path(name).rpartition(".")
            self.get_submodule(layer).add_module(part, sibling(step.op, biased=name not in carried))
        self.embed_linear.weight.requires_grad_(not config.identity)
        if "embed" in self.graph:
            self.embed.table.requires_grad_(config.position == "learned")
        self._fix()

    @torch.no_grad()
    def _fix(self) -> None:
        """Give the Linears that nobody trains what they hold."""
        for name, module, _ in self.nodes():
            codes = fixed(self.config, name)
            if codes is not None and isinstance(module, Linear):
                for parameter, held in ((module.weight, codes["weight"]), (module.bias, codes["bias"])):
                    assert parameter is not None
                    parameter.copy_(torch.from_numpy(held)).requires_grad_(False)

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
        for name, module, _ in self.nodes():
            if isinstance(module, Linear) and fixed(ndt.config, name) is None:
                weight, bias = calibrate.linear_of(ndt, name)
                module.weight.copy_(weight)
                if module.bias is not None:
                    module.bias.copy_(bias)
            if isinstance(module, Position):
                module.table.copy_(calibrate.table_of(ndt, name))
            if isinstance(module, LayerNorm):
                norm = cast(nn.LayerNorm, calibrate.float_module(ndt, name))
                module.gamma.copy_(norm.weight)
                module.beta.copy_(norm.bias)

    def forward(self, counts: Tensor, surrogate: bool = False, trace: Trace | None = None) -> Tensor:
        """counts [..., bins, channels] -> log-rates [..., bins, outputs], exactly code * 2**-frac.

        surrogate: float LayerNorm, attention and GELU between the quantizers (faster; not exact).
        trace: receives the values of every node. ValueError past the last position row.
        """
        values, stream = {INPUT: self.input_quant(counts)}, "embed" if "embed" in self.graph else "embed_linear"
        for name, module, inputs in self.nodes():
            run = cast(Callable[..., Tensor], module)
            options = (surrogate,) if isinstance(module, SURROGATES) else ()
            out = values[name] = run(*(values[source] for source in inputs), *options)
            if trace is not None:
                trace[name] = out
            drops = name.rpartition(".")[2] in DROPOUT and f"{name}_act" not in self.graph
            if name == stream or drops:
                values[name] = self.dropout(out)
        return out

    @torch.no_grad()
    def trace(self, counts: Any) -> dict[str, Codes]:
        """counts [bins, channels] -> int64 codes [rows, size] of every node, as Program.trace."""
        training = self.training
        values: Trace = {}
        self.eval()(torch.as_tensor(np.asarray(counts), dtype=torch.float32), trace=values)
        self.train(training)
        return {
            name: to_codes(values[name] * 2.0**module.op.y.frac).reshape(-1, module.op.size)
            for name, module, _ in self.nodes()
        }

    def nodes(self) -> Iterator[tuple[str, Sibling, tuple[str, ...]]]:
        """(Program node name, module, names of its inputs) in order."""
        for name, step in self.graph.items():
            yield name, cast(Sibling, self.get_submodule(path(name))), step.inputs

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
        write_state(self.state(), path)

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
        return cls.from_state(read_state(path))

"""Scales before QAT: for each tensor the power of two with the smallest squared error, then frozen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgendt import ops, scales
from edgendt.errors import BadInput
from edgendt.fixed import Int
from edgendt.models.ndt import NDT
from edgendt.models.stndt import Courses, Spatial
from edgendt.qat.formats import Bits
from edgendt.qat.ndt_graph import layout, path
from edgendt.scales import FRACS, GAMMA_BITS

SAMPLE = 200_000  # values of a tensor that are looked at
FINER = 4  # an output of its own scale is at most so much finer: a wider spread widens the firmware's weights
EMBEDDED = ("embed", "embed_linear")
SPATIAL_PARTS = ("lns", "sq", "sk", "ln3", "ln4", "f3", "f3_act", "f4")
GUESS = 4  # fraction of an activation nobody has measured
# A Linear is refused when its accumulator can leave 24 bits; scales leave a quarter of that to training.
ACCUMULATOR_SHARE = 0.75 * (2**23 - 1)


def unclipped_frac(x: Tensor, y: Int, headroom: float = 1.0) -> int:
    """The largest fraction at which `headroom` times the largest magnitude of x still has a code in y."""
    return scales.unclipped_frac(real(x), y, headroom)


def real(x: Tensor) -> NDArray[Any]:
    """The numbers of a tensor."""
    numbers: NDArray[Any] = x.detach().cpu().numpy()
    return numbers


def sample(x: Tensor) -> Tensor:
    """At most SAMPLE values of x [n], always the same ones; a stride could keep to a few channels."""
    if len(x) <= SAMPLE:
        return x
    return x[torch.randint(len(x), (SAMPLE,), generator=torch.Generator().manual_seed(0))]


def best_frac(x: Tensor, y: Int, narrow: bool = False) -> int:
    """The fraction with the smallest squared error; y gives bits and sign."""
    return scales.best_frac(real(sample(x.detach().flatten())), y, narrow)


def weight_frac(weight: Tensor, bias: Tensor, w: Int, x: Int) -> int:
    """`best_frac` of a weight [outputs, inputs], coarser where the accumulator or the 24-bit bias asks for it."""
    frac = best_frac(weight, w, narrow=True)
    while frac > FRACS[0]:
        codes = (weight.double() * 2.0**frac).round().clamp(-w.hi, w.hi)
        reach = codes.abs().sum(1) * x.limit + bias.double().abs() * 2.0 ** (frac + x.frac)
        if float(reach.max()) <= ACCUMULATOR_SHARE:
            break
        frac -= 1
    return frac


def gamma_frac(gamma: Tensor, beta: Tensor, bits: Int) -> int:
    """`best_frac` of gamma, coarser where beta would leave its 24 bits at fraction 12 + gamma.frac."""
    return scales.gamma_frac(real(gamma), real(beta), bits)


def check_counts(counts: Any, limit: int) -> Tensor:
    """Counts [trials, bins, channels] as floats, clipped as the input will be; BadInput when they are nothing."""
    tensor = torch.as_tensor(np.asarray(counts), dtype=torch.float32)
    if tensor.dim() != 3 or not tensor.numel():
        raise BadInput(f"calibration counts must be [trials, bins, channels] and not empty, got {list(tensor.shape)}")
    return tensor.clamp(max=limit)


def float_module(ndt: NDT, node: str) -> nn.Module:
    """The module of a float NDT that a node stands for: layer0.q is layers.0.q, layer0.sq layers.0.spatial.sq."""
    if node in EMBEDDED:
        return ndt.dropout  # which gives what it gets here
    layer, _, part = path(node).rpartition(".")
    return ndt.get_submodule(f"{layer}.spatial.{part}" if part in SPATIAL_PARTS else path(node))


def linear_of(ndt: NDT, node: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a Linear in real numbers; a table of positions behind it carries its bias."""
    if node == "course_linear":
        weight = cast(Courses, ndt.course).embedding()[0]
        return weight, weight.new_zeros(len(weight))
    if node == "embed_linear":
        weight, bias = ndt.embedding()
        return weight, bias if ndt.pos is None else torch.zeros_like(bias)
    module = cast(nn.Linear, float_module(ndt, node))
    return module.weight, module.bias


def table_of(ndt: NDT, node: str) -> Tensor:
    """A table of positions in real numbers, [rows, size]."""
    if node == "course":
        return cast(Courses, ndt.course).embedding()[1]
    return cast(Tensor, ndt.pos) + ndt.embedding()[1]


def weights_of(seen: dict[str, list[Tensor]], name: str) -> Callable[..., None]:
    """A hook that keeps what a spatial stream's weights were."""

    def look(module: Spatial, args: tuple[Tensor, ...], _out: Tensor) -> None:
        seen.setdefault(name, []).append(module.weights(args[0]).flatten())

    return look


@torch.no_grad()
def activations(ndt: NDT, counts: Tensor) -> dict[str, Tensor]:
    """Real values of a float network on counts [trials, bins, channels], by Program node; `residual` is the stream."""
    seen: dict[str, list[Tensor]] = {}
    hooks: list[Any] = []

    def watch(node: str, inputs: str | None, outputs: str | None) -> None:
        def look(_module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
            for name, value in ((inputs, args[0]), (outputs, out)):
                if name is not None:
                    seen.setdefault(name, []).append(value.flatten())

        hooks.append(float_module(ndt, node).register_forward_hook(look))

    guesses = Choice(ndt, Bits(), None)
    graph = layout(ndt.config, Bits(), guesses)
    for node, step in graph.items():
        own = node if node in guesses.fracs else None
        source = graph[step.inputs[0]].op if step.inputs[0] in graph else None
        if isinstance(step.op, ops.SpatialWeights):
            part = float_module(ndt, f"{node.rpartition('.')[0]}.spatial")
            hooks.append(part.register_forward_hook(weights_of(seen, node)))
        elif isinstance(step.op, ops.LayerNorm):
            stream = step.inputs[0] not in guesses.fracs and not isinstance(source, ops.Transpose)
            watch(node, "residual" if stream else None, own)
        elif isinstance(source, ops.Attention):
            watch(node, step.inputs[0], own)
        elif own and not isinstance(step.op, ops.Attention):
            watch(node, None, own)
    training = ndt.training
    ndt.eval()(counts)
    ndt.train(training)
    for hook in hooks:
        hook.remove()
    return {name: torch.cat(values) for name, values in seen.items()}


class Choice:
    """Fractions chosen while the network is laid out (ndt_graph.Fracs), kept in `fracs` by the names of Known."""

    def __init__(self, ndt: NDT, bits: Bits, seen: dict[str, Tensor] | None) -> None:
        self.ndt, self.bits, self.seen = ndt, bits, seen
        self.fracs: dict[str, int] = {}

    def activation(self, name: str, y: Int) -> int:
        """By squared error; a guess when nothing was seen. Log-rates get room for twice the largest."""
        if self.seen is None:
            frac = GUESS
        else:
            values = self.seen[name] if y.signed else self.seen[name].relu()
            frac = unclipped_frac(values, y, 2.0) if name == "readout" else best_frac(values, y)
        self.fracs[name] = frac
        return frac

    def weights(self, name: str, x: Int, outputs: int) -> tuple[int, ...]:
        """By squared error, one for all outputs or, with `bits.per_output`, one for each."""
        weight, bias = linear_of(self.ndt, name)
        w = Int(self.bits.of(name))
        self.fracs[f"{name}.w"] = common = weight_frac(weight, bias, w, x)
        if not self.bits.per_output:
            return (common,) * outputs
        rows = zip(weight[:, None], bias[:, None], strict=True)
        own = [min(weight_frac(row, one, w, x), common + FINER) for row, one in rows]
        self.fracs |= {f"{name}.w.{output}": frac for output, frac in enumerate(own)}
        return tuple(own)

    def gamma(self, name: str) -> int:
        module = cast(nn.LayerNorm, float_module(self.ndt, name))
        self.fracs[f"{name}.gamma"] = frac = gamma_frac(module.weight, module.bias, Int(GAMMA_BITS))
        return frac


@torch.no_grad()
def choose_fracs(ndt: NDT, bits: Bits, seen: dict[str, Tensor] | None) -> dict[str, int]:
    """The fraction of every tensor of the network, by the names of ndt_graph.Known."""
    choice = Choice(ndt, bits, seen)
    layout(ndt.config, bits, choice)
    return choice.fracs

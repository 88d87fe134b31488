"""Scales before QAT: for each tensor the power of two with the smallest squared error, then frozen."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgendt import scales
from edgendt.errors import BadInput
from edgendt.fixed import Int
from edgendt.models.ndt import NDT
from edgendt.models.stndt import Spatial
from edgendt.qat.formats import READOUT_BITS, Bits
from edgendt.qat.ndt_graph import path
from edgendt.scales import FRACS, GAMMA_BITS

SAMPLE = 200_000  # values of a tensor that are looked at
FINER = 4  # an output of its own scale is at most so much finer: a wider spread widens the firmware's weights
ROTATED = ("q_rot", "k_rot")
SPATIAL_PARTS = ("lns", "sq", "sk", "ln3", "ln4", "f3", "f4")
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
    layer, _, part = path(node).rpartition(".")
    return ndt.get_submodule(f"{layer}.spatial.{part}" if part in SPATIAL_PARTS else path(node))


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

    for layer in (f"layer{i}." for i in range(ndt.config.layers)):
        for name in ("ln1", "ln2"):
            watch(layer + name, "residual", layer + name)
        for name in ("q", "k", "v", "f1", *ROTATED * ndt.config.rotary):
            watch(layer + name, None, layer + name)
        watch(layer + "o", layer + "attention", None)
        if ndt.config.spatial_heads:
            for name in ("ln3", "ln4"):
                watch(layer + name, "residual", layer + name)
            for name in ("lns", "sq", "sk", "f3"):
                watch(layer + name, None, layer + name)
            stream = float_module(ndt, layer + "spatial")
            hooks.append(stream.register_forward_hook(weights_of(seen, layer + "weights")))
    watch("lnf", "residual", "lnf")
    watch("readout", None, "readout")
    training = ndt.training
    ndt.eval()(counts)
    ndt.train(training)
    for hook in hooks:
        hook.remove()
    return {name: torch.cat(values) for name, values in seen.items()}


def activation_frac(name: str, y: Int, seen: dict[str, Tensor] | None) -> int:
    """The fraction of one activation; a guess when nothing was seen. Log-rates get room for twice the largest."""
    if seen is None:
        return GUESS
    values = seen[name] if y.signed else seen[name].relu()
    return unclipped_frac(values, y, 2.0) if name == "readout" else best_frac(values, y)


@torch.no_grad()
def choose_fracs(ndt: NDT, bits: Bits, seen: dict[str, Tensor] | None) -> dict[str, int]:
    """The fraction of every tensor of the network (keys: see layout); guesses for activations when seen is None."""
    fracs: dict[str, int] = {}

    def act(name: str, size: int = bits.activation, signed: bool = True) -> Int:
        fracs[name] = activation_frac(name, Int(size, 0, signed), seen)
        return Int(size, fracs[name], signed)

    def weights(name: str, weight: Tensor, bias: Tensor, x: Int) -> None:
        w = Int(bits.of(name))
        fracs[f"{name}.w"] = common = weight_frac(weight, bias, w, x)
        if bits.per_output:
            for output, (row, one) in enumerate(zip(weight[:, None], bias[:, None], strict=True)):
                own = weight_frac(row, one, w, x)
                fracs[f"{name}.w.{output}"] = min(own, common + FINER)

    def linear(name: str, x: Int) -> None:
        module = cast(nn.Linear, float_module(ndt, name))
        weights(name, module.weight, module.bias, x)

    def norm(name: str) -> Int:
        module = cast(nn.LayerNorm, float_module(ndt, name))
        fracs[f"{name}.gamma"] = gamma_frac(module.weight, module.bias, Int(GAMMA_BITS))
        return act(name)

    act("residual", bits.residual)
    root = math.sqrt(ndt.config.d_model)
    bias = ndt.embed.bias * root if ndt.pos is None else torch.zeros(ndt.config.d_model)  # a position table holds it
    weights("embed_linear", ndt.embed.weight * root, bias, Int(bits.counts, 0, False))
    for layer in (f"layer{i}." for i in range(ndt.config.layers)):
        y = norm(layer + "ln1")
        for name in "qkv":
            linear(layer + name, y)
            act(layer + name)
        for name in ROTATED * ndt.config.rotary:
            act(layer + name)
        linear(layer + "o", act(layer + "attention"))
        linear(layer + "f1", norm(layer + "ln2"))
        linear(layer + "f2", act(layer + "f1", signed=False))
        if ndt.config.spatial_heads:
            y = norm(layer + "lns")
            for name in ("sq", "sk"):
                linear(layer + name, y)
                act(layer + name)
            act(layer + "weights", signed=False)
            norm(layer + "ln3")
            linear(layer + "f3", norm(layer + "ln4"))
            linear(layer + "f4", act(layer + "f3", signed=False))
    linear("readout", norm("lnf"))
    act("readout", READOUT_BITS)
    return fracs

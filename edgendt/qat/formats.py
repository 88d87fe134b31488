"""Which integer format each tensor of a quantized NDT has: bits from the user, fractions from calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgendt import ops
from edgendt.fixed import Int
from edgendt.models.ndt import NDTConfig
from edgendt.ops.layernorm import eps_code
from edgendt.scales import GAMMA_BITS

READOUT_BITS = 16
LINEARS = ("q", "k", "v", "o", "f1", "f2")
SPATIAL_LINEARS = ("sq", "sk", "f3", "f4")


@dataclass(frozen=True)
class Bits:
    """Bits per kind of tensor; `overrides` gives the weight bits of one Linear by node name ("layer0.q": 8).

    per_output: every output of a Linear has a power-of-two weight scale of its own.
    """

    weight: int = 4
    embed: int = 8
    readout: int = 8
    activation: int = 8
    residual: int = 12
    counts: int = 8
    per_output: bool = False
    overrides: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        limits = {"weight": (2, 8), "embed": (2, 8), "readout": (2, 8), "activation": (2, 8)}
        limits |= {"residual": (8, 16), "counts": (1, 8)}
        values = {name: getattr(self, name) for name in limits}
        for name, bits in self.overrides.items():
            limits[name], values[name] = (2, 8), bits
        for name, (low, high) in limits.items():
            if not low <= values[name] <= high:
                raise ValueError(f"bits of {name} must be {low}..{high}, got {values[name]}")

    def of(self, linear: str) -> int:
        """Weight bits of the Linear of that node name."""
        default = {"embed_linear": self.embed, "readout": self.readout}.get(linear, self.weight)
        return self.overrides.get(linear, default)


def linear_names(layers: int, spatial: bool = False) -> tuple[str, ...]:
    """Node names of every Linear, in order."""
    names = (*LINEARS, *SPATIAL_LINEARS) if spatial else LINEARS
    inner = tuple(f"layer{i}.{name}" for i in range(layers) for name in names)
    return ("embed_linear", *inner, "readout")


def check_overrides(bits: Bits, layers: int, spatial: bool = False) -> None:
    """ValueError for an override that names no Linear of this network."""
    known = linear_names(layers, spatial)
    for name in bits.overrides:
        if name not in known:
            raise ValueError(f"bits.overrides must name a Linear ({', '.join(known)}), got {name!r}")


def build_ops(config: NDTConfig, bits: Bits, fracs: Mapping[str, int]) -> dict[str, ops.Op]:
    """Every node of the network by name, in order.

    fracs: `residual`; the output of each ln, q, k, v, q_rot, k_rot, attention, f1 and readout under its node name, and
    of lns, sq, sk, weights, ln3, ln4, f3 of a spatial stream; the weights of a Linear under name.w; gamma of a
    LayerNorm under name.gamma; a Linear's output with a weight fraction of its own under name.w.OUTPUT.
    """
    d, stream = config.d_model, Int(bits.residual, fracs["residual"])
    built: dict[str, ops.Op] = {}

    def act(name: str, signed: bool = True) -> Int:
        return Int(bits.activation, fracs[name], signed)

    def linear(name: str, x: Int, y: Int, inputs: int = d, outputs: int = d) -> None:
        common = fracs[f"{name}.w"]
        own = tuple(fracs.get(f"{name}.w.{output}", common) for output in range(outputs))
        w_frac = own if len(set(own)) > 1 else None
        built[name] = ops.Linear(inputs, outputs, x, Int(bits.of(name), own[0]), y, w_frac)

    def norm(name: str, size: int = d) -> Int:
        gamma = Int(GAMMA_BITS, fracs[f"{name}.gamma"])
        built[name] = ops.LayerNorm(size, stream, gamma, act(name), eps_code(size, stream))
        return act(name)

    def spatial(layer: str) -> None:
        bins = config.rows
        built[f"{layer}.tokens"] = ops.Transpose(d, bins, stream)
        y = norm(f"{layer}.lns", bins)
        q, k = (act(f"{layer}.{name}") for name in ("sq", "sk"))
        for name, out in (("sq", q), ("sk", k)):
            linear(f"{layer}.{name}", y, out, bins, bins)
        a = act(f"{layer}.weights", signed=False)
        built[f"{layer}.weights"] = ops.SpatialWeights(d, bins, config.spatial_heads, q, k, a)
        built[f"{layer}.mix"] = ops.SpatialMix(d, a, norm(f"{layer}.ln3"), stream)
        built[f"{layer}.res3"] = ops.Add(d, stream)
        hidden = act(f"{layer}.f3", signed=False)
        linear(f"{layer}.f3", norm(f"{layer}.ln4"), hidden, outputs=config.ffn)
        linear(f"{layer}.f4", hidden, stream, inputs=config.ffn)
        built[f"{layer}.res4"] = ops.Add(d, stream)

    linear("embed_linear", Int(bits.counts, 0, False), stream, inputs=config.channels)
    if config.max_bins is not None:
        built["embed"] = ops.Position(d, config.max_bins, stream)
    for layer in (f"layer{i}" for i in range(config.layers)):
        y = norm(f"{layer}.ln1")
        q, k, v = (act(f"{layer}.{name}") for name in "qkv")
        for name, out in zip("qkv", (q, k, v), strict=True):
            linear(f"{layer}.{name}", y, out)
        if config.rotary:
            x, (q, k) = (q, k), (act(f"{layer}.q_rot"), act(f"{layer}.k_rot"))
            for name, before, after in zip(("q_rot", "k_rot"), x, (q, k), strict=True):
                built[f"{layer}.{name}"] = ops.Rotary(d, config.steps, before, after)
        attended = act(f"{layer}.attention")
        built[f"{layer}.attention"] = ops.Attention(d, config.heads, config.window, q, k, v, attended, config.causal)
        linear(f"{layer}.o", attended, stream)
        built[f"{layer}.res1"] = ops.Add(d, stream)
        hidden = act(f"{layer}.f1", signed=False)
        linear(f"{layer}.f1", norm(f"{layer}.ln2"), hidden, outputs=config.ffn)
        linear(f"{layer}.f2", hidden, stream, inputs=config.ffn)
        built[f"{layer}.res2"] = ops.Add(d, stream)
        if config.spatial_heads:
            spatial(layer)
    linear("readout", norm("lnf"), Int(READOUT_BITS, fracs["readout"]), outputs=config.outputs)
    return built


def node_inputs(name: str, config: NDTConfig) -> tuple[str, ...]:
    """Which nodes feed a node of `build_ops`; `counts` is the network's input."""
    layer, _, part = name.rpartition(".")
    layers, last, turned = config.layers, "res4" if config.spatial_heads else "res2", "_rot" if config.rotary else ""
    if not layer:
        ends = {"embed_linear": "counts", "embed": "embed_linear", "lnf": f"layer{layers - 1}.{last}", "readout": "lnf"}
        return (ends[name],)
    i = int(layer.removeprefix("layer"))
    before = ("embed_linear" if config.rotary else "embed") if i == 0 else f"layer{i - 1}.{last}"
    own: dict[str, tuple[str, ...]] = {"q": ("ln1",), "k": ("ln1",), "v": ("ln1",), "q_rot": ("q",), "k_rot": ("k",)}
    own |= {"attention": (f"q{turned}", f"k{turned}", "v"), "o": ("attention",)}
    own |= {"ln2": ("res1",), "f1": ("ln2",), "f2": ("f1",)}
    own |= {"lns": ("tokens",), "sq": ("lns",), "sk": ("lns",), "weights": ("sq", "sk"), "ln3": ("res2",)}
    own |= {"mix": ("weights", "ln3"), "res3": ("res2", "mix"), "ln4": ("res3",), "f3": ("ln4",), "f4": ("f3",)}
    own |= {"res4": ("res3", "f4")}
    inputs = {part: tuple(f"{layer}.{source}" for source in sources) for part, sources in own.items()}
    inputs |= {
        "ln1": (before,),
        "tokens": (before,),
        "res1": (before, f"{layer}.o"),
        "res2": (f"{layer}.res1", f"{layer}.f2"),
    }
    return inputs[part]

"""The graph of a quantized POYO: every node's op, formats and inputs, laid out once for torch and for the ops alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgendt import ops
from edgendt.data.tokens import KINDS
from edgendt.fixed import Int
from edgendt.models.poyo import WIDEN, POYOConfig, Tokens
from edgendt.ops.layernorm import eps_code
from edgendt.program import Axis, Input
from edgendt.qat.formats import READOUT_BITS, Bits
from edgendt.scales import GAMMA_BITS

ACCUMULATOR = Int(28)  # thousands of keys are weighted
KEYS = 4112  # tokens of a window that it can weight
STREAM = ("o", "res1", "f2", "res2")  # parts of a block in the format of the stream they add to
INPUTS = ("tokens", "token_ms", "latents", "latent_ms", "queries", "query_ms")
TOKENS, QUERIES = Axis("tokens"), Axis("queries")
# What has a row per token of a window: behind its last token is padding.
OF_TOKENS = ("tokens", "token_ms", "embed", "read.lnc", "read.k", "read.k_rot", "read.v", "read.v_rot")


@dataclass(frozen=True)
class Step:
    """One node of the graph: its name, the kind of its op, the nodes or INPUTS that feed it."""

    name: str
    kind: str
    inputs: tuple[str, ...]

    @property
    def block(self) -> str:
        """read, layer0, …, write; "" outside of blocks."""
        return self.name.rpartition(".")[0]

    @property
    def part(self) -> str:
        return self.name.rpartition(".")[2]

    def heads(self, config: POYOConfig) -> int:
        """Of the attention of its block."""
        return config.cross_heads if self.block in ("read", "write") else config.self_heads

    def sizes(self, config: POYOConfig) -> tuple[int, int]:
        """(inputs, outputs) of a Linear."""
        d, inner = config.dim, self.heads(config) * config.head_size
        inputs = {"o": inner, "f2": WIDEN * d}.get(self.part, d)
        wide = {"readout": config.outputs, "f1": WIDEN * d, "gate": WIDEN * d, "q": inner, "k": inner, "v": inner}
        return inputs, wide.get(self.part, d)

    @property
    def format(self) -> str:
        """Under which name the fraction of its output is kept.

        The latents' residual stream is one format; the queries' is another, of 8 bits, for the readout multiplies it.
        """
        if self.name == "latent" or self.part in STREAM:
            return "query" if self.block == "write" else "residual"
        return self.name


def layout(config: POYOConfig) -> tuple[Step, ...]:
    """Every node in order."""
    steps = [Step("embed", "lookup", ("tokens",)), Step("latent", "lookup", ("latents",))]
    steps += _block("read", "latent", "latent_ms", "embed", "token_ms", turned=True)
    last = "read.res2"
    for i in range(config.depth):
        steps += _block(f"layer{i}", last, "latent_ms", None, "latent_ms", turned=True)
        last = f"layer{i}.res2"
    steps += [Step("query", "lookup", ("queries",))]
    steps += _block("write", "query", "query_ms", last, "latent_ms", turned=False)
    return (*steps, Step("readout", "linear", ("write.res2",)))


def _block(name: str, x: str, at: str, context: str | None, of: str, turned: bool) -> list[Step]:
    """models.poyo.Block: x at times `at` reads `context` (x itself when None) of times `of`."""
    steps: list[Step] = []

    def add(part: str, kind: str, *inputs: str) -> str:
        steps.append(Step(f"{name}.{part}", kind, inputs))
        return f"{name}.{part}"

    y = add("ln1", "layernorm", x)
    read = y if context is None else add("lnc", "layernorm", context)
    q = add("q_rot", "rotary", add("q", "linear", y), at)
    k = add("k_rot", "rotary", add("k", "linear", read), of)
    v = add("v", "linear", read)
    v = add("v_rot", "rotary", v, of) if turned else v
    a = add("attention", "cross_attention", q, k, v)
    a = add("back", "rotary", a, at) if turned else a
    h = add("res1", "add", x, add("o", "linear", a))
    y = add("ln2", "layernorm", h)
    hidden = add("geglu", "geglu", add("f1", "linear", y), add("gate", "linear", y))
    add("res2", "add", h, add("f2", "linear", hidden))
    return steps


def graph_inputs(config: POYOConfig) -> tuple[Input, ...]:
    """INPUTS as a Program has them: latents, the same rows in every step, and their times are constants."""
    ms = np.array(config.latent_ms)
    rows = np.arange(len(ms)) % config.latents
    return (
        Input("tokens", 2, TOKENS),
        Input("token_ms", 1, TOKENS),
        Input("queries", 2, QUERIES),
        Input("query_ms", 1, QUERIES),
        Input.constant("latents", np.stack([rows, 0 * rows], 1)),
        Input.constant("latent_ms", ms[:, None]),
    )


def feed(config: POYOConfig, tokens: Tokens) -> dict[str, Tensor]:
    """INPUTS of a batch: rows [batch, n, 2] and times [batch, n], int64."""
    batch, queries = tokens.query_ms.shape
    constant = {item.name: torch.tensor(item.codes) for item in graph_inputs(config) if item.codes is not None}
    return {
        "tokens": torch.stack([tokens.unit, tokens.kind], -1),
        "token_ms": tokens.ms,
        "latents": constant["latents"].expand(batch, -1, -1),
        "latent_ms": constant["latent_ms"][:, 0].expand(batch, -1),
        "queries": torch.stack([tokens.session, 0 * tokens.session], -1)[:, None].expand(-1, queries, -1),
        "query_ms": tokens.query_ms,
    }


def output(step: Step, bits: Bits, fracs: Mapping[str, int]) -> Int:
    """Format of a node's codes."""
    size = {"residual": bits.residual, "readout": READOUT_BITS}.get(step.format, bits.activation)
    return Int(size, fracs[step.format])


def build_ops(config: POYOConfig, bits: Bits, fracs: Mapping[str, int]) -> dict[str, ops.Op]:
    """The op of every node, in order."""
    d, steps = config.dim, {step.name: step for step in layout(config)}
    built: dict[str, ops.Op] = {}
    for name, step in steps.items():
        y = output(step, bits, fracs)
        x = [output(steps[source], bits, fracs) for source in step.inputs if source not in INPUTS]
        inner = step.heads(config) * config.head_size
        if step.kind == "lookup":
            rows = {"embed": config.units, "latent": config.latents, "query": config.sessions}[name]
            built[name] = ops.Lookup(d, rows, KINDS if name == "embed" else 1, y)
        elif step.kind == "layernorm":
            built[name] = ops.LayerNorm(d, x[0], Int(GAMMA_BITS, fracs[f"{name}.gamma"]), y, eps_code(d, x[0]))
        elif step.kind == "linear":
            w = Int(bits.of(name), fracs[f"{name}.w"])
            built[name] = ops.Linear(*step.sizes(config), x[0], w, y)
        elif step.kind == "rotary":
            built[name] = ops.Rotary(inner, config.steps, x[0], y, inverse=step.part == "back")
        elif step.kind == "cross_attention":
            q, k, v = x
            keys = KEYS if step.block == "read" else len(config.latent_ms)
            built[name] = ops.CrossAttention(inner, step.heads(config), keys, q, k, v, y)
        elif step.kind == "geglu":
            a, gate = x
            built[name] = ops.GEGLU(WIDEN * d, a, gate, y)
        else:
            built[name] = ops.Add(d, y)
    return built


def macs(config: POYOConfig, tokens: int, queries: int, table: bool = False) -> int:
    """Products of the Linears and attentions of a window.

    table: keys and values of tokens are read from a table, not computed, and so are the first block's queries, the same
    in every window.
    """
    latents, total = len(config.latent_ms), 0
    rows = {"embed": tokens, "query": queries} | dict.fromkeys(OF_TOKENS, tokens)
    for step in layout(config):
        ours = step.block == "write" and step.part not in ("lnc", "k", "k_rot", "v")
        n = rows.get(step.name, queries if ours or step.name == "readout" else latents)
        if step.kind == "linear" and not (table and step.name in ("read.q", "read.k", "read.v")):
            inputs, outputs = step.sizes(config)
            total += n * inputs * outputs
        if step.kind == "cross_attention":
            keys = tokens if step.block == "read" else latents
            total += 2 * n * keys * step.heads(config) * config.head_size
    return total

"""Key maps of public state dicts: each of their keys, our names for its parts, its shape; tables: docs/checkpoints.md.

Made from the module names of snel-repo/neural-data-transformers, trungle93/STNDT and neuro-galaxy/torch_brain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

Keys = dict[str, tuple[tuple[str, ...], tuple[int, ...]]]  # a part that we have no use for is called ""
LAYER = "transformer_encoder.layers."
PROCESS = "proc_layers."  # of a POYO
TRAINING = ("projector.", "spatial_projector.")  # what an STNDT has beside the network, dropped at deployment


class Layout:
    """A layout under construction, of the sizes that some tensors of the state dict tell."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self.state = state
        self.keys: Keys = {}

    def size(self, key: str, axis: int = 0) -> int:
        """Length of a tensor along an axis; 0 where it is not there."""
        tensor = self.state.get(key)
        return tensor.shape[axis] if tensor is not None and tensor.dim() > axis else 0

    def one(self, ours: str, theirs: str, *shape: int) -> None:
        """A tensor."""
        self.keys[theirs] = ((ours,), shape)

    def pair(self, ours: Sequence[str], theirs: str, *shape: int, joint: str = ".", bias: bool = True) -> None:
        """weight and bias, each of which holds those of `ours` one behind the other."""
        for part in ("weight", "bias")[: 1 + bias]:
            names = tuple(name and f"{name}.{part}" for name in ours)
            self.keys[f"{theirs}{joint}{part}"] = (names, shape if part == "weight" else shape[:1])

    def layers(self, prefix: str) -> int:
        """How many layers are numbered behind `prefix`, one at least."""
        numbers = {int(found[1]) for key in self.state if (found := re.match(re.escape(prefix) + r"(\d+)\.", key))}
        return max(numbers, default=0) + 1


def is_stndt(state: Mapping[str, Any]) -> bool:
    """True for a state dict of an STNDT."""
    return "src_decoder.0.weight" in state


def has_rows(state: Mapping[str, Any]) -> bool:
    """True where the embedder has a row per count."""
    return "embedder.0.weight" in state and "embedder.0.bias" not in state


def ndt(state: Mapping[str, Tensor]) -> Keys:
    """The layout of an NDT or an STNDT."""
    made, spatial = Layout(state), is_stndt(state)
    d, decoder = made.size("transformer_encoder.norm.weight"), "src_decoder.0" if spatial else "decoder.0"
    outputs, positions = made.size(f"{decoder}.bias"), "src_pos_encoder" if spatial else "pos_encoder"
    embedder = "embedder.0" if spatial else "embedder"
    if has_rows(state):
        made.one("embed.weight", "embedder.0.weight", max(3, made.size("embedder.0.weight")), d // max(1, outputs))
    elif f"{embedder}.weight" in state:
        made.pair(["embed"], embedder, d, made.size(f"{embedder}.weight", 1))
    bins = _positions(made, "pos", positions, d)
    if spatial:
        _positions(made, "course.pos", "spatial_pos_encoder", bins, d)
        if "spatial_embedder.0.weight" in state:
            made.pair(["course.linear"], "spatial_embedder.0", bins, bins)
    for i in range(made.layers(LAYER)):
        _layer(made, f"layers.{i}", f"{LAYER}{i}", d)
        if spatial:
            _spatial(made, f"layers.{i}.spatial", f"{LAYER}{i}", d, bins)
    made.pair(["lnf"], "transformer_encoder.norm", d)
    made.pair(["readout"], decoder, outputs, d)
    return made.keys


def _positions(made: Layout, ours: str, theirs: str, size: int, rows: int | None = None) -> int:
    """A table of positions, learned or fixed; rows: those it must have. Returns how many it has."""
    learned = f"{theirs}.pos_embedding.weight"
    key, shape = (learned, (size,)) if learned in made.state else (f"{theirs}.pe", (1, size))
    rows = made.size(key) if rows is None else rows
    made.one(ours, key, rows, *shape)
    return rows


def _layer(made: Layout, ours: str, theirs: str, d: int) -> None:
    ffn = made.size(f"{LAYER}0.linear1.bias")
    made.pair([f"{ours}.{name}" for name in "qkv"], f"{theirs}.self_attn.in_proj", 3 * d, d, joint="_")
    made.pair([f"{ours}.o"], f"{theirs}.self_attn.out_proj", d, d)
    made.pair([f"{ours}.f1"], f"{theirs}.linear1", ffn, d)
    made.pair([f"{ours}.f2"], f"{theirs}.linear2", d, ffn)
    for name, norm in (("ln1", "norm1"), ("ln2", "norm2")):
        made.pair([f"{ours}.{name}"], f"{theirs}.{norm}", d)


def _spatial(made: Layout, ours: str, theirs: str, d: int, bins: int) -> None:
    """Of attention between channels the weights alone are used: not its values, nor what follows them."""
    ffn = made.size(f"{LAYER}0.linear1.bias")
    made.pair([f"{ours}.sq", f"{ours}.sk", ""], f"{theirs}.spatial_self_attn.in_proj", 3 * bins, bins, joint="_")
    made.pair([""], f"{theirs}.spatial_self_attn.out_proj", bins, bins)
    made.pair([f"{ours}.lns"], f"{theirs}.spatial_norm1", bins)
    for name, norm in (("ln3", "ts_norm1"), ("ln4", "ts_norm2")):
        made.pair([f"{ours}.{name}"], f"{theirs}.{norm}", d)
    made.pair([f"{ours}.f3"], f"{theirs}.ts_linear1", ffn, d)
    made.pair([f"{ours}.f4"], f"{theirs}.ts_linear2", d, ffn)


def poyo(state: Mapping[str, Tensor]) -> Keys:
    """The layout of torch_brain's POYO."""
    made = Layout(state)
    d, outputs = made.size("latent_emb.weight", 1), made.size("readout.bias")
    for ours, theirs in (("unit", "unit_emb"), ("session", "session_emb"), ("kind", "token_type_emb")):
        made.one(f"{ours}.weight", f"{theirs}.weight", made.size(f"{theirs}.weight"), d)
    made.one("latents", "latent_emb.weight", made.size("latent_emb.weight"), d)
    made.one("", "rotary_emb.omega", made.size("rotary_emb.omega"))
    _cross(made, "read", "enc", d)
    for i in range(made.layers(PROCESS)):
        ours, theirs = f"layers.{i}", f"{PROCESS}{i}"
        inner = made.size(f"{PROCESS}0.0.to_qkv.weight") // 3
        made.pair([f"{ours}.ln1"], f"{theirs}.0.norm", d)
        parts = [f"{ours}.attention.{name}" for name in "qkv"]
        made.pair(parts, f"{theirs}.0.to_qkv", 3 * inner, d, bias=False)
        made.pair([f"{ours}.attention.o"], f"{theirs}.0.to_out", d, inner)
        _gated(made, ours, f"{theirs}.1", d)
    _cross(made, "write", "dec", d)
    made.pair(["readout"], "readout", outputs, d)
    return made.keys


def _cross(made: Layout, ours: str, theirs: str, d: int) -> None:
    """A block that reads another sequence."""
    attention, inner = f"{theirs}_atn", made.size("enc_atn.to_q.weight")
    made.pair([f"{ours}.ln1"], f"{attention}.norm", d)
    made.pair([f"{ours}.lnc"], f"{attention}.norm_context", d)
    made.pair([f"{ours}.attention.q"], f"{attention}.to_q", inner, d, bias=False)
    made.pair([f"{ours}.attention.{name}" for name in "kv"], f"{attention}.to_kv", 2 * inner, d, bias=False)
    made.pair([f"{ours}.attention.o"], f"{attention}.to_out", d, inner)
    _gated(made, ours, f"{theirs}_ffn", d)


def _gated(made: Layout, ours: str, theirs: str, d: int) -> None:
    """LayerNorm and the feed-forward network, four times as wide, of which one half gates the other."""
    made.pair([f"{ours}.ln2"], f"{theirs}.0", d)
    made.pair([f"{ours}.f1", f"{ours}.gate"], f"{theirs}.1.net.0", 8 * d, d)
    made.pair([f"{ours}.f2"], f"{theirs}.1.net.3", d, 4 * d)

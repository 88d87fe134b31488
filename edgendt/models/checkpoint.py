"""State dicts that public NDT training code writes, read without trusting them, as weights of our float network.

The key map was made from the module names of snel-repo/neural-data-transformers; docs/checkpoints.md has it as a table.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgendt.errors import BadInput, reading
from edgendt.ops.attention import ALL

NESTED = ("state_dict", "model_state_dict")  # where training code keeps the weights beside other things
WRAPPER = "module."  # in front of every key of a network that was trained on several devices
LAYER = "transformer_encoder.layers."
OTHERS = {
    "src_decoder.0.weight": "an STNDT",
    "unit_emb.weight": "a POYO",
    "embedder.0.weight": "an NDT with a row per count",
}


@dataclass(frozen=True)
class Checkpoint:
    """A trained network of other code: the fields of ModelConfig that it fixes, and its weights under our names.

    settings: what its own configuration says of attention, as fields of ModelConfig; {} where the file has none.
    """

    path: Path
    model: Mapping[str, Any]
    settings: Mapping[str, Any]
    weights: Mapping[str, Tensor]

    @property
    def inputs(self) -> int:
        """Columns of its embedder."""
        return self.weights["embed.weight"].shape[1]

    def of_inputs(self, held_in: Sequence[int], channels: int) -> dict[str, Tensor]:
        """The weights of a network that sees the channels `held_in` of all `channels`, which it predicts.

        A network that was fed zeros for held-out channels loses their columns. BadInput where the numbers differ.
        """
        outputs = len(self.weights["readout.bias"])
        if outputs != channels or self.inputs not in (channels, len(held_in)):
            raise BadInput(
                f"checkpoint {self.path} has {self.inputs} inputs and {outputs} outputs, the recording {len(held_in)} "
                f"held-in of {channels} channels: give it the recording that it was trained on, data.held_out too"
            )
        columns = list(held_in if self.inputs == channels else range(self.inputs))
        return {**self.weights, "embed.weight": self.weights["embed.weight"][:, columns]}


def read(path: Path | str) -> Checkpoint:
    """The network in a file of torch.save: a state dict, or a dict that holds one.

    BadInput for a file that is none or that holds more than tensors and plain values (nothing that could run is
    unpickled), for keys that are not exactly those of the layout, and for a network that no Program holds yet.
    """
    state, settings = _load(Path(path))
    if "decoder.0.weight" not in state or "embedder.0.weight" in state:
        known = next((said for key, said in OTHERS.items() if key in state), "no network of a known layout")
        raise BadInput(f"checkpoint {path} is {known}: only NDTs with a linear or no embedder can be read")
    weights = _renamed(Path(path), state)
    learned = "pos_encoder.pos_embedding.weight" in state
    model = {
        "kind": "ndt",
        "d_model": len(weights["lnf.weight"]),
        "layers": _layers(state),
        "ffn": len(weights["layers.0.f1.bias"]),
        "max_bins": len(weights["pos"]),
        "position": "learned" if learned else "sinusoidal",
        "identity": "embedder.weight" not in state,
    }
    return Checkpoint(Path(path), model, _attention(Path(path), settings, model), weights)


def _load(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """(weights, the MODEL section of the file's own configuration or {})."""
    # Their configurations are yacs nodes, which are dicts: as dicts they are read, and no code of yacs runs.
    with reading(f"checkpoint {path}"), torch.serialization.safe_globals([(OrderedDict, "yacs.config.CfgNode")]):
        found = _opened(path)
    config = found.get("config", {}) if isinstance(found, dict) else {}
    state = next((found[key] for key in NESTED if key in found), found) if isinstance(found, dict) else found
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise BadInput(f"checkpoint {path} holds no state dict, neither itself nor under {' or '.join(NESTED)}")
    wrapped = all(str(key).startswith(WRAPPER) for key in state)
    named = {str(key).removeprefix(WRAPPER if wrapped else ""): value for key, value in state.items()}
    model = config.get("MODEL", {}) if isinstance(config, dict) else {}
    return named, model if isinstance(model, dict) else {}


def _opened(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(
            "it is no file of torch.save, or it holds more than tensors and plain values, which could run code; save "
            "model.state_dict() alone"
        ) from error


def _layers(state: Mapping[str, Tensor]) -> int:
    numbers = {int(found[1]) for key in state if (found := re.match(re.escape(LAYER) + r"(\d+)\.", key))}
    return max(numbers, default=0) + 1


def _renamed(path: Path, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by our names. BadInput names every key that is missing, unknown or of another shape."""
    expected = _layout(state)
    missing = [key for key in expected if key not in state]
    unknown = [key for key in state if key not in expected and key != "pos_encoder.pe"]
    odd = [
        f"{key} {list(state[key].shape)} instead of {list(shape)}"
        for key, (_, shape) in expected.items()
        if key in state and tuple(state[key].shape) != shape
    ]
    for said, keys in (("misses", missing), ("has unknown", unknown), ("has", odd)):
        if keys:
            raise BadInput(f"checkpoint {path} {said} {', '.join(keys)}: it is no NDT of the public layout")
    weights: dict[str, Tensor] = {}
    for key, (names, _) in expected.items():
        parts = state[key].float().chunk(len(names)) if len(names) > 1 else (state[key].float(),)
        weights |= dict(zip(names, parts, strict=True))
    weights["pos"] = weights["pos"].flatten(1)
    if "embed.weight" not in weights:  # counts enter their own columns, times √d as in any NDT
        size = len(weights["lnf.weight"])
        weights |= {"embed.weight": torch.eye(size), "embed.bias": torch.zeros(size)}
    return weights


def _layout(state: Mapping[str, Tensor]) -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
    """Their keys -> (our names, shape): the layout of a network with the sizes that some of its tensors tell."""

    def rows(key: str, default: int = 0) -> int:
        return state[key].shape[0] if key in state and state[key].dim() else default

    d, ffn, outputs = rows("transformer_encoder.norm.weight"), rows(f"{LAYER}0.linear1.bias"), rows("decoder.0.bias")
    layout: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {}

    def pair(ours: Sequence[str], theirs: str, *shape: int, joint: str = ".") -> None:
        layout[f"{theirs}{joint}weight"] = (tuple(f"{name}.weight" for name in ours), shape)
        layout[f"{theirs}{joint}bias"] = (tuple(f"{name}.bias" for name in ours), shape[:1])

    if "embedder.weight" in state:
        columns = state["embedder.weight"].shape[-1] if state["embedder.weight"].dim() else 0
        pair(["embed"], "embedder", d, columns)
    learned = "pos_encoder.pos_embedding.weight"
    if learned in state:
        layout[learned] = (("pos",), (rows(learned), d))
    else:
        layout["pos_encoder.pe"] = (("pos",), (rows("pos_encoder.pe"), 1, d))
    for i in range(_layers(state)):
        ours, theirs = f"layers.{i}", f"{LAYER}{i}"
        pair([f"{ours}.{name}" for name in "qkv"], f"{theirs}.self_attn.in_proj", 3 * d, d, joint="_")
        pair([f"{ours}.o"], f"{theirs}.self_attn.out_proj", d, d)
        pair([f"{ours}.f1"], f"{theirs}.linear1", ffn, d)
        pair([f"{ours}.f2"], f"{theirs}.linear2", d, ffn)
        for name, norm in (("ln1", "norm1"), ("ln2", "norm2")):
            pair([f"{ours}.{name}"], f"{theirs}.{norm}", d)
    pair(["lnf"], "transformer_encoder.norm", d)
    pair(["readout"], "decoder.0", outputs, d)
    return layout


def _attention(path: Path, said: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    """Heads and window as the file's configuration says; BadInput where that is a network that nothing here holds."""
    refused = {"PRE_NORM": (True, "LayerNorm behind the sum"), "ACTIVATION": ("relu", "another activation than ReLU")}
    refused |= {"LOGRATE": (True, "rates instead of log-rates"), "SCALE_NORM": (False, "ScaleNorm")}
    refused |= {"CONTEXT_WRAP_INITIAL": (False, "a first context that sees ahead")}
    for key, (wanted, what) in refused.items():
        if key in said and said[key] != wanted:
            raise BadInput(f"checkpoint {path} was trained with {what} ({key} = {said[key]!r}): it cannot be held")
    found = {"heads": said["NUM_HEADS"]} if "NUM_HEADS" in said else {}
    if said.get("FULL_CONTEXT"):
        return found | {"causal": False}
    if "CONTEXT_FORWARD" not in said:
        return found
    back, ahead = said.get("CONTEXT_BACKWARD", 0), said["CONTEXT_FORWARD"]
    if ahead == 0:  # it streams
        return found | {"causal": True, "window": min(back + 1, model["max_bins"]) if back > 0 else model["max_bins"]}
    return found | {"causal": False, "back": back if back > 0 else ALL, "ahead": max(ahead, ALL)}

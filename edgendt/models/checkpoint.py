"""State dicts that public training code writes, read without trusting them, as weights of our float networks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgendt.errors import BadInput, reading
from edgendt.models import layouts
from edgendt.models.ndt import ACTIVATIONS
from edgendt.ops.attention import ALL

NESTED = ("state_dict", "model_state_dict")  # where training code keeps the weights beside other things
WRAPPERS = ("module.", "model.")  # in front of every key: of several devices, of a trainer
VOCABULARY = ".vocab"  # names of a table's rows
SETTINGS = ("config", "hyper_parameters")  # the file's own configuration
OURS = {"config", "weights"}  # keys of a run's float.pt and qat.pt


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
        """Columns of its embedder; with a row per count, the blocks of columns that it fills."""
        if lookup := self.model["lookup"]:
            return int(self.model["d_model"]) // int(lookup)
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
        if self.model["lookup"]:
            return dict(self.weights)
        columns = list(held_in if self.inputs == channels else range(self.inputs))
        return {**self.weights, "embed.weight": self.weights["embed.weight"][:, columns]}


def read(path: Path | str) -> Checkpoint:
    """The network in a file of torch.save: a state dict, or a dict that holds one.

    BadInput for a file that is none or that holds more than tensors and plain values (nothing that could run is
    unpickled), for keys that are not exactly those of the layout, and for a network that no Program holds yet.
    """
    state, said = load(Path(path))
    if "decoder.0.weight" not in state and not layouts.is_stndt(state):
        known = "a POYO: add model.kind=poyo" if "unit_emb.weight" in state else "no network of a known layout"
        raise BadInput(f"checkpoint {path} is {known}")
    kind = "STNDT" if layouts.is_stndt(state) else "NDT"
    weights = renamed(Path(path), state, layouts.ndt(state), kind, ("pos_encoder.pe", *layouts.TRAINING))
    weights |= _flat(weights) | _of_no_embedder(state, weights)
    model = _model(state, weights)
    settings = _attention(Path(path), said, model)
    if layouts.is_stndt(state):
        settings = _of_windows(Path(path), state, settings)
    return Checkpoint(Path(path), model, settings, weights)


def _model(state: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Fields of ModelConfig that the weights tell."""
    spatial = layouts.is_stndt(state)
    learned = any(key.endswith("pos_embedding.weight") for key in state)
    model = {
        "kind": "stndt" if spatial else "ndt",
        "d_model": len(weights["lnf.weight"]),
        "layers": layouts.Layout(state).layers(layouts.LAYER),
        "ffn": len(weights["layers.0.f1.bias"]),
        "max_bins": len(weights["pos"]),
        "position": "learned" if learned else "sinusoidal",
        "identity": not any(key.startswith("embedder.") for key in state),
        "lookup": 0,
    }
    if layouts.has_rows(state):
        rows, lookup = weights["embed.weight"].shape
        model |= {"lookup": lookup, "most": rows - 1}
    return model | {"courses": True} if spatial else model


def _of_windows(path: Path, state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an STNDT, whose channels see the whole window; BadInput for one that nothing here holds."""
    if layouts.has_rows(state):
        raise BadInput(f"checkpoint {path} is an STNDT with a row per count: only a linear or no embedder can be held")
    if settings.get("post_norm"):
        raise BadInput(f"checkpoint {path} is an STNDT with LayerNorm behind the sums: it cannot be held")
    found = dict(settings)
    if "heads" in settings:
        found["spatial_heads"] = settings["heads"]
    if settings.get("causal"):  # in time alone
        found |= {"causal": False, "back": found.pop("window") - 1, "ahead": 0}
    return found


def load(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """(weights, the model's section of the file's own configuration or {}); vocabularies are left out. BadInput."""
    # Their configurations are yacs nodes, which are dicts: as dicts they are read, and no code of yacs runs.
    with reading(f"checkpoint {path}"), torch.serialization.safe_globals([(OrderedDict, "yacs.config.CfgNode")]):
        found = _opened(path)
    outer: dict[str, Any] = found if isinstance(found, dict) else {}
    state = next((outer[key] for key in NESTED if key in outer), found)
    named = _unwrapped(state) if isinstance(state, dict) else {}
    named = {key: value for key, value in named.items() if not (key.endswith(VOCABULARY) and isinstance(value, dict))}
    if not named or not all(isinstance(value, Tensor) for value in named.values()):
        if outer.keys() >= OURS:
            raise BadInput(
                f"checkpoint {path} is of a run, not of public code: give the run's config.toml to --config instead"
            )
        raise BadInput(f"checkpoint {path} holds no state dict, neither itself nor under {' or '.join(NESTED)}")
    config: dict[str, Any] = next((outer[key] for key in SETTINGS if isinstance(outer.get(key), dict)), {})
    model = config.get("MODEL", config.get("model", {}))
    return named, model if isinstance(model, dict) else {}


def _unwrapped(state: Mapping[Any, Any]) -> dict[str, Any]:
    """Without what stands in front of all keys."""
    wrapper = next((one for one in WRAPPERS if all(str(key).startswith(one) for key in state)), "")
    return {str(key).removeprefix(wrapper): value for key, value in state.items()}


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


def renamed(
    path: Path, state: Mapping[str, Tensor], expected: layouts.Keys, kind: str, idle: Sequence[str] = ()
) -> dict[str, Tensor]:
    """Weights by our names. BadInput names every key that is missing, unknown or of another shape.

    idle: keys, or how they begin or end, that the network has no use for.
    """
    missing = [key for key in expected if key not in state]
    unused = tuple(idle)
    unknown = [key for key in state if key not in expected and not key.startswith(unused) and not key.endswith(unused)]
    odd = [
        f"{key} {list(state[key].shape)} instead of {list(shape)}"
        for key, (_, shape) in expected.items()
        if key in state and tuple(state[key].shape) != shape
    ]
    named = (("misses", missing), ("has unknown", unknown), ("has", odd))
    if wrong := [f"{said} {', '.join(keys)}" for said, keys in named if keys]:
        raise BadInput(f"checkpoint {path} {', and '.join(wrong)}: it is no {kind} of the public layout")
    weights: dict[str, Tensor] = {}
    for key, (names, _) in expected.items():
        weights |= {name: part for name, part in zip(names, state[key].float().chunk(len(names)), strict=True) if name}
    return weights


def _flat(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tables of positions without an axis of one."""
    return {name: weights[name].flatten(1) for name in ("pos", "course.pos") if name in weights}


def _of_no_embedder(state: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What stands where the code has none, and what is left of a table of rows."""
    found: dict[str, Tensor] = {}
    if layouts.has_rows(state):  # its last row stands for what is masked
        return {"embed.weight": weights["embed.weight"][:-1]}
    for name, size in (("embed", len(weights["lnf.weight"])), ("course.linear", len(weights["pos"]))):
        if f"{name}.weight" not in weights and (name == "embed" or layouts.is_stndt(state)):
            found |= {f"{name}.weight": torch.eye(size), f"{name}.bias": torch.zeros(size)}
    return found


def _attention(path: Path, said: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    """What the file's configuration says beside its weights; BadInput for a network that nothing here holds."""
    refused: dict[str, tuple[Sequence[Any], str]] = {
        "ACTIVATION": (tuple(ACTIVATIONS), "another activation than ReLU or GELU"),
        "LOGRATE": ((True,), "rates instead of log-rates"),
        "SCALE_NORM": ((False,), "ScaleNorm"),
        "CONTEXT_WRAP_INITIAL": ((False,), "a first context that sees ahead"),
    }
    for key, (held, what) in refused.items():
        if key in said and said[key] not in held:
            raise BadInput(f"checkpoint {path} was trained with {what} ({key} = {said[key]!r}): it cannot be held")
    found = {"heads": said["NUM_HEADS"]} if "NUM_HEADS" in said else {}
    found |= {"activation": said["ACTIVATION"]} if "ACTIVATION" in said else {}
    found |= {"post_norm": not said["PRE_NORM"]} if "PRE_NORM" in said else {}
    if said.get("FULL_CONTEXT"):
        return found | {"causal": False}
    if "CONTEXT_FORWARD" not in said:
        return found
    back, ahead = said.get("CONTEXT_BACKWARD", 0), said["CONTEXT_FORWARD"]
    if ahead == 0:  # of time, the past alone
        return found | {"causal": True, "window": min(back + 1, model["max_bins"]) if back > 0 else model["max_bins"]}
    return found | {"causal": False, "back": back if back > 0 else ALL, "ahead": max(ahead, ALL)}

"""State dicts of torch_brain's POYO, read without trusting them, as weights of our float network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgendt.data.tokens import KINDS
from edgendt.errors import BadInput
from edgendt.models import layouts
from edgendt.models.checkpoint import load, renamed
from edgendt.models.poyo import POYO, POYOConfig, adapted
from edgendt.ops.rotary import TURN

OMEGA = "rotary_emb.omega"  # radians per second


@dataclass(frozen=True)
class PoyoCheckpoint:
    """A trained POYO of other code. model: the fields of POYOConfig that it fixes; weights: under our names."""

    path: Path
    model: Mapping[str, Any]
    weights: Mapping[str, Tensor]

    def network(self, config: POYOConfig) -> tuple[POYO, bool]:
        """(the network for such data, whether its rows are left to train); config: of the data's units and sessions.

        Rows in the order of the checkpoint; of one session with another number of units they are new (models.adapted).
        """
        units, sessions = (len(self.weights[f"{name}.weight"]) for name in ("unit", "session"))
        fields = {**self.model, "dropout": config.dropout, "step_ms": config.step_ms, "window_ms": config.window_ms}
        own = POYO(POYOConfig(units, sessions, **fields))
        own.load_state_dict(dict(self.weights))
        if (config.units, config.sessions) == (units, sessions):
            return own, False
        if config.sessions > 1:
            raise BadInput(
                f"checkpoint {self.path} knows {units} units of {sessions} sessions, the data are {config.units} of "
                f"{config.sessions}: give it the sessions that it was trained on, or a single new one"
            )
        return adapted(own, config.units), True


def read(path: Path | str) -> PoyoCheckpoint:
    """The network in a file of torch.save; refusals as models.checkpoint.read."""
    state, hyper = load(Path(path))
    if "unit_emb.weight" not in state:
        raise BadInput(f"checkpoint {path} is no POYO: leave model.kind=poyo out")
    weights = renamed(Path(path), state, layouts.poyo(state), "POYO")
    steps, backward = turns(state[OMEGA])
    head = 2 * len(steps)
    # Of units and sessions the first row stands for no name.
    weights["unit.weight"], weights["session.weight"] = (weights[f"{name}.weight"][1:] for name in ("unit", "session"))
    weights["kind.weight"] = weights["kind.weight"][:KINDS]
    weights = {name: _turned_about(name, value, backward, head) for name, value in weights.items()}
    model = {
        "outputs": len(weights["readout.bias"]),
        "dim": weights["latents"].shape[1],
        "depth": layouts.Layout(state).layers(layouts.PROCESS),
        "latents": len(weights["latents"]),
        "cross_heads": len(weights["read.attention.q.weight"]) // head,
        "self_heads": len(weights["layers.0.attention.q.weight"]) // head,
        "head_size": head,
        "turns": steps,
    }
    return PoyoCheckpoint(Path(path), model | _times(hyper), weights)


def _times(hyper: Mapping[str, Any]) -> dict[str, int]:
    """Window and step in ms, where the file has its hyper-parameters."""
    named = {"window_ms": "sequence_length", "step_ms": "latent_step"}
    known = {ours: hyper.get(theirs) for ours, theirs in named.items()}
    return {name: round(1000 * value) for name, value in known.items() if isinstance(value, int | float)}


def turns(omega: Tensor) -> tuple[tuple[int, ...], list[bool]]:
    """(steps of POYOConfig, which pairs turn backward) of radians per second.

    Times are whole ms: what turns by more than half per ms turns, at these times, by less and the other way.
    """
    steps = [round(float(one) / (2000 * math.pi) * TURN) % TURN for one in omega.double()]
    backward = [step > TURN // 2 for step in steps]
    return tuple(TURN - step if back else step for step, back in zip(steps, backward, strict=True)), backward


def _turned_about(name: str, weight: Tensor, backward: list[bool], head: int) -> Tensor:
    """A weight of an attention with the two channels of each backward pair changed over: so it turns forward."""
    part = name.rpartition(".attention.")[2]
    if part not in ("q.weight", "k.weight", "v.weight", "o.weight"):
        return weight
    order = torch.arange(head).unflatten(0, (-1, 2))
    order[backward] = order[backward].flip(1)
    axis = int(part == "o.weight")
    heads = weight.shape[axis] // head
    return weight.index_select(axis, (order.flatten() + head * torch.arange(heads)[:, None]).flatten())

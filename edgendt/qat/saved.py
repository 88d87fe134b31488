"""Write the state of a network, and read it, trusting nothing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from edgendt.errors import BadInput


def write_state(state: dict[str, Any], path: Path | str) -> None:
    """A file as of `torch.save`; a full disk is an OSError that names it, which torch's own writer of files is not."""
    data = io.BytesIO()
    torch.save(state, data)
    try:
        Path(path).write_bytes(data.getbuffer())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def read_state(path: Path | str) -> dict[str, Any]:
    """What a network's `save` wrote. BadInput when the file is something else."""
    try:
        state = torch.load(path, weights_only=True)
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist") from error
    except Exception as error:  # whatever unpickling strange bytes raises
        raise BadInput(f"{path} is not a saved quantized network, or is damaged") from error
    if not isinstance(state, dict):
        raise BadInput(f"{path} is not a saved quantized network: it holds a {type(state).__name__}")
    return state

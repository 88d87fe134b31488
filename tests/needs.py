"""What a test needs besides the package: absent on a user's machine it skips, saying so; in CI it fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgendt.tools import find_tool

ROOT = Path(__file__).parent.parent


def _absent(reason: str, fatal: bool = True) -> None:
    if fatal and os.environ.get("CI"):
        pytest.fail(f"{reason}; CI must have it", pytrace=False)
    pytest.skip(reason)


def needs(tool: str) -> Path:
    """Path of an external program; skips (fails in CI) when it is absent."""
    path = find_tool(tool)
    if path is None:
        _absent(f"{tool} is not installed")
    assert path is not None
    return path


def shared(name: str) -> Path:
    """A file of the folder `shared` beside the checkout; a user does not have it, so its absence always skips."""
    path = ROOT.parent / "shared" / name
    if not path.exists():
        _absent(f"shared/{name} is not here", fatal=False)
    return path

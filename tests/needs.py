"""What a test needs besides the package: absent on a user's machine it skips, saying so; in CI it fails."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from edgendt.tools import find_tool

ROOT = Path(__file__).parent.parent


def absent(reason: str, fatal: bool = True) -> None:
    """Skip the test or the whole file; in CI it fails, when `fatal`."""
    if fatal and os.environ.get("CI"):
        pytest.fail(f"{reason}; CI must have it", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def needs(tool: str) -> Path:
    """Path of an external program; skips (fails in CI) when it is absent."""
    path = find_tool(tool)
    if path is None:
        absent(f"{tool} is not installed")
    assert path is not None
    return path


def needs_package(name: str) -> ModuleType:
    """A Python package that an extra brings; skips the test or the whole file (fails in CI) when it is absent."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:  # it is there, and broken
            raise
        absent(f"the Python package {name} is not installed")
        raise


def shared(name: str) -> Path:
    """A file of the folder `shared` beside the checkout; a user does not have it, so its absence always skips."""
    path = ROOT.parent / "shared" / name
    if not path.exists():
        absent(f"shared/{name} is not here", fatal=False)
    return path

"""The text of docs/accuracy.md from the cells that examples/accuracy.py made."""

from __future__ import annotations

from pathlib import Path


def page(folder: Path, names: list[str], variants: tuple[str, ...]) -> str:
    return ""

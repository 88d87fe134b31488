"""Scripts that were read once and checked in under tests/golden: what is emitted equals them."""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"
WRITE = "EDT_WRITE_GOLDENS"


def is_golden(text: str, name: str) -> None:
    """`text` is what tests/golden/<name> holds. With $EDT_WRITE_GOLDENS it becomes that, to be read and committed."""
    path = GOLDEN / name
    if WRITE in os.environ:
        path.write_text(text)
    assert path.is_file(), f"tests/golden has no {name}: run this test with {WRITE}=1, read what it wrote and commit it"
    assert text == path.read_text(), f"it is no longer tests/golden/{name}: if that is meant, {WRITE}=1 writes it again"

"""docs/accuracy.md says what the cells hold: paired losses with their bound, targets missed by name."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from needs import ROOT

pytest.importorskip("scipy")
VARIANTS = ("8 bits everywhere", "default", "4 bits everywhere", "3 bits everywhere")


def room() -> ModuleType:
    spec = importlib.util.spec_from_file_location("accuracy_page", ROOT / "examples" / "accuracy_page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cells(folder: Path, seed: int, default: float, leave_out: str = "") -> None:
    inside = folder / f"lorenz-{seed}"
    inside.mkdir(parents=True)
    (inside / "config.toml").write_text("[qat]\nsteps = 300\n")
    for name in ("baseline", "float", "control", *VARIANTS):
        value = {"baseline": 0.5 + seed / 1000, "default": default}.get(name, 1.0)
        scores = {"co_bps": value, "rate_r2": 1.0, "velocity_r2": None}
        cell = {"scores": scores, "commit": "abc", "versions": {"torch": "2.13.0"}}
        if name != leave_out:
            (inside / f"{name}.json").write_text(json.dumps(cell))


def test_losses_are_paired_and_bounded(tmp_path: Path) -> None:
    cells(tmp_path, 1, 0.99)
    cells(tmp_path, 2, 0.97)
    text = room().page(tmp_path, ["lorenz"], VARIANTS)
    # Losses 1 % and 3 %: mean 2, standard error 1, t(0.975, 1) = 12.706.
    assert "| Lorenz | 2 | co-bps | +0.00 (+0.00) | +2.00 (+14.71) |" in text
    assert "Targets missed: default on Lorenz, co-bps: 2.00 % > 0.7 %." in text
    assert "| Lorenz | co-bps | +0.4985 |" in text
    assert "Seeds 1, 2; commits abc" in text and "torch 2.13.0" in text


def test_a_seed_with_a_missing_cell_does_not_count(tmp_path: Path) -> None:
    cells(tmp_path, 1, 0.999)
    cells(tmp_path, 2, 0.999)
    cells(tmp_path, 3, 0.5, leave_out="control")
    text = room().page(tmp_path, ["lorenz"], VARIANTS)
    assert "| Lorenz | 2 | co-bps |" in text and "Every mean is within its target." in text

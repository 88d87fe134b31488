"""docs/accuracy.md says what the cells hold: paired losses with their bound, targets missed by name."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from needs import ROOT, needs_package

needs_package("scipy")
VARIANTS = (
    "8 bits everywhere",
    "default",
    "default, own scales",
    "4 bits everywhere",
    "4 bits, own scales",
    "3 bits everywhere",
)


def room(name: str = "accuracy_page") -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
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


def ask(monkeypatch: pytest.MonkeyPatch, *words: object) -> list[str]:
    """`make accuracy` with options, nothing trained; the data sets whose cells it would fill."""
    needs_package("torch")
    filled: list[str] = []
    script = room("accuracy")
    monkeypatch.setattr(script, "fill", lambda data, folder, seed: filled.append(folder.name))
    monkeypatch.setattr(sys, "argv", ["accuracy.py", *map(str, words)])
    monkeypatch.syspath_prepend(ROOT / "examples")
    script.main()
    return filled


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--recording", "none.npz"], "docs/accuracy.md would lose chewie (no none.npz): name --recording, or"),
        (["--page-only"], "docs/accuracy.md would lose lorenz (no complete seed of it in "),
        (["--only", "lorentz"], "--only must name some of lorenz,chaotic_rnn,chewie, got 'lorentz'"),
    ],
)
def test_the_page_of_the_docs_loses_no_data_set_in_silence(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "accuracy.md").read_bytes()
    with pytest.raises(SystemExit) as end:
        ask(monkeypatch, "--folder", tmp_path, *words)
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.startswith("error: ") and said in error and error.count("\n") == 1
    assert (ROOT / "docs" / "accuracy.md").read_bytes() == page and not list(tmp_path.iterdir())


def test_another_page_or_other_data_need_no_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cells(tmp_path, 20, 0.999)
    words = ["--folder", tmp_path, "--seeds", 1, "--page", tmp_path / "page.md"]
    assert ask(monkeypatch, *words, "--recording", "none.npz") == ["lorenz-20", "chaotic_rnn-20"]
    assert capsys.readouterr().err == "chewie is left out: no none.npz\n"
    assert ask(monkeypatch, *words, "--only", "lorenz") == ["lorenz-20"]
    assert "Lorenz" in (tmp_path / "page.md").read_text()

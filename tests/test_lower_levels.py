"""What a change of grids does to values: the bound without data holds, and is nearly reached."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nets import BINS, CHANNELS, Net, Y, matmul

from edgendt.fixed import Int
from edgendt.lower import lowered
from edgendt.lower.calls import Note
from edgendt.lower.levels import Levels, bound, error

CHANGES = {
    "the next larger power": (Levels(0.3, -128, 127), Levels(0.5, -128, 127)),
    "nearly twice": (Levels(0.26, 0, 255), Levels(0.5, 0, 255)),
    "a zero point": (Levels(0.1, -50, 205), Levels(0.1 * 205 / 255, -256, 255)),
    "a smaller range": (Levels(0.3, -128, 127), Levels(0.25, -128, 127)),
    "half the step": (Levels(0.25, -128, 127), Levels(0.125, -2048, 2047)),
    "three times the step": (Levels(1.0, -128, 127), Levels(3.0, -128, 127)),
}


@pytest.mark.parametrize("case", CHANGES)
def test_the_bound_holds_and_is_nearly_reached(case: str) -> None:
    old, new = CHANGES[case]
    values = np.linspace(old.low * old.step, old.high * old.step, 400_001)
    values = np.concatenate([values, np.arange(2 * old.low, 2 * old.high + 1) * old.step / 2])  # ties too
    moved = np.abs(new.on(values) - old.on(values)).max() / old.reach
    assert 0.8 * bound(old, new) < moved <= bound(old, new) * (1 + 1e-12)


def test_a_bound_is_of_both_steps_of_the_finer_one_or_what_is_clipped() -> None:
    old = Levels(1.0, -8, 7)
    new = [Levels(1.5, -8, 7), Levels(2.0, -8, 7), Levels(0.5, -8, 7), Levels(1.0, -128, 127), Levels(1.0, -7, 7)]
    assert [bound(old, one) * 8 for one in new] == [1.25, 1.0, 4.0, 0.0, 1.0]


def told(words: str, net: Net, output: str, tmp_path: Path, data: bool = False) -> Note:
    """The one of those words."""
    trials = [np.random.default_rng(0).integers(0, 9, (BINS, CHANNELS))] if data else None
    notes = lowered(net.save(output, tmp_path / "net.onnx", opset=21), trials).notes
    (found,) = [note for note in notes if words in note.what]
    return found


@pytest.mark.parametrize("data", [True, False])
def test_a_refit_of_an_activation_tells_an_error_or_a_bound(data: bool, tmp_path: Path) -> None:
    net = Net()
    note = told("scale", net, net.quant(matmul(net), Int(8), 0.3), tmp_path, data)
    if data:
        assert note.bound is None and note.error is not None and 0 < note.error < 0.1
    else:
        assert note.error is None and note.bound == pytest.approx(0.4 / 38.4, rel=1e-6)  # 0.3 has 24 bits
        assert note.what == "scale 0.3 refitted to 2^-1, reach 38.4 to 64"


@pytest.mark.parametrize("data", [True, False])
def test_a_refit_of_a_zero_point_tells_an_error_or_a_bound(data: bool, tmp_path: Path) -> None:
    net = Net()
    scale, zero = net.constant(0.4), net.zero(np.uint8, 100)
    codes = net.node("QuantizeLinear", matmul(net), scale, zero)
    note = told("zero point", net, net.node("DequantizeLinear", codes, scale, zero), tmp_path, data)
    if data:
        assert note.bound is None and note.error is not None and 0 < note.error < 0.2
    else:
        assert note.error is None and note.bound == pytest.approx(
            (1 + 155 / 127) / 2 / 155
        )  # codes -100..155 to 8 bits


def test_a_format_that_sums_join_tells_a_bound(tmp_path: Path) -> None:
    net = Net()
    total = net.node("Add", net.quant(matmul(net), Y), net.quant(matmul(net), Int(8, 3)))
    assert told("joined by sums", net, net.quant(total, Y), tmp_path).bound == 0.125 / 32  # steps of 1/4 to 1/8


def test_an_error_is_of_what_the_file_rounds() -> None:
    old, new = Levels(0.25, -8, 7), Levels(0.5, -8, 7)
    assert [error(np.array(values), old, new) for values in ([0.25], [0.5, -2.0], [3.5])] == [1.0, 0.0, 0.5]

"""The quantized network: link 1 of the chain, its calibration, its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from quantized import GEOMETRIES, program_of, spikes, trained

from edgendt.errors import BadInput
from edgendt.export import export_qonnx
from edgendt.fixed import Int
from edgendt.lower import lower
from edgendt.models.ndt import NDT, NDTConfig
from edgendt.node import EACH
from edgendt.ops import Linear
from edgendt.qat import calibrate
from edgendt.qat.formats import Bits
from edgendt.qat.ndt import QuantNDT


@pytest.mark.parametrize("name", GEOMETRIES)
def test_torch_equals_the_program_at_every_op(name: str) -> None:
    q = trained(name)
    program = program_of(q)
    for counts in spikes(q.config, 4, seed=7):
        expected, got = program.trace(program.clip(counts)[0]), q.trace(counts)
        assert list(expected) == list(got)
        for node in expected:
            np.testing.assert_array_equal(got[node], expected[node], err_msg=node)


def test_the_size_of_the_published_network_is_exact_too() -> None:
    config = NDTConfig(137, 182, d_model=182, layers=4, heads=2, ffn=128, window=140, max_bins=140)
    torch.manual_seed(0)
    counts = spikes(config, 2, seed=3)
    q = QuantNDT.from_float(NDT(config), Bits(8, 8, 8), counts[:1]).eval()
    program = program_of(q)
    expected, got = program.trace(program.clip(counts[1])[0]), q.trace(counts[1])
    for node in expected:
        np.testing.assert_array_equal(got[node], expected[node], err_msg=node)


def test_training_mode_without_dropout_computes_the_same_integers() -> None:
    q = trained("default")
    x = torch.tensor(spikes(q.config, 3, seed=8), dtype=torch.float32)
    with torch.no_grad():
        exact = q(x)
    assert torch.equal(q(x), exact) and q(x).requires_grad
    assert torch.equal(exact * 2.0**q.readout.op.y.frac, (exact * 2.0**q.readout.op.y.frac).round())


def test_surrogates_differ_from_the_integers_by_little() -> None:
    q = trained("8 bits")
    x = torch.tensor(spikes(q.config, 3, seed=8), dtype=torch.float32).clamp(max=9)
    with torch.no_grad():
        exact, soft = q(x), q(x, surrogate=True)
    assert 0 < (exact - soft).abs().mean() < 0.05 * exact.std()


def test_a_causal_stndt_streams() -> None:
    q = trained("causal stndt")
    program = program_of(q)
    counts = program.clip(spikes(q.config, 1, seed=3)[0])[0]
    expected, stream = program.trace(counts), program.stream()
    assert program.axis("layer0.tokens").name == EACH and expected["layer0.weights"].shape == (14 * 8, 8)
    for _ in range(2):  # a reset forgets
        rows = [stream.trace_step(row) for row in counts]
        stream.reset()
        for name, codes in expected.items():
            np.testing.assert_array_equal(np.concatenate([np.atleast_2d(row[name]) for row in rows]), codes, name)
    later = counts.copy()
    later[9:] = 0
    np.testing.assert_array_equal(program.run(later)[:9], program.run(counts)[:9])


def test_steps_say_which_counts_are_reached_and_skips_change_nothing() -> None:
    q = trained("a row per count")
    counts = np.arange(20)[:, None] % np.array([[2, 3, 5, 7, 300]])
    steps = q.trace(counts)["steps"].reshape(20, 5, 4)
    np.testing.assert_array_equal(steps, counts[:, :, None] >= np.arange(1, 5))
    codes, op = trained("post-LN").trace(spikes(GEOMETRIES["post-LN"][0], 1)[0]), program_of(trained("post-LN")).node
    for skip, source in (("layer0.skip1", "embed"), ("layer1.skip2", "layer1.ln1")):
        wide, narrow = op(skip).op.y, op(source).op.y
        np.testing.assert_array_equal(codes[skip] * wide.scale, codes[source] * narrow.scale)


@pytest.mark.parametrize("surrogate", [True, False])
def test_every_parameter_learns(surrogate: bool) -> None:
    config = NDTConfig(6, 5, d_model=16, layers=2, heads=2, ffn=24, window=4, max_bins=12)
    torch.manual_seed(1)
    q = QuantNDT.from_float(NDT(config), Bits(), np.minimum(spikes(config, 8), 9)).train()
    x = torch.tensor(spikes(config, 8, seed=2), dtype=torch.float32)
    (q(x, surrogate=surrogate) * torch.linspace(-1, 1, 5)).sum().backward()
    for name, parameter in q.named_parameters():
        # A key's bias shifts every score of a query alike, so it has no gradient but float noise.
        assert parameter.grad is not None and (parameter.grad.abs().sum() > 0 or name.endswith("k.bias")), name


def test_a_saved_network_is_the_same_network(tmp_path: Path) -> None:
    q = trained("overrides")
    q.save(tmp_path / "qat.pt")
    counts = spikes(q.config, 2, seed=9)
    again = QuantNDT.load(tmp_path / "qat.pt")
    assert (again.bits, again.fracs, again.calibrated) == (q.bits, q.fracs, True)
    for trial in counts:
        expected, got = q.trace(trial), again.trace(trial)
        assert list(expected) == list(got)
        for name in expected:
            np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


@pytest.mark.parametrize("content", [b"", b"not a network", b"PK\x03\x04 half a zip"])
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "qat.pt"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="is not a saved quantized network"):
        QuantNDT.load(path)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    torch.save(trained("tiny").state() | {"schema": 99}, tmp_path / "qat.pt")
    with pytest.raises(BadInput, match="schema 1, got 99"):
        QuantNDT.load(tmp_path / "qat.pt")


def test_exporting_before_calibration_is_refused(tmp_path: Path) -> None:
    q = QuantNDT.from_float(NDT(GEOMETRIES["tiny"][0]))
    with pytest.raises(BadInput, match="never calibrated"):
        export_qonnx(q, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize("shape", [(0, 9, 5), (9, 5)])
def test_calibration_without_trials_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match=r"must be \[trials, bins, channels\] and not empty"):
        QuantNDT.from_float(NDT(GEOMETRIES["tiny"][0]), Bits(), np.zeros(shape))


@pytest.mark.parametrize(
    "bits,said",
    [
        ({"weight": 9}, "bits of weight must be 2..8, got 9"),
        ({"residual": 17}, "bits of residual must be 8..16, got 17"),
        ({"overrides": {"layer0.q": 1}}, "bits of layer0.q must be 2..8, got 1"),
    ],
)
def test_bits_out_of_range_are_refused(bits: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Bits(**bits)  # type: ignore[arg-type]


def test_an_override_that_names_no_linear_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must name a Linear .*got 'layer7.q'"):
        QuantNDT.from_float(NDT(GEOMETRIES["tiny"][0]), Bits(overrides={"layer7.q": 4}))


def test_outputs_of_unlike_weights_get_scales_of_their_own_and_lose_less() -> None:
    config = GEOMETRIES["a scale per output"][0]
    torch.manual_seed(5)
    ndt, counts = NDT(config), np.minimum(spikes(config, 4), 9)
    with torch.no_grad():
        ndt.readout.weight *= 2.0 ** torch.arange(-3, 1).repeat(config.outputs // 4)[:, None]
    shared, own = (QuantNDT.from_float(ndt, Bits(per_output=per), counts) for per in (False, True))
    assert shared.readout.op.w_frac is None
    w_frac = own.readout.op.w_frac
    assert w_frac is not None and max(w_frac) - min(w_frac) == 3
    weight = ndt.readout.weight.detach()
    lost = [float((q.readout.weight_quant(weight) - weight).square().sum()) for q in (shared, own)]
    assert lost[1] < 0.7 * lost[0]


def test_the_chosen_fraction_has_the_smallest_squared_error_of_all() -> None:
    torch.manual_seed(0)
    x = torch.randn(5000)
    for bits in (3, 4, 8):
        y = Int(bits)
        codes = {frac: (x.double() * 2.0**frac).round().clamp(-y.hi, y.hi) for frac in range(-4, 16)}
        errors = {frac: float((code * 2.0**-frac - x).square().mean()) for frac, code in codes.items()}
        assert calibrate.best_frac(x, y, narrow=True) == min(errors, key=errors.__getitem__)


def test_gamma_is_coarser_only_where_a_large_beta_asks_for_it() -> None:
    gamma = torch.ones(16)
    assert calibrate.gamma_frac(gamma, torch.zeros(16), Int(8)) == 6
    assert calibrate.gamma_frac(gamma, torch.full((16,), 15.0), Int(8)) == 6
    assert calibrate.gamma_frac(gamma, torch.full((16,), -60.0), Int(8)) == 4


def test_a_tensor_of_zeros_has_a_fraction() -> None:
    assert calibrate.best_frac(torch.zeros(10), Int(8)) == 7


def test_scales_keep_every_accumulator_within_its_24_bits(tmp_path: Path) -> None:
    """Wide 8-bit layers with large biases would overflow at the scales of smallest error."""
    config = NDTConfig(256, 8, d_model=16, layers=1, heads=1, ffn=1024, window=4, max_bins=6)
    torch.manual_seed(0)
    ndt = NDT(config)
    with torch.no_grad():
        block = ndt.layers[0]
        block.f2.weight.uniform_(-0.001, 0.001)  # type: ignore[union-attr]
        block.f2.bias.fill_(50.0)  # type: ignore[union-attr]
        block.q.bias.fill_(-900.0)  # type: ignore[union-attr]
        ndt.lnf.bias.fill_(30.0)
    q = QuantNDT.from_float(ndt, Bits(8, 8, 8), np.full((2, 6, 256), 3))
    linears = {name: module for name, module, _ in q.nodes() if isinstance(module.op, Linear)}
    assert all(m.op.accumulator_limit(**m.constants()) < 2**23 for m in linears.values())
    coarser = calibrate.best_frac(block.f2.weight, Int(8), narrow=True)  # type: ignore[union-attr,arg-type]
    assert linears["layer0.f2"].op.w.frac < coarser
    export_qonnx(q, tmp_path / "model.onnx")
    counts = np.full((6, 256), 3)
    np.testing.assert_array_equal(lower(tmp_path / "model.onnx").run(counts), q.trace(counts)["readout"])


def test_calibration_leaves_the_float_network_as_it_was() -> None:
    config = replace(GEOMETRIES["tiny"][0], dropout=0.3)
    ndt = NDT(config).train()
    before = {name: value.clone() for name, value in ndt.state_dict().items()}
    QuantNDT.from_float(ndt, Bits(), np.minimum(spikes(config, 3), 9))
    assert ndt.training and not any(module._forward_hooks for module in ndt.modules())
    assert all(torch.equal(before[name], value) for name, value in ndt.state_dict().items())

"""Each torch sibling computes its op's integers, forward; the gradient of the float op, backward."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch_siblings as siblings
from brevitas.core.function_wrapper import Identity, RoundSte, TensorClamp, TensorClampSte
from brevitas.core.quant import IntQuant
from golden_cases import Case, all_cases
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import golden_ndt, random_counts, random_ndt
from strategies import (
    Example,
    adds,
    attentions,
    biased,
    layernorms,
    linears,
    positions,
    rotaries,
    spatial_mixes,
    spatial_weights,
    transposes,
)

from edgendt.fixed import Int
from edgendt.ops import Attention, LayerNorm
from edgendt.qat.attention import exponentials_by_gap
from edgendt.qat.fixed import POWERS, Fixed, power

SOME = {"linear": linears(), "add": adds(), "position": positions(), "layernorm": layernorms()} | {
    "attention": attentions(),
    "rotary": rotaries(),
}


@pytest.mark.parametrize("grad", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_sibling_equals_the_golden_case(case: Case, grad: bool) -> None:
    np.testing.assert_array_equal(siblings.run(case.op, case.inputs, case.constants, grad), case.y)


def check(example: Example, grad: bool) -> None:
    got = siblings.run(example.op, example.inputs, example.constants, grad)
    np.testing.assert_array_equal(got, example.run())


@settings(max_examples=250, deadline=None)
@given(SOME["linear"], st.booleans())
def test_linear_equals_its_op(example: Example, grad: bool) -> None:
    check(example, grad)


@settings(max_examples=250, deadline=None)
@given(SOME["add"], st.booleans())
def test_add_equals_its_op(example: Example, grad: bool) -> None:
    check(example, grad)


@settings(max_examples=250, deadline=None)
@given(SOME["position"], st.booleans())
def test_position_equals_its_op(example: Example, grad: bool) -> None:
    check(example, grad)


@settings(max_examples=250, deadline=None)
@given(SOME["layernorm"], st.booleans())
def test_layernorm_equals_its_op(example: Example, grad: bool) -> None:
    check(example, grad)


@settings(max_examples=250, deadline=None)
@given(SOME["attention"], st.booleans())
def test_attention_equals_its_op(example: Example, grad: bool) -> None:
    check(example, grad)


@settings(max_examples=250, deadline=None)
@given(SOME["rotary"], st.booleans())
def test_rotary_equals_its_op(example: Example, grad: bool) -> None:
    check(example, grad)


@settings(max_examples=150, deadline=None)
@given(st.one_of(transposes(), spatial_weights(), spatial_mixes()), st.booleans())
def test_ops_between_channels_equal_theirs(example: Example, grad: bool) -> None:
    check(example, grad)


def test_every_op_of_the_golden_network_equals_its_trace() -> None:
    program, counts, expected = golden_ndt()
    trace = {"counts": counts, **program.trace(counts)}
    for node in program.nodes:
        got = siblings.run(node.op, [trace[name] for name in node.inputs], node.constants)
        np.testing.assert_array_equal(got, expected.get(node.name, trace[node.name]), err_msg=node.name)


@pytest.mark.parametrize("seed", range(4))
def test_every_op_of_a_random_network_equals_its_trace(seed: int) -> None:
    program = random_ndt(seed, d=32, heads=4, residual=(12, 16)[seed % 2], weight=3 + seed, per_channel=seed > 1)
    counts = random_counts(program, seed, 33)
    trace = {"counts": counts, **program.trace(counts)}
    for node in program.nodes:
        got = siblings.run(node.op, [trace[name] for name in node.inputs], node.constants)
        np.testing.assert_array_equal(got, trace[node.name], err_msg=node.name)


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 16), st.integers(-4, 12), st.booleans(), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
def test_the_quantizer_is_brevitas_value_and_gradient(
    bits: int, frac: int, signed: bool, narrow: bool, through: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    y = Int(bits, frac, signed)
    halves = biased(rng, Int(bits + 3, frac + 1), (40,))  # ties and values beyond both limits
    x = siblings.values(halves, frac + 1)
    x[::4] += torch.from_numpy(rng.normal(0, 0.3 * y.scale, 10)).float()
    stock = IntQuant(narrow, signed, Identity(), RoundSte(), TensorClampSte() if through else TensorClamp())
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    got = Fixed(y, narrow=narrow, through=through)(mine)
    want = stock(torch.tensor(y.scale), torch.tensor(0.0), torch.tensor(float(bits)), theirs)
    weights = torch.from_numpy(rng.normal(size=40)).float()
    (got * weights).sum().backward()
    (want * weights).sum().backward()
    assert torch.equal(got, want)
    assert torch.equal(mine.grad, theirs.grad)  # type: ignore[arg-type]


def test_powers_of_two_are_exact() -> None:
    exponents = torch.arange(-96, 97)
    assert [float(p) for p in power(exponents)] == [2.0 ** int(e) for e in exponents]
    assert len(POWERS) == len(exponents)


@settings(max_examples=30, deadline=None)
@given(attentions())
def test_the_table_by_gap_holds_every_exponential_that_is_not_zero(example: Example) -> None:
    op = example.op
    assert isinstance(op, Attention)
    table = exponentials_by_gap(op)
    beyond = np.array([0, -len(table), -len(table) - 1, -(1 << 24)])
    assert table[-1] == 0
    reach = 2 * op.head_size * op.q.limit * op.k.limit
    assert len(table) > reach or not op.scale.exponentials(beyond)[1:].any()


@pytest.mark.parametrize("kind", ["layernorm", "attention"])
def test_the_gradient_of_the_integers_is_that_of_the_float_surrogate(kind: str) -> None:
    rng = np.random.default_rng(3)
    x = Int(12, 7)
    op: LayerNorm | Attention = LayerNorm(16, x, Int(8, 6), Int(8, 5), 42)
    forms, constants = [x], {"gamma": rng.integers(30, 90, 16), "beta": rng.integers(-9999, 9999, 16)}
    if kind == "attention":
        op = Attention(16, 2, 4, Int(8, 4), Int(8, 4), Int(8, 5), Int(8, 5))
        forms, constants = [op.q, op.k, op.v], {}
    grads = []
    codes = [rng.integers(form.lo // 4, form.hi // 4, (2, 7, 16)) for form in forms]
    for surrogate in (False, True):
        real = [siblings.values(c, form.frac).requires_grad_() for c, form in zip(codes, forms, strict=True)]
        out = siblings.module(op, constants)(*real, surrogate=surrogate)
        (out * torch.linspace(-1, 1, 16)).sum().backward()
        grads.append([item.grad for item in real])
    for mine, theirs in zip(*grads, strict=True):
        assert torch.equal(mine, theirs) and mine.abs().sum() > 0


def test_position_refuses_a_bin_past_its_rows() -> None:
    from edgendt.ops import Position

    sibling = siblings.module(Position(4, 3, Int(12)), {"table": np.zeros((3, 4), np.int64)})
    with pytest.raises(ValueError, match="bins must be at most 3"):
        sibling(torch.zeros(4, 4))

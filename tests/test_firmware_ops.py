"""The C++ ops equal the reference: golden cases, properties over formats and shapes, and faults that must show."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from golden_cases import Case, all_cases, group, scalar
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from needs import needs
from op_harness import Harness, compile_ops, include_flags
from strategies import Example, biased, generators, tied
from ties import attention_ties

from edgendt.compare import compare
from edgendt.errors import ToolFailed
from edgendt.fixed import Codes, Int
from edgendt.ops import Add, Attention, LayerNorm, Linear, Op, Position
from edgendt.ops.layernorm import eps_code
from edgendt.tools import cache_folder, run_tool, share

GOLDEN = all_cases()
NARROW = {
    name: (scalar(a["shift"]), Int(scalar(a["bits"]), 0, bool(scalar(a["signed"])))) for name, a in group("narrow")
}
R12, R16, R9 = Int(12, 7), Int(16, 9), Int(9, 3)
COUNTS, ACT, HIDDEN = Int(8, 0, False), Int(8, 5), Int(8, 5, False)

# Formats and shapes compiled into the harness: shifts of either sign, signed and unsigned, 1 element and primes.
OPS: dict[str, list[Op]] = {
    "linear": [
        Linear(1, 1, ACT, Int(8, 6), Int(8, 3)),
        Linear(13, 16, COUNTS, Int(8, 6), R12),  # negative shift: the embedder
        Linear(16, 7, ACT, Int(4, 4), ACT),
        Linear(24, 5, ACT, Int(4, 3), HIDDEN),  # ReLU
        Linear(23, 16, HIDDEN, Int(2, 1), R12),
        Linear(17, 11, ACT, Int(8, 6), Int(16, 10)),
        Linear(8, 12, HIDDEN, Int(3, -1), R16),  # weights of negative fraction
        Linear(11, 6, ACT, Int(8, 12), Int(8, -2)),  # a shift of 19
        Linear(9, 9, ACT, Int(4, 4), ACT, tuple(range(1, 10))),  # a fraction per output
        Linear(5, 4, Int(4, 0, False), Int(8, 0), Int(8)),  # shift 0
    ],
    "add": [Add(1, R12), Add(16, R12), Add(23, R16), Add(8, R9), Add(7, COUNTS)],
    "position": [Position(1, 1, R12), Position(16, 9, R12), Position(23, 4, R16), Position(8, 140, R9)],
    "layernorm": [
        LayerNorm(1, R12, Int(8, 6), ACT, eps_code(1, R12)),
        LayerNorm(2, R9, Int(8, 7), Int(8, 6), 1),
        LayerNorm(16, R12, Int(8, 6), ACT, eps_code(16, R12)),
        LayerNorm(23, Int(8, 0), Int(8, 4), Int(8, 2), eps_code(23, Int(8, 0))),
        LayerNorm(64, R16, Int(8, 6), Int(8, 7), eps_code(64, R16)),
        LayerNorm(182, R12, Int(8, 5), Int(8, 3), eps_code(182, R12)),
        LayerNorm(256, Int(16, 0), Int(8, 6), ACT, eps_code(256, Int(16, 0))),
        LayerNorm(12, COUNTS, Int(8, 6), ACT, eps_code(12, COUNTS)),  # unsigned input, as in a one-op Program
        LayerNorm(9, R12, Int(8, 6), Int(8, 19), eps_code(9, R12)),  # negative final shift
    ],
    "attention": [
        Attention(1, 1, 1, ACT, ACT, ACT, ACT),
        Attention(16, 2, 9, Int(8, 4), Int(8, 4), Int(8, 4), ACT),
        Attention(12, 3, 5, Int(8, 7), Int(8, 6), ACT, Int(8, 7)),
        Attention(24, 8, 12, Int(8, 3), Int(8, 4), Int(8, 2), Int(8, 0)),
        Attention(13, 1, 16, Int(8, 2), Int(8, 2), Int(8, 7), Int(8, 9)),
        Attention(32, 4, 2, ACT, Int(8, 3), ACT, Int(8, 3)),
        Attention(6, 2, 4, COUNTS, COUNTS, COUNTS, Int(8, -1)),  # unsigned input, as in a one-op Program
    ],
}
MUTANTS = {  # header, right, wrong; what goes wrong
    "linear": ("edt_linear.h", "AP_RND_CONV, AP_SAT> type", "AP_RND, AP_SAT> type"),  # ties go up
    "add": ("edt_add.h", "saturate<y_T>(sum)", "value<y_T>(typename format<y_T>::code_t(sum))"),  # wraps
    "position": ("edt_position.h", "reset[0] != 0 ? 0u", "reset[0] == 0 ? 0u"),  # the reset is misheard
    "layernorm": ("edt_layernorm.h", "length += length & 1;", ""),  # odd lengths get the wrong power of two
    "attention": ("edt_attention.h", "best = j == 0 || score > best ? score : best;", "best = score;"),
    "fixed": ("edt_fixed.h", "sum += odd;", "sum += 0 * odd;"),  # ties go down
}
ASSERTED = {  # header, right, wrong; the assertion that must stop it
    "must round ties to even": ("edt_linear.h", "AP_RND_CONV, AP_SAT> type", "AP_RND, AP_SAT> type"),
    "must saturate": ("edt_linear.h", "AP_RND_CONV, AP_SAT> type", "AP_RND_CONV, AP_WRAP> type"),
    "keep every product's last bit": ("edt_linear.h", "acc::frac ==", "acc::frac - 1 =="),
    "hold every sum": ("edt_linear.h", "acc::bits >= ACC_BITS", "acc::bits > ACC_BITS"),
}


def linear_example(op: Linear, rng: np.random.Generator) -> Example:
    """Biased codes; on the first bin every other output's accumulator is a tie between neighbouring codes."""
    codes, weight = biased(rng, op.x, (3, op.inputs)), biased(rng, op.w, (op.outputs, op.inputs))
    bias = biased(rng, Int(16), (op.outputs,))
    for row in range(0, op.outputs, 2):
        shift = int(op.shifts[row])
        if shift > 0:
            most = min(1 << (op.y.bits - 1), (1 << 20) >> shift) + 1
            bias[row] = (2 * int(rng.integers(-most, most)) + 1) * (1 << (shift - 1)) - int(codes[0] @ weight[row])
    return Example(op, (codes,), {"weight": weight, "bias": bias})


def example(op: Op, rng: np.random.Generator) -> Example:
    """Inputs and constants of one op, biased to ties and limits."""
    if isinstance(op, Linear):
        return linear_example(op, rng)
    if isinstance(op, Add):
        return Example(op, (biased(rng, op.y, (4, op.size)), biased(rng, op.y, (4, op.size))), {})
    if isinstance(op, Position):
        bins = int(rng.integers(1, op.bins, endpoint=True))
        return Example(op, (biased(rng, op.y, (bins, op.size)),), {"table": biased(rng, op.y, (op.bins, op.size))})
    if isinstance(op, LayerNorm):
        codes = biased(rng, op.x, (5, op.size)) >> rng.integers(0, op.x.bits, (5, 1))
        gamma, beta = biased(rng, op.gamma, (op.size,)), biased(rng, Int(int(rng.integers(4, 25))), (op.size,))
        return Example(op, (codes,), {"gamma": gamma, "beta": tied(op, codes, gamma, beta, rng)})
    bins, small = int(rng.integers(1, 20)), int(rng.integers(0, 6))
    queries, keys = (biased(rng, form, (bins, op.size)) >> small for form in (op.q, op.k))
    return Example(op, (queries, keys, biased(rng, op.v, (bins, op.size))), {})


def equal(case: str, expected: Codes, got: Codes) -> None:
    """Raise the first Mismatch."""
    tally = compare("c++", {case: expected}, {case: got})
    if tally.first:
        raise tally.first


@pytest.fixture(scope="session")
def harness() -> Harness:
    needs("g++")
    ops = [*(case.op for case in GOLDEN), *(op for ops in OPS.values() for op in ops)]
    ops += [example.op for example in attention_ties()]
    return compile_ops(list(dict.fromkeys(ops)), cache_folder("firmware-ops"), narrows=list(NARROW.values()))


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_cpp_op_equals_the_golden_case(harness: Harness, case: Case) -> None:
    equal(case.name, case.y, harness.run(case.op, case.inputs, case.constants))


@pytest.mark.parametrize("name,arrays", list(group("narrow")), ids=lambda v: v if isinstance(v, str) else "")
def test_cpp_narrow_equals_the_golden_case(harness: Harness, name: str, arrays: dict[str, Codes]) -> None:
    got = harness.narrow(arrays["a"], *NARROW[name])
    np.testing.assert_array_equal(got, arrays["y"])


@pytest.mark.parametrize("kind", OPS)
def test_cpp_op_equals_the_reference_for_any_codes(harness: Harness, kind: str) -> None:
    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(OPS[kind]), generators)
    def holds(op: Op, rng: np.random.Generator) -> None:
        case = example(op, rng)
        equal(kind, case.run(), harness.run(op, case.inputs, case.constants))

    holds()


def test_cpp_attention_gives_the_even_code_at_ties(harness: Harness) -> None:
    for case in attention_ties():
        equal("attention", case.run(), harness.run(case.op, case.inputs, case.constants))


def mutated(folder: Path, file: str, right: str, wrong: str) -> Path:
    """A copy of hls/cpp with one line of one header changed."""
    room = folder / "cpp"
    shutil.copytree(share("hls") / "cpp", room)
    text = (room / file).read_text()
    assert right in text
    text = text.replace(right, wrong)
    (room / file).write_text(text)
    return room


@pytest.mark.parametrize("kind", MUTANTS)
def test_a_fault_in_the_header_is_seen(kind: str, tmp_path: Path) -> None:
    needs("g++")
    headers = mutated(tmp_path, *MUTANTS[kind])
    linear = headers / "edt_linear.h"
    linear.write_text(linear.read_text().replace("static_assert(format<y_T>::ties_to_even", "static_assert(true"))
    ops = OPS[{"fixed": "layernorm"}.get(kind, kind)][:4]
    mutant = compile_ops(ops, tmp_path, headers=headers)
    rng, mismatches = np.random.default_rng(0), 0
    for case in (example(op, rng) for op in ops * 20):
        got = mutant.run(case.op, case.inputs, case.constants)
        mismatches += compare("mutant", {kind: case.run()}, {kind: got}).mismatches
    assert mismatches > 0


@pytest.mark.parametrize("assertion", ASSERTED)
def test_a_dense_that_is_not_exact_does_not_compile(assertion: str, tmp_path: Path) -> None:
    needs("g++")
    headers = mutated(tmp_path, *ASSERTED[assertion])
    with pytest.raises(ToolFailed) as caught:
        compile_ops(OPS["linear"][1:2], tmp_path, headers=headers)
    assert assertion in Path(caught.value.log).read_text()


def test_headers_are_cpp11_which_hls4mls_own_scripts_ask_for(harness: Harness, tmp_path: Path) -> None:
    words = [*include_flags(share("hls") / "cpp"), "-std=c++11", "-fsyntax-only", "-w"]
    run_tool(("g++", *words, str(harness.library.with_suffix(".cpp"))), tmp_path / "log", cwd=tmp_path)

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
from op_examples import OPS, WHOLE, example
from op_harness import OF_AMD, Harness, compile_ops, include_flags
from strategies import generators
from ties import attention_ties, layernorm_ties

from edgendt.compare import compare
from edgendt.firmware.target import AMD, BACKENDS
from edgendt.fixed import Codes, Int
from edgendt.ops import Op
from edgendt.tools import cache_folder, run_tool, share

GOLDEN = all_cases()
NARROW = {
    name: (scalar(a["shift"]), Int(scalar(a["bits"]), 0, bool(scalar(a["signed"])))) for name, a in group("narrow")
}
MUTANTS = {  # header, right, wrong; what goes wrong
    "linear": ("edt_ap.h", "AP_RND_CONV, AP_SAT> type", "AP_RND, AP_SAT> type"),  # ties go up
    "add": ("edt_add.h", "saturate<y_T>(sum)", "value<y_T>(typename format<y_T>::code_t(sum))"),  # wraps
    "position": ("edt_position.h", "reset[0] != 0 ? 0u", "reset[0] == 0 ? 0u"),  # the reset is misheard
    "layernorm": ("edt_layernorm.h", "length += length & 1;", ""),  # odd lengths get the wrong power of two
    "attention": ("edt_attention.h", "best = j == first || score > best ? score : best;", "best = score;"),
    "rotary": ("edt_rotary.h", "time * steps[i]", "(time & 3) * steps[i]"),  # the clock turns over too early
    "transpose": ("edt_transpose.h", "y[i * CONFIG_T::bins + bin]", "y[bin * CONFIG_T::channels + i]"),
    "transpose_last": ("edt_transpose.h", "reset[0] != 0 ?", "reset[0] > 1 ?"),  # the reset is not heard
    "spatial_weights": ("edt_spatial_weights.h", "share << (CONFIG_T::longest - length)", "share"),  # heads misaligned
    "lookup": ("edt_lookup.h", "+ integer(kinds[kind + i])", "+ integer(kinds[i + 0 * kind])"),  # all are spikes
    "geglu": ("edt_geglu.h", "+ 128]", "& 255]"),  # the table from 0 on
    "table": ("edt_table.h", "code(x[i])) - lowest", "code(x[0])) - lowest"),  # all are the first
    "cross_attention": (
        "edt_cross_attention.h",
        "values, 0, count, attended",
        "values, 0, window, attended",
    ),  # and padding
    "spatial_mix": ("edt_spatial_mix.h", "a[i * size + j]", "a[j * size + i]"),  # columns for rows
    "fixed": ("edt_fixed.h", "sum += odd;", "sum += 0 * odd;"),  # ties go down
}
OF_BACKENDS = {  # header, right, wrong; what goes wrong where types are Algorithmic C's
    "ties go up": ("edt_ac.h", "AC_RND_CONV, AC_SAT> type", "AC_RND, AC_SAT> type"),
    "a value loses its last bit": ("edt_ac.h", "set_slc(0, bits)", "set_slc(0, typename format<T>::code_t(bits >> 1))"),
}


def equal(case: str, expected: Codes, got: Codes) -> None:
    """Raise the first Mismatch."""
    tally = compare("c++", {case: expected}, {case: got})
    if tally.first:
        raise tally.first


@pytest.fixture(scope="session", params=BACKENDS)
def harness(request: pytest.FixtureRequest) -> Harness:
    needs("g++")
    ops = [*(case.op for case in GOLDEN), *(op for ops in OPS.values() for op in ops)]
    ops += [op for ops in WHOLE.values() for op in ops]
    ops += [example.op for example in (*attention_ties(), *layernorm_ties())]
    folder, narrows = cache_folder("firmware-ops"), list(NARROW.values())
    return compile_ops(list(dict.fromkeys(ops)), folder, narrows=narrows, backend=request.param)


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


@pytest.mark.parametrize("kind", WHOLE)
def test_cpp_op_of_a_whole_window_equals_the_reference_for_any_codes(harness: Harness, kind: str) -> None:
    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(WHOLE[kind]), generators)
    def holds(op: Op, rng: np.random.Generator) -> None:
        case = example(op, rng)
        equal(kind, case.run(), harness.run(op, case.inputs, case.constants))

    holds()


def test_cpp_attention_and_layernorm_give_the_even_code_at_ties(harness: Harness) -> None:
    for case in (*attention_ties(), *layernorm_ties()):
        equal(case.op.kind, case.run(), harness.run(case.op, case.inputs, case.constants))


def mutated(folder: Path, file: str, right: str, wrong: str) -> Path:
    """A copy of hls/cpp with one line of one header changed."""
    room = folder / "cpp"
    shutil.copytree(share("hls") / "cpp", room)
    text = (room / file).read_text()
    assert right in text
    text = text.replace(right, wrong)
    (room / file).write_text(text)
    return room


def mismatches(stem: str, headers: Path, backend: str = AMD) -> int:
    """Codes of an op's examples that differ, compiled with these headers, whatever their types assert."""
    linear = headers / "edt_linear.h"
    linear.write_text(linear.read_text().replace("static_assert(format<y_T>::ties_to_even", "static_assert(true"))
    ops = (OPS.get(stem) or WHOLE[stem])[:4]
    mutant = compile_ops(ops, headers.parent, headers=headers, backend=backend)
    rng, found = np.random.default_rng(0), 0
    for case in (example(op, rng) for op in ops * 20):
        got = mutant.run(case.op, case.inputs, case.constants)
        found += compare("mutant", {stem: case.run()}, {stem: got}).mismatches
    return found


@pytest.mark.parametrize("kind", MUTANTS)
def test_a_fault_in_the_header_is_seen(kind: str, tmp_path: Path) -> None:
    needs("g++")
    stem = {"fixed": "layernorm", "transpose_last": "transpose"}.get(kind, kind)
    assert mismatches(stem, mutated(tmp_path, *MUTANTS[kind])) > 0


@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend not in OF_AMD])
@pytest.mark.parametrize("fault", OF_BACKENDS)
def test_a_fault_in_the_types_of_another_backend_is_seen(fault: str, backend: str, tmp_path: Path) -> None:
    needs("g++")
    assert mismatches("linear", mutated(tmp_path, *OF_BACKENDS[fault]), backend) > 0


def test_headers_are_cpp11_which_hls4mls_own_scripts_ask_for(
    harness: Harness, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    backend = request.node.callspec.params["harness"]
    words = [*include_flags(share("hls") / "cpp", backend), "-std=c++11", "-fsyntax-only", "-w"]
    run_tool(("g++", *words, str(harness.library.with_suffix(".cpp"))), tmp_path / "log", cwd=tmp_path)

"""Starts the bench of the hls4ml firmware behind its DPI shell."""

import re
from pathlib import Path

import pytest
from bench import lint, mutate, rtl, simulate
from needs import needs
from networks import golden_ndt, random_counts, random_ndt

from edgendt.firmware.library import Firmware, build, cached
from edgendt.sim.shell import TOP, build_shell, simulated, sources
from edgendt.tools import cache_folder


def case(firmware: Firmware, bins: int) -> dict:
    """What the bench reads: the saved Program and the compiled library."""
    path = firmware.folder / "program.edt"
    firmware.program.save(path)
    return {"program": str(path), "library": str(firmware.library), "bins": bins}


@pytest.fixture(scope="module")
def firmware() -> Firmware:
    needs("g++"), needs("verilator")
    return cached(golden_ndt()[0], cache_folder("firmware"))


def test_firmware_behind_the_engines_ports_equals_the_program_at_every_op(firmware):
    simulate("firmware_bench", TOP, build_shell(), case(firmware, 33))


def test_recorded_trials_are_compared_at_every_trace_point(firmware, tmp_path: Path):
    trials = [random_counts(firmware.program, seed, bins) for seed, bins in ((1, 33), (2, 7))]
    tally = simulated(firmware, trials, tmp_path)
    points = firmware.program.trace_points
    assert (tally.ops, tally.mismatches, tally.first) == (len(points), 0, None)
    assert tally.codes == 40 * sum(firmware.program.node(name).op.size for name in points)


def test_one_build_of_the_shell_serves_another_network():
    needs("g++"), needs("verilator")
    other = cached(random_ndt(5, channels=31, d=12, layers=1, heads=3, window=5, bins=40), cache_folder("firmware"))
    simulate(
        "firmware_bench", TOP, build_shell(), case(other, 40), tests="every_op_equals_the_program/idle=0.5/stall=0.5"
    )


@pytest.mark.parametrize(
    "old, new",
    [
        ("if (trial_reset || rst_i) edt_dpi_reset()", "if (rst_i) edt_dpi_reset()"),
        ("counts[count_addr] <= count_data", "counts[count_addr] <= count_data & 8'h3"),
        ("refuse_q <= edt_dpi_refuse() != 0", "refuse_q <= 1'b0"),
        ("outputs[out_addr]", "outputs[out_addr ^ 8'd1]"),
    ],
)
def test_the_bench_rejects_a_faulty_shell(firmware, old, new):
    with pytest.raises((AssertionError, RuntimeError), match="failed"):  # RuntimeError: the shell's own $fatal
        simulate("firmware_bench", TOP, build_shell(mutate(sources(), old, new)), case(firmware, 6))


def test_the_bench_names_the_op_of_a_faulty_firmware(tmp_path: Path):
    needs("g++"), needs("verilator")
    faulty = build(golden_ndt()[0], tmp_path / "firmware")
    header = faulty.folder / "firmware" / "nnet_utils" / "edt_layernorm.h"
    text = header.read_text()
    header.write_text(text.replace("length += length & 1;", "length += length % 4 == 1;"))
    assert header.read_text() != text
    tally = simulated(faulty.compile(), [golden_ndt()[1]], tmp_path)
    assert tally.mismatches > 0
    assert re.fullmatch(r"hls4ml: op layer\d\.ln\d, bin \d+, index \d+: expected -?\d+, got -?\d+", str(tally.first))


def test_the_shell_has_exactly_the_engines_ports():
    def ports(path: Path) -> list[tuple[str, ...]]:
        text = re.sub(r"//.*", "", path.read_text()).partition(");")[0]
        text = re.sub(r"`ifdef EDT_TAP.*?`endif", "", text, flags=re.S)
        return re.findall(r"(input|output)\s+(?:wire|logic)\s*(\[[^]]*\])?\s*(\w+)", text)

    engine, shell = ports(rtl("edt_engine")[0]), ports(sources()[-1])
    assert len(engine) == 12 and shell == engine


def test_lint_is_clean():
    needs("verilator")
    assert lint(TOP, sources()) == ""

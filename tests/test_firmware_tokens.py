"""The hls4ml firmware of networks of tokens equals the Program at every op, in windows of any number of rows."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import needs, needs_package
from test_firmware_project import SMALL, fake  # noqa: F401

needs_package("torch")

from poyos import random_poyo, windows  # noqa: E402

from edgendt.compare import compare  # noqa: E402
from edgendt.errors import BadInput, DoesNotFit  # noqa: E402
from edgendt.firmware import Firmware, build  # noqa: E402
from edgendt.firmware.fit import Budget, fit  # noqa: E402
from edgendt.firmware.folding import plan  # noqa: E402
from edgendt.firmware.library import cached  # noqa: E402
from edgendt.firmware.project import write_project  # noqa: E402
from edgendt.firmware.room import most_rows  # noqa: E402
from edgendt.firmware.target import FirmwareConfig  # noqa: E402
from edgendt.fixed import Codes, Int  # noqa: E402
from edgendt.ops import GEGLU, CrossAttention, Lookup, Table  # noqa: E402
from edgendt.program import INDEX, Axis, Input, Node, Program  # noqa: E402
from edgendt.qat.formats import Bits  # noqa: E402
from edgendt.tools import cache_folder  # noqa: E402

MOST = {"tokens": 128, "queries": 16}
ACT = Int(8, 4)


def firmware(program: Program, most: dict[str, int] = MOST) -> Firmware:
    needs("g++")
    return cached(program, cache_folder("firmware"), most)


def demand(program: Program, given: Any, library: Firmware) -> None:
    """Raise the first Mismatch; every op of the Program must have been traced."""
    tally = compare("hls4ml", program.trace(given), library.trace(given), program)
    assert tally.ops == len(program.nodes)
    if tally.first:
        raise tally.first
    np.testing.assert_array_equal(library.run(given), program.run(given))


@pytest.mark.parametrize("seed", range(2))
def test_a_poyo_is_equal_at_every_op_in_windows_of_any_length(seed: int) -> None:
    bits, depth = ((Bits(), 1), (Bits(weight=3, residual=16), 2))[seed]
    program = random_poyo(seed, bits, depth=depth)
    library = firmware(program)
    for given in [*windows(), *windows()[::-1]]:  # what an earlier, longer window left behind is not looked at
        demand(program, given, library)


def small(seed: int = 0) -> Program:
    """Four ops, fast to compile: a function of what is asked for gates what it has read of the tokens."""
    rng = np.random.default_rng(seed)
    tables = {"table": rng.integers(-128, 128, (7, 6)), "kinds": rng.integers(-30, 30, (2, 6))}
    look = Lookup(6, 7, 2, ACT)
    nodes = (
        Node("t", look, ("in.tokens",), tables),
        Node("q", look, ("queries",), tables),
        Node("a", CrossAttention(6, 2, 40, ACT, ACT, ACT, ACT), ("q", "t", "t")),
        Node("f", Table(6, ACT, ACT), ("q",), {"table": rng.integers(-128, 128, 256)}),
        Node("y", GEGLU(6, ACT, ACT, ACT), ("a", "f")),
    )
    inputs = (Input("in.tokens", 2, Axis("spikes seen")), Input("queries", 2, Axis("queries")))
    return Program("small", 0, INDEX, nodes, inputs=inputs)


def draw(seed: int, tokens: int, queries: int) -> dict[str, Codes]:
    rng = np.random.default_rng(seed)
    return {
        name: np.stack([rng.integers(0, 7, n), rng.integers(0, 2, n)], 1)
        for name, n in (("in.tokens", tokens), ("queries", queries))
    }


def test_room_is_as_many_keys_as_the_op_weights_and_names_are_any() -> None:
    program, library = small(), firmware(small(), {})
    for seed, (tokens, queries) in enumerate([(40, 128), (1, 1), (39, 2), (2, 128)]):
        demand(program, draw(seed, tokens, queries), library)
    with pytest.raises(BadInput, match="the firmware has room for 128 queries, the window has 129"):
        library.run(draw(0, 3, 129))
    with pytest.raises(BadInput, match="the firmware has room for 40 spikes seen, the window has 41"):
        library.run(draw(0, 41, 3))
    with pytest.raises(BadInput, match=r"t: row of a token must be 0\.\.6, got 7\.\.7"):
        library.run(draw(0, 3, 3) | {"in.tokens": [[7, 0]]})
    with pytest.raises(BadInput, match=r"takes in\.tokens, queries, got queries"):
        library.run({"queries": [[0, 0]]})


@pytest.mark.parametrize("keys", [(40, 30), (30, 40)])
def test_room_is_what_the_op_of_fewest_keys_weights(keys: tuple[int, int]) -> None:
    program = small()
    first, again = (CrossAttention(6, 2, many, ACT, ACT, ACT, ACT) for many in keys)
    nodes = [replace(node, op=first) if node.name == "a" else node for node in program.nodes]
    nodes.insert(3, Node("b", again, ("q", "t", "t")))
    assert most_rows(replace(program, nodes=tuple(nodes)), {}) == {"spikes seen": 30, "queries": 128}


def test_a_window_that_fills_the_sums_is_equal() -> None:
    """4,112 keys, nearly all of the largest score, and results fine enough to show one unit of a sum of 28 bits."""
    program, rng = small(), np.random.default_rng(0)
    attend = CrossAttention(6, 2, 4112, ACT, ACT, ACT, Int(24, ACT.frac + 15))
    values = np.where(rng.random((7, 6)) < 0.1, 127, -127)
    ones = {"table": np.full((7, 6), 127), "kinds": np.zeros((2, 6), np.int64)}
    q, v = (
        replace(program.node(name), constants=tables) for name, tables in (("q", ones), ("t", ones | {"table": values}))
    )
    keys = replace(v, name="k", constants=ones | {"table": np.where(rng.random((7, 6)) < 0.1, 126, 127)})
    nodes = (q, v, keys, Node("a", attend, ("q", "k", "t")))
    full = replace(program, nodes=nodes, accumulator=Int(28))
    given = draw(2, 4112, 3)
    weighted = 255 * full.trace(given)["t"].sum(axis=0)
    assert np.abs(weighted).max() > 1 << 26
    demand(full, given, firmware(full, {}))


def test_one_changed_entry_of_a_table_is_seen(tmp_path: Path) -> None:
    needs("g++")
    program = small()
    table = program.node("q").constants["table"].copy()
    table[3, 2] ^= 1
    changed = replace(program.node("q"), constants={**program.node("q").constants, "table": table})
    other = replace(program, nodes=(program.nodes[0], changed, *program.nodes[2:]))
    given = draw(1, 5, 9) | {"queries": np.array([[3, 0]] * 9)}
    tally = compare("hls4ml", other.trace(given), build(program, tmp_path, most={"queries": 9}).trace(given))
    assert tally.first is not None and (tally.first.op, tally.first.index) == ("q", 2)


def test_folding_changes_no_code(tmp_path: Path) -> None:
    needs("g++")
    program = random_poyo(depth=1)
    folding = fit(program, Budget(plan(program).multipliers(program) // 2, 600))
    library = build(program, tmp_path, folding, MOST).compile()
    demand(program, windows()[0], library)


def test_rows_are_those_asked_for(tmp_path: Path) -> None:
    result = write_project(small(), SMALL, tmp_path, draw(3, 17, 4), config=FirmwareConfig(rows={"queries": 9}))
    assert result["analytic"]["rows"] == {"queries": 9, "spikes seen": 40}
    assert re.search(r"result_t layer\d+_out\[9\*6\]", (tmp_path / "firmware" / "edgendt.h").read_text())


def test_there_is_room_for_the_golden_window(tmp_path: Path) -> None:
    result = write_project(small(), SMALL, tmp_path, draw(3, 17, 200))
    assert result["analytic"]["rows"] == {"queries": 200, "spikes seen": 40}


@dataclass(frozen=True)
class Few:
    """A part with so few memory blocks."""

    rams: int
    multipliers: int = 20
    name: str = "few"
    part: str = "xc7z020clg400-1"
    clock_mhz: float = 100.0
    alveo: None = None

    def left(self, _: bool) -> tuple[int, int, int]:
        return self.multipliers, self.rams, 0


def test_rows_not_asked_for_are_as_many_as_the_part_has_memory_for(tmp_path: Path) -> None:
    made = {
        blocks: write_project(small(), Few(blocks), tmp_path, draw(3, 17, 4))["analytic"]["rows"]["queries"]
        for blocks in (6, 5)
    }
    assert made == {6: 128, 5: 32}
    with pytest.raises(
        DoesNotFit, match=r"at least 6 memory blocks of 18 kbit, the board has 5 for it; .*--rows tokens=N"
    ):
        write_project(small(), Few(5), tmp_path, draw(3, 17, 4), config=FirmwareConfig(rows={"queries": 128}))
    with pytest.raises(
        DoesNotFit, match=r"needs at least 3 memory .* the board has 2 for it; choose a larger part, or shorter"
    ):
        write_project(small(), Few(2), tmp_path, draw(3, 17, 4))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"nobody": 4}, "rows must name spikes seen or queries, got nobody=4"),
        ({"queries": 3}, "rows of queries must be at least the 4 of the test window, got 3"),
    ],
)
def test_rows_that_do_not_suit_are_one_sentence(rows: dict[str, int], said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=said):
        write_project(small(), SMALL, tmp_path, draw(3, 17, 4), config=FirmwareConfig(rows=rows))


def test_c_simulation_passes_on_the_golden_window_and_names_the_first_difference(
    fake: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fake compiles the project with the very flags and paths of the script."""
    import hls4ml

    needs("g++")
    monkeypatch.setenv("EDT_FAKE_AP", str(Path(hls4ml.__file__).parent / "templates" / "vivado" / "ap_types"))
    project, given = tmp_path / "project", draw(3, 17, 4)
    result = write_project(small(), SMALL, project, given, build=True)
    assert result["cycles_per_window"] == 5120 and result["analytic"]["rows"] == {"queries": 128, "spikes seen": 40}
    assert (project / "vitis_hls.log").read_text().count("PASS: 1 windows equal") == 2  # C simulation, co-simulation
    assert (project / "tb_data" / "rows.dat").read_text() == "17 4\n"
    np.testing.assert_array_equal(np.loadtxt(project / "tb_data" / "in_tokens.dat"), given["in.tokens"])
    build = project / "edgendt_prj" / "solution1" / "csim" / "build"
    for file, row, said in (("t", 16, "op t, window 0, spike 16"), ("y", 3, "op y, window 0, query 3")):
        vectors = build / "tb_data" / f"{file}.dat"
        kept = vectors.read_text()
        rows = [line.split() for line in kept.splitlines()]
        rows[row][2] = str(int(rows[row][2]) ^ 1)
        vectors.write_text("\n".join(map(" ".join, rows)) + "\n")
        done = subprocess.run([build / "csim.exe"], cwd=build, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and done.stdout.startswith(f"FAIL: {said}, index 2: expected {rows[row][2]}, got ")
        vectors.write_text(kept)
    for file, said in (("t", "op t"), ("in_tokens", "input in_tokens")):
        vectors = build / "tb_data" / f"{file}.dat"
        kept = vectors.read_text()
        vectors.write_text(kept + kept.splitlines()[-1] + "\n")
        done = subprocess.run([build / "csim.exe"], cwd=build, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, f"FAIL: {said} has more rows than rows.dat says\n")
        vectors.write_text(kept)
    (build / "tb_data" / "rows.dat").write_text("18 4\n")
    done = subprocess.run([build / "csim.exe"], cwd=build, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "FAIL: input in_tokens has not the rows that rows.dat says\n")


def test_a_project_without_a_recording_has_a_window_that_the_tables_hold(tmp_path: Path) -> None:
    result = write_project(small(), SMALL, tmp_path)
    assert (result["stage"], (tmp_path / "tb_data" / "rows.dat").read_text()) == ("project", "40 40\n")
    tokens = np.loadtxt(tmp_path / "tb_data" / "in_tokens.dat")
    assert tokens.max(axis=0).tolist() == [6, 1]

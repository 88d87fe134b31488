"""Folding as a file, and its analytic cycles against the beats that the compiled loops count."""

from __future__ import annotations

import ctypes
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from firmware_cases import CASES, MOST
from needs import ROOT, needs
from networks import random_counts, random_ndt
from test_firmware import NETWORKS

from edgendt.errors import BadInput
from edgendt.firmware.fit import fit
from edgendt.firmware.folding import Folding, divisors, length, plan, reuses
from edgendt.firmware.library import Firmware, build, flags
from edgendt.firmware.schedule import schedule
from edgendt.ops import Linear
from edgendt.program import Program
from edgendt.tools import run_tool


class Counted(Firmware):
    """A firmware whose loops count their beats."""

    def beats(self) -> int:
        return int(ctypes.CDLL(str(self.library)).edt_beats())


def counted(program: Program, folding: Folding, folder: Path, most: dict[str, int] | None = None) -> Counted:
    written = build(program, folder, folding, most)
    library = folder / "counted.so"
    words = (*flags(folder), "-DEDT_COUNT_BEATS", *written.sources)
    run_tool(("g++", *words, "-o", str(library)), folder / "g++.log", cwd=folder)
    return Counted(program, folder, library.name, written.most)


def analytic(program: Program, folding: Folding, keys: int | None, window: dict[str, int] | None = None) -> int:
    """Cycles of the ops whose loops are ours: a Linear is hls4ml's kernel, of one beat per multiplication it reuses."""
    rows, window = schedule(program, folding, keys, window), window or {}
    linears = [row.name for row in rows if row.kind == "linear"]
    many = {name: window.get(program.axis(name).name) or program.rows(name) or 1 for name in linears}
    skipped = sum(folding.reuse[name] * many[name] for name in linears)  # rows taken and put are ours
    return sum(row.cycles for row in rows) - skipped


COUNTED = [(name, None) for name in NETWORKS if name != "default geometry"]


@pytest.mark.parametrize(("name", "unroll"), [*COUNTED, ("odd sizes", 1)])
def test_cycles_are_the_beats_of_the_compiled_loops(name: str, unroll: int | None, tmp_path: Path) -> None:
    needs("g++")
    program = NETWORKS[name]()
    folding = plan(program)
    if unroll is not None:
        folding = replace(folding, unroll=dict.fromkeys(folding.unroll, unroll))
    library = counted(program, folding, tmp_path)
    bins = program.bins or 9
    counts = random_counts(program, 3, bins)
    if program.bins:
        library.run(counts)
        assert library.beats() == analytic(program, folding, bins)
        return
    library.reset()
    for index, row in enumerate(counts):
        before = library.beats()
        library.step(row)
        assert library.beats() - before == analytic(program, folding, index + 1)


def test_cycles_of_tokens_are_the_beats_of_the_window_that_came(tmp_path: Path) -> None:
    needs("g++")
    program, _ = CASES["tokens"]()
    folding = fit(program, 600, MOST)
    library = counted(program, folding, tmp_path, MOST)
    from poyos import windows

    for given in windows():
        before = library.beats()
        library.run(given)
        fed = program.feed(given)
        rows = {item.axis.name: len(fed[item.name]) for item in program.inputs}
        assert library.beats() - before == analytic(program, folding, None, rows)


@pytest.mark.parametrize("name", CASES)
def test_a_part_gets_the_fewest_cycles_that_its_multipliers_allow(name: str) -> None:
    """More multipliers are never slower; what is left over would shorten no op."""
    program = CASES[name]()[0]
    last = None
    for available in (400, 500, 900, 10_000):
        folding = fit(program, available)
        rows, used = schedule(program, folding), folding.multipliers(program)
        assert used == sum(row.multipliers for row in rows) <= available
        cycles = sum(row.cycles for row in rows)
        assert last is None or cycles <= last
        last = cycles
        for table in ("reuse", "unroll"):
            for op, fold in getattr(folding, table).items():
                for other in ways(program, op):
                    faster = replace(folding, **{table: {**getattr(folding, table), op: other}})
                    if used < faster.multipliers(program) <= available:
                        assert sum(row.cycles for row in schedule(program, faster)) >= cycles, (op, fold, other)


def ways(program: Program, name: str) -> list[int]:
    """Every number that a folding file may give an op, up to 16 elements per cycle."""
    op = program.node(name).op
    return reuses(op) if isinstance(op, Linear) else [k for k in divisors(length(op)) if k <= 16]


def test_a_file_comes_back_and_can_be_edited(tmp_path: Path) -> None:
    program = random_ndt(5)
    folding = plan(program)
    folding.save(tmp_path / "folding.toml")
    assert Folding.load(tmp_path / "folding.toml", program) == folding
    slower = {name: value * 2 for name, value in folding.reuse.items() if name == "readout"}
    edited = replace(folding, reuse={**folding.reuse, **slower})
    edited.save(tmp_path / "slower.toml")
    found = Folding.load(tmp_path / "slower.toml", program)
    cycles = [sum(row.cycles for row in schedule(program, each)) for each in (folding, found)]
    assert cycles[1] - cycles[0] == folding.reuse["readout"]
    assert found.multipliers(program) < folding.multipliers(program)


def _edited(**tables: dict[str, Any]) -> Any:
    return lambda whole: {name: whole[name] | tables.get(name, {}) for name in whole}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (_edited(reuse={"readout": 7}), r"reuse.readout must be one of .*, got 7"),
        (_edited(unroll={"lnf": 0}), r"unroll.lnf must be one of 1, .*, got 0"),
        (_edited(unroll={"lnf": "4"}), r"unroll.lnf must be one of .*, got '4'"),
        (_edited(reuse={"nobody": 4}), r"reuse must name every op of its kind once, see nobody"),
        (lambda whole: {"reuse": whole["reuse"]}, r"must have the tables reuse and unroll, it has reuse"),
        (lambda whole: whole | {"more": {}}, r"must have the tables reuse and unroll, it has .*more"),
    ],
)
def test_a_file_that_does_not_suit_is_one_sentence(edit: Any, said: str, tmp_path: Path) -> None:
    program = random_ndt(5)
    folding = plan(program)
    tables = edit({"reuse": dict(folding.reuse), "unroll": dict(folding.unroll)})
    (tmp_path / "folding.toml").write_text(tomli_w.dumps(tables))
    with pytest.raises(BadInput, match=said):
        Folding.load(tmp_path / "folding.toml", program)


def test_a_file_that_is_no_toml_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "folding.toml").write_text("reuse = [")
    with pytest.raises(BadInput, match=r"folding .* cannot be read"):
        Folding.load(tmp_path / "folding.toml", random_ndt(5))


def test_memory_is_what_the_constants_and_caches_take() -> None:
    program = random_ndt(5)
    rows = {row.name: row for row in schedule(program, plan(program))}
    for node in program.nodes:
        if node.op.kind == "attention":
            op: Any = node.op
            assert rows[node.name].bits == 768 * 16 + op.window * op.size * (op.k.bits + op.v.bits)
        if node.op.kind == "linear" and node.op.w_frac is None:  # type: ignore[union-attr]
            assert rows[node.name].bits == node.constants["weight"].size * node.op.w.bits  # type: ignore[union-attr]


def test_every_pipelined_loop_of_a_header_counts() -> None:
    for header in (ROOT / "hls" / "cpp").glob("edt_*.h"):
        text = header.read_text()
        loops = len(re.findall(r"#pragma HLS PIPELINE", text))
        assert len(re.findall(r"^ +EDT_BEAT\(", text, re.M)) == loops, header.name

"""Folding as a file, and its analytic cycles against the beats that the compiled loops count."""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from dataclasses import astuple, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from firmware_cases import CASES, MOST
from needs import ROOT, needs
from networks import random_counts, random_ndt
from test_firmware import NETWORKS

from edgendt.boards import Board
from edgendt.compare import compare
from edgendt.errors import BadInput, DoesNotFit
from edgendt.firmware import schedule as scheduled
from edgendt.firmware.fit import Budget, fit, fit_rows
from edgendt.firmware.folding import Folding, divisors, length, plan, reuses
from edgendt.firmware.library import Firmware, build, flags
from edgendt.firmware.memory import in_ultra, memories
from edgendt.firmware.room import layer_names, most_rows
from edgendt.firmware.schedule import Row, schedule, summary
from edgendt.firmware.schedule import row as row_of
from edgendt.firmware.target import Target
from edgendt.firmware.templates import HEADERS
from edgendt.firmware.writer import write_sources
from edgendt.ops import Attention, CrossAttention, Linear
from edgendt.program import Program
from edgendt.tools import run_tool

# hls4ml's kernel does not count its beats by itself, and nobody counts them by layer: a copy of the project does.
BEAT = "#define EDT_BEAT(unroll) edt::beats += edt::beat / (unroll)"
BY_LAYER = """\
#include <map>
#include <string>
namespace edt {
inline std::map<std::string, long long> &counts() {
    static std::map<std::string, long long> found;
    return found;
}
} // namespace edt
#define EDT_BEAT(unroll) \\
    { \\
        static long long &own = edt::counts()[__PRETTY_FUNCTION__]; \\
        own += edt::beat / (unroll); \\
        edt::beats += edt::beat / (unroll); \\
    }"""
OF_LAYER = """
extern "C" int64_t edt_beats_of(int config) { // of functions of a layer, in all calls so far
    const std::string name = "CONFIG_T = config" + std::to_string(config);
    long long sum = 0;
    for (const auto &one : edt::counts()) {
        const auto at = one.first.find(name);
        if (at != std::string::npos && !isdigit(one.first[at + name.size()])) {
            sum += one.second;
        }
    }
    return sum / edt::beat;
}
"""


class Counted(Firmware):
    """A firmware whose loops count their beats."""

    def beats(self) -> int:
        return int(ctypes.CDLL(str(self.library)).edt_beats())

    def by_layer(self, configs: dict[str, int]) -> dict[str, int]:
        of = ctypes.CDLL(str(self.library)).edt_beats_of
        return {name: int(of(config)) for name, config in configs.items()}


def counted(
    program: Program,
    folding: Folding,
    folder: Path,
    most: dict[str, int] | None = None,
    fault: tuple[str, str, str] = ("parameters.h", "", ""),
) -> tuple[Counted, dict[str, int]]:
    """The firmware, and of each op that calls_of has the number of its config.

    fault: a file of the sources, what stands in it, instead.
    """
    graph = write_sources(program, folder, folding, Target(), most)
    library, sources = folder / "counted.so", folder / "firmware"
    edited(sources / "nnet_utils" / "edt_fixed.h", BEAT, BY_LAYER)
    kernel = sources / "nnet_utils" / "nnet_dense_resource.h"
    pipelined = re.findall(r"(?m)^ +#pragma HLS PIPELINE.*\n", kernel.read_text())
    assert len(pipelined) == 3 and len(set(pipelined)) == 1, "one loop of each of its kernels"
    edited(kernel, pipelined[0], f"{pipelined[0]}        EDT_BEAT(1);\n")
    edited(kernel, '#include "nnet_common.h"', '#include "edt_fixed.h"\n#include "nnet_common.h"')
    edited(sources / fault[0], *fault[1:])
    host = Firmware(program, folder).sources[0]
    with (folder / host).open("a") as lines:
        lines.write(OF_LAYER)
    words = (*flags(folder), "-DEDT_COUNT_BEATS", host, "-o", str(library))
    run_tool(("g++", *words), folder / "g++.log", cwd=folder)
    names = layer_names(program)
    layers = {node.name: graph.graph[names[node.name]].index for node in program.nodes}
    told = {name: index for name, index in layers.items() if name not in within(program)}
    return Counted(program, folder, library.name, most or {}), told


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, path.name
    path.write_text(text.replace(old, new) if old else text)


def total(rows: list[Row]) -> int:
    return sum(row.cycles for row in rows)


def calls_of(program: Program, rows: list[Row]) -> dict[str, int]:
    """Beats of each op's function in all of its calls; the rest of its cycles are rows taken and put around them.

    Not of an op that takes rows within its one call, by functions that know no layer: the sum of all ops has those.
    """
    return {
        row.name: row.calls * row.call_cycles
        for row in rows
        if row.kind != "constant" and row.name not in within(program)
    }


def within(program: Program) -> set[str]:
    of_rows = [node for node in program.nodes if program.rows(node.name) or program.inputs]
    return {node.name for node in of_rows if isinstance(node.op, Attention | CrossAttention)}


COUNTED = [(name, None) for name in NETWORKS if name != "default geometry"]


@pytest.mark.parametrize(("name", "unroll"), [*COUNTED, ("odd sizes", 1)])
def test_cycles_are_the_beats_of_the_compiled_loops(name: str, unroll: int | None, tmp_path: Path) -> None:
    needs("g++")
    program = NETWORKS[name]()
    folding = plan(program)
    if unroll is not None:
        folding = replace(folding, unroll=dict.fromkeys(folding.unroll, unroll))
    library, configs = counted(program, folding, tmp_path)
    bins = program.bins or 9
    counts = random_counts(program, 3, bins)
    if program.bins:
        library.run(counts)
        rows = schedule(program, folding, bins)
        assert (library.beats(), library.by_layer(configs)) == (total(rows), calls_of(program, rows))
        return
    library.reset()
    so_far: Counter[str] = Counter()
    for index, row in enumerate(counts):
        before, rows = library.beats(), schedule(program, folding, index + 1)
        library.step(row)
        so_far.update(calls_of(program, rows))
        assert (library.beats() - before, library.by_layer(configs)) == (total(rows), so_far)


@pytest.mark.parametrize("name", ["odd sizes", "whole window"])
@pytest.mark.parametrize("which", [0, 1])
def test_several_multipliers_per_output_give_the_same_codes_in_the_beats_that_are_stated(
    name: str, which: int, tmp_path: Path
) -> None:
    """Every Linear at its least reuse factor, or at the next."""
    needs("g++")
    program, counts = CASES[name]() if name in CASES else (NETWORKS[name](), None)
    counts = random_counts(program, 3, 9) if counts is None else counts
    folding = plan(program)
    folding = replace(folding, reuse={name: reuses(program.node(name).op)[which] for name in folding.reuse})
    assert any(folding.reuse[name] < program.node(name).op.inputs for name in folding.reuse)
    library, configs = counted(program, folding, tmp_path)
    tally = compare("hls4ml", program.trace(counts), library.trace(counts), program)
    assert tally.first is None
    last = [schedule(program, folding, keys) for keys in ([len(counts)] if program.bins else range(1, len(counts) + 1))]
    expected: Counter[str] = Counter()
    for rows in last:
        expected.update(calls_of(program, rows))
    assert (library.beats(), library.by_layer(configs)) == (sum(map(total, last)), expected)


LINEAR = random_ndt(10, 5, 6, 1, 2, 7, 3, 4, 12)
KERNEL = "nnet_utils/nnet_dense_resource.h"
SEEDED = {  # in the sources, or in the analytic row: by how many beats a Linear of so many inputs, or any, is then off
    "a loop of the kernel": ((KERNEL, "ir < rufactor;", "ir < rufactor - 1;"), None, -1),
    "a reuse factor": (("parameters.h", "reuse_factor = 6;", "reuse_factor = 3;"), 6, -3),
    "the analytic row": (("parameters.h", "", ""), None, -1),
}


@pytest.mark.parametrize("what", SEEDED)
def test_a_wrong_schedule_of_a_linear_is_found(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At half its reuse factor a Linear has the same codes: the beats alone tell."""
    needs("g++")
    fault, inputs, off = SEEDED[what]
    if what == "the analytic row":
        right = scheduled._row
        monkeypatch.setattr(scheduled, "_row", lambda op, fold: right(op, fold) + isinstance(op, Linear))
    folding, counts = plan(LINEAR), random_counts(LINEAR, 3, 1)
    library, configs = counted(LINEAR, folding, tmp_path, fault=fault)
    equal = np.array_equal(library.run(counts), LINEAR.run(counts))
    assert equal == (what != "a loop of the kernel")
    rows = schedule(LINEAR, folding, 1)
    found, expected = library.by_layer(configs), calls_of(LINEAR, rows)
    linears = {node.name for node in LINEAR.nodes if isinstance(node.op, Linear)}
    wrong = {name for name in linears if inputs in (None, LINEAR.node(name).op.inputs)}
    assert {name: found[name] - expected[name] for name in found} == {name: off * (name in wrong) for name in found}
    assert library.beats() - total(rows) == off * len(wrong) < 0


def test_cycles_of_tokens_are_the_beats_of_the_window_that_came(tmp_path: Path) -> None:
    needs("g++")
    program, _ = CASES["tokens"]()
    folding = fit(program, Budget(600, 600), MOST)
    library, configs = counted(program, folding, tmp_path, MOST)
    from poyos import windows

    so_far: Counter[str] = Counter()
    for given in windows():
        before = library.beats()
        library.run(given)
        fed = program.feed(given)
        rows = schedule(program, folding, rows={item.axis.name: len(fed[item.name]) for item in program.inputs})
        so_far.update(calls_of(program, rows))
        assert (library.beats() - before, library.by_layer(configs)) == (total(rows), so_far)


PARTS = [(400, 600), (500, 600), (900, 600), (10_000, 4000)]  # multipliers and blocks, ever more


@pytest.mark.parametrize("name", CASES)
def test_a_part_gets_few_cycles_by_what_it_has(name: str) -> None:
    """More is never slower; what is left over would shorten no op."""
    program = CASES[name]()[0]
    last = None
    for part in (Budget(*each) for each in PARTS):
        folding = fit(program, part, MOST)
        rows = most_rows(program, MOST)
        cost, cycles = taken(program, folding, rows)
        assert cost.multipliers == folding.multipliers(program)
        assert holds(part, cost) and (last is None or cycles <= last)
        last = cycles
        for op in (*folding.reuse, *folding.unroll):
            for other in ways(program, op) if folding.multipliers_of(op, program.node(op).op) else ():
                faster, saved = taken(program, folded(folding, op, other), rows)
                assert not holds(part, faster) or saved >= cycles, (op, other)


def least(program: Program, part: Budget) -> float:
    """Cycles of the quickest folding that `part` holds, op by op: of those so far that take the same, the quickest."""
    rows, folding = most_rows(program, MOST), plan(program)
    constants = [one for one in schedule(program, folding, rows=rows) if one.kind == "constant"]
    quickest = np.full([held + 1 for held in astuple(part)], np.inf)
    quickest[0, Budget.of(constants).blocks, 0] = sum(one.cycles for one in constants)
    for node in program.nodes:
        before, quickest = quickest, np.full_like(quickest, np.inf)
        most = 16 if folding.multipliers_of(node.name, node.op) else folding.of(node.name)
        for fold, ultra in product(ways(program, node.name), (frozenset(), frozenset([node.name]))):
            one = row_of(program, node, replace(folded(folding, node.name, fold), ultra=ultra), rows)
            after = quickest[one.multipliers :, one.blocks :, one.ultra_rams :]  # a view
            if after.size and (isinstance(node.op, Linear) or fold <= most):
                held = before[tuple(slice(size) for size in after.shape)]
                np.minimum(after, held + one.cycles, out=after)
    return float(quickest.min())


def large_rows() -> tuple[Program, Any]:
    """Small, but for rows that take fewer UltraRAMs than blocks."""
    program = random_ndt(3, 5, 40, 1, 2, 7, outputs=4, bins=64, causal=False, spatial=2)
    return program, random_counts(program, 1, 64)


FITTED = {**CASES, "large rows": large_rows}
TIGHT = [(60, 150), (90, 40), (150, 150), (300, 120), (60, 50, 20), (100, 66, 9)]


@pytest.mark.parametrize("name", FITTED)
def test_no_folding_of_a_part_has_fewer_cycles(name: str) -> None:
    """Against every folding that there is."""
    program, refused, ultra = FITTED[name]()[0], 0, 0
    for part in (Budget(*each) for each in TIGHT):
        if least(program, part) == np.inf:
            with pytest.raises(DoesNotFit):
                fit(program, part, MOST)
            refused += 1
        else:
            cost, cycles = taken(program, fit(program, part, MOST), most_rows(program, MOST))
            assert holds(part, cost) and cycles == least(program, part), part
            ultra += cost.ultra_rams
    assert refused < len(TIGHT) and (ultra > 0) == (name == "large rows")


def test_a_search_that_leaves_out_a_way_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    program, part = CASES["bin by bin"]()[0], Budget(300, 150)
    monkeypatch.setattr("edgendt.firmware.fit.MOST", 2)
    assert taken(program, fit(program, part), {})[1] > least(program, part)


def taken(program: Program, folding: Folding, rows: dict[str, int]) -> tuple[Budget, int]:
    """What a folding takes of a part, and its cycles."""
    found = schedule(program, folding, rows=rows)
    return Budget.of(found), sum(row.cycles for row in found)


def holds(part: Budget, cost: Budget) -> bool:
    return all(asked <= there for asked, there in zip(astuple(cost), astuple(part), strict=True))


def folded(folding: Folding, name: str, fold: int) -> Folding:
    table = "reuse" if name in folding.reuse else "unroll"
    return replace(folding, **{table: {**getattr(folding, table), name: fold}})


def test_less_memory_takes_more_cycles_down_to_the_least_there_is() -> None:
    """With multipliers to spare memory alone decides: fewer blocks are narrower words, read longer."""
    program = random_ndt(9, 30, 64, 2, 2, 128, 32, 30, 60, counts=8)
    last, spent = 0, 144
    for blocks in (144, 120, 90, 60, 44):
        cost, cycles = taken(program, fit(program, Budget(9000, blocks)), {})
        assert cost.blocks <= blocks and cycles > last and cost.multipliers < 9000
        last, spent = cycles, cost.blocks
    assert spent == 44
    said = (
        r"needs at least 44 memory blocks of 18 kbit, the board has 43 for it; choose a larger part, or a network with"
    )
    with pytest.raises(DoesNotFit, match=said):
        fit(program, Budget(9000, 43))


def test_a_part_whose_multipliers_ask_for_more_memory_than_it_has_is_refused() -> None:
    """A cache in many banks is small enough for LUTs; with few multipliers it has few banks, in blocks."""
    program = random_ndt(9, 8, 32, 1, 1, 16, 120, 4, 130)
    assert taken(program, fit(program, Budget(9000, 18)), {})[0].blocks == 18
    with pytest.raises(
        DoesNotFit, match=r"within its multipliers the firmware needs 22 memory .*, the board has 18 for it;"
    ):
        fit(program, Budget(40, 18))


def chewie() -> Program:
    """The STNDT of docs/stndt.md's recording: 174 columns, 14 bins."""
    return random_ndt(1, 130, 174, 2, 2, 128, outputs=174, bins=14, causal=False, spatial=2)


def test_rows_go_to_ultra_ram_where_blocks_run_out_and_only_there() -> None:
    program, kv260 = chewie(), Budget.on(Board.named("kv260"), Target())
    assert kv260 == Budget(1248, 288, 64)
    with pytest.raises(DoesNotFit, match="at least 357 memory blocks of 18 kbit, the board has 288 for it"):
        fit(program, replace(kv260, ultra_rams=0))
    cost, _ = taken(program, fit(program, kv260), {})
    assert holds(kv260, cost) and cost.ultra_rams > 0
    enough = replace(kv260, blocks=600)
    assert not fit(program, enough).ultra
    assert taken(program, fit(program, enough), {}) == taken(program, fit(program, replace(enough, ultra_rams=0)), {})


def test_a_file_that_asks_for_more_ultra_ram_than_there_is_is_refused() -> None:
    program = chewie()
    folding = replace(plan(program), ultra=frozenset(["layer0.mix"]))
    said = (
        r"the folding asks for \d+ UltraRAMs, the board has 0 for it; name fewer ops in ultra of the folding file, or"
    )
    with pytest.raises(DoesNotFit, match=said):
        fit_rows(program, Budget(9000, 900), folding, {}, {})


def test_a_part_short_of_both_memories_says_so() -> None:
    with pytest.raises(
        DoesNotFit,
        match=r"within its multipliers and UltraRAMs the firmware needs \d+ memory .*, the board has 250 for it",
    ):
        fit(chewie(), Budget(1248, 250, 20))


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


def test_ops_in_ultra_ram_come_back_and_are_a_table_of_the_file(tmp_path: Path) -> None:
    program = CASES["whole window"]()[0]
    folding = replace(plan(program), ultra=frozenset(["embed", "lnf"]))
    folding.save(tmp_path / "folding.toml")
    assert Folding.load(tmp_path / "folding.toml", program) == folding
    text = (tmp_path / "folding.toml").read_text()
    for odd in ('["embed", "nobody"]', '"embed"', "[3]"):
        (tmp_path / "odd.toml").write_text(text.replace(re.search(r"ultra = (\[[^\]]*\])", text)[1], odd))
        with pytest.raises(BadInput, match="ultra must be a list of ops of the network, got"):
            Folding.load(tmp_path / "odd.toml", program)


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
    """An NDT of 16 channels in two heads, window 9, counted by hand."""
    program = random_ndt(5)
    rows = {row.name: row for row in schedule(program, plan(program))}
    scores, sums = 9 * (8 + 8 + 4), 8 * (9 + 8 + 5)
    assert rows["layer0.attention"].bits == 768 * 16 + 2 * 9 * 16 * 8 + scores + sums
    assert rows["layer0.ln1"].bits == 768 * 16 + 16 * (8 + 24)
    assert rows["layer0.q"].bits == 16 * 16 * 4 and rows["layer0.res1"].bits == 0
    assert rows["layer0.q"].blocks == 2  # 16 words of 64 bits: a block has 36
    assert rows["layer0.q"].distributed == 0 and rows["layer0.ln1"].distributed == 16 * (8 + 24)


@dataclass(frozen=True)
class Emitted:
    """A project's sources, folded for a part, and its layers."""

    program: Program
    folding: Folding
    graph: Any
    sources: Path

    @classmethod
    def of(cls, name: str, folder: Path) -> Emitted:
        program = CASES[name]()[0]
        folding = fit(program, Budget(600, 600), MOST)
        return cls(program, folding, write_sources(program, folder, folding, Target(), MOST), folder / "firmware")

    def layer(self, name: str) -> Any:
        return self.graph.graph[layer_names(self.program)[name]]

    def read(self, name: str) -> str:
        return (self.sources / name).read_text()


@pytest.mark.parametrize("name", CASES)
def test_every_config_has_the_number_of_the_folding(name: str, tmp_path: Path) -> None:
    made = Emitted.of(name, tmp_path)
    for node in made.program.nodes:
        config = re.search(rf"struct config{made.layer(node.name).index} .*?\n}};", made.read("parameters.h"), re.S)
        said = re.findall(r" (?:reuse_factor|unroll) = (\d+);", config[0]) if config else []
        assert said == ([] if node.op.kind == "transpose" else [str(made.folding.of(node.name))]), node.name


@pytest.mark.parametrize("name", CASES)
def test_rows_lie_in_memory_in_as_many_banks_as_counted(name: str, tmp_path: Path) -> None:
    made, found, counted = Emitted.of(name, tmp_path), [], []
    top, rows = made.read("edgendt.cpp"), most_rows(made.program, MOST)
    for node in made.program.nodes:
        variable = made.layer(node.name).get_output_variable()
        array = re.search(rf"{variable.name}\[(\d+)\*(\d+)\];\n(?: *#pragma HLS ARRAY_(.*)\n)?", top)
        if array:
            partition = re.fullmatch(rf"PARTITION variable={variable.name} cyclic factor=(\d+) dim=0", array[3] or "")
            assert partition or array[3] is None
            banks = int(partition[1]) if partition else 1
            found.append((banks, int(array[1]) * int(array[2]) // banks, node.op.y.bits))
        held = memories(made.program, node, made.folding.of(node.name), rows)
        places = {"rows", *(other.name for other in made.program.nodes)}
        counted += [(one.count, one.words, one.bits) for one in held if one.name in places]
    assert sorted(found) == sorted(counted)
    assert bool(found) == any(made.program.rows(node.name) for node in made.program.nodes)


BOUND = r"(?m)^    \w+ (\w+)\[(\d+)\*(\d+)\];\n    #pragma HLS BIND_STORAGE variable=\1 type=ram_2p impl=uram$"


def bound(top: str, bits: dict[str, int]) -> int:
    """UltraRAMs that the C++ asks for, by hand: each has 4,096 words of 72 bits, and every bank of an array its own."""
    found = 0
    for variable, outer, inner in re.findall(BOUND, top):
        cyclic = re.search(rf"PARTITION variable={variable} cyclic factor=(\d+)", top)
        banks = int(cyclic[1]) if cyclic else 1
        found += banks * -(-int(outer) * int(inner) // banks // 4096) * -(-bits[variable] // 72)
    return found


@pytest.mark.parametrize(("name", "most"), [("large rows", {}), ("tokens", {"tokens": 400, "queries": 16})])
def test_arrays_are_bound_to_ultra_ram_as_counted(name: str, most: dict[str, int], tmp_path: Path) -> None:
    program, rows = FITTED[name]()[0], most_rows(FITTED[name]()[0], most)
    usual = fit(program, Budget(600, 600), most)
    folding = replace(usual, ultra=frozenset(node.name for node in program.nodes))
    graph, names = write_sources(program, tmp_path, folding, Target(), most), layer_names(program)
    top = (tmp_path / "firmware" / "edgendt.cpp").read_text()
    bits = {graph.graph[names[one.name]].get_output_variable().name: one.op.y.bits for one in program.nodes}
    counted = sum(one.ultra_rams for one in schedule(program, folding, rows=rows))
    assert bound(top, bits) == counted > bound(top.replace("impl=uram", "impl=bram", 1), bits)
    assert top.count("impl=uram") == len(in_ultra(program, folding, rows))
    write_sources(program, tmp_path, usual, Target(), most)
    assert "uram" not in (tmp_path / "firmware" / "edgendt.cpp").read_text()


def test_rows_in_ultra_ram_change_no_code(tmp_path: Path) -> None:
    needs("g++")
    program, counts = large_rows()
    folding = fit(program, Budget(100, 66, 9))
    assert in_ultra(program, folding, {})
    tally = compare("hls4ml", program.trace(counts), build(program, tmp_path, folding).compile().trace(counts))
    assert tally.first is None


def test_loops_are_pipelined_at_the_interval_that_is_stated(tmp_path: Path) -> None:
    """Ours and that of hls4ml's kernel."""
    made = Emitted.of("bin by bin", tmp_path)
    rows = schedule(made.program, made.folding)
    assert {row.interval for row in rows} == {1}
    for header in (*HEADERS, "nnet_dense_resource.h"):
        asked = re.findall(r"#pragma HLS PIPELINE(?: II=(\d+))?", made.read(f"nnet_utils/{header}"))
        assert set(asked) <= {"1"}, header
    assert summary(rows)["interval"] == sum(row.cycles for row in rows)


def test_keys_that_no_bin_has_are_not_counted() -> None:
    """A window of 20 bins of a network that has 12: the longest call is the last bin's."""
    program = random_ndt(10, 5, 6, 1, 2, 7, 20, 4, 12)
    (attention,) = [node.op for node in program.nodes if isinstance(node.op, Attention)]
    assert (attention.window, program.max_bins) == (20, 12)
    folding = plan(program)
    longest, last, before = (total(schedule(program, folding, keys)) for keys in (None, 12, 11))
    assert longest == last > before


def test_every_pipelined_loop_of_a_header_counts() -> None:
    for header in (ROOT / "hls" / "cpp").glob("edt_*.h"):
        text = header.read_text()
        loops = len(re.findall(r"#pragma HLS PIPELINE", text))
        assert len(re.findall(r"^ +EDT_BEAT\(", text, re.M)) == loops, header.name

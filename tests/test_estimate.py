"""The estimate is the engine's exact cycles and memory words, and says what to change when something is too large."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from operator import ge
from pathlib import Path

import pytest
from firmware_cases import function
from needs import needs_package
from networks import random_ndt
from rich.console import Console

from edgendt.artifact import Run
from edgendt.boards import Board
from edgendt.engine.compile import compile_program
from edgendt.engine.config import ENGINES, Engine
from edgendt.engine.cycles import cycles_of, cycles_per_row, steady
from edgendt.engine.keys import compile_for
from edgendt.engine.reference import M, Network, S
from edgendt.errors import BadInput, DoesNotFit, MemoryTooSmall
from edgendt.estimate import estimate, instead, largest_count, memories, program_of, render, render_instead
from edgendt.host.wire import wire, words
from edgendt.synth.size import fits, part
from edgendt.synth.usual import crowded, or_another, usual_engine
from edgendt.wiring import Wiring

BOARD = "ulx3s-85f"
PROGRAM = random_ndt(3)
WIDE = replace(S, name="wide", channels=182, outputs=182, d=256, layers=12, ffn=256)
LARGE = {"d": 128, "heads": 4, "layers": 4, "ffn": 256}
WINDOW = {"bins": 180, "causal": False, "spatial": 2}
PUBLIC_MAZE = {"channels": 137, "d": 182, "layers": 4, "ffn": 128, "outputs": 182, "courses": True, **WINDOW}


def test_cycles_are_those_of_bins_that_occur():
    got = estimate(PROGRAM, BOARD)
    compiled = compile_program(PROGRAM, Engine.named("small"))
    totals = [cycles_of(compiled, at).total for at in range(PROGRAM.max_bins)]
    assert got["cycles"]["max"] == totals[-1] == max(totals)
    assert got["cycles"]["p50"] in totals and got["cycles"]["p99"] in totals
    assert sum(got["by_op"].values()) == got["cycles"]["p50"]
    assert got["efficiency"] == got["bound_cycles"] / got["cycles"]["p50"]


def test_the_link_of_network_s_takes_a_hundred_bytes_where_velocity_alone_comes_back():
    whole, velocity = S.program(), Wiring(outputs="0:2").apply(S.program())
    got = [estimate(program, BOARD, "full")["link"] for program in (whole, velocity)]
    assert [(line["request_bytes"], line["answer_bytes"]) for line in got] == [(79, 379), (79, 19)]
    assert got[1]["bytes"] == 98 and got[1]["us"] == 326.67 and got[1]["stage"] == "analytic"
    assert estimate(PROGRAM, "kv260", "small")["link"]["us"] is None


def test_the_link_of_counts_of_eight_bits_says_what_four_would_take_where_the_recording_allows_it():
    eight, four = (Wiring(outputs="0:2").apply(replace(S, counts=bits).program()) for bits in (8, 4))
    board = Board.named(BOARD)
    got = wire(eight, board, largest=15)
    assert got["bytes"] == 166 and got["four_bits"] == {key: wire(four, board)[key] for key in got["four_bits"]}
    assert words(got).endswith("(analytic); 98 with bits.counts=4, and no count of the recording is above 15")
    for plain in (wire(eight, board), wire(eight, board, largest=16), wire(four, board, largest=7)):
        assert plain["four_bits"] is None and words(plain).endswith("(analytic)")


def test_the_largest_count_is_that_of_the_run_s_recording(tmp_path: Path) -> None:
    PROGRAM.save(tmp_path / "mine.edt")
    assert largest_count(tmp_path / "mine.edt", tmp_path) is None
    for name, data in (("new", {"largest_count": 7}), ("old", {})):
        with Run(tmp_path / name).write("quantize") as folder:
            (folder / "data.json").write_text(json.dumps(data))
        assert largest_count(name, tmp_path) == data.get("largest_count")


def test_a_network_of_whole_windows_has_the_cycles_of_a_window():
    program = random_ndt(3, bins=9, causal=False)
    got = estimate(program, BOARD, "window")
    assert got["whole_window"] == 9 and got["cycles"]["window"] == sum(got["by_op"].values())
    assert got["cycles"]["window"] / 2 < got["cycles"]["behind_last_bin"] < got["cycles"]["window"]
    said = io.StringIO()
    Console(file=said, width=120).print(render(got))
    assert "per window of 9 bins (analytic)" in said.getvalue() and "behind last bin" in said.getvalue()
    assert got["link"]["bytes"] == 2 * estimate(random_ndt(3, bins=9), BOARD)["link"]["bytes"]


def test_a_network_of_tokens_has_the_cycles_of_as_many_as_fit():
    needs_package("torch")
    from poyos import random_poyo

    program = random_poyo(0, depth=1)
    got = estimate(program, BOARD, "tokens")
    assert got["clock_mhz"] == Board.named(BOARD).clocks["tokens"]
    compiled = compile_for(program, Engine.named("tokens"))
    most, cycles = got["tokens"], got["cycles"]
    starts = cycles_per_row(compiled, most, 1)
    assert most == compiled.most and cycles["window"] == sum(starts) == sum(got["by_op"].values())
    assert [cycles[name] for name in ("token", "last_token", "query")] == [starts[0], *starts[-2:]]
    assert got["link"]["request_bytes"] == 16 and got["bound_cycles"] < cycles["window"]


@pytest.mark.parametrize(
    "changes, board, engine",
    [
        ({}, BOARD, "small"),
        ({"bins": 9, "causal": False}, BOARD, "window"),
        ({"bins": 9, "causal": False}, "kv260", "kria"),
        ({"spatial": 2, "window": 8}, BOARD, "window"),
        ({}, "kv260", "kria-wide"),
        ({"rotary": True}, BOARD, "streaming"),
        ({"rotary": True, "bins": 9, "causal": False}, BOARD, "tokens"),
        ({}, "icebreaker", "tiny"),
    ],
)
def test_the_engine_follows_from_the_network_where_the_board_has_not_that_build(changes, board, engine):
    assert usual_engine(random_ndt(3, **changes), Board.named(board)) == engine
    assert board != BOARD or estimate(random_ndt(3, **changes), board)["engine"] == engine


def test_a_network_with_tables_of_functions_gets_an_engine_that_has_them():
    assert usual_engine(function()[0], Board.named(BOARD)) == "tokens"


def test_a_network_of_tokens_gets_the_largest_engine_that_the_part_holds():
    pytest.importorskip("torch")
    from poyos import random_poyo

    program = random_poyo(0, depth=1)
    engines = {"ulx3s-85f": "tokens", "zcu102": "tokens-large", "kv260": "kria", "icebreaker": "tokens"}
    assert {board: usual_engine(program, Board.named(board)) for board in engines} == engines


def test_without_a_board_the_default_ones_engine_is_taken_or_the_first_that_holds_the_network():
    pytest.importorskip("torch")
    from poyos import random_poyo

    wide = {"bins": 14, "causal": False, "channels": 130, "d": 174, "outputs": 174, "spatial": 2}
    taken = {"small": {}, "large": LARGE, "window": {"bins": 9, "causal": False}, "kria": wide}
    assert {name: usual_engine(random_ndt(1, **changes)) for name, changes in taken.items()} == {n: n for n in taken}
    assert usual_engine(random_poyo(0, depth=1)) == "tokens"
    assert usual_engine(random_ndt(3, bins=5000)) == "small"  # which says what is short


def test_figures_carry_their_stages():
    for board, engine, stage in ((BOARD, None, "post-route"), ("ulx3s-45f", "compact", "assumed")):
        got = estimate(PROGRAM, board, engine)
        assert (got["stage"], got["clock_stage"]) == ("analytic", stage)
        assert got["latency_us"]["max"] == got["cycles"]["max"] / got["clock_mhz"]


def test_every_memory_shows_what_is_used_of_what_is_there():
    got = estimate(PROGRAM, BOARD)
    compiled = compile_program(PROGRAM, Engine.named("small"))
    assert {row["used"] for row in got["memories"].values()} >= {len(compiled.instrs), compiled.sizes["weights"]}
    assert all(0 <= row["used"] <= row["available"] for row in (got["memories"] | got["resources"]).values())


@pytest.mark.parametrize(
    ("change", "depth"),
    [({"d": 64, "heads": 4, "layers": 3, "ffn": 256}, "weight_depth"), ({"bins": 600}, "pos_depth")],
)
def test_more_memory_is_advised_where_the_part_has_it(change, depth, tmp_path):
    with pytest.raises(DoesNotFit, match=rf"raise {depth} to \d+ in a FILE.toml, or train with") as caught:
        estimate(random_ndt(3, **change), BOARD, "small")
    words = int(re.search(r"raise \w+ to (\d+)", str(caught.value))[1])
    part(Board.named(BOARD), replace(Engine.named("small"), **{depth: words}))


@pytest.mark.parametrize(
    "program, board, said",
    [
        (random_ndt(3, **LARGE), BOARD, "on LFE5U-85F-6BG381C weight_depth of small can be 10240 at most; take"),
        (random_ndt(3, bins=5000), BOARD, "pos_depth of small can be 8192 at most; train with fewer position rows"),
        (random_ndt(3, **LARGE), "icebreaker", "small itself is too large for iCE40UP5K-SG48; take"),
    ],
)
def test_more_memory_than_the_part_has_is_not_advised(program, board, said):
    said = f"no named engine on {board} holds the network: .*{said}"
    with pytest.raises(DoesNotFit, match=said) as caught:
        estimate(program, board, "small")
    assert "raise" not in str(caught.value)
    if most := re.search(r"(weight_depth) of small can be (\d+) at most", str(caught.value)):
        with_it, beyond = (replace(Engine.named("small"), **{most[1]: int(most[2]) + more}) for more in (0, 1))
        assert fits(Board.named(board), with_it) and not fits(Board.named(board), beyond)


def test_no_engine_is_tried_whose_lanes_cannot_hold_the_weights_of_a_very_large_network(monkeypatch):
    tried: list[Engine] = []
    monkeypatch.setattr("edgendt.synth.usual.compile_for", lambda _, engine: tried.append(engine))
    with pytest.raises(DoesNotFit, match=r"^wide needs 4796 .* no named engine on kv260 holds the network: "):
        estimate(WIDE.program(), "kv260")
    assert tried == []


@pytest.mark.parametrize("network", [S, M, WIDE, replace(S, d=192, bits=8)], ids=lambda one: f"{one.name}-{one.bits}")
def test_no_engine_that_holds_a_network_is_too_crowded_for_it(network):
    program = network.program()
    for engine in ENGINES.values():
        fits = True
        try:
            compile_program(program, engine)
        except DoesNotFit:
            fits = False
        assert not (fits and crowded(program, engine))


def test_memories_that_the_part_has_one_by_one_but_not_together_are_not_advised():
    depths = {"weight_depth": 10240, "kv_depth": 1024}
    said = r"^it needs more; no named .* has no room for weight_depth 10240, kv_depth 1024 together; take .*, or train"
    with pytest.raises(DoesNotFit, match=said), or_another("small", Board.named(BOARD), random_ndt(3, **LARGE)):
        raise MemoryTooSmall("it needs more", "weight_depth", depths, "train less")


def refused(program, board, engine=None):
    """What is said where the network does not fit."""
    with pytest.raises(DoesNotFit) as caught:
        estimate(program, board, engine)
    return instead(program, board, caught.value)


@pytest.mark.parametrize("name", ["tang-primer-20k", "ulx3s-45f"])
def test_smaller_networks_like_the_one_asked_fit_and_cost_what_is_said(name):
    got, board = refused(M.program(), name), Board.named(name)
    assert got["stage"] == "analytic"
    weights = [one["weights"] for one in got["smaller"]]
    assert len(weights) > 2 and weights == sorted(weights, reverse=True)
    sizes = [tuple(one[key] for key in ("layers", "d", "window", "max_bins")) for one in got["smaller"]]
    for one, size in zip(got["smaller"], sizes, strict=True):
        assert one["engine"] in ENGINES and (one["heads"], one["ffn"]) == (M.heads, M.ffn)
        assert not any(other != size and all(map(ge, other, size)) for other in sizes)
        layers, d, window, rows = size
        network = replace(M, layers=layers, d=d, window=window, bins=rows)
        compiled = compile_program(network.program(), Engine.named(one["engine"]))
        assert one["clock_mhz"] == board.running(one["engine"]).clock_mhz
        assert one["clock_stage"] == ("post-route" if one["engine"] in board.routed else "assumed")
        assert one["cycles"] == steady(compiled).total and one["us"] == one["cycles"] / one["clock_mhz"]
        assert one["memories"] == memories(compiled)
        assert one["resources"] == part(board, compiled.engine)


def test_the_network_asked_stands_alone_in_the_table_where_another_engine_holds_it():
    (one,) = refused(random_ndt(3, layers=6), "ulx3s-45f", "tiny")["smaller"]
    assert [one[key] for key in ("engine", "layers", "d", "window", "max_bins")] == ["small", 6, 16, 9, 33]


def test_a_board_that_holds_no_such_network_says_what_is_short():
    got = refused(M.program(), "icebreaker")
    assert got["smaller"] == []
    assert got["lacking"] == "M with 1 layer, d 16, FFN 128, W 16 needs 203 bias words, the engine has 128"
    assert render_instead(got) == f"no smaller network with its channels and outputs fits, either: {got['lacking']}"


def test_no_table_is_made_of_a_network_of_another_kind():
    got = refused(random_ndt(3, **LARGE, bins=9, causal=False), BOARD, "window")
    assert got["smaller"] is None and got["lacking"] is None and render_instead(got) is None


@pytest.mark.parametrize("network", [S, M, replace(M, bits=8, bins=200), replace(S, rotary=True, bins=0)])
def test_a_network_is_read_from_its_program(network):
    read = Network.of(network.program())
    assert read.program() == network.program() and read.weights == network.weights


@pytest.mark.parametrize("change", [{}, {"rotary": True}, {"heads": 4, "ffn": 40}, {"weight": 8}])
def test_a_network_that_is_read_from_a_program_costs_the_same(change):
    program, engine = random_ndt(3, **change), Engine.named("streaming")
    read, asked = (compile_program(one, engine) for one in (Network.of(program).program(), program))
    assert (steady(read).total, read.sizes) == (steady(asked).total, asked.sizes)


@pytest.mark.parametrize("change", [{"spatial": 2, "window": 8}, {"bins": 9, "causal": False}])
def test_another_kind_of_network_is_not_read_as_one(change):
    assert Network.of(random_ndt(3, **change)) is None


def test_a_network_wired_otherwise_is_not_read_as_one():
    program = random_ndt(3)
    nodes = [replace(node, inputs=("layer0.ln1",)) if node.name == "layer0.f1" else node for node in program.nodes]
    assert Network.of(replace(program, nodes=tuple(nodes))) is None


def test_a_network_that_does_not_fit_exits_1_with_a_sentence_and_a_table(tmp_path):
    M.program().save(tmp_path / "M.edt")
    command = [sys.executable, "-c", "from edgendt.cli import main; main()", "estimate", "M.edt", "-b", "ulx3s-45f"]
    env = os.environ | {"COLUMNS": "80"}
    table, printed = (
        subprocess.run([*command, *more], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        for more in ([], ["--json"])
    )
    assert (table.returncode, printed.returncode) == (1, 1) and table.stderr == printed.stderr
    assert table.stderr.startswith("error: M needs 25688 weights") and table.stderr.count("\n") == 1
    got = json.loads(printed.stdout)
    assert f"error: {got['error']}\n" == table.stderr
    *head, columns = table.stdout.splitlines()[: -len(got["smaller"])]
    rows = table.stdout.splitlines()[len(head) + 1 :]
    assert "(analytic, window full, clocks assumed, * kept post-route)" in " ".join(line.strip() for line in head)
    assert [row.split()[0] for row in rows] == [str(one["layers"]) for one in got["smaller"]]
    assert {"µs", "cycles", "engine", "weights"} <= set(columns.split())
    kept = [one["engine"] in Board.named("ulx3s-45f").routed for one in got["smaller"]]
    assert ["*" in row for row in rows] == kept and any(kept)


@pytest.mark.parametrize(
    "change, board, engine, said",
    [
        (LARGE, "kv260", "small", "take --engine kria, kria-window or kria-wide, which fit on kv260, or train"),
        ({**LARGE, "bins": 9, "causal": False}, BOARD, None, "; take --board kv260 --engine kria, or train with"),
        ({"bins": 5000}, BOARD, None, "no named engine on ulx3s-85f holds the network: .*pos_depth"),
        (PUBLIC_MAZE, "kv260", None, "take --engine kria-window, which fits on kv260, or train with fewer positi"),
        (LARGE, BOARD, None, "holds the network: on LFE5U-85F.*; take --board zcu102 --engine large, or train with"),
        ({"layers": 6}, BOARD, "tiny", "take --engine small, .* or tokens, which fit on ulx3s-85f, or raise bias"),
        ({}, "ulx3s-45f", "full", "take --engine tiny, compact or small, which fit on ulx3s-45f, or choose"),
    ],
)
def test_a_network_too_large_names_the_engines_that_hold_it(change, board, engine, said):
    with pytest.raises(DoesNotFit, match=said):
        estimate(random_ndt(3, **change), board, engine)


def test_an_engine_too_large_for_the_part_says_so():
    with pytest.raises(DoesNotFit, match=r"MULT18X18D.*fewer lanes"):
        estimate(PROGRAM, "ulx3s-45f", "full")


def test_a_program_file_is_taken_as_well_as_a_run(tmp_path: Path):
    PROGRAM.save(tmp_path / "mine.edt")
    assert program_of(tmp_path / "mine.edt", tmp_path) == PROGRAM
    with pytest.raises(BadInput, match="edgendt quantize"):
        program_of(None, tmp_path)


@pytest.mark.parametrize(("name", "verb"), [("a.onnx", "edgendt lower"), ("a.npz", "edgendt quantize --data")])
def test_a_file_for_another_verb_is_said_to_be(name: str, verb: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"no zip")
    with pytest.raises(BadInput, match=f"^{tmp_path / name} is not a Program: .*`{verb} {tmp_path / name}`"):
        program_of(tmp_path / name, tmp_path)


def test_the_table_shows_every_memory():
    got = estimate(PROGRAM, BOARD)
    console = Console(width=100, file=io.StringIO())
    console.print(render(got))
    text = console.file.getvalue()
    assert all(name in text for name in got["memories"] | got["resources"])
    assert "µs at 87.5 MHz (post-route)" in text and "analytic" in text

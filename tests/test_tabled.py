"""A network whose tokens look keys and values up is the same network: codes, and what an engine makes of it."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from needs import needs_package
from networks import random_ndt
from rich.console import Console

from edgendt.artifact import Run
from edgendt.engine import layout as lay
from edgendt.engine.compile import compile_program
from edgendt.engine.config import Engine
from edgendt.engine.image import Image
from edgendt.engine.keys import PROJECTION, TABLE, choice, compared, compile_for, way_of, ways
from edgendt.errors import DoesNotFit
from edgendt.estimate import estimate, render
from edgendt.program import Program
from edgendt.synth import synthesise
from edgendt.tabled import tabled

needs_package("torch")
from poyos import CUTS, SESSIONS, network, random_poyo, tokens, windows  # noqa: E402

from edgendt.export import export_program  # noqa: E402
from edgendt.lower import lower  # noqa: E402
from edgendt.lower.execute import trace_qonnx  # noqa: E402
from edgendt.qat.poyo import QuantPOYO  # noqa: E402

PROGRAM = random_poyo()
UNITS, KINDS, DIM, INNER = 12, 3, 16, 16  # two sessions of six; two heads of eight
GONE = {"embed", "read.lnc"}
TOKENS = Engine.named("tokens")


@pytest.mark.parametrize("seed", range(3))
def test_every_op_that_is_left_gives_the_same_codes(seed: int) -> None:
    program = random_poyo(seed)
    other = tabled(program)
    assert {node.name for node in program.nodes} - {node.name for node in other.nodes} == GONE
    for window in windows():
        expected, got = program.trace(window), other.trace(window)
        assert expected.keys() - got.keys() == GONE
        for name, codes in got.items():
            np.testing.assert_array_equal(codes, expected[name], name)


def test_the_tables_are_those_of_the_integer_network() -> None:
    q = QuantPOYO.from_float(network(), tokens())
    other = tabled(q.program())
    for name, table in zip(("read.k", "read.v"), q.token_table(), strict=True):
        node = other.node(name)
        assert (node.op.kind, node.inputs, table.shape) == ("lookup", ("tokens",), (UNITS, KINDS, INNER))
        np.testing.assert_array_equal(node.constants["table"], table.reshape(-1, INNER))
        assert len(np.unique(table.reshape(-1, INNER), axis=0)) == UNITS * KINDS


def test_a_network_without_such_keys_is_itself() -> None:
    ndt, other = random_ndt(0), tabled(PROGRAM)
    assert tabled(ndt) is ndt and tabled(other) is other


def test_its_files_hold_it_and_the_qonnx_executor_equals_it(tmp_path) -> None:  # type: ignore[no-untyped-def]
    other = tabled(PROGRAM)
    other.save(tmp_path / "program.edt")
    assert Program.load(tmp_path / "program.edt") == other != PROGRAM
    export_program(other, tmp_path / "model.onnx")
    assert lower(tmp_path / "model.onnx") == other
    got = trace_qonnx(tmp_path / "model.onnx", other, windows()[1])
    for name, codes in other.trace(windows()[1]).items():
        np.testing.assert_array_equal(got[name], codes, name)


def test_an_engine_takes_the_table_where_a_token_then_costs_less() -> None:
    found = ways(PROGRAM, TOKENS)
    said = compared(found)
    assert said is not None and said["choice"] == TABLE
    table, projection = said["ways"][TABLE], said["ways"][PROJECTION]
    assert table["token"] < projection["token"] and table["short"] is projection["short"] is None
    assert table["bits"] == 8 * 2 * UNITS * KINDS * INNER and table["products_per_token"] == 0
    assert projection["products_per_token"] == 2 * DIM * INNER
    compiled = compile_for(PROGRAM, TOKENS)
    assert way_of(compiled) == TABLE and compiled.program == tabled(PROGRAM)
    assert compiled.most == found[PROJECTION].most and way_of(found[PROJECTION]) == PROJECTION


def test_it_projects_where_the_table_has_no_room_and_says_for_how_many_units_there_is() -> None:
    words = found_words(tabled(PROGRAM))
    small = replace(TOKENS, pos_depth=words - 1)
    found = ways(PROGRAM, small)
    said = compared(found)
    assert said is not None and said["choice"] == choice(found) == PROJECTION and said["rows"] == UNITS - 1
    assert said["ways"][TABLE]["token"] is None and f"needs {words} position words" in said["ways"][TABLE]["short"]
    assert way_of(compile_for(PROGRAM, small)) == PROJECTION
    exact = compared(ways(PROGRAM, replace(TOKENS, pos_depth=words)))
    assert exact is not None and (exact["choice"], exact["rows"]) == (TABLE, UNITS)
    with pytest.raises(DoesNotFit, match="instructions"):
        compile_for(PROGRAM, replace(TOKENS, prog_depth=8))


def found_words(program: Program) -> int:
    return compile_program(program, TOKENS).sizes["pos"]


def test_a_new_session_is_a_new_table() -> None:
    """Of the image of an adapted network nothing differs but position words."""
    net = QuantPOYO.from_float(network(SESSIONS[:1]), tokens(CUTS[:1]))
    first, second = (compile_for(one.program(), TOKENS).image for one in (net, net.adapted(SESSIONS[0].units)))
    assert [section.mem for section in first.sections] == [section.mem for section in second.sections]
    differ = {
        a.mem for a, b in zip(first.sections, second.sections, strict=True) if not np.array_equal(a.words, b.words)
    }
    assert differ == {lay.MEM_POS}


def test_estimate_says_both_ways_with_their_stage() -> None:
    got = estimate(PROGRAM, "ulx3s-85f", "tokens")
    assert (
        got["keys"] == compared(ways(PROGRAM, TOKENS)) and got["cycles"]["token"] == got["keys"]["ways"][TABLE]["token"]
    )
    said = io.StringIO()
    Console(file=said, width=120).print(render(got))
    assert f"a table has room for {got['keys']['rows']} units (analytic)" in said.getvalue()
    assert "table (taken)" in said.getvalue() and "projection" in said.getvalue()


def test_of_a_network_of_counts_estimate_says_nothing_of_it() -> None:
    assert estimate(random_ndt(0), "ulx3s-85f")["keys"] is None


def test_synth_records_the_way(tmp_path) -> None:  # type: ignore[no-untyped-def]
    run = Run(tmp_path / "r")
    with run.write("quantize") as folder:
        PROGRAM.save(folder / "program.edt")
    assert synthesise(run, "zcu104", engine="tokens-large")["keys"] == TABLE
    image = Image.load(run.stage("synth-zcu104") / "image.edi")
    assert image.crc == compile_program(tabled(PROGRAM), Engine.named("tokens-large")).image.crc

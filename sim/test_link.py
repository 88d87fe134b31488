"""Starts the bench of edt_link."""

from pathlib import Path

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs
from standin_core import PARAMETERS

from edgendt.engine.image import engine_id

STANDIN = Path(__file__).parent / "standin"
SOURCES = [STANDIN / "link_top.sv", STANDIN / "edt_core.sv", *rtl("edt_link", "edt_crc32")]
ID = {"EngineId": f"32'd{engine_id(PARAMETERS)}"}


def test_answers_as_the_reference_does():
    needs("verilator")
    simulate("link_bench", "link_top", build("link_top", SOURCES, ID))


WALK = "answers_as_the_reference_does/idle=0.0/stall=0.0"
SLOW = "answers_as_the_reference_does/idle=0.6/stall=0.6"
LOAD = "a_broken_load_never_answers"
ODD = "odd_packets_are_refused"
FAULTS = {  # name: the test that must fail, and the fault
    "a frame's CRC is not looked at": (ODD, "crc_match && length_q >= 12'd6", "length_q >= 12'd6"),
    "too long a packet is taken": (ODD, "&& length_q <= 12'(MaxPacket)", ""),
    "a repeated packet is computed again": (WALK, "if (again_q) verdict = Ok;", "if (1'b0) verdict = Ok;"),
    "any bin is computed": (WALK, "if (!bin_ok_q) verdict = WrongBin;", "if (1'b0) verdict = WrongBin;"),
    "a bin past the last row is computed": (WALK, "if (refuse_q) verdict = NoBins;", "if (1'b0) verdict = NoBins;"),
    "a wrong engine is taken": (ODD, "engine_id == EngineId;", "engine_id[31:8] == EngineId[31:8];"),
    "a wrong schema is taken": (ODD, "format != 8'(Schema)", "1'b0"),
    "the image's CRC is not looked at": (LOAD, "first_q[47:16] == running_crc && load_index_q", "load_index_q"),
    "an empty load is taken": (LOAD, "running_crc && load_index_q != '0;", "running_crc;"),
    "a lost frame is overlooked": (LOAD, "if (!taken_q) verdict = Sequence;", "if (1'b0) verdict = Sequence;"),
    "a doubled frame is written again": (LOAD, "next_q      <= index == load_index_q;", "next_q <= 1'b1;"),
    "ready while loading": (
        LOAD,
        "{ready_q, loading_q, last_valid_q}  <= 3'b010;",
        "{loading_q, last_valid_q} <= 2'b10;",
    ),
    "reset keeps the bin": (WALK, "bin_q        <= '0;", "bin_q <= bin_q;"),
    "start before the last count": (WALK, "Counts: if (walk_done) state_q", "Counts: if (fetch_valid_q) state_q"),
    "a stalled byte is overwritten": (SLOW, "!m_axis_tvalid || m_axis_tready;", "1'b1;"),
    "a stalled input is lost": (WALK, "assign s_axis_tready = !full_q;", "assign s_axis_tready = 1'b1;"),
    "words start at the wrong byte": (WALK, "40'(byte_q) << {part_q, 3'b000}", "40'(byte_q) << {part_q, 2'b00}"),
    "an output is sent twice": (WALK, "if (place_q[0]) word_q <= ahead_q;", ""),
    "an output is left out": (SLOW, "advance && !place_q[0] && (state_q", "!place_q[0] && (state_q"),
    "the first output is one of before": (WALK, "|| (state_q == Head && place_q == 10'd10)", ""),
    "two counts change places": (WALK, "{count_q[0], 2'b00} +: 4", "{!count_q[0], 2'b00} +: 4"),
    "four counts change places": (WALK, "{count_q[1:0], 1'b0} +: 2", "{count_q[0], count_q[1], 1'b0} +: 2"),
    "eight counts change places": (WALK, "byte_q[count_q[2:0]]", "byte_q[~count_q[2:0]]"),
    "a byte of counts is left early": (WALK, "|| count_part_q == count_last) read_q", "|| |count_part_q) read_q"),
    "a last byte that is not full is not expected": (WALK, "channels_q[9:0] + 10'(count_last)", "channels_q[9:0]"),
    "a format that is not known is taken": (WALK, "else if (!known_format) verdict", "else if (1'b0) verdict"),
    "a brief answer has a state": (WALK, "if (status_q[7] && place_q == 10'd2) place_q <= 10'd4;", ""),
    "a brief answer has a load frame": (WALK, "if (status_q[7] && place_q == 10'd5) place_q <= 10'd8;", ""),
    "every answer is brief": (WALK, "kind == KindCounts && brief,", "kind == KindCounts,"),
    "refused requests are not counted": (ODD, "else if (verdict != Ok) refused_q <= count_up(refused_q);", ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault):
    needs("verilator")
    test, old, new = FAULTS[fault]
    assert rejects("link_bench", "link_top", mutate(SOURCES, old, new), ID, tests=test)

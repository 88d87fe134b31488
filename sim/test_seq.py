"""Starts the bench of edt_seq."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_pkg", "edt_ram", "edt_seq")
FAULTS = {
    "a SYNC waits for nothing": ("ins_o.op == OpSync && done_i[ins_o.bar_tag]", "ins_o.op == OpSync"),
    "a bin ends before its barrier": ("quiet_q && (!ins_o.bar_use || done_i[ins_o.bar_tag])", "quiet_q"),
    "a bin ends while units are busy": ("ins_o.op == OpEnd && quiet_q &&", "ins_o.op == OpEnd &&"),
    "the window is one bin longer": ("cfg_q.window - 9'd1;", "cfg_q.window;"),
    "keys beyond the window count": ("if (n_keys_o != cfg_q.window) ", ""),
    "aged passes begin with the newest key": ("9'(Sfus - 1)) + 9'd1", "9'(Sfus - 1)) - 9'(Sfus - 1)"),
    "a key tile more": ("if (key_tiles_o != cfg_q.key_tiles) ", ""),
    "a group is one segment": ("slot_seg_o == cfg_q.group_segs - 11'd1", "1'b1"),
    "the cycle of the end is not counted": ("count_q + 32'd1;\n    end", "count_q;\n    end"),
    "a bin past the last row is computed": ("bin_o >= cfg_q.max_bins", "bin_o > cfg_q.max_bins"),
    "a trial without a last bin has none at all": ("cfg_q.max_bins != '0 && ", ""),
    "a start while busy starts over": ("start_i && !busy_q && !refuse_o", "start_i && !refuse_o"),
    "chunks of the program are swapped": ("load_addr_i[2:0] == 3'(c)", "load_addr_i[2:0] == 3'(c ^ 1)"),
    "a trial starts at the last one's position": ("      pos_off_o   <= '0;\n", ""),
}


def build_case(lanes: int) -> tuple[dict[str, int], dict[str, int]]:
    return {"SegLanes": lanes, "ProgDepth": 16, "Sfus": 4, "Rotary": 1}, {"lanes": lanes, "depth": 16, "sfus": 4}


@pytest.mark.parametrize("lanes", [1, 4, 11])
def test_equals_the_reference(lanes: int) -> None:
    needs("verilator")
    parameters, case = build_case(lanes)
    simulate("seq_bench", "edt_seq", build("edt_seq", SOURCES, parameters), case)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects("seq_bench", "edt_seq", mutate(SOURCES, *FAULTS[fault]), *build_case(4))

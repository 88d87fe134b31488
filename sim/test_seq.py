"""Starts the bench of edt_seq."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_pkg", "edt_ram", "edt_seq")
FAULTS = {
    "a SYNC waits for nothing": ("ins_o.op == OpSync && done_i[ins_o.bar_tag]", "ins_o.op == OpSync"),
    "a bin ends before its barrier": ("quiet_q && (!ins_o.bar_use || done_i[ins_o.bar_tag])", "quiet_q"),
    "a bin ends while units are busy": ("ins_o.op == OpEnd && quiet_q &&", "ins_o.op == OpEnd &&"),
    "the window is one bin longer": ("slot_o == KeyBits'(cfg_q.window - 9'd1)", "slot_o == KeyBits'(cfg_q.window)"),
    "keys beyond the window count": ("if (n_keys_o != KeyBits'(cfg_q.window)) ", ""),
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


LOOPS = {
    "a phase ends a bin early": ("KeyBits'(cfg_q.window - 9'd1)", "KeyBits'(cfg_q.window - 9'd2)"),
    "the last phase is one of many starts": ("wraps ? rows_q.pause_last : rows_q.pause_each", "rows_q.pause_each"),
    "a phase is repeated from its second instruction": ("phase_q <= resume", "phase_q <= resume + 1'b1"),
    "a byte moves by words": ("17'(act_row_q) << PipeBits", "17'(act_row_q)"),
    "rows do not return": ("turns ? '0 : res_row_q + res_stride_q", "res_row_q + res_stride_q"),
    "the highest bits of a byte's address are lost": ("xbase[16:15]", "2'd0"),
    "a loop over channels repeats its SHAPE": ("if (shape && inside_q) phase_q", "if (1'b0) phase_q"),
    "channels begin at the bin's slot": ("|| trial_reset_i || enter)", "|| trial_reset_i)"),
    "a bin forgets its place": ("if (leave) {", "if (1'b0) {"),
    "a bin goes on in the oldest row": ("      if (leave) begin", "      if (1'b0) begin"),
    "channels move the row of the ring": ("next_q && !inside_q || enter", "next_q || enter"),
    "the ring begins at the newest row": ("next_q && !inside_q || enter", "next_q && !inside_q"),
    "the ring is a row longer": ("9'(cfg_q.window - 9'd1) - 9'(slot_o)", "9'(cfg_q.window) - 9'(slot_o)"),
    "a ring is always full": ("blank_q     <= n_keys_o", "blank_q     <= 1'b0 && n_keys_o"),
    "a bin ends in front of its loops": ("finish && !enter && (", "finish && ("),
    "a bin takes up its loops' next one": ("next_q <= finish && !enter", "next_q <= finish"),
    "channels turn by angles of their own": ("finish && rows_q.loop && !inside_q", "finish && rows_q.loop"),
    "a row sees a key more before it": ("- KeyBits'(back_q) + 1'b1", "- KeyBits'(back_q)"),
    "a row sees a key more behind it": ("slot_o + KeyBits'(ahead_q)", "slot_o + KeyBits'(ahead_q) + 1'b1"),
    "a row sees keys before the first": ("|| slot_o < KeyBits'(back_q)", ""),
    "a row sees keys behind the last": ("reach > n_keys_o ? n_keys_o : reach", "reach"),
    "a row that sees all sees none before it": ("back_q == '0 || ", ""),
    "a row that sees all sees none behind it": ("ahead_q == '0 || ", ""),
    "any pass says what a row sees": ("mac_take_i && ins_q.mode == ModeScore", "mac_take_i"),
    "an instruction is handed out before its row is added": ("Windows != 0 ? 2'd3 : 2'd2", "2'd2"),
}


def build_case(lanes: int, windows: int = 0, x_bits: int = 15) -> tuple[dict[str, int], dict[str, int]]:
    parameters = {"SegLanes": lanes, "ProgDepth": 16 << windows, "Sfus": 4, "Rotary": 1, "Windows": windows, "Pipes": 4}
    case = {"lanes": lanes, "depth": 16, "sfus": 4, "windows": windows, "pipes": 4, "x_bits": x_bits}
    return parameters | {"XBits": x_bits}, case


@pytest.mark.parametrize("fault", LOOPS)
def test_the_bench_of_a_unit_for_windows_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects("seq_bench", "edt_seq", mutate(SOURCES, *LOOPS[fault]), *build_case(4, 1, 17))


@pytest.mark.parametrize("lanes, windows, x_bits", [(1, 0, 15), (4, 0, 15), (11, 0, 15), (2, 1, 15), (4, 1, 17)])
def test_equals_the_reference(lanes: int, windows: int, x_bits: int) -> None:
    needs("verilator")
    parameters, case = build_case(lanes, windows, x_bits)
    simulate("seq_bench", "edt_seq", build("edt_seq", SOURCES, parameters), case)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects("seq_bench", "edt_seq", mutate(SOURCES, *FAULTS[fault]), *build_case(4))

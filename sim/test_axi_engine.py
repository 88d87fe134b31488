"""Starts the bench of edt_axi_engine, its registers among it."""

from pathlib import Path

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs
from standin_core import PARAMETERS

from edgendt.engine.image import engine_id

OWN = rtl("edt_axi_engine", "edt_axi_regs")
SOURCES = [*OWN, *rtl("edt_engine", "edt_link", "edt_crc32"), Path(__file__).parent / "standin" / "edt_core.sv"]
ID = {"EngineId": f"32'd{engine_id(PARAMETERS)}"}
SAID, SLOW = (f"registers_say_what_the_answers_said/idle=0.0/stall={stall}" for stall in ("0.0", "0.5"))
ELSE = "nothing_else_is_there/stall=0.0"
ORDER = "requests_in_flight_are_answered_in_order/stall=0.6"
RESET = "control_holds_the_engine_in_reset"
TIME = "the_turnaround_is_that_of_the_pins/stall=0.5"
FAULTS = {  # name: the test that must fail, and the fault
    "another engine's name": (SAID, "value = EngineId;", "value = ~EngineId;"),
    "cycles from the wrong bytes": (SAID, "4'd8 : 4'd11", "4'd11 : 4'd11"),
    "refused bins are counted": (SAID, "answer_data_i[6:0] == Ok && type_q", "type_q"),
    "bad frames count as refused": (
        SAID,
        "else if (answer_data_i[6:0] != Ok) refused_q",
        "if (answer_data_i[6:0] != Ok) refused_q",
    ),
    "a stalled byte is counted twice": (SLOW, ".answer_i(m_axis_tvalid && m_axis_tready)", ".answer_i(m_axis_tvalid)"),
    "a second read before the first is taken": (
        ORDER,
        "assign s_axi_arready = !s_axi_rvalid;",
        "assign s_axi_arready = 1'b1;",
    ),
    "any address is known": (ELSE, "default:       known = 1'b0;", "default:       ;"),
    "any write is well": (ELSE, "s_axi_bresp  <= at_control_q ? Okay : SlvErr;", "s_axi_bresp <= Okay;"),
    "any write is for CONTROL": (ELSE, "if (at_control_q && strobe_q) reset_q", "if (strobe_q) reset_q"),
    "strobes are ignored": (RESET, "if (at_control_q && strobe_q)", "if (at_control_q)"),
    "bytes are taken in reset": (RESET, "assign s_axis_tready = taken && !rst;", "assign s_axis_tready = taken;"),
    "the engine is never reset": (RESET, ".clk_i(clk_i), .rst_i(rst),", ".clk_i(clk_i), .rst_i(rst_i),"),
    "the time begins with the packet": (TIME, "&& s_axis_tready && s_axis_tlast)", "&& s_axis_tready)"),
    "the time ends when the answer is offered": (TIME, "if (timing_q) turnaround_q", "if (!timing_q) turnaround_q"),
}


def test_registers_and_streams():
    needs("verilator")
    simulate("axi_engine_bench", "edt_axi_engine", build("edt_axi_engine", SOURCES, ID))


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault):
    needs("verilator")
    test, old, new = FAULTS[fault]
    assert rejects("axi_engine_bench", "edt_axi_engine", mutate(SOURCES, old, new), ID, tests=test)

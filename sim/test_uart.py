"""Starts the bench of the UART bridge: edt_uart_rx, edt_uart_tx, edt_slip_rx, edt_slip_tx, edt_fifo."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs
from test_link import ID, SOURCES

BRIDGE = rtl("edt_bridge_uart", "edt_uart_rx", "edt_uart_tx", "edt_slip_rx", "edt_slip_tx", "edt_fifo")
UART = {"UART": 1}
TALK = "answers_as_the_reference_does/drift=0.0"
DRIFT = "answers_as_the_reference_does/drift=0.02"
NOISE = "noise_and_lost_bytes_cost_only_the_packets_they_hit"
SPIKE = "a_byte_without_stop_bit_and_a_spike_are_dropped"
FAULTS = {
    "no escape for END": (TALK, "data_q == End || data_q == Esc", "data_q == Esc"),
    "END and ESC swapped when sent": (
        TALK,
        "data_q == End ? EscEnd : EscEsc",
        "data_q == End ? EscEsc : EscEnd",
    ),
    "escapes are not undone": (NOISE, "if (escaped_q && data_i == EscEnd) plain = End;", ""),
    "an escape outlives its byte": (NOISE, "        escaped_q     <= 1'b0;\n", ""),
    "empty frames become packets": (NOISE, "m_axis_tvalid <= have_q;", "m_axis_tvalid <= 1'b1;"),
    "no END at the end": (
        TALK,
        "Plain:   state_q <= special ? Escaped : last_q ? Closing : Plain;",
        "Plain: state_q <= special ? Escaped : Plain;",
    ),
    "sampled half a bit late": (DRIFT, "phase_q <= 17'h08000;", "phase_q <= 17'h00000;"),
    "a spike is a start bit": (SPIKE, "if (bits_q == 4'd10 && rx_q[1]) bits_q <= '0;", ""),
    "a broken stop bit is overlooked": (SPIKE, "valid_o <= rx_q[1];", "valid_o <= 1'b1;"),
    "the FIFO forgets under back-pressure": (NOISE, "&& (!valid_o || ready_i);", ";"),
    "nine bits sent": (TALK, "bits_q  <= 4'd10;\n      end\n    end else", "bits_q  <= 4'd9;\n      end\n    end else"),
}


def test_answers_as_the_reference_does():
    needs("verilator")
    simulate("uart_bench", "link_top", build("link_top", SOURCES + BRIDGE, ID, UART))


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault):
    needs("verilator")
    test, old, new = FAULTS[fault]
    assert rejects("uart_bench", "link_top", mutate(SOURCES + BRIDGE, old, new), ID, tests=test, defines=UART)

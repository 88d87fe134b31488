"""The boards' files."""

import json
import re
from itertools import chain
from pathlib import Path

import pytest

from edgendt.boards import Board, describe, known
from edgendt.engine.config import ENGINES
from edgendt.errors import BadInput, BoardUnknown
from edgendt.synth.project import pll_of
from edgendt.tools import share

FAKES = Path(__file__).parent / "fakes"
PINNED = [name for name in known() if (tools := Board.named(name).open) and tools.constraints]
PINS = {  # by family: (port, site) of a pin, and the port that a line gives its voltage
    "ecp5": (r'LOCATE COMP "([^"]+)" SITE "([A-Z]\d+)";', r'IOBUF PORT "([^"]+)"'),
    "gowin": (r'IO_LOC "([^"]+)" ([A-Z]\d+);', r'IO_PORT "([^"]+)"'),
    "ice40": (r"set_io (?:-pullup yes )?(\S+) (\d+)", r"set_io (?:-pullup yes )?(\S+)"),
}


@pytest.mark.parametrize("name", known())
def test_every_board_loads_and_is_described(name):
    board = Board.named(name)
    assert board.name == name and board.clock_mhz > 0
    entry = next(entry for entry in describe()["boards"] if entry["name"] == name)
    assert board.flow in board.flows and [board.open, board.zynq, board.alveo].count(None) == 2
    assert (board.engine is not None) == ("engine" in board.flows)
    assert entry["part"] == board.part and set(entry["missing"]) <= set(entry["tools"])


def test_either_name_of_the_hls_tool_is_found(monkeypatch):
    monkeypatch.setattr("edgendt.tools._folders", lambda: [FAKES / "newer"])
    monkeypatch.setenv("PATH", "")
    (card,) = (entry for entry in describe()["boards"] if entry["name"] == "u55c")
    assert card["tools"] == {"vitis-run or vitis_hls": str(FAKES / "newer" / "vitis-run"), "v++": None}
    assert card["missing"] == ["v++"]


@pytest.mark.parametrize("name", PINNED)
def test_every_port_of_a_top_has_a_pin_and_every_pin_a_port(name):
    board = Board.named(name)
    text = (share("hls") / "rtl" / f"{board.open.top}.sv").read_text()
    head = text[text.index(") (") : text.index(");")]
    ports = set()
    for width, port in re.findall(r"(?:input|output)\s+wire\s*(?:\[(\w+)-1:0\])?\s*(\w+)", head):
        count = {"": 1, "Leds": board.open.leds}[width]
        ports |= {f"{port}[{n}]" for n in range(count)} if count > 1 else {port}  # as nextpnr names them
    located, described = PINS[board.open.family]
    pins = re.findall(located, board.constraints.read_text())
    assert {port for port, _ in pins} == ports
    assert len({site for _, site in pins}) == len(pins) == len(ports)
    assert set(re.findall(described, board.constraints.read_text())) == ports


@pytest.mark.parametrize("name", PINNED)
def test_the_clock_asked_is_one_that_the_pll_makes_of_the_oscillator(name):
    board = Board.named(name)
    assert set(board.clocks) <= set(ENGINES)
    for asked in (board, *map(board.running, board.clocks)):
        assert pll_of(asked).mhz == asked.clock_mhz
        assert asked.clock_mhz * 1e6 >= 8 * board.open.baud  # edt_uart_rx
    if board.open.family == "ecp5":
        said = re.findall(r'FREQUENCY PORT "osc_i" (\S+) MHZ;', board.constraints.read_text())
        assert [float(mhz) for mhz in said] == [board.open.oscillator_mhz]
    else:  # no PLL of theirs is known here
        assert board.clock_mhz == board.open.oscillator_mhz


def test_routed_are_the_engines_that_kept_the_clock_of_the_board_in_the_benchmark():
    kept = json.loads((Path(__file__).parent.parent / "docs" / "benchmarks.json").read_text())
    for name in known():
        routes = [made["rows"] for section, made in kept.items() if section.split("-")[0] == "route"]
        rows = [row for row in chain(*routes) if row["board"] == name]
        board, engines = Board.named(name), [row["engine"].strip("`") for row in rows]
        for row, engine in zip(rows, engines, strict=True):
            assert row["asked MHz"] == board.running(engine).clock_mhz
        reached = {row["engine"].strip("`") for row in rows if (row["fmax MHz"] or 0) >= row["asked MHz"]}
        assert set(board.routed) == reached <= set(ENGINES)


def test_an_unknown_board_names_the_known_ones():
    with pytest.raises(
        BoardUnknown, match=r"'abacus' is not known: choose one of aup-zu3, .*kv260, open-ephys, orangecrab"
    ):
        Board.named("abacus")


def test_a_wrong_key_is_named(tmp_path, monkeypatch):
    (tmp_path / "odd.toml").write_text('title = "t"\npart = "p"\nflow = "engine"\nclock_mhz = 1.0\nspeed = 6\n')
    monkeypatch.setattr("edgendt.boards.share", lambda room: tmp_path)
    with pytest.raises(BadInput, match=r"speed in odd\.toml is not an option"):
        Board.named("odd")


def test_a_board_without_a_pin_file_says_so():
    with pytest.raises(ValueError, match=r"open\.constraints must be set for kv260"):
        Board.named("kv260").constraints  # noqa: B018

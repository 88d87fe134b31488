"""Verilated RTL and a C++ driver as one shared library, built once per content of everything that goes in."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgendt.tools import cache_folder, run_tool, share, version


def build_library(
    top: str,
    files: Sequence[Path],
    driver: Path,
    parameters: Mapping[str, object],
    defines: Mapping[str, int],
    speed: str = "-O2",
) -> Path:
    """Path of the library. parameters: of the top module; defines: of the driver and of the RTL; speed: g++'s.

    ToolMissing without Verilator, whose version counts.
    """
    texts = [path.read_text() for path in [*files, driver]]
    made_by = version("verilator")
    text = repr([top, sorted(parameters.items()), sorted(defines.items()), speed, sys.platform, made_by, texts])
    folder = cache_folder("fast", hashlib.sha256(text.encode()).hexdigest()[:16])
    library = folder / f"{top}.so"
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not library.exists():
            _compile(top, files, driver, parameters, defines, speed, folder)
    return library


def _compile(
    top: str,
    files: Sequence[Path],
    driver: Path,
    parameters: Mapping[str, object],
    defines: Mapping[str, int],
    speed: str,
    folder: Path,
) -> None:
    work = Path(tempfile.mkdtemp(prefix="build-", dir=folder))
    flags = [f"-G{name}={value}" for name, value in parameters.items()]
    macros = [f"-D{name}={value}" for name, value in defines.items()]
    words = ["verilator", "--cc", "--exe", "--build", "-j", "2", "--assert", "-O3", "--x-assign", "fast", *macros]
    words += ["--noassert-case", "-Wno-fatal", "--top-module", top, "--prefix", f"V{top}", "--Mdir", str(work / "obj")]
    words += ["-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include"]  # the wheel was configured without a C++ compiler
    words += ["-MAKEFLAGS", f"OPT_FAST={speed}", "-MAKEFLAGS", "OPT_SLOW=-O0"]  # slow code runs once
    cflags = " ".join(["-fPIC -std=c++17", *macros])
    words += ["-CFLAGS", cflags, "-LDFLAGS", "-shared", "-o", str(work / f"{top}.so")]
    kept = {"OBJCACHE": f"sh {share('sim') / 'objcache.sh'}", "EDT_OBJECTS": str(cache_folder("objects"))}
    run_tool([*words, *flags, *map(str, files), str(driver)], folder / "build.log", folder, kept)
    (work / f"{top}.so").replace(folder / f"{top}.so")
    shutil.rmtree(work, ignore_errors=True)

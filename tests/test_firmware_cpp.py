"""The emitted C++: no warnings of two compilers, and nothing that hardware has not."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import own_bench
import pytest
from firmware_ast import faults, functions
from firmware_cases import CASES, MOST
from needs import needs
from op_harness import QUIET, isystem

from edgendt.boards import Board
from edgendt.compare import compare
from edgendt.errors import ToolFailed
from edgendt.firmware import Firmware, build
from edgendt.firmware.library import FAST
from edgendt.firmware.project import write_project
from edgendt.firmware.target import ACCELERATOR, AMD, BACKENDS, VIVADO, FirmwareConfig, Target
from edgendt.firmware.templates import HEADERS
from edgendt.firmware.vendor import TOOLS
from edgendt.synth.card import SOURCE as CARD
from edgendt.tools import run_tool, share

# g++'s complaints about uninitialised storage are of ap_private (op_harness); neither knows the vendors' pragmas.
WARNINGS = {"g++": ("-Wall", "-Wextra", "-Werror", *QUIET), "clang++": ("-Wall", "-Wextra", "-Werror", QUIET[0])}
FAULTS = {  # what to put into saturate, which every op calls; what is said of it
    "recursion": ("const int wide", "if (W < 0) saturate<y_T>(a); const int wide", "saturate calls itself"),
    "a float": ("const int wide", "const float half = 0.5f; (void)half; const int wide", "saturate has a const float"),
    "new": ("const int wide", "int *p = new int(W); delete p; const int wide", "saturate allocates"),
    "malloc": ("const int wide", "free(malloc(W)); const int wide", "malloc is called"),
}

EMULATION = {f"edt_{stem}" for stem in ("abi.cpp", "window.cpp", "test.cpp", "window_test.cpp", "trace.h", "vectors.h")}
EMULATION.add("edt_plain.h")
ARRAYS, AXIS = Target(), Target(ports="axis")
RELOAD = replace(AXIS, weights="reload")
VIVADOS = replace(AXIS, backend=VIVADO)


def project(name: str, folder: Path, target: Target = ARRAYS) -> tuple[Firmware, Any]:
    """One of the networks written into `folder`, and what to run through it."""
    program, given = CASES[name]()
    return build(program, folder, most=MOST if program.inputs else None, target=target), given


def apart(folder: Path, backend: str) -> list[str]:
    """-isystem for hls4ml's own headers, whose warnings are not ours: out of the project's folder, which keeps ours."""
    own = {path.name for path in (share("hls") / "cpp").iterdir()}
    rooms = {Path(room).parts[1] for room in BACKENDS[backend]}
    for room in (folder / "firmware" / name for name in ("nnet_utils", *rooms)):
        for path in room.iterdir():
            if path.name not in own:
                path.unlink() if path.is_file() else shutil.rmtree(path)
    return isystem(backend)


def identity(part: str | Target) -> str:
    """Of a parameter: of a target backend, ports and weights."""
    return part if isinstance(part, str) else f"{part.backend}-{part.ports}-{part.weights}"


def words(compiler: str, folder: Path, backend: str = AMD) -> list[str]:
    """The compiler's command in a project but for sources and output; a warning ends it."""
    std = TOOLS[backend].std if backend in TOOLS else "c++14"
    rooms = ["-I.", *(f"-I{room}" for room in BACKENDS[backend]), "-Ifirmware", "-Ifirmware/nnet_utils"]
    weights = f'-DWEIGHTS_DIR="{folder / "firmware" / "weights"}"'
    return [compiler, f"-std={std}", "-O1", "-fPIC", *WARNINGS[compiler], *apart(folder, backend), *rooms, weights]


TARGETS = [*(replace(ARRAYS, backend=backend) for backend in BACKENDS), AXIS, RELOAD]
COMPILED = [(name, target, compiler) for name in CASES for target in TARGETS for compiler in WARNINGS]
COMPILED.append(("bin by bin", VIVADOS, "clang++"))


@pytest.mark.parametrize(("name", "target", "compiler"), COMPILED, ids=identity)
def test_it_compiles_without_a_warning_and_is_equal_at_every_op(
    name: str, target: Target, compiler: str, tmp_path: Path
) -> None:
    """Through AXI4-Streams too, where the top has them."""
    needs(compiler)
    firmware, given = project(name, tmp_path, target)
    program, (host, *rest) = firmware.program, firmware.sources
    command = [*words(compiler, tmp_path, target.backend), "-shared"]
    for source in ("edt_test.cpp", host):
        run_tool((*command, source, *rest, "-o", "lib.so"), tmp_path / "log", cwd=tmp_path)
    library = replace(firmware, name="lib.so")
    tally = compare("hls4ml", program.trace(given), library.trace(given), program)
    assert tally.ops == len(program.nodes) and tally.first is None


@pytest.mark.parametrize("name, compiler", [("bin by bin", "g++"), ("whole window", "clang++")])
def test_fast_emulation_compiles_without_a_warning_and_is_equal_at_every_op(
    name: str, compiler: str, tmp_path: Path
) -> None:
    """As `compile` builds it, optimised; what is not compiled with EDT_FAST stands in the other tests."""
    needs(compiler)
    firmware, given = project(name, tmp_path)
    program, (host,) = firmware.program, firmware.sources
    command = (*words(compiler, tmp_path), *FAST, "-shared", host, "-o", "lib.so")
    run_tool(command, tmp_path / "log", cwd=tmp_path)
    library = replace(firmware, name="lib.so")
    tally = compare("hls4ml", program.trace(given), library.trace(given), program)
    assert tally.ops == len(program.nodes) and tally.first is None
    kernel = tmp_path / "firmware" / "nnet_utils" / "edt_plain.h"
    kernel.write_text(kernel.read_text().replace("known = true;", "known = true; int unused;"))
    with pytest.raises(ToolFailed):
        run_tool(command, tmp_path / "log", cwd=tmp_path)
    assert "unused" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("compiler", WARNINGS)
def test_the_wrapper_of_hls4mls_board_design_compiles_without_a_warning(compiler: str, tmp_path: Path) -> None:
    """Its source is hls4ml's, its call in edt_network.h ours, which the bench includes."""
    needs(compiler)
    board, (program, given) = Board.named("pynq-z2"), CASES["whole window"]()
    write_project(program, board, tmp_path, given, config=FirmwareConfig(backend=ACCELERATOR))
    sources = ("edt_test.cpp", *(f"firmware/{name}.cpp" for name in ("edgendt", "edgendt_axi")))
    command = [*words(compiler, tmp_path, VIVADO), *sources, "-o", "bench"]
    run_tool(command, tmp_path / "log", cwd=tmp_path)
    assert own_bench.said(tmp_path / "bench") == (0, "PASS: 8 bins equal")
    network = tmp_path / "edt_network.h"
    network.write_text(network.read_text().replace("(void)first;", ""))
    with pytest.raises(ToolFailed):
        run_tool([*command, "-fsyntax-only"], tmp_path / "log", cwd=tmp_path)
    assert "unused parameter" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("compiler", WARNINGS)
def test_a_cards_kernels_compile_without_a_warning(compiler: str, tmp_path: Path) -> None:
    needs(compiler)
    project("bin by bin", tmp_path, AXIS)
    shutil.copyfile(share("hls") / "cpp" / CARD, tmp_path / CARD)
    command = words(compiler, tmp_path)
    run_tool((*command, "-c", CARD, "-o", "card.o"), tmp_path / "log", cwd=tmp_path)
    with (tmp_path / CARD).open("a") as source:
        source.write("static int unused;\n")
    with pytest.raises(ToolFailed):
        run_tool((*command, "-c", CARD, "-o", "card.o"), tmp_path / "log", cwd=tmp_path)
    assert "unused" in (tmp_path / "log").read_text()


WALKED = [(name, target) for name in CASES for target in (ARRAYS, RELOAD)]
WALKED += [("bin by bin", target) for target in TARGETS[1:] if target != RELOAD]


@pytest.mark.parametrize(("name", "target"), WALKED, ids=identity)
def test_nothing_synthesised_allocates_calls_itself_or_is_a_float(name: str, target: Target, tmp_path: Path) -> None:
    """Over the call graph from the top, hls4ml's kernels included, and behind streams from a card's kernels; weights
    alone are written in decimals.
    """
    project(name, tmp_path, target)
    if target.ports == "axis":
        shutil.copyfile(share("hls") / "cpp" / CARD, tmp_path / CARD)
    assert len(functions(tmp_path, target.backend)) > 50
    assert faults(tmp_path, target.backend) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_what_hardware_has_not_is_found(fault: str, tmp_path: Path) -> None:
    right, wrong, said = FAULTS[fault]
    project("bin by bin", tmp_path)
    header = tmp_path / "firmware" / "nnet_utils" / "edt_fixed.h"
    text = header.read_text()
    assert right in text
    header.write_text("#include <cstdlib>\n" + text.replace(right, wrong, 1))
    assert any(line.startswith(said) for line in faults(tmp_path))


def test_headers_name_no_floating_point_and_no_allocation() -> None:
    """All but what emulation and test benches have; what no network instantiates is held to it as well."""
    headers = {path.name for path in (share("hls") / "cpp").iterdir()} - EMULATION
    assert headers.issuperset(HEADERS)
    for header in sorted(headers):
        code = re.sub(r"//.*", "", (share("hls") / "cpp" / header).read_text())
        words = set(re.findall(r"\b\w+\b", code))
        assert not words & {"float", "double", "half", "new", "delete", "malloc", "free", "std", "vector"}, header
        assert not re.search(r"\d\.\d|\d[eE]-?\d", code), header

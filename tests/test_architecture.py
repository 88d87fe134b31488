"""The layout holds: rooms import only upwards, heavy packages stay in their rooms, an op has all its siblings."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from op_examples import OPS as BIN_BY_BIN
from op_examples import WHOLE
from test_firmware_ops import MUTANTS

from edgendt.ops import OPS

ROOT = Path(__file__).parent.parent
ENGINE = {*BIN_BY_BIN, *WHOLE}
PACKAGE = ROOT / "edgendt"

# Each line imports only from itself and from lines above it.
LINES = (
    ("errors", "fixed"),
    ("ops",),
    ("node", "scales"),
    ("program", "program_file", "stream", "compare", "tabled", "wiring"),
    ("config", "artifact", "tools", "blocks"),
    ("data", "metrics"),
    ("models",),
    ("qat",),
    ("export",),
    ("lower",),
    ("firmware",),
    ("engine",),
    ("boards",),
    ("synth", "host"),
    ("quantize_poyo",),
    ("quantize", "sim", "plugin"),
    ("estimate", "profile", "report"),
    ("cli",),
    ("__main__",),
)
RANK = {room: rank for rank, rooms in enumerate(LINES) for room in rooms}
TORCH_ROOMS = {"models", "qat", "export", "quantize", "quantize_poyo"}
# Packages that only these rooms may import, and only inside functions where the room is not named for them.
KEPT_IN = {
    "torch": TORCH_ROOMS,
    "brevitas": {"qat", "export"},
    "hls4ml": {"firmware", "plugin"},
    "qonnx": {"export", "lower"},
    "scipy": {"firmware", "synth"},
    "sklearn": {"metrics", "models"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "pynq": {"host"},
    "serial": {"host"},
    "typer": {"cli"},
}
# Modules without a bench of their own, and the bench that drives them.
DRIVEN_BY = {
    "axi_regs": "axi_engine",  # beside the engine's streams
    "core": "model",  # wiring of the units
    "engine": "model",  # wiring of link and core
    "mem": "model",  # a memory
    "spram": "model",  # a memory
    "serial": "model",  # whole networks; sim/test_serial.py seeds its faults
    "round": "narrow",  # the narrowing pipe's second half; sfu_bench drives it too
    "mul18_ecp5": "mul",  # a part's own block in the place of edt_mul's lines
    "pll_ecp5": "top",  # a part's own block
    "top_uart": "top",  # wiring of pins
    "uart_engine": "top",  # wiring of bridge and engine
    "bridge_uart": "uart",  # wiring of the five below
    "uart_rx": "uart",
    "uart_tx": "uart",
    "slip_rx": "uart",
    "slip_tx": "uart",
    "fifo": "uart",
}
ONLY_NUMPY = {
    "errors",
    "fixed",
    "ops",
    "compare",
    "node",
    "program",
    "program_file",
    "scales",
    "stream",
    "tabled",
    "wiring",
}
STDLIB_AND_NUMPY = {"numpy", "edgendt"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def sources() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if "_share" not in path.parts]


def imports(path: Path) -> set[str]:
    """Dotted names of every module the file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_from_its_line_and_above(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    assert room in RANK, f"room {room} is not in the table of tests/test_architecture.py"
    for name in imports(path):
        first, _, rest = name.partition(".")
        if first == "edgendt" and rest:
            other = rest.split(".")[0]
            if other in RANK:
                assert RANK[other] <= RANK[room], f"{room} imports {other}, which is below it"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_packages_stay_in_their_rooms(path: Path) -> None:
    packages = {name.partition(".")[0] for name in imports(path)}
    for package, rooms in KEPT_IN.items():
        assert package not in packages or room_of(path) in rooms, f"{path.name} imports {package}"
    if room_of(path) in ONLY_NUMPY:
        import sys

        assert packages <= set(sys.stdlib_module_names) | STDLIB_AND_NUMPY | {"__future__"}


@pytest.mark.parametrize("kind", [op.kind for op in OPS])
def test_an_op_has_all_its_siblings(kind: str) -> None:
    siblings = (
        f"edgendt/ops/{kind}.py",
        f"edgendt/qat/{kind}.py",
        f"hls/cpp/edt_{kind}.h",
        *((f"sim/test_{kind}.py",) if kind in ENGINE else ()),
        f"tests/test_{kind}.py",
        f"docs/ops/{kind}.md",
    )
    assert [name for name in siblings if not (ROOT / name).is_file()] == []
    assert kind in (*BIN_BY_BIN, *WHOLE), "it has no examples"


def test_no_header_or_page_belongs_to_an_op_that_is_not_there() -> None:
    kinds = {op.kind for op in OPS}
    assert {path.stem for path in (ROOT / "docs" / "ops").glob("*.md")} == kinds
    headers = {path.stem.removeprefix("edt_") for path in (ROOT / "hls" / "cpp").glob("edt_*.h")}
    assert kinds <= headers


def units() -> list[str]:
    """Modules of hls/rtl by their names without edt_."""
    return [
        path.stem.removeprefix("edt_") for path in sorted((ROOT / "hls" / "rtl").glob("*.sv")) if path.stem != "edt_pkg"
    ]


@pytest.mark.parametrize("unit", units())
def test_a_module_has_a_bench_a_test_that_starts_it_and_seeded_faults(unit: str) -> None:
    bench = f"{DRIVEN_BY.get(unit, unit)}_bench"
    assert (ROOT / "sim" / f"{bench}.py").is_file()
    starters = [*(ROOT / "sim").glob("test_*.py"), ROOT / "edgendt" / "sim" / "rtl.py"]
    started = [text for text in (path.read_text() for path in starters) if f'"{bench}"' in text]
    assert started, f"nothing starts sim/{bench}.py"
    if unit not in DRIVEN_BY:
        assert any("mutate(" in text for text in started), f"no fault is seeded into edt_{unit}"


def test_only_modules_are_listed_as_driven_by_others() -> None:
    assert set(DRIVEN_BY) <= set(units())


@pytest.mark.parametrize("kind", [op.kind for op in OPS])
def test_faults_are_seeded_into_an_op_in_cpp_and_in_rtl(kind: str) -> None:
    assert kind in MUTANTS
    assert kind not in ENGINE or "assert rejects(" in (ROOT / "sim" / f"test_{kind}.py").read_text()

"""The layout holds: rooms import only upwards, heavy packages stay in their rooms, an op has all its siblings."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from edgendt.ops import OPS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "edgendt"

# Each line imports only from itself and from lines above it.
LINES = (
    ("errors", "fixed"),
    ("ops",),
    ("program", "compare"),
    ("config", "artifact", "tools"),
    ("data", "metrics"),
    ("models",),
    ("qat",),
    ("export",),
    ("lower",),
    ("firmware",),
    ("engine",),
    ("boards",),
    ("synth", "host"),
    ("quantize", "sim"),
    ("estimate", "profile", "report"),
    ("cli",),
)
RANK = {room: rank for rank, rooms in enumerate(LINES) for room in rooms}
TORCH_ROOMS = {"models", "qat", "export", "quantize"}
# Packages that only these rooms may import, and only inside functions where the room is not named for them.
KEPT_IN = {
    "torch": TORCH_ROOMS,
    "brevitas": {"qat", "export"},
    "hls4ml": {"firmware"},
    "qonnx": {"export", "lower"},
    "sklearn": {"metrics", "models"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "serial": {"host"},
    "typer": {"cli"},
}
ONLY_NUMPY = {"errors", "fixed", "ops", "compare", "program"}
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
        f"sim/test_{kind}.py",
        f"tests/test_{kind}.py",
        f"docs/ops/{kind}.md",
    )
    assert [name for name in siblings if not (ROOT / name).is_file()] == []


def test_no_header_or_page_belongs_to_an_op_that_is_not_there() -> None:
    kinds = {op.kind for op in OPS}
    assert {path.stem for path in (ROOT / "docs" / "ops").glob("*.md")} == kinds
    headers = {path.stem.removeprefix("edt_") for path in (ROOT / "hls" / "cpp").glob("edt_*.h")}
    assert kinds <= headers

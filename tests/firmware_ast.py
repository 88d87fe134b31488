"""What a vendor tool synthesises of a firmware, in clang's syntax tree: templates instantiated, types resolved."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from needs import needs, needs_package
from op_harness import OF_AMD

from edgendt.firmware.target import AMD, BACKENDS

# The open types of vendors refuse __SYNTHESIS__, so they are read before it is defined.
AP = ("ap_int.h", "ap_fixed.h", "hls_stream.h")
DEFINED = "#define __SYNTHESIS__\n#define HLS_SYNTHESIS\n"
ALGORITHMIC_C = ("ac_int.h", "ac_fixed.h", "ac_channel.h")
FLOATS = {"FLOAT", "DOUBLE", "LONGDOUBLE", "HALF", "FLOAT128", "FLOAT16"}
ALLOCATES = {"malloc", "calloc", "realloc", "free", "alloca", "aligned_alloc", "operator new", "operator delete"}


def system_folders() -> list[str]:
    """Where g++ finds the standard headers: libclang brings none."""
    said = subprocess.run(
        [needs("g++"), "-E", "-v", "-x", "c++", "/dev/null"], capture_output=True, text=True, check=True
    ).stderr
    return re.findall(r"^ (/\S+)$", said.partition("#include <...> search starts here:")[2], re.MULTILINE)


def functions(folder: Path, backend: str = AMD) -> dict[str, Any]:
    """Every function that the top reaches, by its name; of the types, which the tool has its own of, only names. A
    card's two kernels are reached as well.
    """
    needs_package("clang")
    from clang import cindex

    tops = [
        name for name in ("edgendt", "edgendt_axis", "edgendt_axi") if (folder / "firmware" / f"{name}.cpp").exists()
    ]
    sources = [f"firmware/{name}.cpp" for name in tops]
    if card := (folder / "edt_card.cpp").exists():
        sources.append("edt_card.cpp")
    included = [*(AP if backend in OF_AMD else ALGORITHMIC_C), "", *sources]
    text = "".join(f'#include "{name}"\n' if name else DEFINED for name in included)
    folders = [word for path in system_folders() for word in ("-isystem", path)]
    rooms = [word for room in BACKENDS[backend] for word in ("-isystem", f"{folder}/{room}")]
    rooms += [f"-I{folder}", f"-I{folder}/firmware", f"-I{folder}/firmware/nnet_utils"]
    unit = cindex.Index.create().parse(
        "synthesised.cpp", ["-std=c++14", "-nostdinc", *rooms, *folders], [("synthesised.cpp", text)]
    )
    errors = [str(said) for said in unit.diagnostics if said.severity >= cindex.Diagnostic.Error]
    assert errors == []
    starts = [tops[-1], *(("edt_send", "edt_receive") if card else ())]
    pending = [item for item in defined(unit.cursor) if item.spelling in starts]
    assert sorted(item.spelling for item in pending) == sorted(starts)
    found: dict[str, Any] = {}
    while pending:
        function = pending.pop()
        if function.get_usr() not in found:
            found[function.get_usr()] = function
            pending += calls(function)
    return found


def defined(cursor: Any) -> Iterator[Any]:
    """Functions at the outermost level, those in extern "C" too."""
    for child in cursor.get_children():
        if child.kind.name in ("LINKAGE_SPEC", "UNEXPOSED_DECL"):
            yield from defined(child)
        elif child.kind.name == "FUNCTION_DECL" and child.is_definition():
            yield child


def ours(cursor: Any) -> bool:
    """Not of the vendors' types or of the system."""
    return cursor.location.file is not None and not re.search(r"/a[pc]_\w+/|^/usr/", cursor.location.file.name)


def inside(cursor: Any) -> Iterator[Any]:
    """The cursor and everything under it."""
    yield cursor
    for child in cursor.get_children():
        yield from inside(child)


def calls(function: Any) -> list[Any]:
    """What a function calls: definitions where there are any."""
    if not ours(function):
        return []
    called = [item.referenced for item in inside(function) if item.kind.name == "CALL_EXPR" and item.referenced]
    return [item.get_definition() or item for item in called]


def faults(folder: Path, backend: str = AMD) -> list[str]:
    """Dynamic memory, recursion and floating point of all that is synthesised: a line each, none in a good one."""
    found = functions(folder, backend)
    said = [f"{item.spelling} is called" for item in found.values() if item.spelling in ALLOCATES]
    for function in filter(ours, found.values()):
        for item in inside(function):
            if item.kind.name in ("CXX_NEW_EXPR", "CXX_DELETE_EXPR"):
                said.append(f"{function.spelling} allocates")
            if item.type.get_canonical().kind.name in FLOATS:
                said.append(f"{function.spelling} has a {item.type.spelling}")
    return said + [f"{found[name].spelling} calls itself" for name in _in_cycles(found)]


def _in_cycles(found: dict[str, Any]) -> list[str]:
    """Functions that reach themselves: what is left when those whose calls are all settled have been taken away."""
    waits = {name: {call.get_usr() for call in calls(function)} for name, function in found.items()}
    while settled := {name for name, on in waits.items() if not on}:
        waits = {name: on - settled for name, on in waits.items() if name not in settled}
    return list(waits)

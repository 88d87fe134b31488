"""What a vendor tool synthesises of a firmware, in clang's syntax tree: templates instantiated, types resolved."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from needs import needs, needs_package

# The open ap types refuse __SYNTHESIS__, so they are read before it is defined.
SYNTHESISED = """\
#include "ap_int.h"
#include "ap_fixed.h"
#include "hls_stream.h"
#define __SYNTHESIS__
"""
FLOATS = {"FLOAT", "DOUBLE", "LONGDOUBLE", "HALF", "FLOAT128", "FLOAT16"}
ALLOCATES = {"malloc", "calloc", "realloc", "free", "alloca", "aligned_alloc", "operator new", "operator delete"}


def system_folders() -> list[str]:
    """Where g++ finds the standard headers: libclang brings none."""
    said = subprocess.run(
        [needs("g++"), "-E", "-v", "-x", "c++", "/dev/null"], capture_output=True, text=True, check=True
    ).stderr
    return re.findall(r"^ (/\S+)$", said.partition("#include <...> search starts here:")[2], re.MULTILINE)


def functions(folder: Path) -> dict[str, Any]:
    """Every function that the top reaches, by its name; of the ap types, which the tool has its own of, only names."""
    needs_package("clang")
    from clang import cindex

    tops = [name for name in ("edgendt", "edgendt_axis") if (folder / "firmware" / f"{name}.cpp").exists()]
    text = SYNTHESISED + "".join(f'#include "firmware/{name}.cpp"\n' for name in tops)
    folders = [word for path in system_folders() for word in ("-isystem", path)]
    rooms = [f"-I{folder}", "-isystem", f"{folder}/firmware/ap_types", f"-I{folder}/firmware"]
    unit = cindex.Index.create().parse(
        "synthesised.cpp", ["-std=c++14", "-nostdinc", *rooms, *folders], [("synthesised.cpp", text)]
    )
    errors = [str(said) for said in unit.diagnostics if said.severity >= cindex.Diagnostic.Error]
    assert errors == []
    start = next(item for item in unit.cursor.get_children() if item.spelling == tops[-1] and item.is_definition())
    found: dict[str, Any] = {}
    pending = [start]
    while pending:
        function = pending.pop()
        if function.get_usr() not in found:
            found[function.get_usr()] = function
            pending += calls(function)
    return found


def ours(cursor: Any) -> bool:
    """Not of the ap types or of the system."""
    return cursor.location.file is not None and not re.search(r"/ap_types/|^/usr/", cursor.location.file.name)


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


def faults(folder: Path) -> list[str]:
    """Dynamic memory, recursion and floating point of all that is synthesised: a line each, none in a good one."""
    found = functions(folder)
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

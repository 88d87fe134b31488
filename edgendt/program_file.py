"""A Program's file: a zip of program.json and .npy constants. Nothing in it is trusted, nothing is unpickled."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgendt.fixed import Codes, Int
from edgendt.node import Axis, Input, Node
from edgendt.ops import OPS, Op

if TYPE_CHECKING:
    from edgendt.program import Program

SCHEMA = 1
HEADER = "program.json"


def write(archive: zipfile.ZipFile, program: Program) -> None:
    """Add every member, in order."""
    _write(archive, HEADER, json.dumps(_header(program), indent=1).encode())
    for item in program.inputs:
        if item.codes is not None:
            _write(archive, f"{item.name}/codes.npy", _npy(item.codes))
    for node in program.nodes:
        for key, codes in node.constants.items():
            _write(archive, f"{node.name}/{key}.npy", _npy(codes))


def read(archive: zipfile.ZipFile) -> dict[str, Any]:
    """The fields of the Program in a file. Raises nearly anything for a file that is damaged."""
    head = json.loads(archive.read(HEADER))
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        found = head.get("schema") if isinstance(head, dict) else type(head).__name__
        raise ValueError(f"its schema is {found}, this edgendt reads {SCHEMA}")
    nodes = []
    for entry in head["nodes"]:
        op = _op(entry["op"], entry["fields"])
        names = {key: f"{entry['name']}/{key}.npy" for key in op.constants}
        codes = {key: _codes(archive, name) for key, name in names.items()}
        nodes.append(Node(_typed(entry["name"], str), op, tuple(_typed(entry["inputs"], list)), codes))
    plain = {key: _typed(head[key], kind) for key, kind in (("name", str), ("channels", int), ("meta", dict))}
    formats = {key: _format(head[key]) for key in ("input", "accumulator")}
    inputs = tuple(_input(archive, entry) for entry in _typed(head.get("inputs", []), list))
    return {**plain, **formats, "nodes": tuple(nodes), "inputs": inputs}


def _header(program: Program) -> dict[str, Any]:
    nodes = [
        {"name": node.name, "op": node.op.kind, "inputs": node.inputs, "fields": dataclasses.asdict(node.op)}
        for node in program.nodes
    ]
    head = {key: getattr(program, key) for key in ("name", "channels")}
    formats = {key: dataclasses.asdict(getattr(program, key)) for key in ("input", "accumulator")}
    # Without inputs of its own, which are counts per bin, a file is what it was before there were any.
    inputs = {"inputs": [_described(item) for item in program.inputs]} if program.inputs else {}
    return {"schema": SCHEMA, **head, **formats, "meta": dict(program.meta), **inputs, "nodes": nodes}


def _described(item: Input) -> dict[str, Any]:
    constant = item.codes is not None
    return {"name": item.name, "size": item.size, "axis": item.axis.name, "constant": constant}


def _input(archive: zipfile.ZipFile, entry: Any) -> Input:
    kinds = {"name": str, "size": int, "axis": str, "constant": bool}
    name, size, axis, constant = (_typed(_typed(entry, dict)[key], kind) for key, kind in kinds.items())
    codes = _codes(archive, f"{name}/codes.npy") if constant else None
    return Input(name, size, Axis(axis, 0 if codes is None else len(codes)), codes)


def _npy(codes: Codes) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, codes, allow_pickle=False)
    return buffer.getvalue()


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a member with a fixed date, so that equal Programs are equal files."""
    archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def _codes(archive: zipfile.ZipFile, name: str) -> Codes:
    """The constant in a member, whose checksum is tested by reading all of it."""
    codes = np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
    if codes.dtype != np.int64:
        raise ValueError(f"{name} must be int64, got {codes.dtype}")
    return cast(Codes, codes)


def _typed(value: Any, kind: type) -> Any:
    """`value`, of exactly that JSON type: true is no number, 8.0 no integer, and integers are JSON's (53 bits)."""
    if type(value) is not kind or (isinstance(value, int) and abs(value) >= 1 << 53):
        raise TypeError(f"program.json must hold {kind.__name__} where it holds {value!r}")
    return value


def _format(fields: Any) -> Int:
    kinds = {"bits": int, "frac": int, "signed": bool}
    return Int(**{key: _typed(value, kinds[key]) for key, value in _typed(fields, dict).items()})


def _op(kind: str, fields: dict[str, Any]) -> Op:
    """The op a header entry describes; ValueError for one this version does not know."""
    known = {op.kind: op for op in OPS}
    if kind not in known:
        raise ValueError(f"op {kind!r} is not known")
    types = {field.name: field.type for field in dataclasses.fields(known[kind])}  # as they are written

    def restore(key: str, value: Any) -> Any:
        if types[key] == "Int":
            return _format(value)
        if types[key] in ("int", "bool"):
            return _typed(value, {"int": int, "bool": bool}[str(types[key])])
        return None if value is None else tuple(_typed(item, int) for item in _typed(value, list))

    return cast(Callable[..., Op], known[kind])(**{key: restore(key, value) for key, value in fields.items()})

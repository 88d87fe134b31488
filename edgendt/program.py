"""The Program: a network's meaning in integers, and the reference that runs it."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from edgendt.errors import BadInput, UnsupportedOp, reading
from edgendt.fixed import Codes, Int, as_codes
from edgendt.ops import OPS, Add, Attention, Linear, Op, Position, Rotary, SpatialMix, SpatialWeights, Transpose

SCHEMA = 1
INPUT = "counts"
ACCUMULATOR = Int(24)


@dataclass(frozen=True)
class Node:
    """One op of a Program: where its inputs come from, and its constants."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    constants: Mapping[str, Codes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        frozen = {}
        for key, value in self.constants.items():
            codes = np.array(value, dtype=np.int64)
            codes.setflags(write=False)
            frozen[key] = codes
        object.__setattr__(self, "constants", MappingProxyType(frozen))


@dataclass(frozen=True, eq=False)
class Program:
    """Ops in order of execution, their wiring, formats and constants. Refuses what it cannot hold, naming the node.

    `channels` counts per bin come in at format `input` (unsigned, frac 0); the last node's codes go out.
    `meta` is JSON that travels along (bin width, names, provenance) and never changes a result.
    """

    name: str
    channels: int
    input: Int
    nodes: tuple[Node, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)
    accumulator: Int = ACCUMULATOR

    def __post_init__(self) -> None:
        if not self.nodes:
            raise UnsupportedOp("program", self.name, "it has no ops")
        if self.input.signed or self.input.frac:
            raise UnsupportedOp("input", INPUT, "counts are unsigned with no fraction bits")
        rows: dict[str, int] = {INPUT: 0}
        sizes = {INPUT: self.channels}
        formats = {INPUT: self.input}
        for node in self.nodes:
            if node.name in sizes:
                raise UnsupportedOp(node.op.kind, node.name, "another node has that name")
            self._check(node, sizes, formats)
            rows[node.name] = _rows(node, [rows[source] for source in node.inputs])
            sizes[node.name] = node.op.size
            formats[node.name] = node.op.y
        for node in self.nodes:
            if (bins := whole(node.op)) not in (None, self.bins):
                raise UnsupportedOp(node.op.kind, node.name, f"its whole window has {bins} bins, another's {self.bins}")
        if self.bins and self.max_bins not in (None, self.bins):
            reason = f"it has {self.max_bins} position rows, its whole window {self.bins} bins"
            raise UnsupportedOp("program", self.name, reason)
        if rows[self.output]:
            raise UnsupportedOp(self.nodes[-1].op.kind, self.output, "the output must have a row per bin")
        object.__setattr__(self, "_rows", rows)

    def _check(self, node: Node, sizes: Mapping[str, int], formats: Mapping[str, Int]) -> None:
        """UnsupportedOp unless the node's inputs exist and agree with it and its constants fit."""
        op = node.op
        if len(node.inputs) != op.arity:
            raise UnsupportedOp(op.kind, node.name, f"it takes {op.arity} inputs, got {len(node.inputs)}")
        if set(node.constants) != set(op.constants):
            raise UnsupportedOp(op.kind, node.name, f"its constants are {op.constants}, got {tuple(node.constants)}")
        for source, (size, form) in zip(node.inputs, wants(op), strict=True):
            if source not in sizes:
                raise UnsupportedOp(op.kind, node.name, f"its input {source!r} is not an earlier node")
            if (sizes[source], formats[source]) != (size, form):
                raise UnsupportedOp(
                    op.kind,
                    node.name,
                    f"it reads {size} x {form}, {source!r} gives {sizes[source]} x {formats[source]}",
                )
        try:
            cast(Any, op).check(self.accumulator, **node.constants)
        except ValueError as error:
            raise UnsupportedOp(op.kind, node.name, str(error)) from error

    @property
    def output(self) -> str:
        """Name of the node whose codes are the network's output."""
        return self.nodes[-1].name

    @property
    def outputs(self) -> int:
        """Number of output codes per bin."""
        return self.nodes[-1].op.size

    @property
    def output_format(self) -> Int:
        return self.nodes[-1].op.y

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    def node(self, name: str) -> Node:
        """The node of that name; KeyError when there is none."""
        return self._by_name[name]

    def readers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read the codes of `name`."""
        return tuple(node for node in self.nodes if name in node.inputs)

    @property
    def max_bins(self) -> int | None:
        """Bins after which a reset is needed: the rows of the shortest position table; None when there is none.

        Without one (rotary position, or none) a stream has no last bin: its cache is bounded by the window.
        """
        rows = [node.op.bins for node in self.nodes if isinstance(node.op, Position)]
        return min(rows, default=None)

    @cached_property
    def bins(self) -> int | None:
        """Bins of the whole window that the network answers at once; None: it streams, bin by bin."""
        return next((rows for node in self.nodes if (rows := whole(node.op)) is not None), None)

    def rows(self, name: str) -> int:
        """Rows of the codes of `name` in a whole window, bins or channels; 0 for a network that streams."""
        rows: int = cast(Any, self)._rows[name]
        return rows or self.bins or 0

    @cached_property
    def trace_points(self) -> tuple[str, ...]:
        """The nodes whose codes every implementation must show.

        A Linear read only by one Add or Position may be fused into it, so its own codes need not exist.
        """
        return tuple(node.name for node in self.nodes if not self.fused(node))

    def fused(self, node: Node) -> bool:
        """True when an implementation may compute `node` inside the Add or Position that reads it."""
        readers = self.readers(node.name)
        return isinstance(node.op, Linear) and len(readers) == 1 and isinstance(readers[0].op, Add | Position)

    def check_counts(self, counts: Any) -> Codes:
        """`counts` as codes [bins, channels] of the input format; BadInput otherwise."""
        try:
            codes = as_codes(counts, self.input, "counts")
        except ValueError as error:
            raise BadInput(f"{error}; clip counts to the input format first") from error
        if codes.ndim != 2 or codes.shape[1] != self.channels:
            raise BadInput(f"counts must be [bins, {self.channels}], got {list(codes.shape)}")
        return codes

    def clip(self, counts: Any) -> tuple[Codes, int]:
        """(counts clipped to the input format, number of clipped entries)."""
        codes = np.asarray(counts)
        return np.minimum(codes, self.input.hi).astype(np.int64), int((codes > self.input.hi).sum())

    def trace(self, counts: Any) -> dict[str, Codes]:
        """counts: [bins, channels] of one trial from its first bin -> every node's codes [bins, size].

        Behind a Transpose codes are [channels, size], and weights between channels [channels, channels].
        """
        values = {INPUT: self.check_counts(counts)}
        if self.bins is not None and len(values[INPUT]) != self.bins:
            raise BadInput(f"a whole window has {self.bins} bins, got {len(values[INPUT])}")
        if self.max_bins is not None and len(values[INPUT]) > self.max_bins:
            raise BadInput(f"a trial has at most {self.max_bins} bins (position rows), got {len(values[INPUT])}")
        for node in self.nodes:
            run = cast(Callable[..., Codes], node.op.run)
            values[node.name] = run(*(values[source] for source in node.inputs), **node.constants)
        del values[INPUT]
        return values

    def run(self, counts: Any) -> Codes:
        """THE reference. counts: [bins, channels] of one trial -> output codes [bins, outputs]."""
        return self.trace(counts)[self.output]

    def stream(self) -> Stream:
        """The same network, one bin per call. BadInput for a network of whole windows."""
        if self.bins is not None:
            raise BadInput(f"{self.name} answers whole windows of {self.bins} bins and cannot stream: call run")
        return Stream(self)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the Linears per bin; of a whole window its share."""
        linears = {node.name: node.op for node in self.nodes if isinstance(node.op, Linear)}
        total = sum(op.inputs * op.outputs * (self.rows(name) or 1) for name, op in linears.items())
        return total // (self.bins or 1)

    def __eq__(self, other: object) -> bool:
        """Same formats, ops, wiring and constants; `name` and `meta` do not count."""
        if not isinstance(other, Program):
            return NotImplemented
        return bool(_structure(self) == _structure(other)) and all(
            np.array_equal(mine.constants[key], theirs.constants[key])
            for mine, theirs in zip(self.nodes, other.nodes, strict=True)
            for key in mine.constants
        )

    __hash__ = None  # type: ignore[assignment]

    def save(self, path: Path | str) -> None:
        """Write one file, a zip of program.json and .npy constants, beside, then renamed; BadInput where it cannot."""
        target = Path(path)
        beside = target.with_name(target.name + ".part")
        try:
            self._write(beside)
            beside.replace(target)
        except OSError as error:
            raise BadInput(f"program cannot be written to {path}: {error.strerror}") from error
        finally:
            beside.unlink(missing_ok=True)

    def _write(self, path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            _write(archive, "program.json", json.dumps(_header(self), indent=1).encode())
            for node in self.nodes:
                for key, codes in node.constants.items():
                    buffer = io.BytesIO()
                    np.save(buffer, codes, allow_pickle=False)
                    _write(archive, f"{node.name}/{key}.npy", buffer.getvalue())

    @classmethod
    def load(cls, path: Path | str) -> Program:
        """Read a file of `save`. BadInput when it is missing, damaged or of another schema."""
        with reading(f"program {path}"), zipfile.ZipFile(path) as archive:
            return _read(archive)


class Stream:
    """A Program fed one bin at a time: a KV cache per attention, a bin counter, a reset."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.bin = 0
        self._cache: dict[str, list[tuple[Codes, Codes]]] = {}
        self.reset()

    def reset(self) -> None:
        """Forget the trial: the next bin is bin 0."""
        self.bin = 0
        self._cache = {node.name: [] for node in self.program.nodes if isinstance(node.op, Attention)}

    def step(self, counts: Any) -> Codes:
        """counts: [channels] of the next bin -> output codes [outputs]; BadInput past the last position row."""
        return self.trace_step(counts)[self.program.output]

    def trace_step(self, counts: Any) -> dict[str, Codes]:
        """counts: [channels] of the next bin -> every node's codes [size]."""
        rows = self.program.max_bins
        if rows is not None and self.bin >= rows:
            raise BadInput(f"bin {self.bin} has no position row ({rows} rows): reset at the start of a trial")
        values = {INPUT: self.program.check_counts(np.asarray(counts)[None])}
        for node in self.program.nodes:
            values[node.name] = self._run(node, [values[source] for source in node.inputs])
        self.bin += 1
        return {name: codes[0] for name, codes in values.items() if name != INPUT}

    def _run(self, node: Node, inputs: list[Codes]) -> Codes:
        op = node.op
        if isinstance(op, Attention):
            q, k, v = (codes.reshape(op.heads, op.head_size) for codes in inputs)
            cache = self._cache[node.name]
            cache.append((k, v))
            del cache[: -op.window]
            keys, values = (np.stack(column) for column in zip(*cache, strict=True))
            return op.mix(q, keys, values)[None]
        if isinstance(op, Position):
            return op.run(*inputs, **node.constants, first=self.bin)
        if isinstance(op, Rotary):
            return op.run(inputs[0], np.array([self.bin]))
        return cast(Callable[..., Codes], op.run)(*inputs, **node.constants)


def wants(op: Op) -> Iterator[tuple[int, Int]]:
    """(size, format) that `op` demands of each input."""
    if isinstance(op, Linear):
        yield op.inputs, op.x
    elif isinstance(op, Attention):
        yield from ((op.size, form) for form in (op.q, op.k, op.v))
    elif isinstance(op, SpatialWeights):
        yield from ((op.bins, form) for form in (op.q, op.k))
    elif isinstance(op, SpatialMix):
        yield from ((op.size, form) for form in (op.a, op.z))
    elif isinstance(op, Transpose):
        yield op.channels, op.y
    elif isinstance(op, Add | Position):
        yield from ((op.size, op.y) for _ in range(op.arity))
    else:
        yield op.size, op.x


def whole(op: Op) -> int | None:
    """Bins of the whole window that `op` needs; None for an op that goes bin by bin."""
    return op.whole if isinstance(op, Attention | Transpose) else None


def _rows(node: Node, given: list[int]) -> int:
    """What the rows of a node's codes are: 0 for bins, or so many channels; given: the same of its inputs.

    UnsupportedOp where those do not suit.
    """
    op = node.op
    if isinstance(op, SpatialWeights):
        wanted, found = [op.size, op.size], op.size
    elif isinstance(op, SpatialMix):
        wanted, found = [op.size, 0], 0
    elif isinstance(op, Transpose):
        wanted, found = [0], op.channels
    elif isinstance(op, Attention | Position):
        wanted, found = [0] * len(given), 0
    else:
        wanted, found = given[:1] * len(given), given[0]
    for source, rows, want in zip(node.inputs, given, wanted, strict=True):
        if rows != want:
            said = [f"{n} channels" if n else "bins" for n in (want, rows)]
            raise UnsupportedOp(op.kind, node.name, f"it reads rows of {said[0]}, {source!r} has rows of {said[1]}")
    return found


def _structure(program: Program) -> Any:
    nodes = [(node.name, node.op, node.inputs, sorted(node.constants)) for node in program.nodes]
    return program.channels, program.input, program.accumulator, nodes


def _header(program: Program) -> dict[str, Any]:
    nodes = [
        {"name": node.name, "op": node.op.kind, "inputs": node.inputs, "fields": dataclasses.asdict(node.op)}
        for node in program.nodes
    ]
    head = {key: getattr(program, key) for key in ("name", "channels")}
    formats = {key: dataclasses.asdict(getattr(program, key)) for key in ("input", "accumulator")}
    return {"schema": SCHEMA, **head, **formats, "meta": dict(program.meta), "nodes": nodes}


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a member with a fixed date, so that equal Programs are equal files."""
    archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def _read(archive: zipfile.ZipFile) -> Program:
    head = json.loads(archive.read("program.json"))
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        found = head.get("schema") if isinstance(head, dict) else type(head).__name__
        raise ValueError(f"its schema is {found}, this edgendt reads {SCHEMA}")
    nodes = []
    for entry in head["nodes"]:
        op = _op(entry["op"], entry["fields"])
        names = {key: f"{entry['name']}/{key}.npy" for key in op.constants}
        codes = {key: _codes(archive, name) for key, name in names.items()}
        nodes.append(Node(_typed(entry["name"], str), op, tuple(_typed(entry["inputs"], list)), codes))
    formats = {key: _format(head[key]) for key in ("input", "accumulator")}
    name, channels, meta = (_typed(head[key], kind) for key, kind in (("name", str), ("channels", int), ("meta", dict)))
    return Program(name, channels, nodes=tuple(nodes), meta=meta, **formats)


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

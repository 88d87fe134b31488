"""The Program: a network's meaning in integers, and the reference that runs it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from edgendt import program_file
from edgendt.errors import BadInput, UnsupportedOp, elsewhere, reading
from edgendt.fixed import Codes, Int, as_codes
from edgendt.node import BINS, EACH, INDEX, INPUT, Axis, Flow, Input, Node, feed, flow, wants, whole
from edgendt.ops import Add, CrossAttention, Linear, Lookup, Position
from edgendt.stream import Stream

__all__ = ["ACCUMULATOR", "BINS", "INDEX", "INPUT", "Axis", "Input", "Node", "Program", "Stream", "wants"]
ACCUMULATOR = Int(24)


@dataclass(frozen=True, eq=False)
class Program:
    """Ops in order of execution, their wiring, formats and constants. Refuses what it cannot hold, naming the node.

    `channels` counts per bin come in at format `input` (unsigned, frac 0); the last node's codes go out. With `inputs`
    those come in instead, in the same format: whole windows of as many rows as each happens to have.
    `meta` is JSON that travels along (bin width, names, provenance) and never changes a result.
    """

    name: str
    channels: int
    input: Int
    nodes: tuple[Node, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)
    accumulator: Int = ACCUMULATOR
    inputs: tuple[Input, ...] = ()

    def __post_init__(self) -> None:
        if not self.nodes:
            raise UnsupportedOp("program", self.name, "it has no ops")
        if self.input.signed or self.input.frac:
            raise UnsupportedOp("input", INPUT, "counts are unsigned with no fraction bits")
        if self.inputs and self.channels:
            raise UnsupportedOp("input", self.inputs[0].name, "a network that reads it has no channels of counts")
        flows: dict[str, Flow] = {}
        for item in self.sources:
            if item.name in flows:
                raise UnsupportedOp("input", item.name, "another input has that name")
            flows[item.name] = item.flow(self.input)
        for node in self.nodes:
            if node.name in flows:
                raise UnsupportedOp(node.op.kind, node.name, "another node has that name")
            flows[node.name] = flow(node, flows, self.accumulator)
        object.__setattr__(self, "_flows", flows)
        for node in self.nodes:
            if (bins := whole(node.op)) not in (None, self.bins):
                raise UnsupportedOp(node.op.kind, node.name, f"its whole window has {bins} bins, another's {self.bins}")
        if self.bins and self.max_bins not in (None, self.bins):
            reason = f"it has {self.max_bins} position rows, its whole window {self.bins} bins"
            raise UnsupportedOp("program", self.name, reason)
        if (axis := flows[self.output].axis) not in self.open_axes:
            reason = f"the output must have rows of {' or '.join(map(str, self.open_axes))}, not {axis}"
            raise UnsupportedOp(self.nodes[-1].op.kind, self.output, reason)

    @property
    def sources(self) -> tuple[Input, ...]:
        """What comes in: counts per bin, or `inputs`."""
        return self.inputs or (Input(INPUT, self.channels, BINS),)

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
        rows = [node.op.bins for node in self.nodes if isinstance(node.op, Position) and self.axis(node.name) == BINS]
        return min(rows, default=None)

    @cached_property
    def bins(self) -> int | None:
        """Bins of the whole window that the network answers at once; None: it streams, bin by bin."""
        return next((rows for node in self.nodes if (rows := whole(node.op)) is not None), None)

    @property
    def open_axes(self) -> tuple[Axis, ...]:
        """What there may be any number of rows of, in the order of the inputs."""
        return tuple(dict.fromkeys(item.axis for item in self.sources if item.codes is None))

    @property
    def streams(self) -> bool:
        """True for a network that can answer bin by bin."""
        return self.bins is None and not self.inputs

    def needs_counts(self, what: str) -> None:
        """UnsupportedOp where this network reads no counts; `what` says what takes nothing else."""
        if self.inputs:
            read = ", ".join(item.name for item in self.inputs if item.codes is None)
            raise UnsupportedOp("input", self.inputs[0].name, f"{what} takes counts per bin, {self.name} reads {read}")

    def axis(self, name: str) -> Axis:
        """What the rows of the codes of `name` are."""
        return cast(Axis, cast(Any, self)._flows[name].axis)

    def rows(self, name: str) -> int:
        """Rows of the codes of `name`, where every window, or in a stream every bin, has as many; else 0."""
        axis = self.axis(name)
        return (self.bins or 0) if axis == BINS else axis.length

    def row(self, name: str) -> str | None:
        """What a row of the codes of `name` is in a window or, in a stream, in a bin; None for that bin's only one."""
        axis = self.axis(name)
        return None if self.streams and axis == BINS else axis.one

    def rows_of(self, name: str, bins: int) -> int:
        """Rows of the codes of `name` in a trial of so many bins."""
        axis = self.axis(name)
        return bins * (axis.length or 1) if axis.name in (BINS.name, EACH) else axis.length

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

    def feed(self, given: Any) -> dict[str, Codes]:
        """`given`, counts or a mapping of inputs, as codes [rows, size] by name; BadInput for anything else."""
        if self.inputs:
            if not isinstance(given, Mapping):
                raise BadInput(f"{self.name} takes inputs by name, got {type(given).__name__}")
            fed = feed(self.inputs, self.input, given)
            for node in self.nodes:
                if isinstance(node.op, Lookup) and node.inputs[0] in fed:
                    with _asked_of(node):
                        node.op.check_tokens(fed[node.inputs[0]])
            return fed
        counts = self.check_counts(given)
        if self.bins is not None and len(counts) != self.bins:
            raise BadInput(f"a whole window has {self.bins} bins, got {len(counts)}")
        if self.max_bins is not None and len(counts) > self.max_bins:
            raise BadInput(f"a trial has at most {self.max_bins} bins (position rows), got {len(counts)}")
        return {INPUT: counts}

    def trace(self, given: Any) -> dict[str, Codes]:
        """given: counts [bins, channels] of one trial from its first bin, or of one window the codes [rows, size] of
        each of the inputs by name -> every node's codes [rows, size].

        Rows are bins; behind a Transpose channels, or those of every bin one behind the other, as are the columns of
        weights between channels.
        """
        values = self.feed(given)
        for node in self.nodes:
            run = cast(Callable[..., Codes], node.op.run)
            with _asked_of(node):
                values[node.name] = run(*(values[source] for source in node.inputs), **node.constants)
        return {node.name: values[node.name] for node in self.nodes}

    def run(self, given: Any) -> Codes:
        """THE reference. given: as for `trace` -> output codes [rows, outputs], of counts a row per bin."""
        return self.trace(given)[self.output]

    def stream(self) -> Stream:
        """The same network, one bin per call. BadInput for a network of whole windows."""
        if not self.streams:
            of = f" of {self.bins} bins" if self.bins else ""
            raise BadInput(f"{self.name} answers whole windows{of} and cannot stream: call run")
        return Stream(self)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the Linears per bin; of a whole window its share. For `inputs` see `products`."""
        linears = {node.name: node.op for node in self.nodes if isinstance(node.op, Linear)}
        total = sum(op.inputs * op.outputs * (self.rows(name) or 1) for name, op in linears.items())
        return total // (self.bins or 1)

    def products(self, rows: Mapping[str, int]) -> int:
        """Products of the Linears and cross-attentions of a window that has so many rows of each open axis."""

        def many(name: str) -> int:
            return rows.get(self.axis(name).name, self.axis(name).length)

        total = 0
        for node in self.nodes:
            if isinstance(node.op, Linear):
                total += many(node.name) * node.op.inputs * node.op.outputs
            if isinstance(node.op, CrossAttention):
                total += 2 * many(node.inputs[0]) * many(node.inputs[1]) * node.op.size
        return total

    def __eq__(self, other: object) -> bool:
        """Same formats, inputs, ops, wiring and constants; `name` and `meta` do not count."""
        if not isinstance(other, Program):
            return NotImplemented
        return bool(structure(self) == structure(other)) and all(
            map(np.array_equal, _constants(self), _constants(other))
        )

    __hash__ = None  # type: ignore[assignment]

    def save(self, path: Path | str) -> None:
        """Write one file, a zip of program.json and .npy constants, beside, then renamed; BadInput where it cannot."""
        target = Path(path)
        beside = target.with_name(target.name + ".part")
        try:
            with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
                program_file.write(archive, self)
            beside.replace(target)
        except OSError as error:
            raise BadInput(f"program cannot be written to {path}: {error.strerror}") from error
        finally:
            beside.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path | str) -> Program:
        """Read a file of `save`. BadInput when it is missing, damaged or of another schema."""
        try:
            with reading(f"program {path}"), zipfile.ZipFile(path) as archive:
                return cls(**program_file.read(archive))
        except BadInput as error:
            if Path(path).suffix == ".edt" or not Path(path).is_file() or not (said := elsewhere(path)):
                raise
            raise BadInput(f"{path} is not a Program{said}") from error


@contextmanager
def _asked_of(node: Node) -> Iterator[None]:
    """BadInput that names the node for what it cannot do: a row that no table has, more keys than there may be."""
    try:
        yield
    except ValueError as error:
        raise BadInput(f"{node.name}: {error}") from error


def structure(program: Program) -> Any:
    """All but the constants: what two networks share that hold the same places."""
    nodes = [(node.name, node.op, node.inputs, sorted(node.constants)) for node in program.nodes]
    inputs = sorted(program.inputs, key=lambda item: item.name)
    return program.channels, program.input, program.accumulator, inputs, nodes


def _constants(program: Program) -> Iterator[Codes]:
    """The constants of inputs and nodes, in the order of `structure`."""
    inputs = sorted(program.inputs, key=lambda item: item.name)
    yield from (item.codes for item in inputs if item.codes is not None)
    yield from (node.constants[key] for node in program.nodes for key in sorted(node.constants))

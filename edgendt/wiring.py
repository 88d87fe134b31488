"""What a lab sets when it loads a network: the outputs it wants back, the electrodes it has, those that are dead.

Each is an exact change of the Program: the last Linear keeps some rows, columns of those that read counts move or
become zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgendt.errors import BadInput, UnsupportedOp, reading
from edgendt.fixed import Codes, Int
from edgendt.ops import Linear
from edgendt.program import INPUT, Node, Program

ALL = "all"
RATES, VELOCITY = "rates", "velocity"  # groups of outputs
MOST = 256  # physical channels that the link carries
UNUSED = "-"  # in a channel map: the network has no use for this electrode
LIST = "0123456789:-, "  # what a channel map is written with; a name of a file has something else


@dataclass(frozen=True)
class Group:
    """Outputs of one meaning. rows: where among the outputs; real value = code · 2**-frac · scale + offset, per row.

    log: that is the logarithm of what is meant (rates: expected counts per bin).
    """

    rows: tuple[int, ...]
    scale: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    log: bool = False

    def values(self, codes: Codes, y: Int) -> Any:
        """codes [..., outputs] -> float64 [..., rows]."""
        real = codes[..., list(self.rows)] * y.scale
        if self.scale:
            real = real * np.array(self.scale) + np.array(self.offset)
        return np.exp(real) if self.log else real

    def among(self, kept: Sequence[int]) -> Group | None:
        """The group where only the outputs `kept`, in this order, are left; None where none of it is."""
        mine = {row: n for n, row in enumerate(self.rows)}
        at = [place for place, row in enumerate(kept) if row in mine]
        per_row = (
            [values[mine[kept[place]]] for place in at] if values else () for values in (self.scale, self.offset)
        )
        scale, offset = map(tuple, per_row)
        return Group(tuple(at), scale, offset, self.log) if at else None

    def to_json(self) -> dict[str, Any]:
        """What `groups` reads back from a Program's `meta["outputs"]`."""
        return {"rows": list(self.rows), "scale": list(self.scale), "offset": list(self.offset), "log": self.log}


def groups(program: Program) -> dict[str, Group]:
    """The groups of a Program's outputs, from its `meta`; without a word there all are log-rates."""
    if "outputs" not in program.meta:
        return {RATES: Group(tuple(range(program.outputs)), log=True)}
    with reading(f"outputs of program {program.name}"):
        found = {name: _group(entry) for name, entry in program.meta["outputs"].items()}
        if any(not 0 <= row < program.outputs for group in found.values() for row in group.rows):
            raise ValueError(f"a group names more than its {program.outputs} outputs")
    return found


def _group(entry: dict[str, Any]) -> Group:
    rows, scale, offset = (tuple(entry[key]) for key in ("rows", "scale", "offset"))
    if not rows or (scale and len(scale) != len(rows)) or len(scale) != len(offset):
        raise ValueError("a group has as many scales and offsets as rows, or none")
    return Group(rows, scale, offset, bool(entry["log"]))


def choose_outputs(program: Program, rows: Sequence[int]) -> Program:
    """The Program that gives the outputs `rows`, in this order. UnsupportedOp unless it ends in a Linear."""
    last = program.nodes[-1]
    if not isinstance(last.op, Linear):
        raise UnsupportedOp(last.op.kind, last.name, "outputs can be chosen only where a Linear is the last op")
    kept = list(rows)
    op = replace(last.op, outputs=len(kept), w_frac=None)
    if last.op.w_frac is not None:
        fracs = tuple(last.op.w_frac[row] for row in kept)
        op = replace(op, w=replace(op.w, frac=fracs[0]), w_frac=fracs if len(set(fracs)) > 1 else None)
    node = replace(last, op=op, constants={key: codes[kept] for key, codes in last.constants.items()})
    left = {name: left for name, group in groups(program).items() if (left := group.among(kept)) is not None}
    meta = dict(program.meta) | {"outputs": {name: group.to_json() for name, group in left.items()}}
    return replace(program, nodes=(*program.nodes[:-1], node), meta=meta)


def connect(program: Program, sources: Sequence[int | None]) -> Program:
    """The Program for electrodes of which the p-th feeds the network's channel `sources[p]`, or none.

    UnsupportedOp where another op than a Linear reads the counts.
    """
    return replace(program, channels=len(sources), nodes=tuple(_connected(node, sources) for node in program.nodes))


def _connected(node: Node, sources: Sequence[int | None]) -> Node:
    if INPUT not in node.inputs:
        return node
    if not isinstance(node.op, Linear):
        raise UnsupportedOp(node.op.kind, node.name, "channels can be mapped only where Linears read the counts")
    old = node.constants["weight"]
    weight = np.zeros((len(old), len(sources)), np.int64)
    for place, channel in enumerate(sources):
        if channel is not None:
            weight[:, place] = old[:, channel]
    return replace(node, op=replace(node.op, inputs=len(sources)), constants={**node.constants, "weight": weight})


@dataclass(frozen=True)
class Wiring:
    """The options as a user writes them; an empty one changes nothing.

    outputs: groups, numbers and ranges a:b (without b), by commas. channels: for every electrode in order the network's
    channel, or `-`; a list by commas, or a file with it in any lines, `#` before comments. dead: electrodes to ignore.
    """

    outputs: str = ""
    channels: str = ""
    dead: str = ""

    def __str__(self) -> str:
        """The options as they stand behind a command."""
        options = (("outputs", self.outputs), ("channels", self.channels), ("dead", self.dead))
        return "".join(f" --{name} {value}" for name, value in options if value)

    def apply(self, program: Program) -> Program:
        """The Program to load. BadInput for an option that does not suit it."""
        if self.channels or self.dead:
            program.needs_counts("a map of electrodes")
            program = connect(program, self.sources(program))
        if self.outputs:
            program = choose_outputs(program, self.rows(program))
        return program

    def counts(self, program: Program, counts: Codes) -> Codes:
        """What the electrodes see: counts [bins, channels] of the Program as trained -> [bins, electrodes].

        A dead electrode sees what it would see alive, one that feeds nothing sees 0.
        """
        seen = np.zeros((len(counts), len(fed := self._map(program))), np.int64)
        for place, channel in enumerate(fed):
            if channel is not None:
                seen[:, place] = counts[:, channel]
        return seen

    def rows(self, program: Program) -> list[int]:
        """Numbers of the chosen outputs, in order."""
        known = groups(program)

        def named(word: str) -> list[int] | None:
            if word == ALL:
                return list(range(program.outputs))
            return list(known[word].rows) if word in known else None

        listed = ", ".join([*known, ALL])
        rows = list(_numbers("--outputs", self.outputs, program.outputs, f"one of {listed}", named))
        if twice := _twice(rows):
            raise BadInput(f"--outputs: output {twice[0]} is named twice")
        return rows

    def sources(self, program: Program) -> list[int | None]:
        """For each electrode the channel it feeds, None for a dead one or one of no use."""
        fed: list[int | None] = self._map(program)
        told = "" if self.channels else _heard(program)  # a map numbers the electrodes, whatever the network hears
        for place in _numbers("--dead", self.dead, len(fed), "an electrode", told=told) if self.dead else ():
            fed[place] = None
        return fed

    def _map(self, program: Program) -> list[int | None]:
        if not self.channels:
            return list(range(program.channels))
        text = self.channels
        if set(text) - set(LIST):
            with reading(f"channel map {text}"):
                text = ",".join(line.partition("#")[0] for line in Path(text).read_text().splitlines())
        unused: Callable[[str], list[int] | None] = lambda word: [-1] if word == UNUSED else None  # noqa: E731
        fed = list(_numbers("--channels", text, program.channels, UNUSED, unused, _heard(program)))
        if len(fed) > MOST:
            raise BadInput(f"--channels: a board takes at most {MOST} electrodes, got {len(fed)}")
        if twice := _twice([channel for channel in fed if channel >= 0]):
            places = [place for place, channel in enumerate(fed) if channel == twice[0]]
            raise BadInput(f"--channels: channel {twice[0]} is fed by the electrodes {places[0]} and {places[1]}")
        if max(fed) < 0:
            raise BadInput("--channels: no electrode feeds the network")
        return [channel if channel >= 0 else None for channel in fed]


def _heard(program: Program) -> str:
    """Behind a number that is too large: that of the recording's channels some are no inputs; nothing where all are."""
    heard = program.meta.get("held_in", [])
    if heard == list(range(len(heard))):
        return ""
    return f"; its inputs are {len(heard)} of the recording's channels, held_in of data.json, numbered in that order"


def _twice(numbers: Sequence[int]) -> list[int]:
    return [number for place, number in enumerate(numbers) if number in numbers[:place]]


def _numbers(
    option: str,
    text: str,
    size: int,
    other: str,
    named: Callable[[str], list[int] | None] = lambda word: None,
    told: str = "",
) -> Iterator[int]:
    """Numbers below `size` from words by commas or blanks: a number, a range a:b, or what `named` knows.

    told: behind the error of a number that is too large.
    """
    words = text.replace(",", " ").split()
    if not words:
        raise BadInput(f"{option}: it names nothing")
    for word in words:
        if (known := named(word)) is not None:
            yield from known
            continue
        ends = word.split(":")
        if len(ends) > 2 or not all(end.isascii() and end.isdigit() for end in ends):
            raise BadInput(f"{option}: each must be a number, a range a:b or {other}, got {word!r}")
        first, last = int(ends[0]), int(ends[-1]) - (len(ends) == 2)
        if last < first:
            raise BadInput(f"{option}: range {word} is empty")
        if last >= size:
            raise BadInput(f"{option}: numbers go from 0 to {size - 1}, got {word}{told}")
        yield from range(first, last + 1)

"""A Program bin by bin: the same integers, with what they need of the past kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgendt.errors import BadInput
from edgendt.fixed import Codes
from edgendt.node import EACH, INPUT, Node
from edgendt.ops import Attention, Position, Rotary, Transpose

if TYPE_CHECKING:
    from edgendt.program import Program


class Stream:
    """A Program fed one bin at a time: a cache per attention and transpose, a bin counter, a reset."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.bin = 0
        self._cache: dict[str, list[Any]] = {}  # of each bin what it needs again
        self.reset()

    def reset(self) -> None:
        """Forget the trial: the next bin is bin 0."""
        self.bin = 0
        self._cache = {node.name: [] for node in self.program.nodes if isinstance(node.op, Attention | Transpose)}

    def step(self, counts: Any) -> Codes:
        """counts: [channels] of the next bin -> output codes [outputs]; BadInput past the last position row."""
        return self.trace_step(counts)[self.program.output]

    def trace_step(self, counts: Any) -> dict[str, Codes]:
        """counts: [channels] of the next bin -> every node's codes [size]; [channels, size] behind a Transpose."""
        rows = self.program.max_bins
        if rows is not None and self.bin >= rows:
            raise BadInput(f"bin {self.bin} has no position row ({rows} rows): reset at the start of a trial")
        values = {INPUT: self.program.check_counts(np.asarray(counts)[None])}
        for node in self.program.nodes:
            values[node.name] = self._run(node, [values[source] for source in node.inputs])
        self.bin += 1
        many = {node.name for node in self.program.nodes if self.program.axis(node.name).name == EACH}
        return {name: codes if name in many else codes[0] for name, codes in values.items() if name != INPUT}

    def _run(self, node: Node, inputs: list[Codes]) -> Codes:
        op = node.op
        if isinstance(op, Attention):
            q, k, v = (codes.reshape(op.heads, op.head_size) for codes in inputs)
            cache = self._cache[node.name]
            cache.append((k, v))
            del cache[: -op.window]
            keys, values = (np.stack(column) for column in zip(*cache, strict=True))
            return op.mix(q, keys, values)[None]
        if isinstance(op, Transpose):
            cache = self._cache[node.name]
            cache.append(inputs[0])
            del cache[: -op.bins]
            return op.run(np.concatenate(cache))[-op.channels :]
        if isinstance(op, Position):
            return op.run(*inputs, **node.constants, first=self.bin)
        if isinstance(op, Rotary):
            return op.run(inputs[0], np.array([self.bin]))
        return cast(Callable[..., Codes], op.run)(*inputs, **node.constants)

"""The cycles table of docs/engine.md: `python tests/cycles_table.py` prints it, `test_engine_compile.py` holds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgendt.engine.compile import compile_program
from edgendt.engine.config import Engine
from edgendt.engine.cycles import cycles_of
from edgendt.engine.reference import DEFAULT, S4, M, S

FULL = Engine.named("full")
LARGE = Engine.named("large")
SMALL = Engine.named("small")
KV260 = Engine(segments=32, lanes=24, pipes=16, sfus=8)


def roomy(engine: Engine, **fields: int) -> Engine:
    """The engine with memories that hold every network of the table."""
    depths = {"weight_depth": 1 << 14, "kv_depth": 1 << 12, "bias_depth": 1024, "act_depth": 1024, "res_depth": 128}
    depths |= {"pos_depth": 8192, "score_depth": 128, "gamma_depth": 2048}
    return replace(engine, **depths, **fields)


def plain(packed: int, splits: int) -> tuple[str, Engine]:
    """128 lanes of full's shape with memories to fit."""
    return f"16 × 8, P 8, N 4, {shape(packed, splits)}", roomy(FULL, packed=packed, splits=splits)


def shape(packed: int, splits: int) -> str:
    return ", ".join(["packed"] * packed + [f"splits {splits}"] * (splits > 1)) or "plain"


ENGINES = [
    (DEFAULT, "`small`", SMALL),
    (DEFAULT, "`full`", FULL),
    (S, "`small`, larger memories", roomy(SMALL)),
    *((S, *plain(packed, splits)) for packed, splits in ((0, 1), (0, 2), (0, 4), (1, 1), (1, 2))),
    (S, "`full` (packed, splits 4)", FULL),
    (S, "`full` with N 2", roomy(replace(FULL, sfus=2))),
    (S4, *plain(1, 2)),
    (S4, "`full` (packed, splits 4)", FULL),
    (S, "`large`", LARGE),
    (M, "`large` (32 × 8, P 16, N 8, packed, splits 8)", LARGE),
    *(
        (M, f"32 × 24, P 16, N 8, {shape(packed, splits)}", roomy(KV260, packed=packed, splits=splits))
        for packed, splits in ((0, 1), (0, 8), (1, 8))
    ),
    (M, "32 × 16, P 16, N 8, packed, splits 8", roomy(replace(KV260, lanes=16), packed=1, splits=8)),
]


def rows() -> Iterator[str]:
    """Table rows: window full."""
    for network, title, engine in ENGINES:
        cycles = cycles_of(compile_program(network.program(), engine), network.window - 1)
        yield f"| {network.name} | {title} | {cycles.total:,} | {cycles.bound:,} | {cycles.efficiency:.3f} |"


if __name__ == "__main__":
    print(*rows(), sep="\n")

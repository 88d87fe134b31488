"""Damaged files: one file's bytes spoilt in every way that a disk, a transfer or an editor spoils them."""

from __future__ import annotations

import random
from collections.abc import Iterator


def mutants(whole: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """`count` files that differ from `whole`: a byte flipped, a run overwritten, cut out, repeated, the end lost."""
    rng = random.Random(seed)
    while count:
        at, run = rng.randrange(len(whole)), rng.randrange(1, 9)
        head, tail = whole[:at], whole[at + run :]
        spoilt = (
            head + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :],
            head + rng.randbytes(run) + tail,
            head + tail,
            head + whole[at : at + run] * 2 + tail,
            head,
        )[rng.choices(range(5), (8, 4, 2, 2, 1))[0]]
        if spoilt != whole:
            count -= 1
            yield spoilt

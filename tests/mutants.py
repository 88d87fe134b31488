"""Damaged files: one file's bytes spoilt in every way that a disk, a transfer or an editor spoils them."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from edgendt.errors import BadInput
from edgendt.program import Program

Place = tuple[Any, Any]  # container and key of something inside a JSON value


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


def refused(path: Path, program: Program, count: int) -> int:
    """How many of `count` spoilt versions of a Program's file are refused, each in a sentence; the others are equal."""
    program.save(path)
    found = 0
    for spoilt in mutants(path.read_bytes(), count):
        path.write_bytes(spoilt)
        loaded = loaded_or_refused(path)
        found += loaded is None
        assert loaded is None or loaded == program
    return found


def with_wrong(path: Path, program: Program, choose: Callable[[Any], Iterable[Place]], wrong: Any) -> Iterator[Program]:
    """What still loads of a Program's file with one thing of its header at a time replaced by `wrong`.

    choose: which, of the header.
    """
    program.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(members["program.json"])
    for container, key in list(choose(header)):
        kept, container[key] = container[key], wrong
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in (members | {"program.json": json.dumps(header).encode()}).items():
                archive.writestr(name, data)
        container[key] = kept
        if (loaded := loaded_or_refused(path)) is not None:
            yield loaded


def loaded_or_refused(path: Path) -> Program | None:
    """A Program, or None where it is refused in one sentence that names the file."""
    try:
        return Program.load(path)
    except BadInput as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return None


def places(value: Any) -> Iterator[Place]:
    """Everything inside a JSON value."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])

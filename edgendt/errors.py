"""The errors a user meets: each says what, where and what to do in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class EdgendtError(Exception):
    """Base of every error that the command line turns into one sentence; `exit_code` is its status."""

    exit_code = 1


class BadInput(EdgendtError):
    """A file, option or value the user gave cannot be used."""

    exit_code = 2


@contextmanager
def reading(what: str) -> Iterator[None]:
    """BadInput, in one sentence about `what`, for whatever a missing or damaged file raises in the block.

    Strange bytes raise nearly anything (zlib.error, NotImplementedError, tokenize.TokenError, AttributeError, …): the
    block must do nothing but read.
    """
    try:
        yield
    except (BadInput, ImportError):
        raise
    except FileNotFoundError as error:
        raise BadInput(f"{what} does not exist") from error
    except Exception as error:
        said = error.args[0] if isinstance(error, KeyError) and error.args else error  # its text is quoted otherwise
        raise BadInput(f"{what} cannot be read: {' '.join(str(said).split()) or type(error).__name__}") from error


TAKEN_BY = {  # by the end of a file's name, where it was given to another verb
    ".onnx": "`edgendt lower {}` makes a Program of an ONNX file",
    ".edt": "a Program is what `edgendt estimate {}` takes",
    ".npz": "a recording is what `edgendt quantize --data {}` takes",
    ".pt": "weights are what `edgendt quantize --from-checkpoint {}` takes, or export their network as ONNX",
    ".pth": "weights are what `edgendt quantize --from-checkpoint {}` takes, or export their network as ONNX",
}


def elsewhere(path: Path | str) -> str:
    """`: ` and which verb takes such a file, to end a sentence with; nothing for a name that says nothing."""
    ends = Path(path).suffix
    return f": {TAKEN_BY[ends].format(path)}" if ends in TAKEN_BY else ""


class BoardUnknown(BadInput):
    """No board of that name is described in boards/."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"board {name!r} is not known: choose one of {', '.join(known)}")
        self.name, self.known = name, known


class UnsupportedOp(EdgendtError):
    """A node that the target cannot hold."""

    def __init__(self, op: str, where: str, reason: str) -> None:
        super().__init__(f"{op} at {where} is not supported: {reason}")
        self.op, self.where, self.reason = op, where, reason


def gathered(refusals: Sequence[UnsupportedOp]) -> UnsupportedOp:
    """One error that tells them all, nodes of one op and one reason together; its op and where are the first one's."""
    nodes: dict[tuple[str, str], list[str]] = {}
    for one in refusals:
        nodes.setdefault((one.op, one.reason), []).append(one.where)
    (op, reason), *rest = nodes
    told = [reason, *(f"{op} at {', '.join(nodes[op, reason])}: {reason}" for op, reason in rest)]
    return UnsupportedOp(op, ", ".join(nodes[op, reason]), "; ".join(told))


class DoesNotFit(EdgendtError):
    """A model larger than the engine or the part; `advice` says what to change."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}; {advice}")
        self.what, self.advice = what, advice


class MemoryTooSmall(DoesNotFit):
    """A model that takes more of an engine's memories than there is.

    short: the depth that `what` tells of; depths: all that are too small, as the model takes them; training: what else
    to change.
    """

    def __init__(self, what: str, short: str, depths: Mapping[str, int], training: str) -> None:
        super().__init__(what, f"raise {short} to {depths[short]} in a FILE.toml, or {training}")
        self.short, self.depths, self.training = short, depths, training


class ToolMissing(EdgendtError):
    """An external program is not on this machine."""

    def __init__(self, tool: str, hint: str) -> None:
        super().__init__(f"{tool} was not found: {hint}")
        self.tool, self.hint = tool, hint


class ToolFailed(EdgendtError):
    """An external program ended with an error; `log` is where it said why."""

    def __init__(self, command: str, log: Path | str, reason: str = "") -> None:
        detail = f" ({reason})" if reason else ""
        super().__init__(f"{command} failed{detail}: see {log}")
        self.command, self.log, self.reason = command, log, reason


class ToolStopped(ToolFailed):
    """An external program that did not get on and was ended."""


class Mismatch(EdgendtError):
    """Two links of the chain disagree: the first differing code, all of it. row: numbers by what they count."""

    def __init__(self, link: str, op: str, row: Mapping[str, int], index: int, expected: int, got: int | None) -> None:
        where = ", ".join(f"{what} {number}" for what, number in {**row, "index": index}.items())
        super().__init__(f"{link}: op {op}, {where}: expected {expected}, got {'nothing' if got is None else got}")
        self.link, self.op, self.row, self.index, self.expected, self.got = link, op, row, index, expected, got


class CyclesDiffer(EdgendtError):
    """The simulated engine took other cycles than its exact model says."""

    def __init__(self, trial: int, start: int, model: int, took: int, streams: bool = True) -> None:
        where = f"trial {trial}, bin {start}" if streams else f"window {trial}, start {start}"
        super().__init__(f"the engine took {took} cycles in {where}; its cycle model says {model}")
        self.trial, self.start, self.model, self.took = trial, start, model, took

"""Latency of every bin of a run's stimulus: cycles by op, bound, efficiency, microseconds, and the CPU beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from edgendt.artifact import Run, read_arrays, read_json, write_json
from edgendt.boards import Board
from edgendt.data.tokens import last_spike
from edgendt.engine.compile import Compiled
from edgendt.engine.config import Engine
from edgendt.engine.cycles import Cycles as Counted
from edgendt.engine.cycles import cycles_of, cycles_per_bin, cycles_per_start, tokens_of, window_of
from edgendt.engine.sources import unchanged
from edgendt.errors import CyclesDiffer, reading
from edgendt.fixed import Codes
from edgendt.host.attach import UNCHANGED, attach, bar, wired
from edgendt.host.infer import stream
from edgendt.host.wire import wire, words
from edgendt.metrics import summary
from edgendt.ops import Transpose
from edgendt.program import Program
from edgendt.synth.usual import check_room, compiled_for
from edgendt.tools import find_tool
from edgendt.wiring import Wiring

ANALYTIC, SIMULATED = "analytic", "simulated cycles"
POST_ROUTE, ASSUMED = "post-route", "assumed"
QUANTILES = ("p50", "p99", "max")
BINS = 2000  # bins of whole test trials that are simulated, where the recording has as many
SIMULATOR = ("verilator", "g++", "make")


@dataclass(frozen=True)
class Clock:
    """MHz, the stage the figure comes from, and the clock that a bitstream was built to make, where there is one."""

    mhz: float
    stage: str
    built_mhz: float | None = None


@dataclass(frozen=True)
class Cycles:
    """Cycles by index of the bin in its trial, and the lower bound of each: [bins of the longest trial]."""

    by_bin: tuple[int, ...]
    bounds: tuple[int, ...]
    stage: str


def profile(
    run: Run,
    board: str,
    engine: str | None = None,
    wiring: Wiring = UNCHANGED,
    *,
    bins: int = BINS,
    port: str | None = None,
    quiet: bool = True,
) -> dict[str, Any]:
    """Profile a run for a board and keep `profile-<board>/profile.json`; returns its content (keys: docs/profile.md).

    engine: `small`, `full` or a TOML file, the board's own by default. Whole test trials with at least `bins` bins are
    run, and streamed through `port` where one is given. BadInput, BoardUnknown, DoesNotFit as their names say;
    CyclesDiffer when RTL and cycle model disagree.
    """
    model, target = run.stage("quantize"), Board.named(board)
    program = wiring.apply(Program.load(model / "program.edt"))
    trials = wired(run, wiring, bins)
    name, compiled = compiled_for(target, program, engine)  # DoesNotFit: no figure for what the board cannot hold
    check_room(name, compiled, trials)
    trip = None if port is None else round_trip(run, port, board, engine, wiring, trials, quiet)
    cycles, reason = (count_windows if program.inputs else count)(compiled, trials)
    stage = f"synth-{board}"
    synth = read_json(run.stage(stage) / "synth.json") if run.has(stage) else None
    clock = clock_of(synth, compiled.engine, target.running(name).clock_mhz)
    lengths = [1 if program.bins else len(trial) for trial in trials]
    if program.inputs:  # each window has its own place
        lengths = [len(trials)]
    bin_s = width(run) if program.streams else None
    figures = latency(cycles, lengths, clock, bin_s) | of_window(compiled, clock)
    figures |= {"trials": len(trials), "tokens": of_tokens(compiled, trials) if program.inputs else None}
    if program.inputs:
        median = behind_last(compiled, trials[figures["median_bin"]])
    else:
        median = window_of(compiled) if program.bins else cycles_of(compiled, figures["median_bin"])
    by_op = {"by_op": dict(median.by_op), "by_op_stage": ANALYTIC}
    head = {"run": str(run.path), "board": board, "engine": name, "wiring": str(wiring).strip() or None}
    head |= {"cycles_reason": reason}
    result = head | figures | by_op | {"link": wire(program, target), "round_trip_us": trip} | cpu(program, trials)
    inputs = [model / "program.edt", model / "stimulus.npz"] + ([run.stage(stage) / "synth.json"] if synth else [])
    with run.write(
        f"profile-{board}", inputs=inputs, config={"engine": name, "bins": bins, **asdict(wiring)}
    ) as folder:
        write_json(folder / "profile.json", result)
    return result


def round_trip(
    run: Run, port: str, board: str, engine: str | None, wiring: Wiring, trials: Sequence[Codes], quiet: bool
) -> dict[str, Any]:
    """p50, p99, max µs from a bin's request to its answer through the port, its stage, how many bins: all checked.

    BadInput unless the board there answers with this run's network; Mismatch when an answer is wrong.
    """
    with attach(run, port, board, engine, wiring) as attached, bar("bins", quiet) as progress:
        attached.demand_network()
        got = stream(attached, trials, True, progress)
    return got.round_trip() | {"stage": attached.stage, "bins": len(got.micros), "bytes": summary(got.bytes)}


def width(run: Run) -> float | None:
    """Seconds per bin of the run's stimulus, None when it does not say."""
    path = run.stage("quantize") / "stimulus.npz"
    arrays = read_arrays(path)
    with reading(str(path)):
        return float(arrays["bin_s"]) if "bin_s" in arrays else None


def of_window(compiled: Compiled, clock: Clock) -> dict[str, Any]:
    """Of a network of whole windows, whose figures are those of a window: its bins, what is left behind the last."""
    bins = compiled.program.bins
    left = window_of(compiled, bins - 1).total if bins else 0
    behind = {"cycles": left, "us": round(left / clock.mhz, 3), "stage": ANALYTIC}
    return {"whole_window": bins, "behind_last_bin": behind if bins else None}


def count(compiled: Compiled, trials: Sequence[Codes]) -> tuple[Cycles, str | None]:
    """Cycles of every bin: counted in the compiled RTL, or the cycle model's and the reason why."""
    model = by_place(compiled, max(map(len, trials)))
    absent = [tool for tool in SIMULATOR if find_tool(tool) is None]
    if absent:
        return model, f"not simulated: {', '.join(absent)} not found"
    from edgendt.sim.fast import FastCore

    core = FastCore(compiled.engine)
    core.load(compiled)
    expected = np.array(cycles_per_bin(compiled, compiled.program.bins) if compiled.program.bins else model.by_bin)
    for number, trial in enumerate(trials):
        took = core.run(trial)[1]
        wrong = np.flatnonzero(took != expected[: len(took)])
        if len(wrong):
            at = int(wrong[0])
            raise CyclesDiffer(number, at, int(expected[at]), int(took[at]), compiled.program.streams)
    return replace(model, stage=SIMULATED), None


def behind_last(compiled: Compiled, given: Any) -> Counted:
    """Cycles from a window's last spike to its first answer: of it, of what is sent behind it, of latents and query."""
    return tokens_of(compiled, compiled.waits(given), 1, last_spike(given))


def count_windows(compiled: Compiled, trials: Sequence[Any]) -> tuple[Cycles, str | None]:
    """Of each window the cycles from its last spike to its first answer: counted in the compiled RTL, or modelled."""
    model = [behind_last(compiled, given) for given in trials]
    found = Cycles(tuple(one.total for one in model), tuple(one.bound for one in model), ANALYTIC)
    absent = [tool for tool in SIMULATOR if find_tool(tool) is None]
    if absent:
        return found, f"not simulated: {', '.join(absent)} not found"
    from edgendt.sim.fast import FastCore

    core = FastCore(compiled.engine)
    core.load(compiled)
    for number, given in enumerate(trials):
        took, expected = core.run(given)[1], np.array(cycles_per_start(compiled, given))
        wrong = np.flatnonzero(took != expected)
        if len(wrong):
            at = int(wrong[0])
            raise CyclesDiffer(number, at, int(expected[at]), int(took[at]), compiled.program.streams)
    return replace(found, stage=SIMULATED), None


def of_tokens(compiled: Compiled, trials: Sequence[Any]) -> dict[str, Any]:
    """Of a network of tokens: how many there are and may be, and the cycles of each but the last, and of each query."""
    tokens = compiled.waits(trials[0])
    each = cycles_per_start(compiled, trials[0])
    counts = summary([compiled.waits(given) for given in trials])
    return {
        "most": compiled.most,
        "counts": counts,
        "cycles": each[0] if tokens > 1 else None,
        "query_cycles": each[-1],
    }


def by_place(compiled: Compiled, bins: int) -> Cycles:
    """The engine's exact cycle model for the first `bins` bins of a trial, nothing changes once the window is full; or
    for a whole window.
    """
    if compiled.program.bins:
        window = window_of(compiled)
        return Cycles((window.total,), (window.bound,), ANALYTIC)
    known = [cycles_of(compiled, at) for at in range(min(bins, compiled.config["window"]))]
    known += known[-1:] * (bins - len(known))
    return Cycles(tuple(one.total for one in known), tuple(one.bound for one in known), ANALYTIC)


def over_trials(by_bin: Sequence[int], lengths: Sequence[int]) -> list[int]:
    """Cycles of every bin of every trial, from cycles by index in the trial."""
    return [cycles for length in lengths for cycles in by_bin[:length]]


def latency(cycles: Cycles, lengths: Sequence[int], clock: Clock, bin_s: float | None) -> dict[str, Any]:
    """The figures that follow from cycles and clock: quantiles over all bins, bound, efficiency, share of a bin.

    `bound_cycles` is the bound of the median bin, `efficiency` that bound over the median.
    """
    quantiles = summary(over_trials(cycles.by_bin, lengths))
    median = cycles.by_bin.index(int(quantiles["p50"]))
    micros = {name: quantiles[name] / clock.mhz for name in QUANTILES}
    bin_us = None if bin_s is None else round(bin_s * 1e6, 3)
    share = None if bin_us is None else {name: round(100 * micros[name] / bin_us, 4) for name in QUANTILES}
    return {
        "cycles": quantiles,
        "bound_cycles": cycles.bounds[median],
        "efficiency": round(cycles.bounds[median] / quantiles["p50"], 4),
        "latency_us": {name: round(micros[name], 3) for name in QUANTILES},
        "cycles_stage": cycles.stage,
        "clock_stage": clock.stage,
        "clock_mhz": clock.mhz,
        "built": built(quantiles, clock.built_mhz),
        "bin_us": bin_us,
        "bin_share": share,
        "bins": int(sum(lengths)),
        "trials": len(lengths),
        "median_bin": median,
        "cycles_by_bin": list(cycles.by_bin),
    }


def built(quantiles: Mapping[str, float], mhz: float | None) -> dict[str, Any] | None:
    """What the bitstream does at the clock its PLL makes, which leaves a margin to fmax; None without a bitstream."""
    return None if mhz is None else {"clock_mhz": mhz} | {name: round(quantiles[name] / mhz, 3) for name in QUANTILES}


def cpu(program: Program, trials: Sequence[Codes]) -> dict[str, Any]:
    """`cpu_us`, the best median over the thread counts, and how it came about; null where onnxruntime is absent."""
    untimed = {"cpu_us": None, "cpu": None}
    if not program.streams:
        return untimed | {"cpu_reason": "it is timed bin by bin, and this network answers whole windows"}
    if any(isinstance(node.op, Transpose) for node in program.nodes):
        return untimed | {"cpu_reason": "no network is timed whose channels attend to each other"}
    try:
        import onnx
        import onnxruntime

        from edgendt.profile.cpu import cores, describe, measure
    except ModuleNotFoundError as error:
        reason = f"{error.name} is not installed: pip install 'edgendt[report]'"
        return untimed | {"cpu_reason": reason}
    runs = measure(program, trials)
    details = {
        "model": describe(),
        "cores": cores(),
        "runtime": f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}",
        "arithmetic": "float32, keys and values cached, one bin per call",
        "stage": "measured",
        "runs": [asdict(run) for run in runs],
    }
    return {"cpu_us": min(run.p50_us for run in runs), "cpu": details, "cpu_reason": None}


def clock_of(synth: Mapping[str, Any] | None, engine: Engine, assumed_mhz: float) -> Clock:
    """The routed design's clock if the board was synthesised with this very engine, else the board's own."""
    known = synth is not None and synth.get("fmax_mhz") is not None and synth.get("engine") == engine.parameters()
    if synth is not None and known and unchanged(synth.get("sources", {})):
        return Clock(float(synth["fmax_mhz"]), str(synth["stage"]), synth.get("clock_mhz"))
    return Clock(float(assumed_mhz), ASSUMED)


def render(result: Mapping[str, Any]) -> Any:
    """The figures of `profile` as tables for a terminal."""
    from rich.console import Group
    from rich.text import Text

    return Group(_quantiles(result), "", _ops(result), "", *map(Text, _sentences(result)))


def _quantiles(result: Mapping[str, Any]) -> Any:
    """Cycles, µs, share of the bin and the CPU: p50, p99, max and the stage of each."""
    bins, last = result["whole_window"], "from the last spike to the first answer"
    unit = f"one window of {bins} bins" if bins else last if result["tokens"] else "one bin"
    wiring = f" {result['wiring']}" if result["wiring"] else ""
    table = _table(f"{result['run']}{wiring}: {unit} on {result['board']}", "", *QUANTILES, "stage")
    mhz = f"{result['clock_mhz']:.1f} MHz"
    rows: list[tuple[str, Mapping[str, float] | None, str, str]] = [
        ("cycles", result["cycles"], ",", result["cycles_stage"]),
        (f"µs at {mhz}", result["latency_us"], ".2f", clock_words(result["clock_stage"])),
        ("% of the bin", result["bin_share"], ".3f", ""),
    ]
    if made := result["built"]:
        rows.insert(2, (f"µs at {made['clock_mhz']:.1f} MHz", made, ".2f", "at the clock the bitstream makes"))
    if (line := result["link"])["us"] is not None:
        rows.append((f"link of a {line['of']}, µs", dict.fromkeys(QUANTILES, line["us"]), ".1f", line["stage"]))
    if trip := result["round_trip_us"]:
        rows.append(("host round trip of a start, µs" if bins else "host round trip, µs", trip, ",.0f", trip["stage"]))
    for run in (result["cpu"] or {}).get("runs", ()):
        threads = f"CPU µs, {run['threads']} thread" + ("s" if run["threads"] > 1 else "")
        rows.append((threads, {name: run[f"{name}_us"] for name in QUANTILES}, ",.1f", "measured, float32"))
    for label, values, form, stage in rows:
        if values is not None:
            table.add_row(label, *(format(values[name], form) for name in QUANTILES), stage)
    table.columns[-1].justify = "left"
    return table


def _ops(result: Mapping[str, Any]) -> Any:
    """Cycles of the median bin by op, in order of execution."""
    unit = "window" if result["whole_window"] else "median window" if result["tokens"] else "median bin"
    table = _table(f"the {unit} by op ({result['by_op_stage']})", "op", "cycles", "%")
    total = sum(result["by_op"].values())
    for name, cycles in result["by_op"].items():
        table.add_row(name, f"{cycles:,}", f"{100 * cycles / total:.1f}")
    return table


def _sentences(result: Mapping[str, Any]) -> list[str]:
    """Bound and efficiency; the CPU's name or why it was not measured."""
    bound = f"lower bound {result['bound_cycles']:,} cycles, efficiency {result['efficiency']:.2f} (bound over median)"
    cpu = result["cpu"]
    beside = f"CPU: {cpu['model']}, {cpu['runtime']}" if cpu else f"CPU not measured: {result['cpu_reason']}"
    behind = result["behind_last_bin"]
    left = [f"{behind['cycles']:,} of them, {behind['us']:,.1f} µs, from the last bin's counts on"] if behind else []
    if tokens := result["tokens"]:
        counts = tokens["counts"]
        room = f"there is room for {tokens['most']:,}"
        seen = f"windows of {counts['p50']:,.0f} tokens, {counts['max']:,.0f} at most; {room}"
        left = [seen, f"each token before the last {tokens['cycles']:,} cycles, each query {tokens['query_cycles']:,}"]
    return [
        bound,
        *left,
        words(result["link"]),
        *([result["cycles_reason"]] if result["cycles_reason"] else []),
        beside,
    ]


def clock_words(stage: str) -> str:
    """How a clock's stage reads: an assumed clock is always called one."""
    return "at an assumed clock" if stage == ASSUMED else f"at the {stage} clock"


def _table(title: str, *columns: str) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table

"""The command line: a verb is parse, one call, one summary."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from edgendt.artifact import RUNS, Run
from edgendt.errors import BadInput, DoesNotFit, EdgendtError
from edgendt.tools import missing_package

BOARD = "ulx3s-85f"
INTERRUPTED = 130  # exit status after Ctrl-C
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Neural Data Transformers from spike counts to an FPGA, bit-exact at every op.",
)
# Nothing that is printed is markup: paths, names and `pip install 'edgendt[train]'` may hold brackets.
err = Console(stderr=True, highlight=False, markup=False, emoji=False)
out = Console(highlight=False, markup=False, emoji=False)

RunArg = Annotated[str | None, typer.Argument(metavar="[RUN]", help="Run folder or name; the newest by default.")]
BoardOpt = Annotated[str, typer.Option("--board", "-b", help="Target board; `edgendt boards` lists them.")]
EngineOpt = Annotated[str | None, typer.Option(help="A named engine or FILE.toml; the board's default otherwise.")]
PortOpt = Annotated[
    str | None,
    typer.Option("--port", "-p", show_default=False, help="/dev/ttyUSB0, what `emulate` prints, or pynq:FILE.bit."),
]
OutputsOpt = Annotated[str, typer.Option(help="rates, velocity, all, numbers and ranges: 0:10,12.")]
ChannelsOpt = Annotated[str, typer.Option(help="The network's channel for every electrode, or -: a list, or its file.")]
DeadOpt = Annotated[str, typer.Option(help="Electrodes to ignore: 3,17.")]
KeysArg = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="e.g. seed=3; --keys lists them.")]
ListOpt = Annotated[bool, typer.Option("--keys", help="List every KEY with its default, and do no more.")]
ConfigOpt = Annotated[Path | None, typer.Option(help="TOML file of the same keys.")]
SessionOpt = Annotated[str | None, typer.Option(help="Session inside FILE.npz, where it holds several.")]
NameOpt = Annotated[str | None, typer.Option(help="Name of the run that is made.")]
RunsOpt = Annotated[Path, typer.Option("--runs", help="Folder that holds the runs.")]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]


def show(data: dict[str, Any], json: bool, render: Callable[[dict[str, Any]], object]) -> None:
    """One JSON object on stdout, or what `render` makes of it."""
    if json:
        sys.stdout.write(jsonlib.dumps(data) + "\n")
    else:
        shown = render(data)
        if shown is not None:
            out.print(shown, soft_wrap=isinstance(shown, str))


def complain(sentence: str) -> None:
    """One sentence on stderr."""
    err.print(Text.assemble(("error:", "bold red"), f" {sentence}"), soft_wrap=True)


def warn(sentence: str) -> None:
    """The same of what is no error."""
    err.print(Text.assemble(("warning:", "bold yellow"), f" {sentence}"), soft_wrap=True)


def grid(title: str, columns: list[str], rows: list[list[object]]) -> Table:
    """A table: first column left, the others right."""
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(text(cell) for cell in row))
    return table


def text(cell: object) -> str:
    """A cell as a reader wants it: four significant digits, thousands apart, a dash for nothing."""
    if cell is None:
        return "–"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


@app.command()
def quantize(
    overrides: KeysArg = None,
    list_keys: ListOpt = False,
    config: ConfigOpt = None,
    data: Annotated[str | None, typer.Option(help="lorenz, chaotic_rnn, or FILE.npz with `spikes`.")] = None,
    session: SessionOpt = None,
    model: Annotated[
        str | None, typer.Option(help="ndt; stndt: neurons attend to each other; poyo: single spikes.")
    ] = None,
    from_checkpoint: Annotated[
        str | None, typer.Option(help="FILE of an NDT, STNDT or POYO of its public code, instead of float training.")
    ] = None,
    name: NameOpt = None,
    runs: RunsOpt = RUNS,
    json: JsonOpt = False,
) -> None:
    """Data -> float training -> quantization-aware training -> QONNX, Program and metrics."""
    from edgendt.config import keys, load_config, sections
    from edgendt.quantize import QuantizeConfig, quantize

    if list_keys:
        show({"keys": keys(QuantizeConfig), "sections": sections(QuantizeConfig)}, json, keys_table)
        return
    chosen = {"data.source": data, "data.session": session, "model.kind": model, "train.checkpoint": from_checkpoint}
    values = {key: value for key, value in chosen.items() if value is not None}
    result = quantize(load_config(QuantizeConfig, config, overrides or [], values), runs, name, quiet=json, warn=warn)
    show(result, json, metrics_table)


@app.command()
def adapt(
    run: RunArg = None,
    overrides: KeysArg = None,
    list_keys: ListOpt = False,
    config: ConfigOpt = None,
    data: Annotated[
        str | None, typer.Option(help="FILE.npz with spikes and velocity, or lorenz; the run's own by default.")
    ] = None,
    session: SessionOpt = None,
    name: NameOpt = None,
    runs: RunsOpt = RUNS,
    json: JsonOpt = False,
) -> None:
    """A POYO's run, and a session that is new to it -> a run whose rows of units alone are new; the engine stays."""
    from edgendt.config import keys, load_config, sections
    from edgendt.quantize import AdaptConfig, adapt

    if list_keys:
        show({"keys": keys(AdaptConfig), "sections": sections(AdaptConfig)}, json, keys_table)
        return
    words = overrides or []
    if run is not None and "=" in run:  # a key, of the newest run
        words, run = [run, *words], None
    values = {key: value for key, value in (("data.source", data), ("data.session", session)) if value is not None}
    asked = load_config(AdaptConfig, config, words, values)
    result = adapt(Run.open(run, runs), asked, runs, name, quiet=json, warn=warn)
    show(result, json, metrics_table)


def keys_table(result: dict[str, Any]) -> Group:
    """Every key with its default, and what is said of its section."""
    shown = list[Text | Table | str]()
    for section, words in result["sections"].items():
        of_it = [one for one in result["keys"] if one["key"].rpartition(".")[0] == section]
        rows: list[list[object]] = [[one["key"], written(one["default"]), one["type"]] for one in of_it]
        shown += [Text(words), grid("", ["key", "default", "type"], rows), ""]
    return Group(*shown, "–: what follows from the data and the model; a run's config.toml has it written out.")


def written(default: object) -> str | None:
    """A default as an override takes it; None for none."""
    return None if default is None else jsonlib.dumps(default)


def metrics_table(result: dict[str, Any]) -> Group:
    """Scores of the networks and baselines on the test trials."""
    known = {"co_bps": "co-bps", "rate_r2": "rate R²", "velocity_r2": "velocity R²"}
    known |= {"whole_window_r2": "velocity R², whole windows", "before_r2": "velocity R² before"}
    names = {key: words for key, words in known.items() if key in result["metrics"]["float"]}
    rows: list[list[object]] = [[row, *map(scores.get, names)] for row, scores in result["metrics"].items()]
    learned = "" if "parent" not in result else f", {result['parent']} adapted on {result['trials']} trials"
    table = grid(f"{result['run']}: scores on test trials{learned}", ["network", *names.values()], rows)
    if velocity := result.get("velocity"):
        said = "velocity R² on the chip {readout_r2:.3f}, in float {readout_float_r2:.3f}".format(**velocity)
        return Group(table, said)  # a caption would be folded to the table's width
    return Group(table)


@app.command()
def synth(
    run: RunArg = None,
    board: BoardOpt = BOARD,
    flow: Annotated[str | None, typer.Option(help="engine or hls4ml; the board's default otherwise.")] = None,
    engine: EngineOpt = None,
    seed: Annotated[int, typer.Option(help="Seed of place and route.")] = 1,
    build: Annotated[
        bool, typer.Option("--build", help="Run the vendor's tool, where one is needed; an error without it.")
    ] = False,
    ports: Annotated[
        str | None, typer.Option(help="Of the hls4ml flow's top: arrays, or axis for AXI4-Streams, a card's default.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Of the hls4ml flow: rom, the default, or reload for networks in packets.")
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            help="Of the hls4ml flow: Vitis, the default, Vivado for vivado_hls, the tool up to 2020.1, or "
            "VivadoAccelerator for hls4ml's own board design."
        ),
    ] = None,
    rows: Annotated[
        list[str] | None,
        typer.Option(help="Of the hls4ml flow, once per axis: rows a window of tokens has room for, e.g. tokens=960."),
    ] = None,
    folding: Annotated[
        Path | None, typer.Option(help="TOML file: multipliers per layer of the hls4ml flow, its folding.toml edited.")
    ] = None,
    runs: RunsOpt = RUNS,
    json: JsonOpt = False,
) -> None:
    """Program -> RTL or firmware -> tool reports, clock, resources, and a bitstream where the tools exist."""
    from edgendt.firmware.target import FirmwareConfig
    from edgendt.synth import synthesise

    chosen = {"ports": ports, "weights": weights, "backend": backend, "rows": rows_by_name(rows or [])}
    values: dict[str, Any] = {key: value for key, value in chosen.items() if value is not None}
    opened = Run.open(run, runs)
    result = synthesise(
        opened,
        board,
        flow=flow,
        engine=engine,
        seed=seed,
        build=build,
        folding=folding,
        config=FirmwareConfig(**values),
        progress=None if json else err.print,
    )
    show(result, json, lambda result: synth_table(result, opened.path / f"synth-{board}"))


def rows_by_name(given: list[str]) -> dict[str, int]:
    """name=number of each; BadInput for what is none."""
    pairs = [one.partition("=") for one in given]
    if odd := [one for one, (_, _, number) in zip(given, pairs, strict=True) if not number.isdecimal()]:
        raise BadInput(f"rows must be NAME=NUMBER, e.g. tokens=960, got {odd[0]!r}")
    return {name: int(number) for name, _, number in pairs}


def synth_table(result: dict[str, Any], folder: Path) -> Group:
    """Clock, resources and files of one synthesis, in `folder`; of a firmware what its folding plan gives each op."""
    rows: list[list[object]] = [["stage", result["stage"]]]
    if result.get("fmax_mhz") is not None:
        rows.append([f"clock, MHz ({result['stage']})", result["fmax_mhz"]])
    rows += [[kind, usage(count)] for kind, count in (result.get("resources") or {}).items()]
    if "cycles" in (analytic := result.get("analytic", {})):
        rows.append(["cycles per call, loops alone (analytic)", analytic["cycles"]])
        rows += told_by_the_tool(result.get("compared", {}))
        rows.append(["multipliers (analytic)", f"{analytic['multipliers']:,} of {analytic['multipliers_available']:,}"])
        if most := analytic.get("rows"):
            rows.append(["room in a window", ", ".join(f"{count:,} {axis}" for axis, count in most.items())])
        rows.append(["blocks of 18 kbit (analytic)", f"{analytic['blocks']:,} of {analytic['blocks_available']:,}"])
        if there := analytic["ultra_rams_available"]:
            rows.append(["UltraRAMs (analytic)", f"{analytic['ultra_rams']:,} of {there:,}"])
    if result["stage"] == "project":
        rows.append(["to build it", f"sh build.sh in {folder}, or --build"])
    bitstream = result.get("bitstream")
    rows.append(["bitstream", None if bitstream is None else folder / bitstream])
    rows += [["note", note] for note in result.get("notes", [])]
    tables = [grid(f"{result['board']}, {result['flow']} flow", ["", ""], rows)]
    if ops := analytic.get("ops"):
        columns = ["name", "kind", "cycles", "interval", "multipliers", "blocks"]
        columns += ["ultra_rams"] * bool(analytic["ultra_rams_available"])
        heads = {"name": "op", "ultra_rams": "UltraRAMs"}
        lines: list[list[object]] = [[op[column] for column in columns] for op in ops]
        tables.append(grid("each op (analytic)", [heads.get(column, column) for column in columns], lines))
    if "modules" in result:  # the HLS tool has run
        heads = {"name": "op", "calls": "calls", "analytic": "cycles (analytic)", "hls_estimate": "(HLS estimate)"}
        lines = [[op[column] for column in heads] for op in result["compared"]["ops"]]
        tables.append(grid("one call of each op's function", list(heads.values()), lines))
    return Group(*tables)


def told_by_the_tool(compared: dict[str, Any]) -> list[list[object]]:
    """Cycles of a call as the HLS tool knows them, where it has run."""
    call, golden = compared.get("call", {}), compared.get("golden_call", {})
    rows: list[list[object]] = []
    if (estimate := call.get("hls_estimate")) is not None:
        rows.append(["cycles per call (HLS estimate)", estimate])
    if (longest := golden.get("simulated")) is not None:
        rows.append(["longest golden call, cycles (co-simulated; analytic)", f"{longest:,}; {golden['analytic']:,}"])
    return rows


def usage(count: object) -> object:
    """`used of available` where both are known."""
    if isinstance(count, dict) and "used" in count:
        return f"{text(count['used'])} of {text(count['available'])}"
    return count


@app.command()
def sim(
    run: RunArg = None,
    bins: Annotated[int, typer.Option(help="Bins per link, at least (whole trials).", min=1)] = 100,
    links: Annotated[str, typer.Option(help="Comma-separated links to run.")] = "torch,qonnx,stream,hls4ml,engine",
    engine: EngineOpt = None,
    strict: Annotated[bool, typer.Option("--strict", help="A link that cannot run fails the regression.")] = False,
    rtl: Annotated[
        Path | None, typer.Option(help="Folder of the Verilog that a vendor's tool made of an hls4ml project.")
    ] = None,
    waves: Annotated[bool, typer.Option("--waves", help="Keep a waveform of the engine bench.")] = False,
    runs: RunsOpt = RUNS,
    json: JsonOpt = False,
) -> None:
    """Prove that every link of the chain gives the Program's integers: a cocotb regression of a run."""
    from edgendt.sim import regress

    options: dict[str, Any] = {"engine": engine, "strict": strict, "waves": waves, "rtl": rtl}
    result = regress(Run.open(run, runs), links.split(","), bins, quiet=json, warn=warn, **options)
    show(result, json, sim_table)
    for link in result["links"]:
        if link["status"] == "fail":
            complain(str(link["reason"]))
    if any(link["status"] == "fail" for link in result["links"]):
        raise typer.Exit(1)


def sim_table(result: dict[str, Any]) -> Table:
    """The chain of equality, a row per link."""
    keys = ["name", "status", "ops", "codes", "mismatches", "seconds", "reason"]
    rows: list[list[object]] = [[link[key] for key in keys] for link in result["links"]]
    return grid(f"{result['run']}: codes equal to the Program", ["link", *keys[1:]], rows)


@app.command()
def profile(
    run: RunArg = None,
    board: BoardOpt = BOARD,
    engine: EngineOpt = None,
    port: Annotated[str | None, typer.Option("--port", "-p", help="Also time the way to a loaded board.")] = None,
    outputs: OutputsOpt = "",
    channels: ChannelsOpt = "",
    dead: DeadOpt = "",
    runs: RunsOpt = RUNS,
    json: JsonOpt = False,
) -> None:
    """Latency of every bin: cycles by op, bound, efficiency, microseconds, beside this computer's CPU."""
    from edgendt.profile import profile, render
    from edgendt.wiring import Wiring

    wiring = Wiring(outputs, channels, dead)
    show(profile(Run.open(run, runs), board, engine, wiring, port=port, quiet=json), json, render)


@app.command()
def emulate(board: BoardOpt = BOARD, engine: EngineOpt = None, json: JsonOpt = False) -> None:
    """Serve a board without a board: its complete RTL, verilated, behind a pty until Ctrl-C."""
    from edgendt.sim.emulator import emulate

    end = emulate(board, engine, lambda start: announce(start, json), progress=None if json else err.print)
    err.print(f"{end['cycles']:,} clock cycles, {end['lost']} bytes lost", style="dim")


def announce(start: dict[str, Any], json: bool) -> None:
    """Where the emulated board is; a program may wait for this line."""
    show(start, json, lambda r: f"{r['board']}, engine {r['engine']} (emulated): port {r['port']}; Ctrl-C ends it")
    sys.stdout.flush()


@app.command()
def load(
    run: RunArg = None,
    port: PortOpt = None,
    board: BoardOpt = BOARD,
    engine: EngineOpt = None,
    outputs: OutputsOpt = "",
    channels: ChannelsOpt = "",
    dead: DeadOpt = "",
    runs: RunsOpt = RUNS,
    json: JsonOpt = False,
) -> None:
    """Put a run's network on a programmed board; after a failure the last good one is put back."""
    from edgendt.host.load import load
    from edgendt.host.port import asked
    from edgendt.wiring import Wiring

    there, wiring = asked(port), Wiring(outputs, channels, dead)
    show(load(Run.open(run, runs), there, board, engine, wiring, quiet=json), json, load_line)


def load_line(result: dict[str, Any]) -> str:
    """What was sent, in one line."""
    where = f"{result['port']} ({result['stage']}, engine {result['engine']})"
    sent = f"{result['bytes']:,} bytes in {result['frames']} frames, {result['repeats']} sent again"
    if result["lost"]:
        befell = f"what it counted is not known, for {result['lost']}"
    else:
        befell = f"since power-up {result['bad_frames']:,} bad frames and {result['refused']:,} requests refused"
    return f"{result['run']} is on {where}: {result['seconds']:.2f} s, {sent}; {befell}"


@app.command()
def infer(
    run: RunArg = None,
    port: PortOpt = None,
    board: BoardOpt = BOARD,
    engine: EngineOpt = None,
    check: Annotated[bool, typer.Option(help="Compare every answer with the Program; exit 1 at a difference.")] = True,
    trials: Annotated[int | None, typer.Option(help="Test trials to run; all by default.", min=1)] = None,
    outputs: OutputsOpt = "",
    channels: ChannelsOpt = "",
    dead: DeadOpt = "",
    runs: RunsOpt = RUNS,
    json: JsonOpt = False,
) -> None:
    """Stream a run's test trials through a loaded board, bin by bin, and check every answer."""
    from edgendt.host.infer import infer
    from edgendt.host.port import asked
    from edgendt.wiring import Wiring

    there, wiring = asked(port), Wiring(outputs, channels, dead)
    result = infer(Run.open(run, runs), there, board, engine, wiring, check=check, trials=trials, quiet=json)
    show(result, json, infer_table)


def infer_table(result: dict[str, Any]) -> Table:
    """Bins, cycles and the round trip as the host sees it."""
    trip, stage, line = result["round_trip_us"], result["stage"], ("repeats", "bad_frames", "refused", "clipped")
    befell = [result[name] for name in line]
    checked = f"{result['codes']:,} equal to the Program" if result["checked"] else "not checked"
    micros = " / ".join(f"{trip[name]:,.0f}" for name in ("p50", "p99", "max"))
    per = "start, two a bin" if result["whole_window"] else "bin"
    rows: list[list[object]] = [
        ["bins", f"{result['bins']:,} in {result['trials']} trials"],
        ["codes", checked],
        [f"bins/s ({stage})", result["bins_per_s"]],
        ["cycles, p50 / max", f"{result['cycles']['p50']:,} / {result['cycles']['max']:,}"],
        [f"bytes per {per}, p50 / p99 / max", " / ".join(str(result["bytes"][name]) for name in trip)],
        [f"host round trip, µs, p50 / p99 / max ({stage})", micros],
        ["line: repeats / bad / refused / clipped", " / ".join("–" if n is None else f"{n:,}" for n in befell)],
        ["answers", result["answers"]],
    ]
    if result["lost"]:
        rows.append(["not counted", result["lost"]])
    return grid(f"{result['run']} on {result['port']}", ["", ""], rows)


@app.command()
def estimate(
    run: RunArg = None,
    board: BoardOpt = BOARD,
    engine: EngineOpt = None,
    outputs: OutputsOpt = "",
    channels: ChannelsOpt = "",
    dead: DeadOpt = "",
    runs: RunsOpt = RUNS,
    json: JsonOpt = False,
) -> None:
    """Cycles and memory before any build; when a model does not fit, what to change and smaller ones that do."""
    from edgendt.estimate import estimate, instead, largest_count, program_of, render, render_instead
    from edgendt.wiring import Wiring

    wired = Wiring(outputs, channels, dead).apply(program_of(run, runs))
    try:
        result = estimate(wired, board, engine, largest_count(run, runs))
    except DoesNotFit as error:
        complain(str(error))
        show(instead(wired, board, error), json, render_instead)
        raise typer.Exit(error.exit_code) from None
    show(result, json, render)


@app.command()
def boards(json: JsonOpt = False) -> None:
    """The targets: flow, tools found here, lanes that fit, and the latency to expect of a reference network.

    Columns: flow, the tools that `synth` runs, in brackets where some of them are not here; engine, that of `synth`
    where none is named, or hls4ml's firmware where there is none; network, the largest reference network that fits; on,
    the fastest named engine for it that the part holds; lanes, its own / the most of any array that fits the part; MHz,
    the board's clock, with a star where that engine kept it post-route; µs, a bin there, none where the board's tool
    cannot time it.
    """
    from edgendt.synth.capacity import describe

    show(describe(), json, boards_table)


def boards_table(result: dict[str, Any]) -> Table:
    """One row per board; the last columns say which network takes how long, on which engine. Below it the tools."""
    rows: list[list[object]] = []
    for board in result["boards"]:
        said = board["latency"] or dict.fromkeys(("network", "engine", "lanes", "clock_mhz", "clock_stage", "us"))
        clock = text(said["clock_mhz"]) + "*" * (said["clock_stage"] == "post-route")
        flow = f"({board['toolchain']})" if board["missing"] else board["toolchain"]
        lanes = f"{text(said['lanes'])}/{board['most_lanes']}" if board["most_lanes"] else None
        quoted = [said["network"], said["engine"], lanes, clock, said["us"]]
        rows.append([board["name"], flow, board["engine"] or board["flow"], *quoted])
    title = "boards: a reference network's bin on the fastest named engine that the part holds"
    table = grid(title, ["board", "flow", "engine", "network", "on", "lanes", "MHz", "µs"], rows)
    stages = "cycles analytic; clocks assumed, but * kept post-route; (flow): tools missing"
    table.caption, table.caption_justify = f"{stages}\n{tools_line(result['boards'])}", "left"
    return table


def tools_line(described: list[dict[str, Any]]) -> str:
    """Tools found here, and those that are not, each with the boards that need it."""
    boards_of: dict[str, list[str]] = {}
    for board in described:
        for tool in board["tools"]:
            boards_of.setdefault(tool, []).append(board["name"])
    missing = {tool for board in described for tool in board["missing"]}
    found = ", ".join(tool for tool in boards_of if tool not in missing)
    lacking = "; ".join(f"{tool} ({', '.join(names)})" for tool, names in boards_of.items() if tool in missing)
    return f"tools found here: {found or 'none'}\nmissing: {lacking or 'none'}"


@app.command()
def lower(
    model: Annotated[Path, typer.Argument(help="A QONNX or QCDQ file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the Program goes.")] = Path("program.edt"),
    calibrate: Annotated[
        Path | None, typer.Option(help="FILE.npz with `spikes`: says how far the ops are from floats, and sets scales.")
    ] = None,
    session: Annotated[str, typer.Option(help="Session inside FILE.npz, where it holds several.")] = "",
    bins: Annotated[int, typer.Option(help="Bins of a trial, where the file leaves them open.", min=0)] = 0,
    name: Annotated[str | None, typer.Option(help="Make a run of it, for synth, sim, load.")] = None,
    runs: RunsOpt = RUNS,
    json: JsonOpt = False,
) -> None:
    """A QONNX file -> Program, or the list of what cannot be held."""
    from edgendt.lower.summary import lower_file

    run = None if name is None else Run.new(name, runs)
    show(lower_file(model, output, calibrate, session, bins, run), json, lower_table)


def lower_table(result: dict[str, Any]) -> Group:
    """The Program's nodes, where it is not exactly the file, and how far its integers are from the file's values."""
    from edgendt.lower.summary import short

    columns = {"node": "node", "op": "op", "size": "size", "format": "format"}
    if result["trials"]:
        columns |= {"op_rms": "op rms", "op_worst": "worst", "network_rms": "net rms", "network_worst": "worst"}
    reads = "reads {inputs}" if "inputs" in result else "{channels} channels, {macs} MACs per bin"
    title = f"{{program}}: {{ops}} ops, {reads}".format(**result)
    rows: list[list[object]] = [[short(node["node"]), *list(node.values())[1:]] for node in result["nodes"]]
    tables = [grid(title, list(columns.values()), rows)]
    if result["trials"]:
        tables[0].caption = (
            f"from the file's values on {result['trials']} trials: relative RMS, and the worst in steps of the format; "
            "`op` is fed those values, `net` its own"
        )
    if result["notes"]:
        rows = [[short(note["where"]), note["what"], note["error"], note["bound"]] for note in result["notes"]]
        told = grid("not exactly as in the file", ["tensor", "", "rel. RMS", "bound"], rows)
        told.caption = "bound: the most that a value moves which the file does not clip, over the largest of those"
        tables.append(told)
    return Group(*tables)


@app.command()
def report(run: RunArg = None, runs: RunsOpt = RUNS, json: JsonOpt = False) -> None:
    """One self-contained HTML page of a run, and its JSON."""
    from edgendt.report import write_report

    opened = Run.open(run, runs)
    page = write_report(opened)
    show({"run": str(opened.path), "report": str(page)}, json, lambda result: f"wrote {result['report']}")


def main() -> None:
    """Entry point: every foreseen error is one sentence on stderr and an exit code."""
    try:
        app()
    except EdgendtError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        complain(missing)
        sys.exit(1)
    except OSError as error:  # a full disk, a folder that is not ours: the system's own words
        said = error.strerror or str(error)
        complain(f"{error.filename}: {said}" if error.filename else said)
        sys.exit(1)
    except SystemExit as end:  # typer has made one of the KeyboardInterrupt
        if end.code == INTERRUPTED:
            said = "interrupted: nothing half-written is kept; repeat the command: a training goes on where it was"
            err.print(said, soft_wrap=True)
        raise

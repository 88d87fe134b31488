"""Everything the report says, read from the run's folders into one JSON object; a missing stage names its command."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from edgendt.artifact import MANIFEST, Run, read_json, sha256
from edgendt.boards import DEFAULT
from edgendt.data.stimulus import stimulus
from edgendt.errors import BadInput, reading
from edgendt.ops import Attention, CrossAttention, LayerNorm, Linear, SpatialWeights
from edgendt.profile.latency import width
from edgendt.program import Program
from edgendt.report import spatial, tokens
from edgendt.report.predictions import Array, Predictions, agreement, choose
from edgendt.synth.engine import simulated

T = TypeVar("T")
SCHEMA = 1
METRICS = ("co_bps", "rate_r2", "velocity_r2", "whole_window_r2")
APART = ("op_rms", "op_worst", "network_rms", "network_worst")  # of a lowered op, from the file's values
NETWORKS = ("float", "control", "integer", "baseline")
LINKS = {
    "torch": "quantized network in torch, evaluated",
    "qonnx": "exported QONNX file, in the qonnx executor",
    "stream": "Program, one bin per call with cached keys",
    "hls4ml": "hls4ml firmware, compiled, also behind the engine's ports",
    "engine": "engine RTL in simulation",
    "rtl": "a vendor's RTL of the hls4ml firmware, at its streams or arrays",
}


class Arrays(NamedTuple):
    """What figures draw beside the JSON: what the network said, weights between channels by node, tokens' velocity."""

    predictions: Predictions | None
    weights: Mapping[str, Array]
    said: tokens.Velocity | None


def gather(run: Run) -> tuple[dict[str, Any], Arrays]:
    """The report's JSON, and the arrays that figures draw beside it.

    Parts of the JSON: schema, run, network, data, lowered, accuracy, chain, boards, main_board, neural, spatial, said,
    provenance, stale. Every part is an object with `status` "done", or "not run" and the `command` that would make it.
    """

    def part(read: Callable[[Run], T], files: str) -> T:
        with reading(f"{run.path}/{files}"):  # BadInput also for a file that holds something else, as an older one may
            return read(run)

    data = {
        "schema": SCHEMA,
        "run": run.name,
        "network": part(network, "quantize/program.edt"),
        "data": part(recording, "quantize/data.json"),
        "lowered": part(lowered, "quantize/lowered.json"),
        "accuracy": part(accuracy, "quantize/metrics.json"),
        "chain": part(chain, "sim/sim.json"),
        "boards": (found := part(boards, "{synth,profile}-*/*.json")),
        "main_board": main_board(found),
        "neural": (said := part(neural, "quantize/predictions.npz"))[0],
        "spatial": (between := part(spatial.of_run, "quantize/stimulus.npz"))[0],
        "said": (spoken := part(tokens.of_run, "quantize/stimulus.npz"))[0],
        "provenance": part(lambda run: list(provenance(run)), f"*/{MANIFEST}"),
        "stale": part(lambda run: list(stale(run)), f"*/{MANIFEST}"),
    }
    return data, Arrays(said[1], between[1], spoken[1])


def missing(run: Run, stage: str) -> dict[str, Any]:
    """What stands in the place of a stage that has not run."""
    try:
        run.stage(stage)
    except BadInput as error:
        words = str(error).split("`")
        return {"status": "not run", "command": words[1] if len(words) > 1 else f"edgendt {stage}"}
    raise AssertionError(f"{stage} is not missing")


def network(run: Run) -> dict[str, Any]:
    """Geometry and formats of the Program."""
    if not run.has("quantize"):
        return missing(run, "quantize")
    program = Program.load(run.stage("quantize") / "program.edt")
    return {"status": "done", **describe(program), "typical": typical(run, program)}


def typical(run: Run, program: Program) -> dict[str, Any] | None:
    """Of a network of tokens: mean rows of a window of the test trials by axis, and its products; None of counts."""
    if not program.inputs:
        return None
    windows = stimulus(run, program, None)
    asked = [item for item in program.inputs if item.codes is None]
    rows = {item.axis.name: round(sum(len(given[item.name]) for given in windows) / len(windows)) for item in asked}
    return {"windows": len(windows), "rows": rows, "products": program.products(rows)}


def recording(run: Run) -> dict[str, Any] | None:
    """data.json in numbers: trials, bins and channels in all, and how many were kept for what; None without it.

    times: of each session of spike times where they come from.
    """
    path = run.path / "quantize" / "data.json"
    if not run.has("quantize") or not path.is_file():
        return None
    found = read_json(path)
    groups = {key: len(found[key]) for key in ("train", "val", "test", "held_in", "held_out")}
    numbers = {key: found[key] for key in ("name", "trials", "bins", "channels", "bin_s", "clipped")}
    return numbers | groups | {"times": [session["source"] for session in found.get("sessions", ())]}


def lowered(run: Run) -> dict[str, Any] | None:
    """What `edgendt lower` told of the file that the network was read from; None of a network that was trained here."""
    path = run.path / "quantize" / "lowered.json"
    if not run.has("quantize") or not path.is_file():
        return None
    found = read_json(path)
    nodes = [{key: node.get(key) for key in ("node", "op", "size", *APART)} for node in found["nodes"]]
    notes = [{key: note[key] for key in ("where", "what", "error", "bound")} for note in found["notes"]]
    return {"file": found["file"], "trials": found["trials"], "nodes": nodes, "notes": notes}


def describe(program: Program) -> dict[str, Any]:
    """A Program's geometry in numbers; None where an op kind is absent."""
    attentions = [node.op for node in program.nodes if isinstance(node.op, Attention | CrossAttention)]
    norms = [node.op for node in program.nodes if isinstance(node.op, LayerNorm)]
    linears = {node.name: node.op for node in program.nodes if isinstance(node.op, Linear)}
    weights = sum(op.inputs * op.outputs for op in linears.values())
    inside = [op for name, op in linears.items() if name not in ("embed_linear", "readout")]
    first = attentions[0] if attentions else None
    return {
        "name": program.name,
        "channels": program.channels,
        "outputs": program.outputs,
        "d_model": norms[0].size if program.inputs and norms else first.size if first else None,
        "heads": first.heads if first else None,
        "window": first.window if isinstance(first, Attention) else None,
        "layers": len(attentions),
        "ffn": max((op.outputs for name, op in linears.items() if name.endswith("f1")), default=None),
        "max_bins": program.max_bins,
        "whole_window": program.bins,
        "spatial": any(isinstance(node.op, SpatialWeights) for node in program.nodes),
        "ops": len(program.nodes),
        "weights": weights,
        "macs": None if program.inputs else program.macs,
        "inputs": [item.name for item in program.inputs if item.codes is None],
        "weight_bits": {name: op.w.bits for name, op in linears.items()},
        "layer_bits": sorted({op.w.bits for op in inside}),
        "ends_bits": sorted({op.w.bits for name, op in linears.items() if name in ("embed_linear", "readout")}),
    }


def accuracy(run: Run) -> dict[str, Any]:
    """metrics.json: scores of the four networks on test trials; velocity.json where the chip gives velocity."""
    if not run.has("quantize"):
        return missing(run, "quantize")
    if not (run.stage("quantize") / "metrics.json").is_file():  # of a file that `edgendt lower` read
        return {"status": "not run", "command": "edgendt quantize"}
    data = read_json(run.stage("quantize") / "metrics.json")
    metrics = data.get("metrics", data)
    if lacking := [name for name in NETWORKS if name not in metrics]:
        raise ValueError(f"it lacks the scores of {', '.join(lacking)}")
    known = [key for key in METRICS if any(key in scores for scores in metrics.values())]
    metrics = {name: {key: scores.get(key) for key in known} for name, scores in metrics.items()}
    change = {key: relative(metrics, key) for key in known}
    path = run.stage("quantize") / "velocity.json"
    velocity = read_json(path) if path.is_file() else None
    return {"status": "done", "metrics": metrics, "change_percent": change, "velocity": velocity}


def relative(metrics: dict[str, Any], key: str) -> float | None:
    """Change of the integer network's score against the float control's, in percent; None when one is undefined."""
    integer, control = (metrics.get(name, {}).get(key) for name in ("integer", "control"))
    return round(100 * (integer / control - 1), 3) if integer is not None and control else None


def chain(run: Run) -> dict[str, Any]:
    """sim.json and its totals."""
    if not run.has("sim"):
        return missing(run, "sim")
    links = read_json(run.stage("sim") / "sim.json")["links"]
    for link in links:
        link["what"] = LINKS.get(link["name"], "")
        link["equality"] = "every op" if link["ops"] > 1 else "output" if link["ops"] else ""
    passed = [link for link in links if link["status"] == "pass"]
    return {
        "status": "done",
        "links": links,
        "total": len(links),
        "passed": len(passed),
        "codes": sum(link["codes"] for link in links),
        "mismatches": sum(link["mismatches"] for link in links),
        "seconds": round(sum(link["seconds"] for link in links), 1),
    }


def boards(run: Run) -> dict[str, Any]:
    """By board: synth.json and profile.json; the default board when nothing was built or profiled."""
    found = {
        path.parent.name.split("-", 1)[1]
        for verb in ("synth", "profile")
        for path in run.path.glob(f"{verb}-*/{MANIFEST}")
    }
    return {board: _board(run, board) for board in sorted(found or {DEFAULT})}


def main_board(boards: dict[str, Any]) -> str:
    """The board whose figures stand at the top: one that was profiled, else one with a clock, else the first."""

    def rank(board: str) -> tuple[bool, bool]:
        parts = boards[board]
        return parts["profile"]["status"] != "done", parts["synth"].get("fmax_mhz") is None

    return min(boards, key=rank)


def _board(run: Run, board: str) -> dict[str, Any]:
    parts = {}
    for verb in ("synth", "profile"):
        stage = f"{verb}-{board}"
        if run.has(stage):
            parts[verb] = {**read_json(run.stage(stage) / f"{verb}.json"), "status": "done"}
        else:
            parts[verb] = missing(run, stage)
    if parts["profile"]["status"] != "done" and parts["synth"].get("flow") == "hls4ml":
        parts["profile"] = {"status": "vendor", "stage": parts["synth"]["stage"]}
    path = critical_path(parts["synth"].get("critical_path") or [])
    return parts | {"path": path, "same_sources": simulated(run, parts["synth"])}


HOP = re.compile(r"(?P<ns>[\d.]+) ns (?P<kind>\S+) to (?P<where>\S+)(?: over .*)?")
CELL = re.compile(r"_(TRELLIS|LUT\d|PFUMX|L6MUX|CCU2C|Q_|DI_).*|\.(DO|DI|[A-Z])[A-Z]?\d*$")  # what synthesis appended


def critical_path(hops: Sequence[str]) -> list[dict[str, Any]]:
    """The longest path by place: neighbours with the same name in the source are one row, {"ns", "where", "kinds"}."""
    rows: list[dict[str, Any]] = []
    for hop in hops:
        found = HOP.fullmatch(hop)
        where = CELL.sub("", found["where"]) if found else hop
        ns, kind = (float(found["ns"]), found["kind"]) if found else (None, "")
        if rows and found and rows[-1]["where"] == where:
            rows[-1]["ns"] = round(rows[-1]["ns"] + ns, 2)
            rows[-1]["kinds"] += [] if kind in rows[-1]["kinds"] else [kind]
        else:
            rows.append({"ns": ns, "where": where, "kinds": [kind] if kind else []})
    return rows


def neural(run: Run) -> tuple[dict[str, Any], Predictions | None]:
    """What the figures of rates and spikes show, and the arrays themselves."""
    if not run.has("quantize") or not (run.stage("quantize") / "predictions.npz").is_file():
        return missing_predictions(run), None
    folder = run.stage("quantize")
    predictions = Predictions.load(folder / "predictions.npz", width(run))
    shown = {"trials": len(predictions.lengths), "shown": choose(predictions)}
    return {"status": "done", "bin_s": predictions.bin_s, **shown, **agreement(predictions)}, predictions


def missing_predictions(run: Run) -> dict[str, Any]:
    """The quantize stage makes predictions.npz; an older one lacks it, and a network of tokens infers no rates."""
    if run.has("quantize") and Program.load(run.stage("quantize") / "program.edt").inputs:
        return {"status": "none"}
    return {"status": "not run", "command": "edgendt quantize"} if run.has("quantize") else missing(run, "quantize")


def provenance(run: Run) -> Iterator[dict[str, Any]]:
    """The manifests of the stages that ran, in the order they were made."""
    stages = [path.parent.name for path in run.path.glob(f"*/{MANIFEST}") if path.parent.name != "report"]
    yield from sorted((read_json(run.stage(stage) / MANIFEST) for stage in stages), key=lambda m: m["made"])


def stale(run: Run) -> Iterator[dict[str, str]]:
    """Stages made from a file that is no longer the run's: {"stage", "input", "command"}; their figures are another
    network's, or another build's.
    """
    for made in provenance(run):
        verb, _, board = made["stage"].partition("-")
        now = {name: run.path / "quantize" / name for name in ("program.edt", "stimulus.npz")}
        now["synth.json"] = run.path / f"synth-{board}" / "synth.json"
        for name, digest in made["inputs"].items():
            if name in now and (not now[name].is_file() or sha256(now[name]) != digest):
                command = f"edgendt {verb} {run.path}" + (f" --board {board}" if board else "")
                yield {"stage": made["stage"], "input": name, "command": command}
                break

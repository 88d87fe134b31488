"""Encoders of others: one written in Brevitas without edgendt.models becomes a Program that is close, and says how."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from foreign import BINS, CHANNELS, HEADS, Quantizers, additive, causal, encoder, export, recording, stock
from needs import needs_package
from networks import random_counts, random_ndt
from torch import nn

from edgendt.artifact import Run
from edgendt.data.stimulus import stimulus
from edgendt.engine.compile import compile_program
from edgendt.engine.config import Engine
from edgendt.errors import BadInput, UnsupportedOp
from edgendt.estimate import estimate
from edgendt.export import export_program
from edgendt.lower import lowered, read
from edgendt.lower.deviation import Floats, deviations
from edgendt.lower.execute import run_qonnx
from edgendt.lower.summary import lower_file
from edgendt.ops import Attention
from edgendt.program import Program
from edgendt.report import write_report
from edgendt.sim.regression import regress

OPS = ["linear", "position", "layernorm", "linear", "linear", "linear", "attention", "linear", "add"]
OPS += ["layernorm", "linear", "linear", "add", "layernorm", "linear"]


WITH_GELU = [*OPS[:11], "table", *OPS[11:]]


def close(path: Path, steps: float = 1.0, calibrated: bool = False) -> Program:
    """The Program of a file; no op of it, fed the file's values, is further from them than so many steps."""
    made = lowered(path, recording() if calibrated else None)
    model = read.load(path)
    given = read.inputs(path, model.graph, read.constants(path, model.graph))
    apart = deviations(model, given, made, recording(1))
    assert [entry["node"] for entry in apart] == [node.name for node in made.program.nodes]
    assert max(entry["op_worst"] for entry in apart) <= steps, apart
    assert 0 < apart[-1]["network_rms"] < 0.1
    return made.program


def gelu(quantizers: Quantizers, approximate: str = "none") -> nn.Module:
    """GELU between Quants, in the place of a ReLU."""
    return nn.Sequential(quantizers.act(8.0), nn.GELU(approximate), quantizers.act(4.0))


def attention(program: Program) -> Attention:
    """The one there is."""
    (op,) = [node.op for node in program.nodes if isinstance(node.op, Attention)]
    return op


FORMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "one Linear each for q, k, v": ({}, {}),
    "one Linear for q, k, v": ({"fused": True}, {}),
    "softmax and LayerNorm spelt out": ({"written": True}, {}),
    "torch's own attention": ({"fast": True}, {}),
    "torch's own attention, other exporter": ({"fast": True}, {"dynamo": True}),
    "Einsum": ({"fused": True, "summed": True}, {}),
    "a weight scale per output": ({"quantizers": Quantizers(per_channel=True)}, {}),
    "opset 11": ({"written": True}, {"opset_version": 11}),
    "a batch that is left open": (
        {"fused": True},
        {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": {"x": {0: "n"}, "y": {0: "n"}}},
    ),
    "torch's other exporter": ({"fused": True}, {"dynamo": True}),
    "that and all spelt out": ({"written": True}, {"dynamo": True}),
    "QuantizeLinear and DequantizeLinear": ({"quantizers": Quantizers(stream=8)}, {"kind": "qcdq"}),
    "those, torch's other exporter": ({"quantizers": Quantizers(stream=8)}, {"kind": "qcdq", "dynamo": True}),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_encoder_that_others_wrote_is_lowered(form: str, tmp_path: Path) -> None:
    given, exporter = FORMS[form]
    program = close(export(encoder(**given), tmp_path / "encoder.onnx", **exporter))
    assert [node.op.kind for node in program.nodes] == OPS
    assert program.bins == BINS and attention(program).heads == HEADS and not attention(program).causal


@pytest.mark.parametrize("exporter", [{}, {"opset_version": 20}, {"dynamo": True}], ids=["Erf", "Gelu", "dynamo"])
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_an_encoder_with_gelu_is_lowered(exporter: dict[str, Any], approximate: str, tmp_path: Path) -> None:
    network = encoder(activation=gelu(Quantizers(), approximate))
    program = close(export(network, tmp_path / "encoder.onnx", **exporter))
    assert [node.op.kind for node in program.nodes] == WITH_GELU


def test_gelu_without_a_quant_before_it_is_lowered_with_calibration(tmp_path: Path) -> None:
    activation = nn.Sequential(nn.GELU(), Quantizers().act(4.0))
    program = close(export(encoder(activation=activation), tmp_path / "encoder.onnx"), calibrated=True, steps=2)
    assert [node.op.kind for node in program.nodes] == WITH_GELU


@pytest.mark.parametrize(
    "form,window", [("torch's other exporter", 4), *(("one Linear for q, k, v", window) for window in (BINS, 4, 1))]
)
@pytest.mark.parametrize("written", [additive, lambda mask: mask], ids=["added", "filled in"])
def test_a_mask_says_which_bins_attention_sees(form: str, window: int, written: Any, tmp_path: Path) -> None:
    given, exporter = FORMS[form]
    network = encoder(**given, mask=written(causal(window)))
    program = close(export(network, tmp_path / "encoder.onnx", **exporter))
    assert (attention(program).causal, attention(program).window) == (True, window)
    stream, counts = program.stream(), recording()[0]
    np.testing.assert_array_equal([stream.step(row) for row in counts], program.run(counts))


def test_a_window_around_the_bin_is_lowered(tmp_path: Path) -> None:
    allowed = causal(4) | causal(3).T
    program = close(export(encoder(mask=additive(allowed)), tmp_path / "encoder.onnx"))
    op = attention(program)
    assert (op.causal, op.window, op.back, op.ahead) == (False, BINS, 3, 2)


def test_the_causal_mask_that_torch_makes_itself_is_known(tmp_path: Path) -> None:
    network = encoder(fast=True, fused=True, mask=causal())
    program = close(export(network, tmp_path / "encoder.onnx"))
    assert (attention(program).causal, attention(program).window) == (True, BINS)


@pytest.mark.parametrize("kind", ["qonnx", "qcdq"])
@pytest.mark.parametrize("fused", [True, False])
def test_scales_that_are_no_powers_of_two_are_refitted_and_their_error_told(
    kind: str, fused: bool, tmp_path: Path
) -> None:
    quantizers = Quantizers(powers=False, per_channel=True, stream=8 if kind == "qcdq" else 12)
    path = export(encoder(quantizers=quantizers, fused=fused), tmp_path / "encoder.onnx", kind)
    notes = lowered(path).notes
    assert all((note.error or note.bound or 0) > 0 for note in notes if "refitted" in note.what)
    weights = [note for note in notes if re.search(r"scale .* and \d+ more refitted to 2\^-\d", note.what)]
    assert len(weights) == (6 if fused else 8)
    assert all(note.error is not None and 0 < note.error < 0.02 for note in weights)
    assert all(note.error is not None for note in lowered(path, recording()).notes if "refitted" in note.what)
    close(path, steps=400, calibrated=True)


def test_what_was_lowered_goes_on_to_the_engine_and_through_our_own_file(tmp_path: Path) -> None:
    path = export(encoder(fused=True, mask=causal(4)), tmp_path / "encoder.onnx")
    program = lowered(path).program
    compiled = compile_program(program, Engine.named("small"))
    assert compiled.image.to_bytes()
    export_program(program, tmp_path / "own.onnx")
    assert lowered(tmp_path / "own.onnx").program == program


@pytest.mark.parametrize("causal", [True, False])
def test_no_op_of_our_own_file_is_off_by_anything(causal: bool, tmp_path: Path) -> None:
    program = random_ndt(3, bins=BINS, causal=causal)
    path = tmp_path / "own.onnx"
    export_program(program, path)
    made, model = lowered(path), read.load(path)
    assert made.program == program and made.notes == ()
    given = read.inputs(path, model.graph, read.constants(path, model.graph))
    for entry in deviations(model, given, made, [random_counts(program, 0, BINS)]):
        assert [entry[key] for key in ("op_rms", "op_worst", "network_rms", "network_worst")] == [0, 0, 0, 0], entry


def test_a_causal_attention_beside_one_that_sees_all_looks_back_in_the_window(tmp_path: Path) -> None:
    program = random_ndt(3, bins=BINS, causal=False)
    first = next(index for index, node in enumerate(program.nodes) if isinstance(node.op, Attention))
    one = program.nodes[first]
    streams = replace(one, op=replace(one.op, causal=True, window=BINS - 2))
    mixed = replace(program, nodes=(*program.nodes[:first], streams, *program.nodes[first + 1 :]))
    export_program(mixed, tmp_path / "mixed.onnx")
    made = lowered(tmp_path / "mixed.onnx").program
    op = made.nodes[first].op
    assert (op.causal, op.window, op.back, op.ahead) == (False, BINS, BINS - 3, 0)
    assert compile_program(made, Engine.named("window"))
    counts = random_counts(mixed, 0, BINS)
    np.testing.assert_array_equal(made.run(counts), mixed.run(counts))


def test_bins_that_a_file_leaves_open_are_given(tmp_path: Path) -> None:
    axes = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": {"x": {1: "bins"}, "y": {1: "bins"}}}
    path = export(encoder(), tmp_path / "encoder.onnx", **axes)
    with pytest.raises(UnsupportedOp, match="an export with fixed shapes, or --bins"):
        lowered(path)
    fixed = lowered(export(encoder(), tmp_path / "fixed.onnx")).program
    np.testing.assert_array_equal(lowered(path, bins=BINS).program.run(recording()[0]), fixed.run(recording()[0]))
    with pytest.raises(BadInput, match="its input has 10 bins, not 9"):
        lowered(tmp_path / "fixed.onnx", bins=9)


@pytest.mark.parametrize("fused", [True, False])
def test_without_a_quant_calibration_chooses_a_format(fused: bool, tmp_path: Path) -> None:
    path = export(encoder(bare=True, fused=fused), tmp_path / "encoder.onnx")
    with pytest.raises(UnsupportedOp, match=r"its format is chosen on calibration data \(--calibrate\)"):
        lowered(path)
    program = close(path, calibrated=True, steps=10)  # scales of least error clip a few values
    stream = {node.op.y for node in program.nodes if node.op.kind in ("position", "add")}
    assert len(stream) == 1 and stream.pop().bits >= 12


def test_a_quant_between_scores_and_values_is_left_out_and_told(tmp_path: Path) -> None:
    path = export(encoder(scores=8), tmp_path / "encoder.onnx")
    told = [note.what for note in lowered(path).notes if "left out" in note.what]
    assert [what.split(" left")[0] for what in told] == ["Quant of scores", "Quant of probabilities"]
    close(path, steps=3)


@pytest.mark.parametrize("first", [True, False], ids=["pre-LN", "post-LN"])
@pytest.mark.parametrize("given", [{}, {"op_types_to_quantize": ["MatMul", "Gemm"]}], ids=["all", "products"])
def test_what_onnxruntime_quantizes_is_lowered(first: bool, given: dict[str, Any], tmp_path: Path) -> None:
    mask = None if not given else additive(causal())  # all: it would give -inf a scale
    path = stock(tmp_path / "stock.onnx", first=first, mask=mask, **given)
    program = close(path, steps=12, calibrated=True)  # steps of the residual stream, finer than the file's
    assert attention(program).causal is bool(given)
    assert "zero point" in " ".join(note.what for note in lowered(path, recording()).notes)


def test_what_qonnx_makes_of_a_file_is_lowered_though_it_imports_no_domain(tmp_path: Path) -> None:
    needs_package("qonnx")
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.qcdq_to_qonnx import QCDQToQuant

    path = export(
        encoder(quantizers=Quantizers(powers=True, per_channel=True, stream=8)), tmp_path / "qcdq.onnx", "qcdq"
    )
    converted = ModelWrapper(onnx.shape_inference.infer_shapes(onnx.load(path))).transform(QCDQToQuant())
    converted.save(str(tmp_path / "quant.onnx"))
    assert [item.domain for item in converted.model.opset_import] == [""] and converted.get_nodes_by_op_type("Quant")
    made = [
        lowered(file).program.run(random_counts(lowered(path).program, 1, BINS))
        for file in (path, tmp_path / "quant.onnx")
    ]
    assert np.array_equal(*made)


@pytest.mark.parametrize("exporter", [{}, {"opset_version": 20}, {"dynamo": True, "opset_version": 20}])
def test_torchs_own_layer_with_gelu_is_lowered(exporter: dict[str, Any], tmp_path: Path) -> None:
    path = stock(tmp_path / "stock.onnx", first=True, activation="gelu", exporter=exporter)
    program = close(path, steps=12, calibrated=True)
    assert [node.op.kind for node in program.nodes].count("table") == 1
    within = [note for note in lowered(path, recording()).notes if "Quant within a function" in note.what]
    assert len(within) == (0 if exporter else 3)  # Erf, 1 + Erf, x times it


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "scores of four bits": ({"scores": 4}, "scores of 4 bits are not held"),
    "a mask of another form": ({"mask": ~causal()}, "a mask must let bin i see i - back..i [+] ahead"),
    "a bias of scores": ({"mask": additive(causal()) + 0.5}, "a mask must add 0, or -1000 or less"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_encoder_that_no_program_holds_is_refused_with_the_reason(case: str, tmp_path: Path) -> None:
    given, said = REFUSED[case]
    with pytest.raises(UnsupportedOp, match=said):
        lowered(export(encoder(**given), tmp_path / "encoder.onnx"))


def test_the_floats_are_those_of_another_executor(tmp_path: Path) -> None:
    path = export(encoder(), tmp_path / "encoder.onnx")
    program = lowered(path).program
    model, (counts,) = read.load(path), recording(trials=1)
    given = read.inputs(path, model.graph, read.constants(path, model.graph))
    mine = Floats(model, given).run(counts)[program.output].reshape(BINS, -1) * 2.0**program.output_format.frac
    assert np.abs(run_qonnx(path, program, counts) - mine).max() <= 1  # of 16 bits; sums differ in their order
    with np.testing.assert_raises(AssertionError):
        np.testing.assert_array_equal(mine, program.run(counts))


def test_the_command_tells_nodes_notes_and_deviations_without_torch(tmp_path: Path) -> None:
    export(encoder(), tmp_path / "encoder.onnx")
    np.savez(tmp_path / "trials.npz", spikes=np.stack(recording()))
    code = "import sys; sys.modules['torch'] = sys.modules['brevitas'] = None; from edgendt.cli import main; main()"
    words = ["lower", "encoder.onnx", "--calibrate", "trials.npz"]

    def run(*more: str) -> str:
        command = [sys.executable, "-c", code, *words, *more]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    told = json.loads(run("--json"))
    assert [node["op"] for node in told["nodes"]] == OPS and told["trials"] == 3 and told["channels"] == CHANNELS
    assert {note["what"] for note in told["notes"]} == {"bias rounded to input scale * weight scale"}
    assert all(node["op_worst"] <= 1 and node["network_rms"] < 0.05 for node in told["nodes"])
    assert "relative RMS" in run() and Program.load(tmp_path / "program.edt").channels == CHANNELS


def test_a_lowered_file_is_a_run_that_can_be_simulated(tmp_path: Path) -> None:
    source = random_ndt(3, channels=8, d=16, layers=1, bins=20)
    export_program(source, tmp_path / "theirs.onnx")
    run = Run.new("theirs", tmp_path)
    result = lower_file(tmp_path / "theirs.onnx", tmp_path / "unused.edt", run=run)
    assert result["program"] == str(run.stage("quantize") / "program.edt") and not (tmp_path / "unused.edt").exists()
    assert Program.load(result["program"]) == source
    found = regress(run, ["torch", "qonnx", "stream"], bins=100, quiet=True)
    status = {link["name"]: (link["status"], link["codes"] > 0) for link in found["links"]}
    assert status["torch"] == ("skipped", False) and "lowered from a file" in found["links"][0]["reason"]
    assert status["qonnx"] == status["stream"] == ("pass", True)
    assert estimate(source, "ulx3s-85f")["cycles"]


def test_the_report_of_a_lowered_run_shows_what_was_told_of_the_file(tmp_path: Path) -> None:
    path = export(encoder(), tmp_path / "encoder.onnx")
    np.savez(tmp_path / "trials.npz", spikes=np.stack(recording()))
    run = Run.new("theirs", tmp_path)
    told = lower_file(path, tmp_path / "unused.edt", tmp_path / "trials.npz", run=run)
    page = write_report(run).read_text()
    shown = json.loads((run.stage("report") / "report.json").read_text())["lowered"]
    assert shown["file"] == "encoder.onnx" and shown["trials"] == 3
    assert [node["network_rms"] for node in shown["nodes"]] == [node["network_rms"] for node in told["nodes"]]
    assert shown["notes"] == told["notes"] and 'data-from="/lowered/nodes/0/op_rms"' in page
    assert told["notes"][0]["what"] in page and "trained elsewhere" in page


def test_trials_of_a_recording_are_what_a_lowered_run_simulates(tmp_path: Path) -> None:
    source = random_ndt(3, channels=4, d=16, layers=1, bins=9)
    export_program(source, tmp_path / "theirs.onnx")
    spikes = np.random.default_rng(0).poisson(1.0, (5, 12, 4))
    np.savez(tmp_path / "recording.npz", spikes=spikes, lengths=np.array([12, 7, 9, 12, 3]))
    run = Run.new("theirs", tmp_path)
    lower_file(tmp_path / "theirs.onnx", tmp_path / "unused.edt", tmp_path / "recording.npz", run=run)
    trials = stimulus(run, source, None)
    assert [len(trial) for trial in trials] == [9, 7, 9, 9, 3]  # as many as it has positions
    np.testing.assert_array_equal(trials[1], source.clip(spikes[1, :7])[0])

"""Every exporter at every opset: one encoder is one Program whoever writes it; and Brevitas' own attention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from foreign import CHANNELS, HEADS, POWERS_OF_TWO, WIDTH, Quantizers, encoder, export, qnn, recording
from torch import Tensor, nn

from edgendt.lower import lowered, read
from edgendt.lower.deviation import deviations
from edgendt.program import Program

# torch's other exporter converts from 18: to 17, and upwards; what it makes of lower ones has its own test below.
PAIRS = [(kind, False, opset) for kind in ("qonnx", "qcdq") for opset in range(11, 22)]
PAIRS += [(kind, True, opset) for kind in ("qonnx", "qcdq") for opset in range(17, 22)]


def one_encoder(seed: int = 0) -> nn.Module:
    return encoder(seed, quantizers=Quantizers(stream=8), fused=True)


def codes(program: Program) -> list[list[int]]:
    """Of all trials."""
    return [program.run(counts).reshape(-1).tolist() for counts in recording()]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[list[int]]:
    """Codes of what torch's older exporter writes in the opset that both have, as QONNX."""
    path = export(one_encoder(), tmp_path_factory.mktemp("expected") / "encoder.onnx", opset_version=18)
    return codes(lowered(path).program)


def written_in(path: Path) -> int:
    """The opset that a file says."""
    return next(int(item.version) for item in onnx.load(path).opset_import if not item.domain)


@pytest.mark.parametrize(("kind", "dynamo", "opset"), PAIRS)
def test_an_encoder_is_the_same_integers_by_every_exporter_and_opset(
    kind: str, dynamo: bool, opset: int, expected: list[list[int]], tmp_path: Path
) -> None:
    path = export(one_encoder(), tmp_path / "encoder.onnx", kind, dynamo=dynamo, opset_version=opset)
    assert written_in(path) == opset
    assert codes(lowered(path).program) == expected


def test_another_encoder_is_other_integers(expected: list[list[int]], tmp_path: Path) -> None:
    assert codes(lowered(export(one_encoder(1), tmp_path / "encoder.onnx")).program) != expected


def test_below_opset_17_torchs_other_exporter_writes_18_and_says_so(
    expected: list[list[int]], tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = export(one_encoder(), tmp_path / "encoder.onnx", dynamo=True, opset_version=16)
    said = capfd.readouterr().err + caplog.text
    assert "No Previous Version of LayerNormalization exists" in said and written_in(path) == 18
    assert codes(lowered(path).program) == expected


class Attended(nn.Module):
    """Counts -> Brevitas' own QuantMultiheadAttention of their embedding; given: its quantizers."""

    def __init__(self, packed: bool, **given: Any) -> None:
        super().__init__()
        q = Quantizers(stream=8)
        self.counts, self.embed, self.narrow, self.out = q.counts(), q.linear(CHANNELS, WIDTH), q.act(4.0), q.act(4.0)
        fields = {"packed_in_proj": packed, "batch_first": True}
        self.attention = qnn.QuantMultiheadAttention(WIDTH, HEADS, **fields, **given)

    def forward(self, counts: Tensor) -> Tensor:
        h = self.narrow(self.embed(self.counts(counts)))
        return self.out(self.attention(h, h, h, need_weights=False)[0])


SIGNED, WEIGHT = POWERS_OF_TWO["signed"], POWERS_OF_TWO["weight"]
EXACT = dict.fromkeys(("q_scaled_quant", "k_transposed_quant", "v_quant", "out_proj_input_quant"), SIGNED)
EXACT |= dict.fromkeys(("in_proj_weight_quant", "out_proj_weight_quant"), WEIGHT)
EXACT |= dict.fromkeys(
    ("in_proj_input_quant", "in_proj_bias_quant", "out_proj_bias_quant", "attn_output_weights_quant")
)


def attended(packed: bool, **given: Any) -> nn.Module:
    """Such a network whose scales have seen the recording; biases are multiples of 1/8, which every sum holds."""
    torch.manual_seed(0)
    network = Attended(packed, **given).train()
    with torch.no_grad():
        for name, values in network.named_parameters():
            if name.endswith("bias"):
                values.copy_(torch.round(torch.randn_like(values) * 8) / 8)
    for trial in recording():
        network(torch.tensor(trial[None], dtype=torch.float32))
    return network.eval()


def brevitas_codes(network: nn.Module, program: Program, counts: np.ndarray) -> np.ndarray:
    """What torch computes, as codes."""
    made = network(torch.tensor(counts[None], dtype=torch.float32))
    values = getattr(made, "value", made).detach().numpy()[0]
    return np.rint(np.ldexp(values.astype(np.float64), program.output_format.frac)).astype(np.int64)


OPS = ["linear", *["linear"] * 3, "attention", "linear"]


@pytest.mark.parametrize("packed", [False, True], ids=["three weights", "packed"])
@pytest.mark.parametrize("kind", ["qonnx", "qcdq"])
def test_brevitas_own_attention_is_lowered_and_each_other_op_exactly(kind: str, packed: bool, tmp_path: Path) -> None:
    network = attended(packed, **EXACT)
    path = export(network, tmp_path / "attended.onnx", kind)
    made, model = lowered(path), read.load(path)
    assert [node.op.kind for node in made.program.nodes] == OPS and made.notes == ()
    given = read.inputs(path, model.graph, read.constants(path, model.graph))
    apart = [entry["op_worst"] for entry in deviations(model, given, made, recording())]
    assert [*apart[:4], apart[5]] == [0] * 5 and apart[4] <= 1  # a softmax of integers rounds once, at its output
    (counts,) = recording(trials=1)
    assert np.abs(brevitas_codes(network, made.program, counts) - made.program.run(counts)).max() <= 1


@pytest.mark.parametrize("packed", [False, True], ids=["three weights", "packed"])
@pytest.mark.parametrize("kind", ["qonnx", "qcdq"])
def test_with_its_defaults_it_is_lowered_and_what_is_not_exact_is_told(kind: str, packed: bool, tmp_path: Path) -> None:
    network = attended(packed)  # scales that are no powers of two, probabilities of 8 bits, biases of 32
    made = lowered(export(network, tmp_path / "attended.onnx", kind), recording())
    assert [node.op.kind for node in made.program.nodes] == OPS
    told = " ".join(note.what for note in made.notes)
    assert "refitted to 2^" in told and "Quant of probabilities left out" in told
    (counts,) = recording(trials=1)
    apart = brevitas_codes(network, made.program, counts) - made.program.run(counts)
    assert np.abs(apart).max() <= 2

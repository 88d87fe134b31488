"""A transformer encoder as another lab would write it, in torch and Brevitas, without a line of edgendt.models."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

with warnings.catch_warnings():  # of an optional package that Brevitas looks for
    warnings.simplefilter("ignore")
    from brevitas import nn as qnn
    from brevitas import quant as bq

BINS, CHANNELS, WIDTH, HEADS = 10, 6, 8, 2
FLOAT_SCALES = {
    "signed": bq.Int8ActPerTensorFloat,
    "unsigned": bq.Uint8ActPerTensorFloat,
    "weight": bq.Int8WeightPerTensorFloat,
    "channel": bq.Int8WeightPerChannelFloat,
}
POWERS_OF_TWO = {
    "signed": bq.Int8ActPerTensorFixedPoint,
    "unsigned": bq.Uint8ActPerTensorFixedPoint,
    "weight": bq.Int8WeightPerTensorFixedPoint,
    "channel": bq.Int8WeightPerChannelFixedPointMSE,
}


class Quantizers:
    """Which of Brevitas' quantizers a network is made of."""

    def __init__(self, powers: bool = True, per_channel: bool = False, stream: int = 12) -> None:
        self.kinds = POWERS_OF_TWO if powers else FLOAT_SCALES
        self.weight = self.kinds["channel" if per_channel else "weight"]
        self.stretch = 1.0 if powers else 0.9  # limits that are no powers of two
        self.stream = stream

    def act(self, limit: float, bits: int = 8) -> nn.Module:
        given = {"bit_width": bits, "scaling_impl_type": "const", "scaling_init": limit * self.stretch}
        return qnn.QuantIdentity(act_quant=self.kinds["signed"], **given)

    def relu(self, limit: float) -> nn.Module:
        given = {"scaling_impl_type": "const", "scaling_init": limit * self.stretch}
        return qnn.QuantReLU(act_quant=self.kinds["unsigned"], **given)

    def counts(self) -> nn.Module:
        limit = 256.0 if self.kinds is POWERS_OF_TWO else 255.0
        return qnn.QuantIdentity(act_quant=self.kinds["unsigned"], scaling_impl_type="const", scaling_init=limit)

    def linear(self, inputs: int, outputs: int, bits: int = 8) -> nn.Module:
        return qnn.QuantLinear(inputs, outputs, bias=True, weight_bit_width=bits, weight_quant=self.weight)


class Attention(nn.Module):
    """Multi-head attention by hand. fused: one Linear for q, k, v; written: the softmax spelt out; summed: Einsum.

    fast: torch's own function, causal where there is a mask.
    """

    def __init__(
        self, q: Quantizers, *, fused: bool, written: bool, summed: bool, fast: bool, mask: Tensor | None, scores: int
    ) -> None:
        super().__init__()
        self.fused, self.written, self.summed, self.fast = fused, written, summed, fast
        self.qkv = q.linear(WIDTH, 3 * WIDTH) if fused else nn.ModuleList(q.linear(WIDTH, WIDTH) for _ in range(3))
        self.narrow = q.act(4.0) if fused else nn.ModuleList(q.act(4.0) for _ in range(3))
        self.out, self.attended, self.stream = q.linear(WIDTH, WIDTH), q.act(2.0), q.act(8.0, q.stream)
        self.scores = q.act(8.0, scores) if scores else nn.Identity()
        self.probabilities = q.act(1.0, scores) if scores else nn.Identity()
        self.register_buffer("mask", mask)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        shape = (len(x), -1, HEADS, WIDTH // HEADS)
        if self.fused:
            made = self.narrow(self.qkv(x)).reshape(len(x), -1, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
            return made[0], made[1], made[2]
        made = [
            narrow(linear(x)).reshape(shape).transpose(1, 2)
            for linear, narrow in zip(self.qkv, self.narrow, strict=True)
        ]
        return made[0], made[1], made[2]

    def softmax(self, scores: Tensor) -> Tensor:
        if not self.written:
            return scores.softmax(-1)
        powers = (scores - scores.amax(-1, keepdim=True)).exp()
        return powers / powers.sum(-1, keepdim=True)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(x)
        if self.fast:
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=self.mask is not None)
            return self.stream(self.out(self.attended(y.transpose(1, 2).flatten(-2))))
        scores = torch.einsum("nhqc,nhkc->nhqk", q, k) if self.summed else q @ k.transpose(-1, -2)
        scores = scores / math.sqrt(WIDTH // HEADS)
        if self.mask is not None:
            scores = scores.masked_fill(~self.mask, -1e9) if self.mask.dtype == torch.bool else scores + self.mask
        weights = self.probabilities(self.softmax(self.scores(scores)))
        if self.summed:
            return self.stream(self.out(self.attended(torch.einsum("nhqk,nhkc->nqhc", weights, v).flatten(-2))))
        y = weights @ v
        return self.stream(self.out(self.attended(y.transpose(1, 2).reshape(x.shape))))


class Norm(nn.Module):
    """LayerNorm spelt out."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(WIDTH) + 0.5)
        self.bias = nn.Parameter(torch.randn(WIDTH) / 4)

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred / torch.sqrt(centred.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight + self.bias


class Encoder(nn.Module):
    """Counts [1, bins, channels] -> log-rates; pre-LN, one block. bare: no Quant of the stream and in attention."""

    def __init__(
        self,
        quantizers: Quantizers | None = None,
        *,
        fused: bool = False,
        written: bool = False,
        summed: bool = False,
        fast: bool = False,
        mask: Tensor | None = None,
        scores: int = 0,
        activation: nn.Module | None = None,
        bare: bool = False,
    ) -> None:
        super().__init__()
        q, self.bare = quantizers or Quantizers(), bare
        norm: Any = Norm if written else lambda: nn.LayerNorm(WIDTH)
        self.counts, self.embed = q.counts(), q.linear(CHANNELS, WIDTH)
        self.position = nn.Parameter(torch.randn(1, BINS, WIDTH) / 4)
        self.stream = nn.ModuleList(nn.Identity() if bare else q.act(8.0, q.stream) for _ in range(5))
        self.norms, self.narrow = nn.ModuleList(norm() for _ in range(3)), nn.ModuleList(q.act(4.0) for _ in range(3))
        spelling = {"fused": fused, "written": written, "summed": summed, "fast": fast}
        self.attention = Attention(q, **spelling, mask=mask, scores=scores)
        if bare:
            self.attention.stream, self.attention.attended = nn.Identity(), nn.Identity()
            self.attention.narrow = nn.Identity() if fused else nn.ModuleList(nn.Identity() for _ in range(3))
        self.up, self.down = q.linear(WIDTH, 2 * WIDTH), q.linear(2 * WIDTH, WIDTH)
        self.relu, self.readout, self.rates = activation or q.relu(4.0), q.linear(WIDTH, CHANNELS), q.act(8.0, 16)
        if q.stream == 8:
            self.rates = q.act(4.0)

    def forward(self, counts: Tensor) -> Tensor:
        h = self.stream[0](self.embed(self.counts(counts)))
        h = self.stream[1](h + (self.position if self.bare else self.stream[0](self.position)))
        h = self.stream[2](h + self.attention(self.narrow[0](self.norms[0](h))))
        f = self.relu(self.up(self.narrow[1](self.norms[1](h))))
        h = self.stream[4](h + self.stream[3](self.down(f)))
        return self.rates(self.readout(self.narrow[2](self.norms[2](h))))


def causal(window: int = BINS) -> Tensor:
    """[bins, bins] bool: what a bin sees."""
    i = torch.arange(BINS)
    back = i[:, None] - i
    return (back >= 0) & (back < window)


def additive(allowed: Tensor) -> Tensor:
    """The same as 0 and -inf."""
    return torch.zeros(allowed.shape).masked_fill(~allowed, -torch.inf)


def recording(seed: int = 0, trials: int = 3) -> list[np.ndarray]:
    """Counts [bins, channels] of some trials."""
    return [np.random.default_rng(seed + i).poisson(1.0, (BINS, CHANNELS)) for i in range(trials)]


def encoder(seed: int = 0, **given: Any) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(**given).eval()


def export(network: nn.Module, path: Path, kind: str = "qonnx", **given: Any) -> Path:
    """The file one of Brevitas' exporters writes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from brevitas.export import export_onnx_qcdq, export_qonnx

        write = {"qonnx": export_qonnx, "qcdq": export_onnx_qcdq}[kind]
        fields = {"dynamo": False} | given
        write(network, args=torch.ones(1, BINS, CHANNELS), export_path=str(path), **fields)
    return path


class Stock(nn.Module):
    """Torch's own encoder layer in floats; what a lab has that quantizes afterwards."""

    def __init__(self, first: bool, mask: Tensor | None, activation: str) -> None:
        super().__init__()
        self.embed, self.position = nn.Linear(CHANNELS, WIDTH), nn.Parameter(torch.randn(1, BINS, WIDTH) / 4)
        fields = {"activation": activation, "batch_first": True, "norm_first": first}
        self.layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, 0.0, **fields)
        self.norm, self.readout = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CHANNELS)
        self.register_buffer("mask", mask)

    def forward(self, counts: Tensor) -> Tensor:
        return self.readout(self.norm(self.layer(self.embed(counts) + self.position, src_mask=self.mask)))


def stock(
    path: Path,
    *,
    first: bool,
    mask: Tensor | None = None,
    activation: str = "relu",
    exporter: dict[str, Any] | None = None,
    **given: Any,
) -> Path:
    """Torch's encoder as onnxruntime quantizes it. exporter: fields of torch's; given: of quantize_static."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.trials = iter([{"counts": trial[None].astype(np.float32)} for trial in recording(trials=5)])

        def get_next(self) -> Any:
            return next(self.trials, None)

    torch.manual_seed(0)
    training = torch.onnx.TrainingMode.PRESERVE  # in evaluation torch has a kernel for the layer that has no ONNX
    fields = {"dynamo": False, "opset_version": 17, "input_names": ["counts"]} | (exporter or {})
    fields |= {"external_data": False} if fields["dynamo"] else {"training": training, "do_constant_folding": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = Stock(first, mask, activation).train()
        torch.onnx.export(network, (torch.ones(1, BINS, CHANNELS),), path, **fields)
        quant_pre_process(path, path, skip_symbolic_shape=True)
        quantize_static(path, path, Reader(), per_channel=True, **given)
    return path

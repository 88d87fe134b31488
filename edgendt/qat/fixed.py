"""What the torch siblings share: Brevitas' integer quantizer at a frozen power-of-two scale, and straight-through."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from brevitas.core.function_wrapper import Identity, RoundSte, TensorClamp, TensorClampSte
from brevitas.core.quant import IntQuant
from torch import Tensor, nn

from edgendt.fixed import Codes, Int


class Fixed(nn.Module):
    """Real tensor -> values of the format `y`: ties to even, then saturate; nothing here is learned.

    narrow: without the most negative code (weights). fracs: one fraction per output, shape [outputs], instead of
    y.frac. through: let gradients pass where the value saturates (weights), rather than stop there (activations).
    """

    scale: Tensor
    zero: Tensor
    bits: Tensor

    def __init__(
        self, y: Int, *, narrow: bool = False, through: bool = False, fracs: tuple[int, ...] | None = None
    ) -> None:
        super().__init__()
        self.y = y
        clamp = TensorClampSte() if through else TensorClamp()
        self.quant = IntQuant(narrow, y.signed, Identity(), RoundSte(), clamp)
        scales = [2.0**-frac for frac in ((y.frac,) if fracs is None else fracs)]
        self.register_buffer("scale", torch.tensor(scales), persistent=False)
        self.register_buffer("zero", torch.tensor(0.0), persistent=False)
        self.register_buffer("bits", torch.tensor(float(y.bits)), persistent=False)

    def rows(self, x: Tensor) -> Tensor:
        """The scale shaped for x: [outputs] or [outputs, inputs]."""
        return self.scale.reshape(-1, *[1] * (x.dim() - 1)) if len(self.scale) > 1 else self.scale

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape -> the same shape, values code * 2**-frac."""
        values: Tensor = self.quant(self.rows(x), self.zero, self.bits, x)
        return values

    def codes(self, x: Tensor) -> Codes:
        """The integer codes of x. int64, shape of x."""
        return to_codes(self(x) / self.rows(x))


class Straight(torch.autograd.Function):
    """Forward: `exact`, bit for bit. Backward: as if it had been `soft`."""

    @staticmethod
    def forward(ctx: Any, soft: Tensor, exact: Tensor) -> Tensor:
        return exact.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None


def to_codes(x: Tensor) -> Codes:
    """A tensor that holds integers, as int64."""
    return x.detach().double().round().cpu().numpy().astype(np.int64)


def table(codes: Codes) -> Tensor:
    """A table of edgendt.ops, as float64 (exact)."""
    return torch.from_numpy(np.array(codes, dtype=np.float64))


POWERS = torch.tensor([2.0**exponent for exponent in range(-96, 97)], dtype=torch.float64)


def power(exponent: Tensor) -> Tensor:
    """2**exponent for integer exponents -96..96, float64; from a list, for torch promises no exact exp2."""
    return POWERS.to(exponent.device)[exponent.long() + 96]

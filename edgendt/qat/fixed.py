"""What the torch siblings share: Brevitas' integer quantizer at a frozen power-of-two scale, and straight-through."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from brevitas.core.function_wrapper import Identity, RoundSte, TensorClamp, TensorClampSte
from brevitas.core.quant import IntQuant
from torch import Tensor, nn

from edgendt.fixed import Codes, Int

ZERO = torch.tensor(0.0)  # no zero point anywhere


class Quantize(torch.autograd.Function):
    """Scale, round, clip and scale back in four passes over memory; backward stops at codes outside lo..hi."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, lo: float, hi: float, through: bool) -> Tensor:
        codes = torch.mul(x, 1 / scale).round_()
        ctx.limits, ctx.through = (lo - 0.5, hi + 0.5), through
        ctx.save_for_backward(*() if through else (codes,))
        return codes.clamp(lo, hi).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        grad = grads[0]
        if not ctx.through:
            grad = torch.ops.aten.hardtanh_backward(grad, ctx.saved_tensors[0], *ctx.limits)
        return grad, None, None, None, None


class OnePass(IntQuant):
    """Brevitas' IntQuant for power-of-two scales without a zero point: same values and gradients, a third of the time.

    A power-of-two scale makes multiplying by its inverse exact, so nothing but the number of passes differs.
    """

    def forward(self, scale: Tensor, zero_point: Tensor, bit_width: Tensor, x: Tensor) -> Tensor:
        lo, hi = float(self.min_int(bit_width)), float(self.max_int(bit_width))
        through = isinstance(self.tensor_clamp_impl, TensorClampSte)
        return cast(Tensor, Quantize.apply(x, scale, lo, hi, through))


class Fixed(nn.Module):
    """Real tensor -> values of the format `y`: ties to even, then saturate; nothing here is learned.

    narrow: without the most negative code (weights). fracs: one fraction per output, shape [outputs], instead of
    y.frac. through: let gradients pass where the value saturates (weights), rather than stop there (activations).
    """

    scale: Tensor

    def __init__(
        self, y: Int, *, narrow: bool = False, through: bool = False, fracs: tuple[int, ...] | None = None
    ) -> None:
        super().__init__()
        self.y = y
        clamp = TensorClampSte() if through else TensorClamp()
        self.quant = OnePass(narrow, y.signed, Identity(), RoundSte(), clamp)
        scales = [2.0**-frac for frac in ((y.frac,) if fracs is None else fracs)]
        self.register_buffer("scale", torch.tensor(scales), persistent=False)

    def rows(self, x: Tensor) -> Tensor:
        """The scale shaped for x: [outputs] or [outputs, inputs]."""
        return self.scale.reshape(-1, *[1] * (x.dim() - 1)) if len(self.scale) > 1 else self.scale

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape -> the same shape, values code * 2**-frac."""
        values: Tensor = self.quant(self.rows(x), ZERO, self.y.bits, x)
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


def straight(soft: Tensor, exact: Tensor) -> Tensor:
    """`exact`, with the gradient of `soft`."""
    return cast(Tensor, Straight.apply(soft, exact))


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

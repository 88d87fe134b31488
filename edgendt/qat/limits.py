"""The largest network that later stages hold (docs/engine.md, Limits): what is larger is refused before training."""

from __future__ import annotations

from edgendt.models.ndt import NDTConfig
from edgendt.qat.formats import Bits

# tests/test_quantize_options.py holds them equal to the engine's; within them no attention leaves its accumulator.
LIMITS = {"outputs": 256, "d_model": 256, "heads": 8, "ffn": 1024, "window": 256, "max_bins": 65535}
WORDS = {"outputs": "channels of the data"}  # every channel is an output, held-in ones are inputs as well


def check_limits(config: NDTConfig, bits: Bits) -> None:
    """ValueError for a geometry that no engine holds, however large its memories, or no input format."""
    if config.most > 2**bits.counts - 1:
        raise ValueError(f"most must be at most {2**bits.counts - 1}, what bits.counts can say, got {config.most}")
    if (steps := config.channels * config.most) > LIMITS["ffn"]:
        raise ValueError(
            f"{config.channels} channels of {config.most} counts are {steps} inputs, at most {LIMITS['ffn']}"
        )
    if config.activation != "relu" and 2 * config.ffn > LIMITS["ffn"]:  # a function's partner is an output too
        raise ValueError(f"ffn must be at most {LIMITS['ffn'] // 2} with {config.activation}, got {config.ffn}")
    for name, most in LIMITS.items():
        if (getattr(config, name) or 0) > most:
            raise ValueError(f"{WORDS.get(name, name)} must be at most {most}, got {getattr(config, name)}")

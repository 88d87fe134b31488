"""The largest network that later stages hold (docs/engine.md, Limits): what is larger is refused before training."""

from __future__ import annotations

from edgendt.models.ndt import NDTConfig

# tests/test_quantize.py holds them equal to the engine's; within them no attention leaves its accumulator.
LIMITS = {"outputs": 256, "d_model": 256, "heads": 8, "ffn": 1024, "window": 256, "max_bins": 65535}
WORDS = {"outputs": "channels of the data"}  # every channel is an output, held-in ones are inputs as well


def check_limits(config: NDTConfig) -> None:
    """ValueError for a geometry that no engine holds, however large its memories."""
    for name, most in LIMITS.items():
        if (getattr(config, name) or 0) > most:
            raise ValueError(f"{WORDS.get(name, name)} must be at most {most}, got {getattr(config, name)}")

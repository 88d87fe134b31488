"""`edgendt profile`: the latency of every bin, beside the same network on this computer's CPU."""

from edgendt.profile.latency import profile, render

__all__ = ["profile", "render"]

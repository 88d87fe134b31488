"""Spike counts: the two synthetic systems of the NDT paper, a lab's own .npz, and how trials and channels are split."""

from edgendt.data.dataset import Dataset, Split
from edgendt.data.load import load
from edgendt.data.split import split

__all__ = ["Dataset", "Split", "load", "split"]

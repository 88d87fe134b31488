"""Spike counts and times: the synthetic systems, a lab's own .npz, windows of tokens, splits of trials and channels."""

from edgendt.data.dataset import Dataset, Split
from edgendt.data.load import load
from edgendt.data.split import split

__all__ = ["Dataset", "Split", "load", "split"]

"""The spatial stream of the STNDT (Le & Shlizerman 2022) and its contrastive loss; float, in torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Courses(nn.Module):
    """The tokens of a first layer that does not take its input's: time courses of the counts, embedded apart.

    A row per column of the network; the course of a column that no channel enters is zero.
    """

    def __init__(self, columns: Sequence[int], size: int, bins: int) -> None:
        """columns: of each channel, among `size`."""
        super().__init__()
        self.columns, self.size = list(columns), size
        self.linear = nn.Linear(bins, bins)
        self.pos = nn.Parameter(0.02 * torch.randn(size, bins))

    def embedding(self) -> tuple[Tensor, Tensor]:
        """weight [bins, bins] and, for every column, bias [size, bins], √bins included."""
        root = math.sqrt(self.pos.shape[1])
        return self.linear.weight * root, self.pos + self.linear.bias * root

    def forward(self, counts: Tensor) -> Tensor:
        """counts [batch, bins, channels] -> [batch, size, bins]."""
        spread = counts.new_zeros(*counts.shape[:2], self.size)
        spread[:, :, self.columns] = counts
        weight, bias = self.embedding()
        return spread.transpose(1, 2) @ weight.T + bias


def trailing(h: Tensor, window: int) -> Tensor:
    """h [batch, bins, size] -> [batch, bins, size, window]: of each bin the time courses up to it, zeros before."""
    return nn.functional.pad(h, (0, 0, window - 1, 0)).unfold(1, window, 1)


class Spatial(nn.Module):
    """Channels look at each other: z + (A ln3(z)^T)^T, then a second feed-forward network.

    A is the softmax of the channels' products, averaged over heads; a channel's token is its time course, as a rule in
    the layer's input, normalised over the window, of which only queries and keys are made. A network that streams has
    an A of each bin, from the window that ends with it.
    """

    def __init__(self, size: int, bins: int, heads: int, ffn: int, dropout: float, activation: nn.Module) -> None:
        super().__init__()
        self.heads = heads
        self.lns = nn.LayerNorm(bins)
        self.sq, self.sk = nn.Linear(bins, bins), nn.Linear(bins, bins)
        self.ln3, self.ln4 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.f3, self.f4 = nn.Linear(size, ffn), nn.Linear(ffn, size)
        self.f3_act = activation
        self.dropout = nn.Dropout(dropout)

    def weights(self, tokens: Tensor) -> Tensor:
        """tokens [..., size, bins] -> A [..., size, size]: row i, what channel i takes of each."""
        tokens = self.lns(tokens)
        q, k = (part(tokens).unflatten(-1, (self.heads, -1)).transpose(-3, -2) for part in (self.sq, self.sk))
        return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1).mean(-3)

    def forward(self, tokens: Tensor, z: Tensor) -> Tensor:
        """tokens [batch, size, window] or [batch, bins, size, window], z [batch, bins, size] the layer's temporal part
        -> as z.
        """
        a, y = self.weights(tokens), self.ln3(z)
        mixed = y @ a.transpose(1, 2) if a.dim() == 3 else (a @ y[..., None])[..., 0]
        z = z + self.dropout(mixed)
        y = self.dropout(self.f3_act(self.f3(self.ln4(z))))
        return z + self.dropout(self.f4(y))


def nt_xent(a: Tensor, b: Tensor, temperature: float = 0.07) -> Tensor:
    """Contrastive loss of two views a, b [n, features]: each view should be nearest the other of its own trial.

    The normalised temperature-scaled cross entropy of Chen et al. 2020, over all 2n views.
    """
    views = nn.functional.normalize(torch.cat([a, b]), dim=1)
    alike = views @ views.T / temperature
    alike = alike.masked_fill(torch.eye(len(views), dtype=torch.bool, device=views.device), -torch.inf)
    partner = torch.arange(len(views), device=views.device).roll(len(a))
    return nn.functional.cross_entropy(alike, partner)

"""The spatial stream of the STNDT (Le & Shlizerman 2022) and its contrastive loss; float, in torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Spatial(nn.Module):
    """Channels look at each other: z + (A ln3(z)^T)^T, then a second feed-forward network.

    A is the softmax of the channels' products, averaged over heads; a channel's token is its time course in the layer's
    input, normalised over the window, of which only queries and keys are made. Built from the paper's description.
    """

    def __init__(self, size: int, bins: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.lns = nn.LayerNorm(bins)
        self.sq, self.sk = nn.Linear(bins, bins), nn.Linear(bins, bins)
        self.ln3, self.ln4 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.f3, self.f4 = nn.Linear(size, ffn), nn.Linear(ffn, size)
        self.dropout = nn.Dropout(dropout)

    def weights(self, h: Tensor) -> Tensor:
        """h [batch, bins, size], the layer's input -> A [batch, size, size]: row i, what channel i takes of each."""
        tokens = self.lns(h.transpose(1, 2))
        q, k = (part(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.sq, self.sk))
        return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1).mean(1)

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        """h, z [batch, bins, size]: input and output of the layer's temporal part -> the same shape."""
        z = z + self.dropout(self.ln3(z) @ self.weights(h).transpose(1, 2))
        y = self.dropout(torch.relu(self.f3(self.ln4(z))))
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

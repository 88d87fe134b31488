"""The recurrent baseline of velocity decoding: a GRU over counts per bin, causal; float, in torch."""

from __future__ import annotations

from torch import Tensor, nn


class GRU(nn.Module):
    """Counts of one session to velocity, a bin at a time."""

    centre: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, std: Tensor, outputs: int = 2, hidden: int = 64, dropout: float = 0.3) -> None:
        """mean, std [channels] of the counts, by which they are standardised; dropout of inputs and of the state."""
        super().__init__()
        self.register_buffer("centre", mean.float())
        self.register_buffer("spread", std.float().clamp(min=1e-3))
        self.cells = nn.GRU(len(mean), hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(hidden, outputs)

    def forward(self, counts: Tensor) -> Tensor:
        """counts [batch, bins, channels] -> [batch, bins, outputs]."""
        states, _ = self.cells(self.dropout((counts - self.centre) / self.spread))
        out: Tensor = self.readout(self.dropout(states))
        return out

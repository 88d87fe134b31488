"""Matplotlib figures as inline SVG that takes its colours and its font from the page, so it follows light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Sentinels: drawn by matplotlib, then replaced by the page's CSS variables. Hues are Okabe and Ito's (2008), which
# stay apart for colour-blind readers; the style sheet has a light and a dark shade of each.
INK, MUTED, GRID = "#010101", "#020202", "#030303"
BLUE, ORANGE, GREEN, RED = "#040404", "#050505", "#060606", "#070707"
VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    BLUE: "blue",
    ORANGE: "orange",
    GREEN: "green",
    RED: "red",
}
SCALE = 1.6  # CSS pixels per point: 8 pt of matplotlib beside the page's 15 px
RC: Any = {  # rc_context wants a type with every one of its keys
    "svg.fonttype": "none",
    "svg.hashsalt": "edgendt",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.3,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.5,
}


@contextmanager
def style() -> Iterator[Any]:
    """`matplotlib.figure.Figure` under the report's settings; no global state, no display."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(RC):
        yield Figure


def inline(figure: Any, name: str, title: str) -> str:
    """The figure as an <svg> element for HTML; `name` keeps its ids apart from other figures', `title` describes it."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context(RC):
        figure.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.03, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r' (xmlns(:\w+)?|version)="[^"]*"', "", text)
    text = _own_ids(text, name)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    # The page sets the family; every figure is scaled alike, and shrinks where the page is narrower.
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", text)
    text = re.sub(r"(font: [^'\"]*?)'[^;\"]*", r"\1var(--sans)", text)
    text = re.sub(r' transform="rotate\(-0 [^"]*"', "", text)
    points = re.search(r'<svg[^>]*? width="([\d.]+)pt"', text)
    assert points is not None
    for size in ("width", "height"):
        text = re.sub(rf'(<svg[^>]*?) {size}="[\d.]+pt"', r"\1", text, count=1)
    width = f"{float(points.group(1)) * SCALE:.0f}px"
    text = text.replace("<svg", f'<svg role="img" aria-label="{title}" style="width:{width}"', 1)
    return re.sub(r"\n\s*", "\n", text).strip()


def _own_ids(text: str, name: str) -> str:
    """Keep only ids that something refers to, and put the figure's name in front of them."""
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))

    def rename(match: re.Match[str]) -> str:
        return f' id="{name}-{match.group(1)}"' if match.group(1) in used else ""

    text = re.sub(r' id="([^"]+)"', rename, text)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", text)

"""The page: a template, a number filter that says where each number came from, and the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgendt.profile.latency import clock_words
from edgendt.report import figures, spatial, tokens
from edgendt.report import neural as drawn
from edgendt.report.gather import Arrays

HERE = Path(__file__).parent


def render(data: dict[str, Any], arrays: Arrays) -> str:
    """The HTML of one run. data: the report's JSON; every number on the page is looked up in it by JSON pointer."""
    import jinja2
    from markupsafe import Markup

    def number(pointer: str, form: str = "", unit: str = "") -> Markup:
        value = resolve(data, pointer)
        if value is None:
            return Markup('<span class="none">–</span>')
        shown = format(value, form) if form else str(value)
        shown = shown.replace("-", "−") if isinstance(value, int | float) else shown
        tail = f" {unit}" if unit else ""
        return Markup('<data value="{}" data-from="{}">{}</data>{}').format(value, pointer, shown, tail)

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(clock=clock_words, n=number, key=pointer_part)
    return environment.get_template("page.html.j2").render(
        d=data,
        style=Markup((HERE / "style.css").read_text()),
        figures=draw(data, arrays),
    )


def pointer_part(name: str) -> str:
    """One step of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def resolve(data: Any, pointer: str) -> Any:
    """The value a JSON pointer (RFC 6901) names; KeyError or IndexError when there is none."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        data = data[int(name)] if isinstance(data, list) else data[name]
    return data


def draw(data: dict[str, Any], arrays: Arrays) -> dict[str, Any]:
    """All figures by name, each an SVG string or None when there is nothing to show."""
    from markupsafe import Markup

    shown = dict.fromkeys(("accuracy", "rates", "rasters", "velocity", "spatial", "said"))
    if data["accuracy"]["status"] == "done":
        shown["accuracy"] = figures.accuracy(data["accuracy"]["metrics"])
    if (predictions := arrays.predictions) is not None:
        picked = data["neural"]["shown"]
        shown["rates"] = drawn.rates(predictions, picked["strips"][0], picked["channels"])
        shown["rasters"] = drawn.rasters(predictions, picked["strips"])
        if {"vel", "vel_integer"} <= set(predictions.arrays):
            shown["velocity"] = drawn.velocity(predictions, picked["strips"])
    if arrays.weights:
        shown["spatial"] = spatial.figure(arrays.weights)
    if arrays.said is not None:
        shown["said"] = tokens.figure(arrays.said)
    for board, parts in data["boards"].items():
        shown |= _board_figures(board, parts["profile"])
    return {name: None if svg is None else Markup(svg) for name, svg in shown.items()}


def _board_figures(board: str, profile: dict[str, Any]) -> dict[str, str | None]:
    shown: dict[str, str | None] = dict.fromkeys(f"{name}/{board}" for name in ("waterfall", "bins", "budget"))
    if profile["status"] == "done":
        per_cycle = profile["latency_us"]["p50"] / profile["cycles"]["p50"]
        shown[f"waterfall/{board}"] = figures.waterfall(profile["by_op"], per_cycle, board)
        if profile.get("cycles_by_bin"):
            shown[f"bins/{board}"] = figures.over_bins(profile["cycles_by_bin"], board)
        shown[f"budget/{board}"] = figures.budget(budget_rows(board, profile), profile.get("bin_us"), board)
    return shown


def budget_rows(board: str, profile: dict[str, Any]) -> list[tuple[str, float, float, str]]:
    """(label, p50 µs, p99 µs, stage): the engine, then the CPU by number of threads."""
    stage = f"{profile['cycles_stage']} {clock_words(profile['clock_stage'])}"
    latency = profile["latency_us"]
    rows = [(f"engine, {board}", latency["p50"], latency["p99"], stage)]
    for run in (profile.get("cpu") or {}).get("runs", ()):
        threads = f"{run['threads']} thread" + ("s" if run["threads"] > 1 else "")
        rows.append((f"CPU, {threads}", run["p50_us"], run["p99_us"], "measured, float32"))
    return rows

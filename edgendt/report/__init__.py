"""One self-contained HTML page of a run, and the JSON behind every number on it."""

from __future__ import annotations

from pathlib import Path

from edgendt.artifact import MANIFEST, Run, sha256, write_json

PAGE, DATA = "report.html", "report.json"


def write_report(run: Run) -> Path:
    """Write `report/report.html` and `report/report.json` from what the run's folders hold; returns the page's path.

    BadInput for a folder without any stage, which is no run.
    """
    from edgendt.report.gather import gather
    from edgendt.report.page import render

    stages = [path for path in sorted(run.path.glob(f"*/{MANIFEST}")) if path.parent.name != "report"]
    if not stages:
        run.stage("quantize")  # says what to do first
    data, arrays = gather(run)
    with run.write("report", config={"manifests": {path.parent.name: sha256(path) for path in stages}}) as folder:
        write_json(folder / DATA, data)
        (folder / PAGE).write_text(render(data, arrays))
    return run.path / "report" / PAGE

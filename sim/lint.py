"""`verilator --lint-only -Wall` on every module under hls/rtl as a top: silent and 0 when clean."""

import sys

from bench import lint

from edgendt.tools import share


def main() -> int:
    """Lint each module with all the others at hand; returns the exit status."""
    sources = sorted((share("hls") / "rtl").glob("*.sv"), key=lambda path: (path.stem != "edt_pkg", path))
    models = sorted((share("sim") / "models").glob("*.sv"))
    said = {path.stem: lint(path.stem, [*sources, *models]) for path in sources if path.stem != "edt_pkg"}
    for stem, text in said.items():
        if text:
            sys.stderr.write(f"{stem}:\n{text}\n")
    return int(any(said.values()))


if __name__ == "__main__":
    sys.exit(main())

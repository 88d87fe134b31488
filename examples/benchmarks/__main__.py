"""The figures of docs/benchmarks.md: `python examples/benchmarks [NAME …] [--page-only]`, or `make bench ONLY=NAME`."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("examples", "sim", "tests")]

from benchmarks.run import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

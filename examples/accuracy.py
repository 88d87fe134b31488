"""What quantization costs: docs/accuracy.md from three data sets, paired seeds and six choices of weight formats.

    python examples/accuracy.py [--seeds N] [--only lorenz,chaotic_rnn] [--folder runs/accuracy]

Every cell (data, seed, network) is one JSON file in the folder: a repeated call goes on where it stopped, and
a finished one only writes the page again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import torch

from edgendt.artifact import commit, versions, write_json
from edgendt.config import dump_config
from edgendt.qat.formats import Bits
from edgendt.qat.job import Job
from edgendt.qat.recipe import DataConfig, QuantizeConfig

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "accuracy.md"
FIRST_SEED = 20  # the recipe was chosen on the validation trials of other seeds
COMMIT = commit()  # of the code that was loaded, whatever is committed while the cells are made
SEEDS = {"lorenz": 5, "chaotic_rnn": 5, "chewie": 10}  # the short recording scatters most and trains fastest
VARIANTS = {
    "8 bits everywhere": Bits(weight=8, embed=8, readout=8),
    "default": Bits(),
    "default, own scales": Bits(per_output=True),
    "4 bits everywhere": Bits(weight=4, embed=4, readout=4),
    "4 bits, own scales": Bits(weight=4, embed=4, readout=4, per_output=True),
    "3 bits everywhere": Bits(weight=3, embed=3, readout=3),
}
CELLS = ("baseline", "float", "control", *VARIANTS)


def sources(recording: Path) -> dict[str, DataConfig]:
    """The data sets by the name the page gives them."""
    return {
        "lorenz": DataConfig("lorenz"),
        "chaotic_rnn": DataConfig("chaotic_rnn"),
        "chewie": DataConfig(str(recording), "chewie_20131003_100ms_all"),
    }


def main() -> None:
    """Fill the missing cells, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, help="for every data set; by default 5, and 10 of the recording")
    parser.add_argument("--only", default="lorenz,chaotic_rnn,chewie")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "accuracy")
    parser.add_argument("--recording", type=Path, default=ROOT.parent / "shared/realdata/miller_reach_myow.npz")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--page-only", action="store_true", help="write the page from the cells that exist")
    options = parser.parse_args()
    torch.set_num_threads(1)
    known = sources(options.recording)
    names = chosen(options, known)
    if not options.page_only:
        for name in names:
            for seed in range(FIRST_SEED, FIRST_SEED + (options.seeds or SEEDS[name])):
                fill(known[name], options.folder / f"{name}-{seed}", seed)
    from accuracy_page import page

    options.page.write_text(page(options.folder, names, tuple(VARIANTS)))
    print(f"wrote {options.page}")


def chosen(options: argparse.Namespace, known: dict[str, DataConfig]) -> list[str]:
    """The data sets asked for, those left out that are not here; never from docs/accuracy.md, which would hide it."""
    asked = options.only.split(",")
    for name in asked:
        if name not in known:
            refuse(f"--only must name some of {','.join(known)}, got {name!r}")
    names = [name for name in asked if (scored(options.folder, name) if options.page_only else available(known[name]))]
    for name in [name for name in asked if name not in names]:
        what = f"no complete seed of it in {options.folder}" if options.page_only else f"no {known[name].source}"
        if options.page.resolve() == PAGE.resolve():
            refuse(
                f"docs/accuracy.md would lose {name} ({what}): name --recording, or --only others, or another --page"
            )
        print(f"{name} is left out: {what}", file=sys.stderr)
    return names


def refuse(sentence: str) -> NoReturn:
    """One sentence, exit 2."""
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)


def available(data: DataConfig) -> bool:
    """Whether the data are built in, or their file is here."""
    return not data.source.endswith(".npz") or Path(data.source).is_file()


def scored(folder: Path, name: str) -> bool:
    """Whether a seed of the data set has all its cells."""
    return any(all((path / f"{cell}.json").is_file() for cell in CELLS) for path in folder.glob(f"{name}-*"))


def fill(data: DataConfig, folder: Path, seed: int) -> None:
    """Every missing cell of one data set and seed; the float network is trained once for all of them."""
    if all((folder / f"{name}.json").is_file() for name in CELLS):
        return
    folder.mkdir(parents=True, exist_ok=True)
    job = Job.of(QuantizeConfig(seed=seed, data=data))
    (folder / "config.toml").write_text(dump_config(job.config))
    cell(folder, "baseline", job.score_baseline)
    network = job.train_float(folder / "float.pt", silent)
    cell(folder, "float", lambda: job.score(network))
    cell(folder, "control", lambda: job.score(job.train_control(network, folder / "control.pt", silent)))
    for name, bits in VARIANTS.items():
        cell(folder, name, lambda b=bits, n=name: job.score(job.train_qat(network, b, folder / f"{n}.pt", silent)))


def cell(folder: Path, name: str, run: Callable[[], dict[str, Any]]) -> None:
    """One score, kept in its file with the commit that made it."""
    path = folder / f"{name}.json"
    if path.is_file():
        return
    started = time.perf_counter()
    scores = run()
    write_json(path, {"scores": scores, "commit": COMMIT, "versions": versions()})
    shown = "  ".join(f"{key} {value:.4f}" for key, value in scores.items() if value is not None)
    print(f"{folder.name}  {name}: {shown}  ({time.perf_counter() - started:.0f} s)", flush=True)


def silent(phase: str, done: int, steps: int) -> None:
    """No bar: the cells are the progress."""


if __name__ == "__main__":
    main()

"""One link in a process of its own: `python -m edgendt.sim REQUEST`, started by edgendt/sim/regression.py."""

import json
import sys
from pathlib import Path

from edgendt.artifact import write_json
from edgendt.sim.links import execute

request = json.loads(sys.argv[1])
write_json(Path(request["folder"]) / "result.json", execute(request).json())

"""Import this in plain hls4ml: the ops that it lacks are then layers of its backends.

Those are Vivado, VivadoAccelerator, Vitis, Quartus and Catapult.

The Edt layers and their C++ (hls/cpp); examples/plain_hls4ml.py uses some.
And hls4ml's PyTorch front end then reads GELU, for the backend EdgeNDT.
"""

from __future__ import annotations

from typing import Any

from hls4ml.converters.pytorch_to_hls import get_supported_pytorch_layers, register_pytorch_layer_handler

from edgendt.errors import UnsupportedOp
from edgendt.firmware import templates
from edgendt.plugin import NAME

GELU = "GELU"


def _gelu(
    operation: str, name: str, inputs: Any, shapes: Any, node: Any, module: Any, reader: Any, config: Any
) -> tuple[dict[str, Any], Any]:
    """hls4ml's layer of an nn.GELU, and its shape."""
    if config.get("Backend", NAME).lower() != NAME.lower():
        raise UnsupportedOp(operation, name, f"hls4ml has no GELU for {config['Backend']}: take the backend {NAME}")
    if module.approximate != "none":
        raise UnsupportedOp(operation, name, f"the table is of the function itself: leave out {module.approximate!r}")
    return {"class_name": "Activation", "activation": "gelu", "name": name, "inputs": inputs}, shapes[0]


templates.register()
if GELU not in get_supported_pytorch_layers():
    register_pytorch_layer_handler(GELU, _gelu)

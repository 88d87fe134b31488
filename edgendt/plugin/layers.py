"""Import this in plain hls4ml: the ops that it lacks are then layers of Vivado, Vitis, Quartus and Catapult.

EdtAdd, EdtPosition, EdtLayerNorm, EdtAttention, EdtRotary and their C++ (hls/cpp); examples/plain_hls4ml.py uses one.
"""

from __future__ import annotations

from edgendt.firmware import layers

layers.register()

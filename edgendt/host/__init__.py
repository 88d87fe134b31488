"""Board driver: framing, loading, inference over any byte stream; `edgendt load` and `edgendt infer`."""

from edgendt.host.kept import Kept
from edgendt.host.link import Link, LinkError, Result, Stream
from edgendt.host.port import NoPort, open_port

__all__ = ["Kept", "Link", "LinkError", "NoPort", "Result", "Stream", "open_port"]

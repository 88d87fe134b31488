"""Board driver: framing, loading, inference over any byte stream."""

from edgendt.host.link import Link, LinkError, Result, Stream, open_port

__all__ = ["Link", "LinkError", "Result", "Stream", "open_port"]

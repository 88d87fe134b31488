"""The last good image of a port, so that the driver can put it back after a load that failed."""

from __future__ import annotations

import re
from pathlib import Path

from edgendt.engine.image import Image
from edgendt.errors import BadInput
from edgendt.tools import cache_folder


class Kept:
    """One image: in memory, or in the file that belongs to a port."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._image: Image | None = None

    @classmethod
    def of_port(cls, port: str) -> Kept:
        """The file of this computer's port."""
        return cls(cache_folder("loaded") / f"{re.sub(r'[^A-Za-z0-9.]+', '-', port).strip('-')}.edi")

    def get(self) -> Image | None:
        """The image; None when there is none, or its file is damaged."""
        if self._image is None and self.path is not None and self.path.is_file():
            try:
                self._image = Image.load(self.path)
            except BadInput:
                return None
        return self._image

    def put(self, image: Image) -> None:
        """Keep this image in place of the last one; written beside, then renamed."""
        self._image = image
        if self.path is not None:
            beside = self.path.with_name(self.path.name + ".part")
            image.save(beside)
            beside.replace(self.path)

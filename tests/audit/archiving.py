"""Closed segments of a journal, signed and moved elsewhere."""

from pathlib import Path

from audit.archive import archive
from audit.keys import create_missing
from audit.signer import Signer
from events.paths import DataPaths


def move_to_archive(paths: DataPaths, folder: Path) -> int:
    """Sign the execution journal and archive its closed segments; return how many that were."""
    create_missing(paths)
    signer = Signer(paths)
    signer.step()
    signer.close()
    return archive(paths, "execution", folder, keep=0).moved

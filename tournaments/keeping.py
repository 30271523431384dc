"""The secret of a round's transport key: one file of its own while entries are sealed, gone once they are revealed."""

import os
import secrets
from pathlib import Path

from audit.files import make_private, write_file
from tournaments.sealing import KEY_BYTES, SealError, TransportKey


def transport_key(folder: Path, round_id: str, *, needed: bool = False) -> TransportKey:
    """Return a round's key; made, and kept in a file that only its owner reads, if there is none.

    Raises
    ------
    SealError
        "closed" if there is none and it is ``needed``: what was sealed to it opens with no other.
    """
    file = _file(folder, round_id)
    if not file.exists():
        if needed:
            raise SealError("closed", f"the key of round {round_id} is gone; its entries open with no other")
        make_private(folder)
        write_file(file, secrets.token_bytes(KEY_BYTES))
    return TransportKey(round_id, file.read_bytes())


def destroy(folder: Path, round_id: str) -> None:
    """Remove the secret, overwritten first; doing so again is no error."""
    file = _file(folder, round_id)
    if file.exists():
        with file.open("r+b") as held:
            held.write(bytes(KEY_BYTES))
            os.fsync(held.fileno())
        file.unlink()


def _file(folder: Path, round_id: str) -> Path:
    return folder / f"{round_id.replace(':', '-').replace('/', '-')}.secret"

"""Writing files that must survive a crash, and that nobody else may read."""

import os
from pathlib import Path


def make_private(folder: Path) -> None:
    """Make a folder that only this user may enter."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def write_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file by complete, synced content: after a crash it is the old one or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    draft.chmod(mode)
    draft.replace(path)
    sync_folder(path.parent)


def append_line(path: Path, line: bytes, *, mode: int = 0o600) -> None:
    """Add one line to a file and return when it is on the disk."""
    new = not path.exists()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode)
    try:
        data = line + b"\n"
        if os.write(handle, data) != len(data):
            raise OSError(f"{path} was not written whole; free space on its disk")
        os.fsync(handle)
    finally:
        os.close(handle)
    if new:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Return when a folder's entries are on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def whole_lines(path: Path) -> list[bytes]:
    """Return a file's lines without what an interrupted write left after the last newline; an absent file has none."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []

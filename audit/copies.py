"""Copies of checkpoints and public keys in a folder elsewhere: what exposes a history that was rewritten as a whole."""

from pathlib import Path

from audit.errors import AuditError
from audit.files import append_line, whole_lines, write_file
from audit.ring import RING
from events.paths import DataPaths


class CopyRefusedError(AuditError):
    """The folder holds checkpoints that are not ours: it is left as it is."""


class Copies:
    """Keeps ``folder`` a copy of the checkpoints; it may be away for a while and is caught up when it is back."""

    def __init__(self, paths: DataPaths, folder: Path) -> None:
        self.folder = folder
        self._paths = paths
        self._done: dict[str, int] = {}  # bytes of each file known to be the same on both sides

    def bring_up_to_date(self) -> None:
        """Append what the copies lack.

        Raises
        ------
        OSError
            if the folder is away or full; the next call catches up.
        CopyRefusedError
            if what it holds is not the beginning of ours.
        """
        if not self.folder.is_dir():
            raise FileNotFoundError(2, "is not a folder now", str(self.folder))
        for file in [*sorted(self._paths.checkpoints.glob("*.jsonl")), self._paths.keys / RING]:
            if file.exists():
                self._append(file)
        for public in self._paths.keys.glob("*.pub"):
            if not (self.folder / public.name).exists():
                write_file(self.folder / public.name, public.read_bytes(), mode=0o644)

    def _append(self, file: Path) -> None:
        kept = self.folder / file.name
        known = self._done.get(file.name, -1)
        if kept.exists() and kept.stat().st_size == known:  # in step so far: only what is new is read
            with file.open("rb") as new:
                new.seek(known)
                fresh = new.read().split(b"\n")[:-1]
            self._add(kept, fresh, known)
            return
        ours, theirs = whole_lines(file), whole_lines(kept)
        if theirs != ours[: len(theirs)]:
            raise CopyRefusedError(
                f"{kept} holds other lines than {file}: it is left as it is; "
                "compare them with `audit verify --checkpoint-dir`, or give a folder of this station's own"
            )
        if kept.exists() and kept.stat().st_size != sum(len(line) + 1 for line in theirs):
            write_file(kept, b"".join(line + b"\n" for line in theirs), mode=0o644)
        self._add(kept, ours[len(theirs) :], sum(len(line) + 1 for line in theirs))

    def _add(self, kept: Path, lines: list[bytes], size: int) -> None:
        """Append lines to a copy that has this many bytes."""
        if lines:
            append_line(kept, b"\n".join(lines), mode=0o644)
        self._done[kept.name] = size + sum(len(line) + 1 for line in lines)

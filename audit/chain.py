"""Whether the record of a data directory holds: every byte of every journal."""

from typing import TypedDict

from events.journal import verify
from events.paths import DataPaths


class WriterHead(TypedDict):
    """The end of one journal; ``tail`` names what an interrupted write left after it, "" if nothing."""

    seq: int
    head: str
    tail: str


class FirstBad(TypedDict):
    """The first thing that does not hold."""

    writer: str
    seq: int
    segment: str
    what: str


class Verification(TypedDict):
    """What was found; ``events`` counts the records up to the first bad one of each journal."""

    ok: bool
    events: int
    first_bad: FirstBad | None
    writers: dict[str, WriterHead]


def verify_data_directory(paths: DataPaths) -> Verification:
    """Verify every journal below the data directory; a station without a journal has nothing that could be wrong."""
    folders = sorted(folder for folder in paths.journal.iterdir() if folder.is_dir()) if paths.journal.is_dir() else []
    found: Verification = {"ok": True, "events": 0, "first_bad": None, "writers": {}}
    for folder in folders:
        result = verify(folder)
        found["events"] += result.events
        found["writers"][folder.name] = {"seq": result.events - 1, "head": result.head, "tail": result.tail}
        if result.first_bad is not None and found["first_bad"] is None:
            bad = result.first_bad
            found["first_bad"] = {"writer": bad.writer, "seq": bad.seq, "segment": bad.segment, "what": bad.what}
            found["ok"] = False
    return found

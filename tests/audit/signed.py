import json
import struct
import subprocess
import sys
from pathlib import Path

from crc32c import crc32c

from audit import keys
from audit.signer import Signer
from audit.verification import verify_data_directory
from events.journal import JournalWriter
from events.paths import DataPaths
from events.segments import segment_files

FRAME = struct.Struct("<II")
VERIFIER = Path(__file__).resolve().parents[2] / "audit" / "verifier.py"
SEGMENT_BYTES = 12_000


def append(journal, count, start=0):
    for number in range(start, start + count):
        journal.append([("TimerEvent", "x", None, None, b'{"instant_ns":%d}' % (1000 + number))] * (1 + number % 3))
    journal.sync()


def build(root: Path, kept: Path | None = None, *, batches=90, each=9, segment_bytes=SEGMENT_BYTES) -> DataPaths:
    """Write two journals under a signer that signs every ``each`` batches."""
    paths = DataPaths(root)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys.create_missing(paths)
    if kept is not None:
        kept.mkdir(exist_ok=True)
    signer = Signer(paths, kept)
    for writer in ("execution", "station"):
        journal = JournalWriter(paths.journal / writer, writer, "run", segment_bytes=segment_bytes)
        for start in range(0, batches, each):
            append(journal, each, start)
            assert signer.step()
        journal.close()
    signer.copy()
    assert signer.refused == []
    signer.close()
    return paths


def frames(data: bytes) -> list[bytes]:
    """The stored bytes of a segment's records."""
    at, found = 0, []
    while at + 8 <= len(data) and (length := FRAME.unpack_from(data, at)[0]):
        found.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    return found


def framed(raws: list[bytes]) -> bytes:
    return b"".join(FRAME.pack(len(raw), crc32c(raw)) + raw for raw in raws)


def change(paths: DataPaths, act, *, segment=2, writer="execution") -> tuple[int, str]:
    """Rewrite one segment's records by ``act(list) -> list``; return (its first sequence, its name)."""
    file = segment_files(paths.journal / writer)[segment]
    file.write_bytes(framed(act(frames(file.read_bytes()))))
    return int(file.stem), file.name


def standalone(target, *arguments) -> tuple[int, dict]:
    """Run the stand-alone verifier, isolated from this tree; return exit code and what it says."""
    command = [sys.executable, "-I", str(VERIFIER), str(target), *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode in {0, 1}, done.stderr
    return done.returncode, json.loads(done.stdout)["first_bad"]


def both(paths: DataPaths, *, kept=None, public_key=None):
    """Verify with both verifiers, which must agree; return the first bad thing."""
    found = verify_data_directory(paths, checkpoints=kept, public_key=public_key)
    arguments = [*(["--checkpoint-dir", kept] if kept else []), *(["--public-key", public_key] if public_key else [])]
    code, bad = standalone(paths.root, *arguments)
    print(f"audit verify: {found['first_bad']}\nverifier.py : {bad}")
    assert (code == 0) == found["ok"]
    assert bad == found["first_bad"]
    return bad

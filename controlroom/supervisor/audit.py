"""`audit`: everything that asks about the record, one sub-command a module with ``main(argv) -> exit code``."""

import importlib
import os

from controlroom.supervisor.compiled import cache_directory
from events.commandline import help_or_refusal

SUBCOMMANDS = {
    "head": ("audit.commands.head", "last record, last checkpoint and key of each journal"),
    "verify": ("audit.commands.verify", "every byte, hash, Merkle root and signature; says exactly what does not hold"),
    "prove": ("audit.commands.prove", "a record with its Merkle proof; --check FILE checks one"),
    "export": ("audit.commands.export", "a range of records as a bundle that proves itself"),
    "checkpoint": ("audit.commands.checkpoint", "the newest signed checkpoints; --wait until they cover everything"),
    "replay": ("worker.replay", "the engine once more over the journal's inputs; names the first record that differs"),
    "rebuild": ("recorder.rebuild", "the projection once more from the journals; --compare it row for row"),
    "archive": ("controlroom.supervisor.archive", "compress closed, signed segments and move them elsewhere"),
}
"""Name to (module, what it does)."""

EXAMPLES = """examples:
  manage.py audit verify --json
  manage.py audit verify --writer execution --from 1000 --to 2000
  manage.py audit verify --checkpoint-dir /media/usb/checkpoints --public-key /media/usb/signing.pub
  manage.py audit prove 1234 --out proof.json
  manage.py audit prove --check proof.json
  manage.py audit export --writer execution --from 1000 --to 2000 --out bundle.zip
  manage.py audit replay --json
  manage.py audit rebuild --into /tmp/again.sqlite3 --compare
  manage.py audit archive --to /mnt/archive --keep 4
Without this station: python audit/verifier.py DIR-OR-BUNDLE.zip [--public-key FILE] [--checkpoint-dir DIR]
"""


def main(argv: list[str]) -> int:
    """Run one sub-command; return 0, 1 (did not hold) or 2 (bad input)."""
    shown = help_or_refusal("audit", argv, {name: what for name, (_, what) in SUBCOMMANDS.items()}, EXAMPLES)
    if shown is not None:
        return shown
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_directory()))
    return int(importlib.import_module(SUBCOMMANDS[argv[0]][0]).main(argv[1:]))

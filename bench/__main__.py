"""`./station bench [name]`: run one benchmark, or all; each module here has ``main(argv) -> exit code``."""

import importlib
import os
import pkgutil
import sys
from pathlib import Path

from controlroom.supervisor.compiled import cache_directory


def names() -> list[str]:
    """Return the benchmarks' names."""
    found = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return sorted(name for name in found if not name.startswith("_"))


def main(argv: list[str]) -> int:
    """Run the benchmark named first (the rest are its arguments), or all; return 0, 1 or 2."""
    known = names()
    if argv[:1] in (["-h"], ["--help"]):
        print(f"Usage: ./station bench [{' | '.join(known)}] [--json]\nexample: ./station bench tick_to_order")
        return 0
    if argv and not argv[0].startswith("-") and argv[0] not in known:
        print(f'bench: "{argv[0]}" is no benchmark; allowed are {", ".join(known)}', file=sys.stderr)
        return 2
    named = bool(argv) and argv[0] in known
    chosen, rest = ([argv[0]], argv[1:]) if named else (known, argv)
    codes = []
    for name in chosen:
        if not named:
            print(f"\n== {name}", flush=True)
        codes.append(int(importlib.import_module(f"bench.{name}").main(rest)))
    return max(codes, default=0)


if __name__ == "__main__":
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_directory()))
    sys.exit(main(sys.argv[1:]))

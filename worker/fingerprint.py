"""What must be the same for a replay to be identical byte for byte."""

import hashlib
import platform
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILED = ("engine", "agents/strategies", "agents/execution", "risk", "market")


def sources_hash() -> str:
    """Return the SHA-256 over the names and bytes of every source that decides an order or what it should cost."""
    digest = hashlib.sha256()
    for folder in COMPILED:
        for file in sorted((ROOT / folder).rglob("*.py")):
            digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def sources_stamp() -> str:
    """Return a hash of where each of these sources lies and when it was changed: what numba's cache looks at."""
    digest = hashlib.sha256(str(ROOT).encode())
    for file in (path for folder in COMPILED for path in sorted((ROOT / folder).rglob("*.py"))):
        digest.update(f"{file.relative_to(ROOT)} {file.stat().st_mtime_ns}\n".encode())
    return digest.hexdigest()


def fingerprint() -> dict[str, str]:
    """Return Python, numba, llvmlite, the CPU model that code is compiled for, and the hash of the sources."""
    import llvmlite  # noqa: PLC0415 - only a worker that trades needs the compiler
    import numba  # noqa: PLC0415
    from llvmlite import binding  # noqa: PLC0415

    return {
        "python": platform.python_version(),
        "numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "cpu": f"{platform.machine()} {binding.get_host_cpu_name()}",
        "sources": sources_hash(),
    }

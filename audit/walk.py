"""The fast way through a segment: frames, CRC, sequence, batches and chain in one compiled loop.

It accepts only records exactly as the station writes them and stops before the first that is not; what is wrong there
is then for audit/segment.py to find out. Hashing is libcrypto's SHA-256 (which uses the processor's SHA instructions),
called from the loop itself, since a call from Python costs more than hashing a record; the CRC-32C is the processor's
own instruction. Where either is missing, :data:`COMPILED` is false and audit/segment.py goes the slow way.
"""

import ctypes.util
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

HASH_BYTES = 32
CONTEXT_BYTES = 128  # libcrypto's SHA256_CTX has 112
SMALLEST_RECORD = 180  # bytes: a record's own field names and its previous hash, nothing in the fields

_pointer = types.uintp
_sha_init = types.ExternalFunction("SHA256_Init", types.int32(_pointer))
_sha_update = types.ExternalFunction("SHA256_Update", types.int32(_pointer, _pointer, types.uintp))
_sha_final = types.ExternalFunction("SHA256_Final", types.int32(_pointer, _pointer))


def _available() -> bool:
    """Return whether this process has libcrypto's low-level SHA-256 and the processor the CRC-32C instruction."""
    library = ctypes.util.find_library("crypto")
    if library is None or not llvmlite.binding.get_host_cpu_features().get("sse4.2"):
        return False
    try:
        llvmlite.binding.load_library_permanently(library)
    except RuntimeError:
        return False
    return all(llvmlite.binding.address_of_symbol(f"SHA256_{name}") for name in ("Init", "Update", "Final"))


COMPILED = _available()


@intrinsic
def _crc_word(typing_context: Any, crc: Any, address: Any) -> Any:  # noqa: ARG001 - numba's signature
    """CRC-32C of the eight bytes at an address: ``crc32`` of SSE 4.2."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        word = ir.IntType(64)
        kind = ir.FunctionType(word, [word, word])
        step = builder.module.declare_intrinsic("llvm.x86.sse42.crc32.64.64", (), kind)
        pointer = builder.inttoptr(arguments[1], word.as_pointer())
        return builder.call(step, [arguments[0], builder.load(pointer, align=1)])

    return types.uint64(types.uint64, types.uintp), generate


@intrinsic
def _crc_byte(typing_context: Any, crc: Any, byte: Any) -> Any:  # noqa: ARG001 - numba's signature
    """CRC-32C of one more byte."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        word, byte = ir.IntType(32), ir.IntType(8)
        kind = ir.FunctionType(word, [word, byte])
        return builder.call(builder.module.declare_intrinsic("llvm.x86.sse42.crc32.32.8", (), kind), arguments)

    return types.uint32(types.uint32, types.uint8), generate


@njit(nogil=True, cache=True)
def _crc32c(data: Bytes, start: int, end: int) -> int:
    crc = np.uint64(0xFFFFFFFF)
    base = np.uintp(data.ctypes.data)
    at = start
    while at + 8 <= end:
        crc = _crc_word(crc, np.uintp(base + np.uintp(at)))
        at += 8
    short = np.uint32(crc)
    while at < end:
        short = _crc_byte(short, data[at])
        at += 1
    return int(short ^ np.uint32(0xFFFFFFFF))


@njit(nogil=True, cache=True)
def _u32(data: Bytes, at: int) -> int:
    return int(data[at]) | int(data[at + 1]) << 8 | int(data[at + 2]) << 16 | int(data[at + 3]) << 24


@njit(nogil=True, cache=True)
def _text(data: Bytes, at: int, end: int, text: bytes) -> int:
    """Return the offset behind ``text``, or -1 where something else stands there."""
    if at < 0 or at + len(text) > end:
        return -1
    for index in range(len(text)):
        if data[at + index] != text[index]:
            return -1
    return at + len(text)


@njit(nogil=True, cache=True)
def _string(data: Bytes, at: int, end: int) -> int:
    """Return the offset of the quote that ends a JSON string, or -1."""
    while 0 <= at < end:
        if data[at] == 34:
            return at
        at += 2 if data[at] == 92 else 1
    return -1


@njit(nogil=True, cache=True)
def _number(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Return (a whole number's value, the offset behind it), the offset -1 where there is none."""
    value, first = 0, at
    while 0 <= at < end and 48 <= data[at] <= 57:
        value = value * 10 + int(data[at]) - 48
        at += 1
    canonical = 0 < at - first < 20 and (at - first == 1 or data[first] != 48)
    return value, at if canonical else -1


@njit(nogil=True, cache=True)
def _value(data: Bytes, at: int, end: int) -> int:
    """Return the offset of the comma that ends a number or null, or -1."""
    while 0 <= at < end:
        letter = data[at]
        if letter == 44:
            return at
        if letter in (34, 123, 125, 91, 93):
            return -1
        at += 1
    return -1


@njit(nogil=True, cache=True)
def _left(data: Bytes, at: int, end: int, seq: int, prefix: Bytes) -> int:
    """Return ``left`` of a record in the station's own form with this sequence, or -1."""
    if at + len(prefix) > end or not np.array_equal(data[at : at + len(prefix)], prefix):
        return -1
    at = _text(data, _string(data, at + len(prefix), end), end, b'","seq":')
    found, at = _number(data, at, end)
    if found != seq:
        return -1
    _, at = _number(data, _text(data, at, end, b',"utc_ns":'), end)
    _, at = _number(data, _text(data, at, end, b',"mono_ns":'), end)
    at = _string(data, _text(data, at, end, b',"type":"'), end)
    at = _string(data, _text(data, at, end, b'","agent_id":"'), end)
    at = _value(data, _text(data, at, end, b'","confidence":'), end)
    at = _value(data, _text(data, at, end, b',"competitive_score":'), end)
    left, at = _number(data, _text(data, at, end, b',"left":'), end)
    return left if _text(data, at, end, b',"payload":') > 0 else -1


@njit(nogil=True, cache=True)
def _follows(data: Bytes, end: int, prev: Bytes) -> bool:
    """Return whether the record that ends here names the previous hash."""
    at = _text(data, end - 75, end, b',"prev":"')
    if at < 0 or data[end - 2] != 34 or data[end - 1] != 125:
        return False
    for index in range(32):
        high, low = prev[index] >> 4, prev[index] & 15
        if data[at] != (48 + high if high < 10 else 87 + high) or data[at + 1] != (48 + low if low < 10 else 87 + low):
            return False
        at += 2
    return True


@njit(nogil=True, cache=True)
def _sha256(context: Bytes, data: Bytes, start: int, count: int, out: Bytes) -> None:
    state = np.uintp(context.ctypes.data)
    _sha_init(state)
    _sha_update(state, np.uintp(data.ctypes.data) + np.uintp(start), np.uintp(count))
    _sha_final(np.uintp(out.ctypes.data), state)


@njit(nogil=True, cache=True)
def walk(  # noqa: PLR0917 - compiled code takes its arguments by position
    data: Bytes, start: int, seq: int, prefix: Bytes, prev: Bytes, hashes: Bytes, leaves: Bytes
) -> tuple[int, int, int]:
    """Follow records from an offset on; return (how many held, the offset behind them, ``left`` of the last).

    Parameters
    ----------
    data : a segment's bytes; ``seq`` is the sequence of the record at ``start``, ``prefix`` the beginning of each.
    prev : (32,) hash of the record before; afterwards of the last one.
    hashes, leaves : (n, 32) filled with each record's hash and its leaf hash; the walk ends when they are full.
    """
    context, doubled = np.empty(CONTEXT_BYTES, np.uint8), np.zeros(1 + HASH_BYTES, np.uint8)
    at, count, left, size = start, 0, 0, len(data)
    while at + 8 <= size and count < len(hashes):
        length = _u32(data, at)
        body, end = at + 8, at + 8 + length
        if length < 128 or end > size or _crc32c(data, body, end) != _u32(data, at + 4):
            break
        of_batch = _left(data, body, end, seq + count, prefix)
        if of_batch < 0 or (left and of_batch != left - 1) or not _follows(data, end, prev):
            break
        _sha256(context, data, body, length, prev)
        hashes[count] = prev
        doubled[1:] = prev
        _sha256(context, doubled, 0, len(doubled), leaves[count])
        at, left, count = end, of_batch, count + 1
    return count, at, left


@njit(nogil=True, cache=True)
def grow(peaks: Bytes, size: int, leaves: Bytes) -> int:
    """Append leaf hashes to a tree and return its new size.

    Parameters
    ----------
    peaks : (64, 32) hash of the complete subtree of each level where ``size`` has a one bit.
    leaves : (n, 32)
    """
    context, pair = np.empty(CONTEXT_BYTES, np.uint8), np.ones(1 + 2 * HASH_BYTES, np.uint8)
    node = np.empty(HASH_BYTES, np.uint8)
    for index in range(len(leaves)):
        node[:] = leaves[index]
        level = 0
        while size >> level & 1:
            pair[1 : 1 + HASH_BYTES] = peaks[level]
            pair[1 + HASH_BYTES :] = node
            _sha256(context, pair, 0, len(pair), node)
            level += 1
        peaks[level] = node
        size += 1
    return size

"""Nothing sealed is read early, changed, replayed or read late; the record stays readable through every rotation."""

import base64
import contextlib
import hashlib
import string

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.keys import backup, create_missing, private_file
from audit.ring import KeyRing
from events.paths import DataPaths
from tournaments.sealing import (
    Context,
    Opened,
    Sealed,
    SealError,
    TransportKey,
    accept,
    commitment,
    competition_key,
    read_record,
    seal,
    unseal,
    write_record,
)

ROUND = "tournament:XNYS:2019-01-07"
SECRET, NONCE = bytes(range(32)), bytes(range(100, 132))
CONTENT = b'{"round_id":"tournament:XNYS:2019-01-07","agent":"momentum","predictions":[{"symbol":"AAPL","up":0.625}]}'
ALPHABET = string.ascii_letters + string.digits + "+/"
CONTEXT = Context(round_id=ROUND, agent="momentum", kind="entry", step="predict")


def key(secret=SECRET, round_id=ROUND):
    return TransportKey(round_id, secret)


def sealed(context=CONTEXT, nonce=NONCE, content=CONTENT, public=None):
    return seal(public or key().public, context, nonce, content)


def ed25519(seed):
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def pem(private, passphrase=None):
    how = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def lp(text):
    return len(text.encode()).to_bytes(4, "big") + text.encode()


def refused(code, call, *args, **named):
    with pytest.raises(SealError) as caught:
        call(*args, **named)
    assert caught.value.code == code
    return str(caught.value)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(content=st.binary(max_size=3000), nonce=st.binary(min_size=32, max_size=32), agent=st.text(max_size=20))
def test_what_was_sealed_is_what_opens(content, nonce, agent):
    context = msgspec.structs.replace(CONTEXT, agent=agent)
    assert unseal(key(), sealed(context, nonce, content)) == Opened(nonce, content)


def test_the_bytes_are_those_that_the_docstring_says():
    found = sealed()
    assert found.commitment == hashlib.sha256(lp(ROUND) + lp("momentum") + NONCE + CONTENT).hexdigest()
    parts = ("station/tournament/transport/1", ROUND, "momentum", "entry", "predict", "")
    info = b"".join(lp(part) for part in parts) + bytes.fromhex(found.commitment)
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
    padded = suite.decrypt(base64.b64decode(found.box), X25519PrivateKey.from_private_bytes(SECRET), info)
    assert len(padded) == 1024
    assert padded == (NONCE + len(CONTENT).to_bytes(4, "big") + CONTENT).ljust(1024, b"\0")
    assert len(base64.b64decode(found.box)) == 32 + 1024 + 16


def test_a_box_and_its_commitment_give_nothing_of_the_text_away():
    found = msgspec.json.encode(sealed())
    short = msgspec.json.encode(sealed(content=b'{"up":0.1}'))
    for secret in (b"AAPL", b"0.625", NONCE, NONCE.hex().encode(), base64.b64encode(NONCE)[:40]):
        assert secret not in found
    assert len(found) == len(short)
    guess = hashlib.sha256(lp(ROUND) + lp("momentum") + CONTENT).hexdigest()
    assert guess != sealed().commitment  # who knows the text must still know the nonce
    assert sealed(nonce=bytes(32)).commitment != sealed().commitment


def test_no_two_boxes_of_one_text_are_alike():
    assert sealed().box != sealed().box
    assert sealed().commitment == sealed().commitment


def test_a_commitment_does_not_run_its_parts_together():
    assert commitment("ab", "c", NONCE, b"") != commitment("a", "bc", NONCE, b"")


def test_a_changed_byte_is_refused():
    found = sealed()
    box = base64.b64decode(found.box)
    for place in range(0, len(box), 7):
        for bit in (1, 128):
            changed = bytearray(box)
            changed[place] ^= bit
            altered = msgspec.structs.replace(found, box=base64.b64encode(changed).decode())
            said = refused("altered", unseal, key(), altered)
            assert said == f"the entry of momentum (round {ROUND}, step predict) is not as it was sealed"


def test_a_changed_letter_of_the_text_form_is_refused():
    found = sealed(content=b"")
    for place in (0, 50, len(found.box) - 3, len(found.box) - 2, len(found.box) - 1):
        for letter in "ABQgw=9+\n é":
            if found.box[place] != letter:
                box = found.box[:place] + letter + found.box[place + 1 :]
                refused("altered", unseal, key(), msgspec.structs.replace(found, box=box))
    end = len(found.box.rstrip("=")) - 1
    for letter in ALPHABET.replace(found.box[end], ""):  # the last one has spare bits that no byte depends on
        box = found.box[:end] + letter + found.box[end + 1 :]
        refused("altered", unseal, key(), msgspec.structs.replace(found, box=box))
    for box in ("", found.box[:-4], found.box + "AAAA", found.box + "\n"):
        refused("altered", unseal, key(), msgspec.structs.replace(found, box=box))


@pytest.mark.parametrize(
    "change", [lambda _: "0" * 64, lambda _: "", lambda _: "zz", str.upper, lambda c: c[:-2], lambda c: c + "00"]
)
def test_a_changed_commitment_is_refused(change):
    found = sealed()
    refused("altered", unseal, key(), msgspec.structs.replace(found, commitment=change(found.commitment)))


@pytest.mark.parametrize(
    "fields",
    [
        {"agent": "bullish"},
        {"step": "defend"},
        {"kind": "defence"},
        {"about": "bullish"},
        {"agent": "", "about": "momentum"},
    ],
)
def test_a_box_opens_in_no_other_context(fields):
    found = sealed()
    other = msgspec.structs.replace(found, context=msgspec.structs.replace(CONTEXT, **fields))
    refused("altered", unseal, key(), other)


def test_a_box_of_another_round_is_replayed_even_under_the_same_key():
    found, other = sealed(), "tournament:XNYS:2019-01-14"
    said = refused("replayed", unseal, key(round_id=other), found)
    assert other in said
    moved = msgspec.structs.replace(found, context=msgspec.structs.replace(CONTEXT, round_id=other), key=other)
    refused("altered", unseal, key(round_id=other), moved)


def test_another_rounds_key_opens_nothing():
    refused("altered", unseal, key(secret=bytes([9]) * 32), sealed())


def test_after_close_the_ephemeral_private_key_is_unrecoverable_from_what_is_kept():
    """Kept are the sealed messages, the public key, the record under the competition key, the closed key itself."""
    transport = key()
    found = sealed(public=transport.public)
    competition = competition_key(pem(ed25519(1)))
    recorded = write_record(competition.public, competition.key, CONTEXT, unseal(transport, found))
    transport.destroy()
    transport.destroy()
    assert transport.destroyed
    assert "has closed and its key is destroyed" in refused("closed", unseal, transport, found)
    refused("closed", transport.private)

    state = repr(vars(transport)).encode() + bytes(transport.__dict__["_secret"])
    boxes = base64.b64decode(found.box) + base64.b64decode(recorded.box)
    messages = msgspec.json.encode([msgspec.structs.replace(each, box="") for each in (found, recorded)])
    kept = b"".join((state, messages, boxes, transport.public, competition.public))
    opened = read_record({competition.key: competition}, recorded)
    kept += opened.nonce + opened.content + competition.private.private_bytes_raw()
    for form in (SECRET, SECRET.hex().encode(), base64.b64encode(SECRET)[:42], base64.urlsafe_b64encode(SECRET)[:42]):
        assert form not in kept
    for place in range(len(kept) - 31):
        with contextlib.suppress(SealError):
            unseal(TransportKey(ROUND, kept[place : place + 32]), found)
            pytest.fail(f"the 32 bytes at {place} of what is kept open the box")


def test_the_same_windows_would_find_the_key_if_it_were_kept():
    kept = b"before" + SECRET + b"after"
    opens = 0
    for place in range(len(kept) - 31):
        with contextlib.suppress(SealError):
            unseal(TransportKey(ROUND, kept[place : place + 32]), sealed())
            opens += 1
    assert opens == 1


def take(held, found, expected=CONTEXT, received_ns=100, deadline_ns=100):
    return accept(held, found, expected, received_ns=received_ns, deadline_ns=deadline_ns)


BULLISH = msgspec.structs.replace(CONTEXT, agent="bullish")


def test_a_sealed_text_is_accepted_once_up_to_the_deadline_and_a_repetition_changes_nothing():
    found = sealed()
    held = take((), found)
    assert held == (found,)
    assert take(held, found, received_ns=10**12) is held
    other = sealed(BULLISH)
    assert take(held, other, BULLISH) == (found, other)


def test_late_is_refused_with_how_late():
    said = refused("late", take, (), sealed(), received_ns=1_500_000_100)
    assert said == f"the entry of momentum (round {ROUND}, step predict) came 1.500 s after the deadline"


@pytest.mark.parametrize(
    "expected",
    [
        BULLISH,
        msgspec.structs.replace(CONTEXT, round_id="tournament:XNYS:2019-01-14"),
        msgspec.structs.replace(CONTEXT, step="defend"),
        msgspec.structs.replace(CONTEXT, kind="challenge"),
        msgspec.structs.replace(CONTEXT, about="bearish"),
    ],
)
def test_what_was_sealed_for_elsewhere_is_replayed(expected):
    assert "it counts there alone" in refused("replayed", take, (), sealed(), expected)


def test_nobody_replaces_what_is_sealed():
    held = take((), sealed())
    assert "cannot be replaced" in refused("replayed", take, held, sealed(content=b"{}"))
    assert "cannot be replaced" in refused("replayed", take, held, sealed())


def test_nobody_repeats_anothers_box_or_commitment():
    held = take((), sealed())
    copied = msgspec.structs.replace(sealed(BULLISH), box=held[0].box)
    assert "repeats the entry of momentum" in refused("replayed", take, held, copied, BULLISH)
    copied = msgspec.structs.replace(sealed(BULLISH), commitment=held[0].commitment)
    assert "repeats the entry of momentum" in refused("replayed", take, held, copied, BULLISH)


def test_a_challenge_to_one_agent_is_not_a_challenge_to_another():
    to = Context(round_id=ROUND, agent="challenger", kind="challenge", step="challenge", about="momentum")
    also = msgspec.structs.replace(to, about="bullish")
    held = take((), sealed(to), to)
    assert len(take(held, sealed(also, nonce=bytes(32)), also)) == 2
    refused("altered", unseal, key(), msgspec.structs.replace(held[0], context=also))


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_keys_and_nonces_have_32_bytes(length):
    short = bytes(length)
    assert f"has {length} bytes" in refused("unreadable", TransportKey, ROUND, short)
    assert f"has {length} bytes" in refused("unreadable", seal, short, CONTEXT, NONCE, CONTENT)
    assert f"has {length} bytes" in refused("unreadable", seal, key().public, CONTEXT, short, CONTENT)


def test_a_public_key_that_is_none_is_refused():
    assert "is no X25519 key" in refused("unreadable", seal, bytes(32), CONTEXT, NONCE, CONTENT)


def test_a_text_that_is_too_long_is_refused():
    assert "at most 1000000" in refused("unreadable", seal, key().public, CONTEXT, NONCE, b"x" * 1_000_001)


def test_the_record_is_read_with_the_competition_key_and_nothing_else():
    old, new = competition_key(pem(ed25519(1))), competition_key(pem(ed25519(2)))
    recorded = write_record(old.public, old.key, CONTEXT, unseal(key(), sealed()))
    assert recorded.commitment == sealed().commitment
    assert read_record({old.key: old}, recorded) == Opened(NONCE, CONTENT)
    assert f"competition key {old.key} is not here ({new.key})" in refused(
        "unreadable", read_record, {new.key: new}, recorded
    )
    refused("altered", read_record, {old.key: new}, recorded)
    assert b"AAPL" not in msgspec.json.encode(recorded)


def test_after_a_rotation_old_and_new_records_are_read():
    keys = {each.key: each for each in (competition_key(pem(ed25519(seed))) for seed in (1, 2, 3))}
    assert len(keys) == 3
    records = [write_record(each.public, each.key, CONTEXT, Opened(NONCE, CONTENT)) for each in keys.values()]
    assert [read_record(keys, each).content for each in records] == [CONTENT] * 3


def test_a_record_is_no_message_and_a_message_is_no_record():
    competition = competition_key(pem(ed25519(1)))
    secret = competition.private.private_bytes_raw()
    same = TransportKey(ROUND, secret)
    recorded = write_record(competition.public, ROUND, CONTEXT, Opened(NONCE, CONTENT))
    refused("altered", unseal, same, recorded)
    refused("altered", read_record, {ROUND: competition}, sealed(public=same.public))


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_changed_byte_of_the_record_is_refused(place):
    competition = competition_key(pem(ed25519(1)))
    recorded = write_record(competition.public, competition.key, CONTEXT, Opened(NONCE, CONTENT))
    changed = bytearray(base64.b64decode(recorded.box))
    changed[place] ^= 1
    altered = msgspec.structs.replace(recorded, box=base64.b64encode(changed).decode())
    refused("altered", read_record, {competition.key: competition}, altered)


def test_the_competition_key_is_derived_as_the_docstring_says_and_is_not_the_signing_key():
    signing = ed25519(7)
    derived = HKDF(hashes.SHA256(), 32, None, b"station/tournament/competition/1").derive(signing.private_bytes_raw())
    found = competition_key(pem(signing))
    assert found.private.private_bytes_raw() == derived != signing.private_bytes_raw()
    assert found.public == X25519PrivateKey.from_private_bytes(derived).public_key().public_bytes_raw()


def test_the_files_of_manage_keys_and_their_backup_are_read(tmp_path):
    paths = DataPaths(tmp_path / "data")
    create_missing(paths)
    ring = KeyRing.read(paths.keys)
    found = competition_key(private_file(paths, "competition", ring.current("competition").key).read_bytes())
    assert found.key == ring.current("competition").key
    backup(paths, tmp_path / "medium", b"a long passphrase")
    saved = (tmp_path / "medium" / f"competition-{found.key}.key").read_bytes()
    assert competition_key(saved, b"a long passphrase").public == found.public
    refused("unreadable", competition_key, saved, b"another passphrase")
    refused("unreadable", competition_key, saved)


@pytest.mark.parametrize("content", [b"", b"nothing", pem(X25519PrivateKey.from_private_bytes(SECRET))])
def test_what_is_no_competition_key_is_refused(content):
    assert "competition key" in refused("unreadable", competition_key, content)


def test_a_box_that_was_made_wrong_is_refused():
    """Who holds the public key may put anything into a box: a wrong length, a wrong text for the commitment."""
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
    right = (NONCE + len(CONTENT).to_bytes(4, "big") + CONTENT).ljust(1024, b"\0")
    for padded in (
        b"",
        NONCE,
        right[:-1],
        right + b"\0" * 1023,
        right[:-1] + b"x",
        NONCE + (2000).to_bytes(4, "big") + right[36:],
        NONCE + (len(CONTENT) - 1).to_bytes(4, "big") + right[36:],
        (NONCE + (2).to_bytes(4, "big") + b"{}").ljust(1024, b"\0"),
    ):
        text = padded[36:] if padded[32:36] == (2000).to_bytes(4, "big") else CONTENT
        committed = commitment(ROUND, "momentum", NONCE, text)
        parts = ("station/tournament/transport/1", ROUND, "momentum", "entry", "predict", "")
        info = b"".join(lp(part) for part in parts) + bytes.fromhex(committed)
        box = suite.encrypt(padded, X25519PrivateKey.from_private_bytes(SECRET).public_key(), info)
        wrong = Sealed(context=CONTEXT, key=ROUND, commitment=committed, box=base64.b64encode(box).decode())
        refused("altered", unseal, key(), wrong)

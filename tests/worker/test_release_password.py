"""Whose password releases the kill."""

import msgspec
import pyotp
import pytest
from worker_station import SECRET

from worker.onetime import Codes, Device
from worker.release import TRIES, WINDOW_S, Passwords, ReleaseRefusedError, make_entry


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def sealed():
    return msgspec.json.encode({"operator": make_entry("correct horse"), "second": make_entry("battery staple")})


@pytest.fixture
def file(tmp_path, sealed):
    path = tmp_path / "release.json"
    path.write_bytes(sealed)
    path.chmod(0o600)
    return path


def refusal(passwords, **changes):
    given = {"user": "operator", "password": "correct horse", "reason": "all clear", **changes}
    with pytest.raises(ReleaseRefusedError) as caught:
        passwords.verify(**given)
    return str(caught.value)


def test_the_right_password_with_a_reason_is_taken(file):
    Passwords(file).verify("operator", "correct horse", "all clear")
    Passwords(file).verify("second", "battery staple", "all clear")


def test_wrong_persons_and_passwords_are_refused_with_the_same_words(file):
    passwords = Passwords(file)
    assert refusal(passwords, password="battery staple") == refusal(passwords, user="nobody")


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_a_reason_is_required(file, reason):
    assert "1 to 500" in refusal(Passwords(file), reason=reason)


def test_five_wrong_passwords_close_it_even_to_the_right_one_for_a_quarter_of_an_hour(file):
    clock = Clock()
    passwords = Passwords(file, clock)
    for _ in range(TRIES):
        refusal(passwords, password="guess")
    assert "try again" in refusal(passwords)
    clock.now += WINDOW_S
    passwords.verify("operator", "correct horse", "all clear")


def test_a_file_that_others_can_read_is_not_trusted(file):
    file.chmod(0o640)
    assert "0600" in refusal(Passwords(file))


def test_a_missing_or_broken_file_refuses(tmp_path, file):
    assert "cannot be read" in refusal(Passwords(tmp_path / "none.json"))
    file.write_bytes(b"{")
    assert "not in order" in refusal(Passwords(file))


def test_parameters_beyond_memory_refuse_instead_of_failing(file):
    entry = msgspec.structs.replace(make_entry("x"), n=1 << 24)
    file.write_bytes(msgspec.json.encode({"operator": entry}))
    assert "scrypt" in refusal(Passwords(file))
    assert file.stat().st_mode & 0o777 == 0o600


def test_two_entries_of_one_password_differ():
    assert make_entry("same").hash != make_entry("same").hash


def test_a_right_password_without_a_code_gives_no_further_guesses_at_the_code(file, tmp_path):
    passwords = Passwords(file, Clock(), codes=Codes(tmp_path / "codes.json"))
    for _ in range(TRIES - 1):
        refusal(passwords, code="000000")
    passwords.verify("operator", "correct horse", "all clear")
    assert "try again" not in refusal(passwords, code="000000")
    assert "try again" in refusal(passwords, code="000000")
    assert "try again" in refusal(passwords)


def test_a_right_code_starts_the_count_anew(file, tmp_path):
    codes = tmp_path / "codes.json"
    codes.write_bytes(msgspec.json.encode({"operator": Device(secret=SECRET, since_ns=1)}))
    codes.chmod(0o600)
    passwords = Passwords(file, Clock(), codes=Codes(codes))
    for _ in range(TRIES - 1):
        refusal(passwords, password="guess")
    passwords.verify("operator", "correct horse", "all clear", pyotp.TOTP(SECRET).now())
    assert "try again" not in refusal(passwords, password="guess")
    passwords.verify("operator", "correct horse", "all clear")


@pytest.mark.parametrize("guesser", ["second", "nobody"])
def test_nobodys_wrong_tries_close_it_to_another(file, guesser):
    passwords = Passwords(file, Clock())
    for _ in range(TRIES):
        refusal(passwords, user=guesser, password="guess")
    assert "try again" in refusal(passwords, user=guesser, password="guess")
    passwords.verify("operator", "correct horse", "all clear")

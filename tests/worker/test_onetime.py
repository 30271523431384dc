"""One-time codes: used once by whoever sees them first, never guessed, never read by others."""

import stat
import subprocess
import sys

import msgspec
import pyotp
import pytest

from worker.onetime import CodeRefusedError, Codes, Device, uri


class Clock:
    now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def codes(tmp_path):
    return Codes(tmp_path / "codes.json", Clock())


def enrolled(codes, user="ada"):
    """Enrol a device; return its codes and its recovery codes."""
    totp = pyotp.TOTP(codes.begin(user))
    shown = codes.confirm(user, totp.at(codes._now()))
    codes._now.now += 30
    return totp, shown


def refusal(codes, code, user="ada"):
    with pytest.raises(CodeRefusedError) as caught:
        codes.use(user, code)
    return str(caught.value)


def test_a_code_is_used_once_and_never_an_earlier_one_after_it(codes):
    totp, _ = enrolled(codes)
    earlier, present = totp.at(codes._now() - 30), totp.at(codes._now())
    assert codes.use("ada", present[:3] + " " + present[3:]) == "code"
    assert "used before" in refusal(codes, present)
    assert "used before" in refusal(codes, earlier)
    codes._now.now += 30
    assert codes.use("ada", totp.at(codes._now())) == "code"


def test_the_code_that_enrols_is_used_by_that(codes):
    totp = pyotp.TOTP(codes.begin("ada"))
    first = totp.at(codes._now())
    codes.confirm("ada", first)
    assert "used before" in refusal(codes, first)


@pytest.mark.parametrize("seconds", [-61, 61, 3600])
def test_a_code_of_another_time_does_not_count(codes, seconds):
    totp, _ = enrolled(codes)
    assert "wrong" in refusal(codes, totp.at(codes._now() + seconds))


@pytest.mark.parametrize("typed", ["", " ", "000", "12345678901", "abcde-fghjk", "\u0661\u0662\u0663"])
def test_what_is_no_code_is_refused_with_a_sentence(codes, typed):
    enrolled(codes)
    assert "code" in refusal(codes, typed)


def test_recovery_codes_work_once_each_and_are_not_in_the_file(codes):
    _, shown = enrolled(codes)
    assert len(set(shown)) == 10
    content = codes.path.read_text()
    assert not any(one in content or one.replace("-", "") in content for one in shown)
    assert codes.use("ada", shown[3].lower()) == "recovery code"
    assert "used before" in refusal(codes, shown[3])
    assert codes.recovery_left("ada") == 9


def test_a_new_device_replaces_the_old_one_only_once_it_is_confirmed(codes):
    old, _ = enrolled(codes)
    new = pyotp.TOTP(codes.begin("ada"))
    with pytest.raises(CodeRefusedError):
        codes.confirm("ada", old.at(codes._now()))
    assert codes.use("ada", old.at(codes._now())) == "code"
    codes.confirm("ada", new.at(codes._now()))
    codes._now.now += 60
    assert "wrong" in refusal(codes, old.at(codes._now()))
    assert codes.since_ns("ada") > 0


def test_nobody_enrolled_is_told_how(codes):
    assert "manage.py codes enrol --user ada" in refusal(codes, "123456")
    assert not codes.enrolled("ada")


def test_a_file_that_others_can_read_or_that_is_no_list_of_devices_is_not_trusted(codes):
    totp, _ = enrolled(codes)
    assert stat.S_IMODE(codes.path.stat().st_mode) == 0o600
    codes.path.chmod(0o640)
    assert "0600" in refusal(codes, totp.at(codes._now()))
    codes.path.chmod(0o600)
    codes.path.write_bytes(b"{")
    assert "not in order" in refusal(codes, totp.at(codes._now()))


def test_processes_that_type_the_same_code_at_once_use_it_once(tmp_path):
    file, secret = tmp_path / "codes.json", pyotp.random_base32()
    file.write_bytes(msgspec.json.encode({"ada": Device(secret=secret, since_ns=1)}))
    file.chmod(0o600)
    program = (
        "import sys, pathlib; from worker.onetime import *\n"
        "sys.stdin.readline()\n"
        "try: print(Codes(pathlib.Path(sys.argv[1])).use('ada', sys.argv[2]))\n"
        "except CodeRefusedError: print('refused')"
    )
    code = pyotp.TOTP(secret).now()
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(file), code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    said = sorted(racer.communicate(timeout=60)[0].strip() for racer in racers)
    assert said == ["code", "refused", "refused", "refused"]


def test_the_address_in_the_qr_code_names_station_and_person():
    assert uri("ada", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP").startswith(
        "otpauth://totp/AI%20Trading%20Station:ada?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    )

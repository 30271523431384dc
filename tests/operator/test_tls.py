"""`run --tls`: an authority of the station's own, a certificate for its names, and Daphne speaking it."""

import datetime as dt
import socket
import ssl
import stat
import subprocess
import sys
import time

import pytest
from cryptography import x509

from controlroom.supervisor.errors import BadInputError
from controlroom.supervisor.options import parse_run
from controlroom.supervisor.programs import _web
from controlroom.supervisor.tls import prepare
from events.paths import DataPaths
from tests.operator.running import unused_port

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def paths(short_dir):
    return DataPaths(short_dir)


def serial(file):
    return x509.load_pem_x509_certificate(file.read_bytes()).serial_number


def test_files_are_private_and_stay_the_same_over_starts(paths):
    made = prepare(paths, "127.0.0.1")
    assert stat.S_IMODE(made.key.parent.stat().st_mode) == 0o700
    assert (
        stat.S_IMODE(made.key.stat().st_mode)
        == stat.S_IMODE((made.key.parent / "authority.key").stat().st_mode)
        == 0o600
    )
    again = prepare(paths, "127.0.0.1")
    assert again == made
    assert str(made.authority) in made.trust()
    assert made.fingerprint in made.trust()


def test_it_is_made_anew_for_another_name_and_a_month_before_its_end_by_the_same_authority(paths):
    made = prepare(paths, "127.0.0.1")
    first, authority = serial(made.certificate), serial(made.authority)
    assert "desk.example" in prepare(paths, "192.0.2.7", ["desk.example"]).names
    second = serial(made.certificate)
    assert second != first
    prepare(paths, "192.0.2.7", ["desk.example"], NOW + dt.timedelta(days=360))
    assert serial(made.certificate) == second
    prepare(paths, "192.0.2.7", ["desk.example"], NOW + dt.timedelta(days=370))
    assert serial(made.certificate) != second
    assert serial(made.authority) == authority


def test_damaged_files_are_named(paths):
    made = prepare(paths, "127.0.0.1")
    made.authority.write_text("nothing")
    with pytest.raises(BadInputError, match="cannot be used"):
        prepare(paths, "127.0.0.1")


def test_daphne_speaks_it_to_whoever_trusts_the_authority_and_to_nobody_else(paths, tmp_path):
    made, port = prepare(paths, "127.0.0.1"), unused_port()
    (tmp_path / "plain.py").write_text(
        "async def application(scope, receive, send):\n"
        "    body = scope['scheme'].encode()\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    await send({'type': 'http.response.body', 'body': body})\n"
    )
    command = [sys.executable, *_web("127.0.0.1", port, made)[:-1], "plain:application"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            trusting = ssl.create_default_context(cafile=str(made.authority))
            assert b"https" in asked(trusting, port, "localhost")
            assert b"https" in asked(trusting, port, "127.0.0.1")
            with pytest.raises(ssl.SSLCertVerificationError):
                asked(trusting, port, "elsewhere.example")
            with pytest.raises(ssl.SSLCertVerificationError):
                asked(ssl.create_default_context(), port, "localhost")
        finally:
            server.kill()


def asked(context, port, name):
    end = time.monotonic() + 30
    while True:
        try:
            plain = socket.create_connection(("127.0.0.1", port), 5)
            break
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.1)
    with plain, context.wrap_socket(plain, server_hostname=name) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        found = b""
        while part := line.recv(4096):
            found += part
    return found


EVERY = "0.0.0.0"  # noqa: S104 - only parsed


def test_only_with_tls_may_the_host_be_any():
    assert parse_run(["--tls", "--host", EVERY]).host == EVERY
    asked = parse_run(["--tls", "--host", "desk.example", "--tls-names", "a.example,192.0.2.1"])
    assert (asked.host, asked.names) == ("desk.example", ("a.example", "192.0.2.1"))


@pytest.mark.parametrize(
    "wrong", [["--host", EVERY], ["--tls", "--host", "a b"], ["--tls-names", "x"], ["--tls", "--tls-names", "a,,b"]]
)
def test_a_host_or_name_that_cannot_be_is_refused(wrong):
    with pytest.raises(BadInputError):
        parse_run(wrong)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.supervisor import until_done
from controlroom.supervisor.errors import BadInputError
from controlroom.supervisor.options import parse_run
from worker import warm


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_defaults_show_a_simulated_market_on_loopback():
    options = parse_run([])
    assert (options.feed, options.host, options.port, options.symbols) == ("simulated", "127.0.0.1", 8777, ())
    assert options.speed is None
    assert options.browser
    assert options.data_dir.is_absolute()


def test_until_done_opens_no_browser():
    assert not parse_run(["--until-done"]).browser


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--symbols", "AAPL,,MSFT"], ("--symbols", "AAPL,,MSFT", "single commas")),
        (["--symbols", "AAPL,AAPL"], ("--symbols", "twice")),
        (["--speed", "fast"], ("--speed", "fast", '"max" or a number')),
        (["--speed", "0"], ("--speed", '"0"', "0.001")),
        (["--speed", "-5"], ("--speed", '"-5"', "0.001")),
        (["--speed", "nan"], ("--speed", "nan")),
        (["--port", "0"], ("--port", '"0"', "1 to 65535")),
        (["--port", "70000"], ("--port", "70000", "65535")),
        (["--port", "http"], ("--port", "http", "whole number")),
        (["--interval", "0"], ("--interval", '"0"', "1 to 86400")),
        (["--host", "192.168.1.2"], ("--host", "192.168.1.2", "loopback", "TLS")),
        (["--host", "example.org"], ("--host", "example.org", "loopback")),
        (["--data-dir", "a\nb"], ("--data-dir", "control characters")),
        (["--json"], ("--json", "--until-done")),
        (["--sped", "3"], ("--sped", "--help")),
    ],
)
def test_bad_arguments_are_named_with_value_and_what_is_allowed(arguments, words):
    with pytest.raises(BadInputError) as refused:
        parse_run(arguments)
    assert all(word in str(refused.value) for word in words)


@given(st.text(max_size=20).filter(lambda text: text != "max" and not is_number(text)))
def test_no_other_text_is_a_speed(text):
    with pytest.raises(BadInputError, match="--speed"):
        parse_run([f"--speed={text}"])


@given(st.floats(0.001, 1e9))
def test_every_factor_in_the_range_is_a_speed(value):
    assert parse_run([f"--speed={value!r}"]).speed == value


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_every_loopback_address_is_allowed(host):
    assert parse_run(["--host", host]).host == ("127.0.0.1" if host == "localhost" else host)


def test_a_first_compilation_is_waited_for():
    assert until_done.FIRST_S > warm.COMPILE_S
    assert until_done.FIRST_S > until_done.SILENCE_S

from hypothesis import given
from hypothesis import strategies as st

from controlroom.supervisor.crashes import LIMIT, WINDOW_S, Crashes


def test_the_fifth_death_within_a_minute_is_a_failure():
    crashes = Crashes()
    verdicts = [crashes.see(pid, 2.0 * pid) for pid in range(1, 7)]
    assert verdicts == [False, False, False, False, False, True]
    assert crashes.restarts == 5


def test_deaths_far_apart_are_none():
    crashes = Crashes()
    assert not any(crashes.see(pid, 16.0 * pid) for pid in range(1, 200))


def test_a_process_that_lives_or_was_never_there_has_not_died():
    crashes = Crashes()
    assert not any(crashes.see(0, float(second)) for second in range(100))
    assert not any(crashes.see(7, 100.0 + second) for second in range(100))
    assert crashes.restarts == 0


@given(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=40))
def test_failure_is_exactly_five_deaths_in_one_window(pauses):
    crashes, deaths, now = Crashes(), [], 0.0
    crashes.see(1, now)
    for number, pause in enumerate(pauses, start=2):
        now += pause
        deaths.append(now)
        expected = sum(now - death <= WINDOW_S for death in deaths) >= LIMIT
        assert crashes.see(number, now) is expected

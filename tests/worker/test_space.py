"""The disk-space guard: thresholds on large and small disks, an act a step, nothing that re-arms itself."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worker_station import FEED

from engine.configuration import Disk, SettingsError, check_settings, load_settings
from engine.layout import STATES
from engine.output import Output
from events.codec import decode_payload
from events.paths import DataPaths
from worker.space import LEAST_BYTES, Level, Space, SpaceGuard, disks, judge, measure, thresholds

MIB, GIB = 2**20, 2**30
DISK = Disk()
LARGE = 500 * GIB


@pytest.mark.parametrize(
    ("free", "total", "level"),
    [
        (5 * GIB, LARGE, Level.OK),
        (5 * GIB - 1, LARGE, Level.WARNING),
        (GIB, LARGE, Level.WARNING),
        (GIB - 1, LARGE, Level.REDUCING),
        (256 * MIB, LARGE, Level.REDUCING),
        (256 * MIB - 1, LARGE, Level.HALTED),
        (0, LARGE, Level.HALTED),
        (2 * GIB, 20 * GIB, Level.OK),  # a small machine: a tenth of its disk
        (2 * GIB - 1, 20 * GIB, Level.WARNING),
        (64 * MIB, 256 * MIB, Level.OK),
        (64 * MIB - 1, 256 * MIB, Level.WARNING),
        (32 * MIB - 1, 256 * MIB, Level.REDUCING),
        (16 * MIB - 1, 256 * MIB, Level.HALTED),
    ],
)
def test_exactly_at_a_threshold_holds_and_below_it_acts(free, total, level):
    assert judge(Space(free, total), DISK) == level


@given(st.integers(0, 2**50), st.integers(0, 2**50), st.integers(1, 2**50))
def test_less_space_is_never_judged_milder(free, less, total):
    assert judge(Space(min(free, less), total), DISK) >= judge(Space(max(free, less), total), DISK)


@given(st.integers(1, 2**50))
def test_every_level_has_room_before_the_next(total):
    below = thresholds(total, DISK)
    assert below[Level.HALTED] >= LEAST_BYTES
    assert below[Level.REDUCING] >= 2 * below[Level.HALTED]
    assert below[Level.WARNING] >= 2 * below[Level.REDUCING]


def test_thresholds_out_of_order_are_refused(tmp_path):
    check_settings(load_settings(), "defaults")
    file = tmp_path / "settings.toml"
    file.write_text("[disk]\nreducing_bytes = 10_000_000_000\n")
    with pytest.raises(SettingsError, match=r"disk.warning_bytes >= reducing_bytes >= halted_bytes does not hold"):
        load_settings(file)
    file.write_text("[disk]\nhalted_share = 1.5\n")
    with pytest.raises(SettingsError, match=r"disk.halted_share = 1.5 is outside 0 to 0.9"):
        load_settings(file)


def test_file_systems_are_looked_at_once_each(tmp_path):
    assert disks(DataPaths(tmp_path / "not" / "there")) == {"journal": tmp_path}
    (tmp_path / "valkey").symlink_to("/dev/shm")  # noqa: S108 - another file system of every Linux
    assert disks(DataPaths(tmp_path)) == {"journal": tmp_path, "bus": tmp_path / "valkey"}
    assert measure(Path("/dev/shm")).total > 0  # noqa: S108


class Scripted:
    """A disk whose free space the test sets."""

    def __init__(self, bench):
        self.free = LARGE
        self.bench = bench
        self.guard = SpaceGuard(bench.core, DataPaths(bench.folder), lambda _: Space(self.free, LARGE))

    def look(self, free):
        self.free = free
        self.guard.look()
        return STATES[int(self.bench.core.machine.engine.state.account[0]["state"])]

    def alerts(self):
        return [
            alert.severity
            for record in self.bench.records
            if record.type == "RiskAlert"
            and (alert := decode_payload("RiskAlert", record.payload)).rule == "DISK_SPACE"
        ]


@pytest.fixture
def scripted(bench):
    bench.configure()
    return Scripted(bench)


def test_each_step_alerts_once_and_nothing_rearms_itself(scripted):
    assert [scripted.look(free) for free in (LARGE, 4 * GIB, 4 * GIB)] == ["ACTIVE"] * 3
    assert scripted.alerts() == ["warning"]
    assert [scripted.look(free) for free in (900 * MIB, 900 * MIB, 4 * GIB, LARGE)] == ["REDUCING"] * 4
    assert scripted.alerts() == ["warning", "critical"]
    assert [scripted.look(free) for free in (100 * MIB, LARGE)] == ["HALTED"] * 2
    assert scripted.alerts() == ["warning", "critical", "critical"]


def test_a_release_on_a_full_disk_does_not_last(scripted):
    scripted.look(100 * MIB)
    scripted.bench.core.control("release", "ann", "trying")
    assert scripted.look(100 * MIB) == "HALTED"
    scripted.bench.core.control("release", "ann", "space was made")
    assert scripted.look(LARGE) == "ACTIVE"
    assert scripted.alerts() == ["critical"]


def test_a_size_that_wavers_about_a_threshold_alerts_once(scripted):
    for free in (5 * GIB - 1, 5 * GIB + 1) * 5:
        scripted.look(free)
    assert scripted.alerts() == ["warning"]
    scripted.look(6 * GIB)
    scripted.look(4 * GIB)
    assert scripted.alerts() == ["warning", "warning"]


def test_halted_cancels_what_works_and_a_start_finds_it_halted(scripted):
    bench = scripted.bench
    for one in bench.slices(500):
        bench.core.apply(Output("MarketSlice", f"feed:{FEED}", one))
        if bench.core.machine.broker.working():
            break
    assert bench.core.machine.broker.working()
    assert scripted.look(100 * MIB) == "HALTED"
    assert not bench.core.machine.broker.working()
    bench.crash()
    assert STATES[int(bench.core.machine.engine.state.account[0]["state"])] == "HALTED"


def test_reducing_takes_back_only_what_could_raise_exposure(scripted):
    bench = scripted.bench
    bench.trade(400)
    scripted.look(900 * MIB)
    held = gross(bench)
    for one in bench.slices(600, first=400):
        bench.core.apply(Output("MarketSlice", f"feed:{FEED}", one))
    after = gross(bench)
    assert all(abs(after[symbol]) <= abs(held[symbol]) for symbol in held)


def gross(bench):
    universe = bench.core.machine.engine.state.universe
    return dict(zip((each.symbol for each in universe.instruments), universe.symbols["lots"].tolist(), strict=True))

"""`tournament season`: a table or one JSON object, everything SIMULATED; what cannot be is one sentence and code 2."""

import csv
import json
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from controlroom.supervisor.errors import BadInputError
from controlroom.supervisor.tournament import main
from controlroom.supervisor.tournament_market import read_market
from tests.conftest import data_folder
from tests.operator.running import manage
from tests.tournaments.seasons import days
from tournaments.record import RoundRecord

QUICK = {"stress_paths": 20, "stress_symbols": 2}
DATES = ("--from", "2018-06-17", "--to", "2018-07-07")
FIELDS = ("open", "high", "low", "close", "volume")


def written(path, names=("AAA", "BBB", "CCC"), count=50, exchange="", **changes):
    """Write drawn daily bars as a file; ``changes`` are columns of the last row."""
    market = days(count, len(names))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("ts", "sym", "o", "h", "l", "c", "v", "exchange"))
        for row, bars in enumerate(market.daily.bars):
            day = datetime.fromtimestamp(int(market.daily.session_open_ns[row, 0]) // 10**9, UTC).date()
            for name, bar in zip(names, bars, strict=True):
                values = {key: float(bar[field]) for key, field in zip("ohlcv", FIELDS, strict=True)}
                if row == count - 1:
                    values |= changes
                writer.writerow((f"{day}T00:00:00", name, *values.values(), exchange))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("tournament")
    written(made / "daily.csv")
    (made / "quick.json").write_text(json.dumps(QUICK))
    return made


def season(folder, *more, bars="daily.csv", dates=DATES):
    return main(
        ["season", "--bars", str(folder / bars), "--rules", str(folder / "quick.json"), *dates, *map(str, more)]
    )


def refused(capsys, *arguments):
    """Return the one sentence of a refusal."""
    assert main(list(map(str, arguments))) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert "Traceback" not in told.err
    return told.err


def test_json_is_one_object_of_numbers_and_says_that_it_is_simulated(folder, capsys):
    def never(text):
        raise AssertionError(f"{text} is no number of JSON")

    assert season(folder, "--json", "--out", folder / "rounds") == 0
    told = json.loads(capsys.readouterr().out, parse_constant=never)
    assert told["simulated"] is True
    assert {each["state"] for each in told["rounds"]} == {"settled"}
    kept = sorted((folder / "rounds").iterdir())
    assert len(kept) == len(told["rounds"])
    for file, row in zip(kept, told["rounds"], strict=True):
        record = msgspec.json.decode(file.read_bytes(), type=RoundRecord)
        assert record.round.round_id == row["id"]
        assert [each.agent for each in record.scores] == [each["agent"] for each in row["scores"]]


def test_the_table_fits_a_terminal_and_says_that_it_is_simulated(folder, capsys):
    assert season(folder, dates=("--from", "2018-07-01", "--to", "2018-08-10")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("SIMULATED on 3 symbols")
    assert "SIMULATED stress" in lines[1]
    assert "SIMULATED unit book" in lines[1]
    assert max(map(len, lines)) <= 200
    heads = [line for line in lines if line.startswith("  rank")]
    assert heads
    assert all(len(line) == len(heads[0]) for line in lines if line[2:3].isdigit())
    rounds = [line for line in lines if line.startswith("tournament:")]
    assert rounds[-1].endswith("to be settled, the bars end before its session closes")
    assert lines[-1].startswith("competitive delta")


def test_the_same_command_writes_the_same_bytes_and_another_seed_others(folder, capsys):
    def told(*more):
        assert season(folder, "--json", *more) == 0
        return capsys.readouterr().out

    assert told() == told("--seed", "1") != told("--seed", "2")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--seed", "-1"), "--seed = -1 must be 0 to 2147483647"),
        (("--seed", "x"), "invalid int value"),
        (("--symbols", "AAA,ZZZ"), "ZZZ is not in every file; there are AAA, BBB, CCC"),
        (("--from", "2018-08-01"), "--to = 2018-07-07 is before --from = 2018-08-01"),
        (("--from", "yesterday"), '--from = "yesterday" must be a day as 2019-01-06'),
        (("--from", "2018-07-02", "--to", "2018-07-03"), "schedule has no round"),
        (("--from", "0001-01-01", "--to", "0001-02-01"), "there are no bars; these are of 2018-05-01"),
        (("--from", "9999-01-01", "--to", "9999-12-31"), "there are no bars"),
        (("--rules", "x.json"), "twice"),
        (("--strange",), "unrecognized arguments"),
    ],
)
def test_arguments_that_cannot_be_are_one_sentence(folder, capsys, more, says):
    if more[0] == "--rules":
        more = ("--rules", folder / "quick.json")
    common = ("season", "--bars", folder / "daily.csv", "--rules", folder / "quick.json", *DATES)
    assert says in refused(capsys, *common, *more)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"strategy_cap": 4}', "strategy_cap = 4.0 is outside 0 to 1 of the capital"),
        ('{"flat_band": "wide"}', "flat_band"),
        ('{"none": 1}', "unknown field `none`"),
        ('{"weight_accuracy": 0.9}', "must add up to 1"),
        ("[]", "cannot be read"),
        ("\x00\xff", "cannot be read"),
    ],
)
def test_rules_that_cannot_be_are_one_sentence(folder, tmp_path, capsys, text, says):
    (tmp_path / "rules.json").write_text(text)
    common = ("season", "--bars", folder / "daily.csv", *DATES, "--rules")
    assert says in refused(capsys, *common, tmp_path / "rules.json")
    assert "No such file" in refused(capsys, *common, tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("garbage.parquet", b"garbage", "cannot be read as Parquet"),
        ("empty.parquet", b"", "is empty"),
        ("empty.csv", b"", "is empty"),
        ("head.csv", b"ts,sym,o,h,l,c,v\n", "has no rows"),
        ("other.csv", b"a,b\n1,2\n", "has no column"),
        ("one.csv", b"ts,sym,o,h,l,c,v\n2018-05-01T00:00:00,AAA,1,1,1,1,1\n", "common step of AAA"),
        ("absent.csv", None, "does not exist"),
    ],
)
def test_files_that_cannot_be_are_one_sentence(tmp_path, capsys, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    told = refused(capsys, "season", "--bars", tmp_path / name, *DATES)
    assert says in told
    assert "--interval" not in told


def test_a_file_without_a_row_that_could_be_a_price_is_refused(tmp_path, capsys):
    rows = "".join(f"2018-05-{day:02}T00:00:00,AAA,1,1,1,-1,1\n" for day in range(1, 31))
    (tmp_path / "bad.csv").write_text("ts,sym,o,h,l,c,v\n" + rows)
    assert "no row of AAA has prices" in refused(capsys, "season", "--bars", tmp_path / "bad.csv", *DATES)


def test_files_must_share_symbols_and_have_one_calendar_and_currency(folder, tmp_path, capsys):
    other = written(tmp_path / "other.csv", ("DDD",))
    assert "share no symbol" in refused(capsys, "season", "--bars", f"{folder / 'daily.csv'},{other}", *DATES)
    coins = written(tmp_path / "coins.csv", ("BTCUSDT", "BTCEUR"), exchange="binance")
    assert "2 currencies, EUR, USDT" in refused(capsys, "season", "--bars", coins, *DATES)
    mixed = written(tmp_path / "mixed.csv", ("AAA", "BTC-PERP"))
    assert "2 calendars, 24/7, XNYS" in refused(capsys, "season", "--bars", mixed, *DATES)
    assert "must name files" in refused(capsys, "season", "--bars", f",{other}", *DATES)


def test_a_row_that_no_market_could_have_shown_is_left_out(tmp_path):
    bad = read_market([written(tmp_path / "bad.csv", h=0.5)])
    assert bad.daily.bars.shape == (49, 3)
    assert read_market([written(tmp_path / "nan.csv", c=float("nan"))]).daily.bars.shape == (49, 3)
    assert read_market([written(tmp_path / "good.csv")], ["BBB", "AAA", "BBB"]).symbols == ("AAA", "BBB")


def test_minutes_alone_become_days_without_the_one_that_they_do_not_reach_the_end_of(tmp_path):
    market, rows = days(4, 1), ["ts,sym,o,h,l,c,v"]
    for session in range(4):
        opened = int(market.sessions[0].opens_ns[session]) // 10**9
        for minute in range(390 if session < 3 else 100):
            at = datetime.fromtimestamp(opened + 60 * minute, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            price = 100 + session + minute / 1000
            rows.append(f"{at},AAA,{price},{price + 0.5},{price - 0.5},{price},10")
    (tmp_path / "minutes.csv").write_text("\n".join(rows) + "\n")
    found = read_market([tmp_path / "minutes.csv"])
    assert found.interval_s == 60
    bars = found.daily.bars[:, 0]
    np.testing.assert_allclose(bars["open"], [100, 101, 102])
    np.testing.assert_allclose(bars["close"], [100.389, 101.389, 102.389])
    np.testing.assert_allclose(bars["volume"], [3900] * 3)


def test_what_cannot_be_written_is_one_sentence(folder, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    common = ("season", "--bars", folder / "daily.csv", "--rules", folder / "quick.json", *DATES, "--json", "--out")
    assert "cannot be made" in refused(capsys, *common, tmp_path / "file")


def test_help_and_unknown_words(capsys):
    assert main([]) == 0
    assert "tournament season" in capsys.readouterr().out
    assert '"sneason" is no sub-command' in refused(capsys, "sneason")
    with pytest.raises(BadInputError, match="names no file"):
        read_market([])


def test_the_command_ends_with_the_code(folder):
    done = manage("tournament", "season", "--bars", folder / "daily.csv", "--from", "2018-09-30", "--to", "2018-07-01")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "--to = 2018-07-01 is before --from = 2018-09-30\n"


@pytest.mark.realdata
def test_thin_symbols_of_a_real_file_of_minutes_are_there():
    market = read_market([data_folder() / "us_min1_2019-02-11_2019-02-15_24sym.parquet"])
    assert len(market.symbols) == 24
    assert market.daily.bars["present"].all()
    assert len(market.daily.now_ns) == 5


def test_a_round_by_hand_is_held_in_the_stations_database_and_shown(folder, tmp_path):
    station = tmp_path / "station"
    station.mkdir(mode=0o700)
    where = ("--data-dir", str(station))
    assert manage("keys", "create", *where).returncode == 0
    assert manage("migrate", *where).returncode == 0
    asked = ("tournament", "run", "--bars", str(folder / "daily.csv"), "--as-of", "2018-06-24T07:00:00Z", *where)
    done = manage(*asked, "--json")
    record = msgspec.json.decode(done.stdout.encode(), type=RoundRecord)
    assert (done.returncode, record.round.state, len(record.scores)) == (0, "settled", 4)
    assert not list((station / "secrets" / "rounds").iterdir())
    shown = manage("tournament", "show", record.round.round_id, *where)
    assert shown.returncode == 0
    assert "bullish" in shown.stdout
    unknown = manage("tournament", "show", "another", *where)
    assert (unknown.returncode, unknown.stderr.count("\n")) == (1, 1)
    assert record.round.round_id in unknown.stderr


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"--data-dir": "/nowhere"}, "--data-dir = /nowhere is not a directory"),
        ({"--bars": "/none.csv"}, "--bars: /none.csv is no file"),
        ({"--as-of": "soon"}, '--as-of = "soon" must be an instant'),
        ({"--as-of": "2018-06-27T07:00:00Z"}, "give it a name of its own"),
        ({"--name": "a/b", "--as-of": "2018-06-27T07:00:00Z"}, "must be 1 to 24 letters"),
    ],
)
def test_a_round_by_hand_that_cannot_be_asked_for_is_one_sentence(folder, tmp_path, changes, says):
    station = tmp_path / "station"
    station.mkdir(mode=0o700)
    if "--as-of" in changes and changes["--as-of"] != "soon":
        assert manage("migrate", "--data-dir", str(station)).returncode == 0
    given = {"--bars": str(folder / "daily.csv"), "--as-of": "2018-06-24T07:00:00Z", "--data-dir": str(station)}
    done = manage("tournament", "run", *(word for pair in (given | changes).items() for word in pair))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert says in done.stderr

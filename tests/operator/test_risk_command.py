"""`manage.py risk` as a person types it, in this process: what it prints, and what it refuses in one sentence."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from controlroom.supervisor import control
from controlroom.supervisor.risk import main, weights_of
from risk.usage import usages
from tests.risk.test_var_forecasts import market

SYMBOLS = ("AAA", "BBB", "CCC")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A thousand and three hundred days of three symbols, one of which split four for one; and its factors."""
    folder = tmp_path_factory.mktemp("bars")
    closes = 100.0 * np.cumprod(1.0 + market(1300), axis=0)
    days = np.arange("2012-01-01", 1300, dtype="datetime64[D]")
    split = np.where(np.arange(1300) < 1000, 4.0, 1.0)
    columns = {symbol: closes[:, i] * (split if symbol == "BBB" else 1.0) for i, symbol in enumerate(SYMBOLS)}
    bars = {
        "ts": np.tile(days.astype("datetime64[us]"), 3),
        "sym": np.repeat(SYMBOLS, 1300),
        **{name: np.concatenate(list(columns.values())) for name in "ohlc"},
        "v": np.full(3900, 1e6),
    }
    pyarrow.parquet.write_table(pa.table(bars), folder / "bars.parquet")
    factors = {
        "sym": ["BBB", "BBB"], "date": np.array([days[999], days[1200]], dtype="datetime64[us]"),
        "price_factor": [1.0, 1.0], "split_factor": [0.25, 1.0],
    }  # fmt: skip
    pyarrow.parquet.write_table(pa.table(factors), folder / "factors.parquet")
    return folder


def ask(capsys, *arguments: object) -> tuple[int, dict, str]:
    code = main([*map(str, arguments), "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else {}, said.err


def test_var_without_factors_warns_of_the_split_and_with_them_does_not(capsys, files):
    bars, weights = files / "bars.parquet", "AAA=0.5,BBB=0.3,CCC=-0.2"
    code, plain, warned = ask(capsys, "var", "--bars", bars, "--weights", weights, "--window", 250)
    assert code == 0
    assert "BBB goes from" in warned
    assert "--factors" in warned
    factors = files / "factors.parquet"
    code, whole, warned = ask(
        capsys, "var", "--bars", bars, "--weights", weights, "--window", 250, "--factors", factors
    )
    assert (code, warned, whole["warnings"]) == (0, "", [])
    assert [(one["method"], one["level"]) for one in whole["measures"]] == [
        (method, level) for method in ("historical", "parametric", "monte_carlo") for level in (0.95, 0.99)
    ]
    assert all(one["verdict"]["observations"] == 1300 - 1 - 250 for one in whole["measures"])
    assert all(one["verdict"]["holds"] is not None for one in whole["measures"])
    assert plain["measures"] != whole["measures"]


def test_too_few_days_for_a_verdict_are_said_to_be(capsys, files):
    code = main(["var", "--bars", str(files / "bars.parquet"), "--weights", "AAA=1", "--window", "400"])
    said = capsys.readouterr().out
    assert code == 0
    assert "no verdict: 899 days, 1000 are needed" in said


def test_stress_names_scenarios_markets_and_correlations(capsys, files):
    arguments = ("stress", "--bars", files / "bars.parquet", "--factors", files / "factors.parquet", "--paths", 2000)
    code, found, _ = ask(capsys, *arguments, "--weights", "AAA=0.5,CCC=0.5")
    assert code == 0
    by_name = {one["name"]: one for one in found["scenarios"]}
    assert by_name["every price falls 10 %"]["loss"] == pytest.approx(0.10)
    assert by_name["Lehman and AIG"]["loss"] is None
    assert {row["horizon_days"] for row in found["tails"]} == {1, 10}
    assert np.diag(found["correlation"]).tolist() == [1.0, 1.0]
    assert main([*map(str, arguments), "--weights", "AAA=0.5,CCC=0.5"]) == 0
    assert "no data" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("weights", "extra", "words"),
    [
        ("ZZZ=1", (), "symbol ZZZ is in none of bars.parquet; there are AAA, BBB, CCC"),
        ("AAA=nan", (), "finite number"),
        ("AAA=inf", (), "finite number"),
        ("AAA", (), "SYMBOL=NUMBER"),
        ("AAA=1,AAA=2", (), "AAA twice"),
        ("AAA=1", ("--window", "1300"), "window = 1300 must be 100 to 1299"),
        ("AAA=1", ("--window", "x"), "--window"),
        ("AAA=1", ("--seed", "-1"), "--seed = -1"),
        ("AAA=1", ("--factors", "nowhere.parquet"), "nowhere.parquet does not exist"),
    ],
)
def test_what_cannot_work_is_one_sentence(capsys, files, weights, extra, words):
    code = main(["var", "--bars", str(files / "bars.parquet"), "--weights", weights, *extra])
    said = capsys.readouterr()
    assert (code, said.out, said.err.count("\n")) == (2, "", 1)
    assert words in said.err


def test_paths_must_be_enough_and_end(capsys, files):
    for paths in ("999", "2000001"):
        code = main(["stress", "--bars", str(files / "bars.parquet"), "--weights", "AAA=1", "--paths", paths])
        assert (code, paths in capsys.readouterr().err) == (2, True)


def test_weights_keep_their_order_and_sign():
    assert list(weights_of("SPY=1.2, USO=-0.2").items()) == [("SPY", 1.2), ("USO", -0.2)]


VIEW = {
    "seq": 7, "configuration": 1, "state": "ACTIVE",
    "limits": {"max_position": 0.5, "max_gross": 1.0, "daily_loss": 0.03, "max_order_value": 5e5, "max_net": 0.0},
    "account": {"equity": 1000.0, "gross": 400.0, "net": -100.0, "day_pnl": -15.0, "day_start_equity": 1000.0,
                "drawdown": 0.02},
    "positions": {"AAA": {"value": 150.0}, "BBB": {"value": -250.0}},
    "strategies": {},
}  # fmt: skip


def test_limits_show_what_is_used_and_by_whom(capsys, tmp_path, monkeypatch):
    rows = {row.name: row for row in usages(VIEW)}
    assert (rows["max_position"].used, rows["max_position"].share, rows["max_position"].where) == (0.25, 0.5, "BBB")
    assert rows["max_gross"].used == pytest.approx(0.4)
    assert rows["daily_loss"].share == pytest.approx(0.5)
    assert (rows["max_order_value"].used, rows["max_order_value"].limit) == (None, 5e5)
    assert (rows["max_net"].used, rows["max_net"].share) == (0.1, None)
    assert main(["limits", "--data-dir", str(tmp_path)]) == 1
    assert "does not answer" in capsys.readouterr().err
    monkeypatch.setattr(control, "ask", lambda *_arguments: VIEW)
    assert main(["limits", "--data-dir", str(tmp_path)]) == 0
    assert "BBB" in capsys.readouterr().out


def test_an_unknown_sub_command_is_refused(capsys):
    assert main(["frobnicate"]) == 2
    assert "allowed are var, stress, limits" in capsys.readouterr().err

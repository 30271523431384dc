"""The operator's settings: each mistake is one sentence that names file, field, value and what is allowed."""

import pytest

from agents.strategies import STRATEGIES
from engine.configuration import SettingsError, load_settings
from engine.layout import LIMITS


def refused(tmp_path, text: str) -> str:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as error:
        load_settings(file)
    sentence = str(error.value)
    assert str(file) in sentence
    assert "\n" not in sentence
    return sentence


def test_the_defaults_are_complete() -> None:
    settings = load_settings()
    assert set(settings.weights) == {policy.name for policy in STRATEGIES}
    assert set(LIMITS.names) == set(settings.limits.__struct_fields__)


def test_no_file_means_the_defaults_and_a_file_overrides_what_it_names(tmp_path) -> None:
    assert load_settings(tmp_path / "none.toml") == load_settings()
    file = tmp_path / "settings.toml"
    file.write_text("[limits]\nmax_gross = 0.5\n[strategies.momentum]\nentry = 1.5\n")
    settings = load_settings(file)
    assert settings.limits.max_gross == 0.5
    assert settings.limits.max_net == load_settings().limits.max_net
    assert settings.strategies == {"momentum": {"entry": 1.5}}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[limits]\nmax_gross = -0.1\n", ["limits.max_gross", "-0.1", "0 to 10"]),
        ("[limits]\nmax_gross = 11.0\n", ["limits.max_gross", "11.0", "0 to 10"]),
        ("[limits]\nmax_gross = nan\n", ["limits.max_gross", "nan", "0 to 10"]),
        ("[limits]\nmax_order_value = inf\n", ["limits.max_order_value", "inf"]),
        ("[limits]\nmax_grosss = 1.0\n", ["max_grosss", "limits"]),
        ('[limits]\nmax_gross = "much"\n', ["limits.max_gross", "float"]),
        ("[limits]\nrepeated_denials = 0\n", ["limits.repeated_denials", "0", "1 to"]),
        ("[limits]\nstance_high = 0.9\n", ["limits.stance_high", "0.9", "1 to 2"]),
        ("[limits]\nallow_short = 1\n", ["limits.allow_short", "bool"]),
        ("[limits]\ndrawdown_warning = 0.09\n", ["drawdown_warning", "0.09", "drawdown_reducing"]),
        ("[limits]\nmax_var = -1.0\n", ["limits.max_var", "-1.0", "0 to 10"]),
        ("[limits]\ncovariance_max_age_sessions = 0\n", ["limits.covariance_max_age_sessions", "0", "1 to 250"]),
        ("[limits]\nstrategy_drawdown = 0.05\n", ["strategy_drawdown_warning", "0.05"]),
        ("[black_swan]\nindex_falls = [0.2, 0.1, 0.3]\n", ["black_swan.index_falls", "does not rise"]),
        ("[black_swan]\nz = nan\n", ["black_swan.z", "nan", "0.5 to 100"]),
        ("[limits]\ndrawdown_halted = 0.01\n", ["drawdown_halted", "0.01"]),
        ("[account]\ninitial_cash = 0.5\n", ["account.initial_cash", "0.5", "1 to"]),
        ('[account]\ncurrency = "dollars"\n', ["account.currency", "'dollars'", "capital letters"]),
        ("[costs]\nvolume_share = 0.0\n", ["costs.volume_share", "0.0", "0.0001 to 1"]),
        ("[costs]\nvolatility_bars = 65\n", ["costs.volatility_bars", "65", "2 to 64"]),
        ("[costs]\nvolatility_bars = 20.5\n", ["costs.volatility_bars", "int"]),
        ("[weights]\nmomentum = 0.5\n", ["sum of weights", "1.25", "0 to 1"]),
        ("[weights]\nmomentum = -0.5\n", ["weights.momentum", "-0.5", "0 to 1"]),
        ("[weights]\nmomentm = 0.0\n", ["weights.momentm", "momentum"]),
        ("[strategies.momentm]\nentry = 1.0\n", ["strategies.momentm", "momentum"]),
        ("[strategies.momentum]\nentri = 1.0\n", ["strategies.momentum", "entri", "entry"]),
        ("[strategies.momentum]\nentry = 99.0\n", ["strategies.momentum", "entry", "99.0", "0.2 to 2"]),
        ("[strategies.momentum]\nfast_bars = 5.5\n", ["fast_bars", "5.5", "whole"]),
        ("[surprise]\nx = 1\n", ["surprise"]),
        ("limits = 5\n", ["limits", "object"]),
        ("[limits\n", ["not TOML"]),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, text, named) -> None:
    sentence = refused(tmp_path, text)
    assert all(part in sentence for part in named), sentence


def test_a_file_that_cannot_be_read_is_named(tmp_path) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(b"[limits]\nmax_gross = \xff\n")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(file)
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(folder)

"""`tournament report`: one file that fetches nothing, with the season's own figures; what cannot be is one sentence."""

import hashlib
import json
import re
from html import unescape

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe

from controlroom.reports.tournament import Source, page
from controlroom.supervisor.tournament import main
from tests.conftest import ROOT
from tests.operator.running import manage
from tests.operator.test_tournament_command import folder, refused  # noqa: F401 - a fixture
from tests.pages import allocations, rounds, seasons, trials
from tests.pages.rounds import text_of
from tournaments.evolution.models import Trial

DATES = ("--from", "2018-06-10", "--to", "2018-07-07")
SOURCE = Source(words=("SIMULATED",), said="Of a test.", facts=[("Seed", "1")])
SCRIPT = "<script>alert(1)</script>"
NOON_NS = 1_800_000_000 * 10**9


def of_files(folder, *more):  # noqa: F811
    return main([
        "report", "--bars", str(folder / "daily.csv"), "--rules", str(folder / "quick.json"), *DATES, *map(str, more)
    ])  # fmt: skip


@pytest.fixture(scope="module")
def written(folder, tmp_path_factory):  # noqa: F811
    """A report of files, as text."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    assert of_files(folder, "--out", out) == 0
    return out.read_text()


def test_json_names_the_file_and_what_it_hashes_to(folder, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "report.html"
    assert of_files(folder, "--out", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == str(out)
    assert told["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert (told["rounds"], told["words"]) == (4, ["SIMULATED"])
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_the_figures_are_those_of_the_season_command(folder, written, capsys):  # noqa: F811
    assert main(["season", "--bars", str(folder / "daily.csv"), "--rules", str(folder / "quick.json"), *DATES]) == 0
    told, text = capsys.readouterr().out, text_of(written).replace("\u202f", " ").replace("\u2212", "-")
    delta = float(re.search(r"competitive delta (\S+)", told).group(1)) * 1e4
    assert f"the same, over the predicted sessions alone {delta:+.3f}" in text
    newest = told.split("tournament:")[-1]
    for rank, agent, total, low, high in re.findall(r"^  (\d) +(\w+) +(\S+) +(\S+) to (\S+)", newest, re.MULTILINE):
        row = rf"{rank} {agent.replace('_', '-').capitalize()} {total} ± \S+ {low} to {high}"
        assert re.search(row, text), row
    assert f"P(first is best) is {re.search(r'best. (.+?)%', newest).group(1)} %" in text


def test_nothing_in_it_points_outside(written):
    assert not re.findall(r"https?:|//|\bsrc=|\bhref=|url\(|@import|<script|<link", written)
    assert "default-src 'none'" in written


def test_what_is_simulated_says_so_beside_it(written):
    for section in ("Unit books", "Resilience by family", "Does the competition earn its keep?"):
        assert re.search(rf">{re.escape(section)} <small>[^<]*SIMULATED", written), section
    assert "Sharpe ratio, whole capital" in written
    assert not re.search(r"Sharpe ratio, whole capital</dt><dd>\d+\.\d+<", written)  # never without its interval


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--out", "{}"), "is a folder"),
        (("--out", "{}/none/report.html"), "lies in a folder that is not there"),
        (("--out", "{}/there.html"), "is there already; --force overwrites it"),
        (("--out", "{}/new.html", "--data-dir", "/"), "--bars and --data-dir are both given"),
        (("--out", "{}/new.html", "--seed", "-1"), "--seed = -1 must be 0 to"),
        (("--out", "{}/new.html", "--from", "soon"), '--from = "soon" must be a day'),
        ((), "the following arguments are required: --out"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_writes_nothing(folder, tmp_path, capsys, more, says):  # noqa: F811
    (tmp_path / "there.html").write_text("mine")
    common = ("report", "--bars", folder / "daily.csv", *DATES)
    assert says in refused(capsys, *common, *(each.format(tmp_path) for each in more))
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"there.html": "mine"}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--bars", "x.csv", "--to", "2018-07-01"), "--from is missing"),
        (("--seed", "2"), "--seed goes with --bars"),
        (("--from", "2018-07-01"), "--from and --to go with --bars"),
        (("--data-dir", "/nowhere"), "--data-dir = /nowhere is not a directory"),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(tmp_path, capsys, more, says):
    assert says in refused(capsys, "report", "--out", tmp_path / "new.html", *more)


def test_force_overwrites(folder, tmp_path):  # noqa: F811
    (tmp_path / "there.html").write_text("mine")
    assert of_files(folder, "--out", tmp_path / "there.html", "--force") == 0
    assert (tmp_path / "there.html").read_text().startswith("<!DOCTYPE html>")


def test_a_station_without_rounds_is_one_sentence(tmp_path):
    station = tmp_path / "station"
    station.mkdir(mode=0o700)
    asked = ("tournament", "report", "--out", tmp_path / "new.html", "--data-dir", station)
    absent = manage(*asked)
    assert (absent.returncode, absent.stderr.count("\n")) == (1, 1)
    assert "database does not answer" in absent.stderr
    assert manage("migrate", "--data-dir", station).returncode == 0
    empty = manage(*asked)
    assert (empty.returncode, empty.stderr.count("\n")) == (1, 1)
    assert "there is no round in" in empty.stderr
    assert not (tmp_path / "new.html").exists()


@pytest.mark.django_db
def test_a_stations_rounds_are_in_shadow_and_void_ones_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STATION_DATA_DIR", str(tmp_path))  # the command sets it for good
    rounds.stored(rounds.void(SCRIPT), round_id="tournament:XNYS:void")
    asked = ["report", "--out", str(tmp_path / "report.html"), "--data-dir", str(tmp_path)]
    assert main(asked) == 1
    assert f"no round in {tmp_path} has scores yet; the newest is void: {SCRIPT}" in capsys.readouterr().err
    for record in rounds.held():
        rounds.stored(record)
    assert main(asked) == 0
    html = (tmp_path / "report.html").read_text()
    assert re.findall(r'class="word">(\w+)<', html) == ["SHADOW", "SIMULATED"]
    assert "2 settled, 1 void" in html
    assert "daily.parquet" in html
    assert SCRIPT not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "Unit books" not in html
    assert "Left out: the innovation rate, which needs a week of a station's searches for variants" in unescape(html)
    assert "left out: not every settled round" not in html  # the records have the exposure


@pytest.mark.django_db
def test_a_station_tells_how_many_variants_people_promoted_on_the_same_bars(tmp_path, monkeypatch):
    monkeypatch.setenv("STATION_DATA_DIR", str(tmp_path))
    seasons.stored()
    seasons.searched()
    stray = trials.search(trials.root("bullish"), statuses=("promoted",))  # on files: of no station's season
    Trial.objects.filter(id=stray[0].id).update(promoted_ns=allocations.at_ns(4))
    assert main(["report", "--out", str(tmp_path / "report.html"), "--data-dir", str(tmp_path)]) == 0
    text = text_of((tmp_path / "report.html").read_text())
    assert "2 promoted in 8.0 weeks of market time, a Poisson count, standard error 0.18" in text
    assert "0.25 (0.03 to 0.90) promoted variants a week" in text
    assert "Left out: capital efficiency: not every settled round has kept its gross exposure" in text


@pytest.mark.django_db
def test_a_station_that_decides_capital_reports_its_own_rounds_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("STATION_DATA_DIR", str(tmp_path))
    first, second = (rounds.stored(record) for record in rounds.held())
    second.station_bars = True
    second.save()
    assert main(["report", "--out", str(tmp_path / "report.html"), "--data-dir", str(tmp_path)]) == 0
    html = (tmp_path / "report.html").read_text()
    assert re.findall(r'class="word">(\w+)<', html) == ["SIMULATED"]
    assert "the engine has taken the weights of 0 of 1 rounds" in html
    assert "1 SHADOW, held over files" in html
    assert first.round_id not in html


def test_the_same_rounds_give_the_same_bytes_but_for_the_time():
    first, second = rounds.held()
    made = page([first, second], SOURCE, made_ns=NOON_NS)
    assert made == page([second, first], SOURCE, made_ns=NOON_NS)
    later = page([first, second], SOURCE, made_ns=NOON_NS + 3_600 * 10**9)
    different = [a for a, b in zip(made.splitlines(), later.splitlines(), strict=True) if a != b]
    assert len(different) == 1
    assert "2027-01-15 08:00:00 UTC" in different[0]
    assert "ago" not in made


def test_a_clock_that_is_behind_the_data_is_said():
    assert "one of the two clocks is wrong" in page(rounds.held(), SOURCE, made_ns=10**18)


def test_a_name_is_never_markup():
    record = rounds.held()[0]
    text = msgspec.json.encode(record).decode().replace('"momentum"', json.dumps(SCRIPT))
    html = page([msgspec.json.decode(text, type=type(record))], SOURCE, made_ns=NOON_NS)
    assert SCRIPT not in html
    assert "alert(1)" in html


def test_a_round_that_nothing_has_settled_of_claims_nothing():
    text = text_of(page([rounds.at("settle")], SOURCE, made_ns=NOON_NS))
    assert "1 to be settled" in text
    assert "what the competition earned is not known" in text
    assert "Risk-adjusted returns 1.85 before, 2.10 enhanced (+13.5 %) not measured no session has settled yet" in text


def test_the_colours_are_the_stations_in_both_themes():
    tokens = (ROOT / "static" / "tokens.css").read_text()
    dark, light = tokens.split(':root[data-theme="light"]')
    own = re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", (ROOT / "controlroom/reports/report.css").read_text())
    assert len(own) > 15
    for name, bright, dim in own:
        assert f"--{name}: {dim};" in dark
        assert f"--{name}: {bright};" in light


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 1920])
def test_everybody_can_read_it(written, tmp_path, browser, theme, width):
    file, said = tmp_path / "report.html", []
    file.write_text(written)
    context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 900})
    sheet = context.new_page()
    sheet.on("console", lambda message: said.append(message.text))
    sheet.on("request", lambda request: said.append(request.url))
    sheet.goto(file.as_uri())
    assert said == [file.as_uri()]
    assert sheet.evaluate("document.documentElement.scrollWidth") == width
    sheet.locator("summary").click()
    found = Axe().run(sheet)
    context.close()
    assert found.violations_count == 0, found.generate_report()

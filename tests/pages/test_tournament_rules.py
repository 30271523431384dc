"""The tournaments' rules: drafted, compared, put in force; what is refused, in one sentence, changing nothing."""

import pytest
from django.test import Client

from controlroom.pages.tournaments import rules as rules_page
from events.models import Outbox
from tests.pages import rounds
from tournaments.models import RulesVersion
from tournaments.rules import FIELDS
from tournaments.selectors import active_rules, rules_of

pytestmark = pytest.mark.django_db
SCRIPT = "<script>alert(1)</script>"


def rules_form(**change: str) -> dict[str, str]:
    newest = RulesVersion.objects.first()
    held = rules_of(newest) if newest else active_rules()
    shown = {name: rules_page.shown(getattr(held, name)) for name in FIELDS}
    return shown | {"base": str(newest.version if newest else 0), "reason": "a trial"} | change


def test_a_draft_is_made_activated_and_told(boss: Client) -> None:
    assert boss.post("/tournaments/rules/draft", rules_form(stress_paths="300", evidence="no")).status_code == 302
    made = RulesVersion.objects.get()
    assert (made.version, made.status, made.author) == (1, "draft", "boss")
    assert (rules_of(made).stress_paths, rules_of(made).evidence) == (300, False)
    assert active_rules().version == 0
    html = boss.get("/tournaments/rules?before=0&after=1").content.decode()
    difference = rounds.text_of(html[html.index('id="difference"') : html.index('id="fields"')])
    assert "stress_paths 200 300 paths" in difference
    assert "evidence yes no yes or no" in difference
    assert "weekday" not in difference
    answer = boss.post("/tournaments/rules/1/activate", {"reason": "agreed"}, follow=True)
    assert "Rules 1 are in force" in answer.content.decode()
    assert active_rules().version == 1
    assert [
        each["target"] for each in rounds.told("draft tournament rules") + rounds.told("activate tournament rules")
    ] == [
        "rules 1",
        "rules 1",
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"stress_paths": "19"}, "stress_paths = 19 is outside 20 to 10000 paths"),
        ({"stress_paths": "20.5"}, "stress_paths = 20.5 is not a whole number; allowed is 20 to 10000 paths"),
        ({"stress_paths": SCRIPT}, "stress_paths = '<script>alert(1)</script>' is not a number"),
        ({"risk_budget": "nan"}, "risk_budget = nan is outside 0.1 to 100 session deviations"),
        ({"risk_budget": "inf"}, "risk_budget = inf is outside 0.1 to 100 session deviations"),
        ({"enabled": "perhaps"}, "enabled = 'perhaps' is neither true nor false"),
        ({"zone": "Mars/Olympus"}, "zone = 'Mars/Olympus' is no zone of the IANA time zone database"),
        ({"weight_accuracy": "0.4"}, "add up to 1.05; they must add up to 1"),
        ({"pool_maximum": "0.2"}, "pool_maximum = 0.2 is outside 0 to 0.1 of the capital"),
        ({}, "nothing changes"),
        ({"hour": "3", "reason": ""}, "The reason has 0 characters; the journal wants 3 to 500."),
        ({"hour": "3", "base": "0"}, "base = '0' is not the newest version, 1"),
    ],
)
def test_a_bad_value_is_the_sentence_and_nothing_changes(boss: Client, change: dict[str, str], sentence: str) -> None:
    assert boss.post("/tournaments/rules/draft", rules_form(hour="4")).status_code == 302
    before = Outbox.objects.count()
    answer = boss.post("/tournaments/rules/draft", rules_form(**change))
    assert answer.status_code == 400
    html = answer.content.decode()
    assert sentence in rounds.text_of(html)
    assert SCRIPT not in html
    assert (RulesVersion.objects.count(), Outbox.objects.count()) == (1, before)


@pytest.mark.parametrize(
    ("version", "reason", "sentence"),
    [
        (7, "agreed", "version = 7 is no version of the rules"),
        (10**30, "agreed", "is no version of the rules"),
        (1, "x", "The reason has 1 characters"),
        (1, "agreed", "version = 1 is in force already"),
    ],
)
def test_what_cannot_be_activated_says_why(boss: Client, version: int, reason: str, sentence: str) -> None:
    boss.post("/tournaments/rules/draft", rules_form(hour="4"))
    if "already" in sentence:
        boss.post("/tournaments/rules/1/activate", {"reason": "agreed"})
    answer = boss.post(f"/tournaments/rules/{version}/activate", {"reason": reason})
    assert answer.status_code == 400
    assert sentence in answer.content.decode()


def test_two_versions_that_are_the_same_and_one_that_is_not_there(boss: Client) -> None:
    assert "are the same in every field" in boss.get("/tournaments/rules").content.decode()
    strange = boss.get("/tournaments/rules", {"before": SCRIPT, "after": "9"}).content.decode()
    assert "is no version of the rules" in strange
    assert SCRIPT not in strange


def test_the_table_has_every_field_with_unit_range_and_help(developer: Client) -> None:
    words = rounds.text_of(developer.get("/tournaments/rules").content.decode())
    for name, field in FIELDS.items():
        assert name in words
        assert field.help in words
    assert "stress_paths 200 paths 20 to 10\u202f000" in words

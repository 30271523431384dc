"""Whatever a script sends: an answer of ours, never a fault, and a kill only where one was asked for properly."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlroom.access.permissions import OVERSIGHT, TOURNAMENT_ADMINISTRATOR
from tests.api.conftest import Script
from tests.api.test_doors import ROUTES, filled
from tests.controlroom_backend.test_oversight import configured
from tournaments.rules import FIELDS

pytestmark = pytest.mark.django_db
NAMES = ("changes", "reason", "bars", "as_of", "symbols", "seed", "capital", "name", "versions", "agents", "iterations",
         "scope", "target", *list(FIELDS)[:8], "max_var")  # fmt: skip
TEXTS = st.text(max_size=20) | st.sampled_from(
    ("2019-01-06T08:00:00Z", "AAPL", "symbol", "why not", "0", "nan", "1e999")
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
)
BODIES = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), VALUES, max_size=5)


@pytest.fixture
def boss(script, paths, rung) -> Script:
    configured(2)
    return script(TOURNAMENT_ADMINISTRATOR, OVERSIGHT)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from([path for method, path in ROUTES if method == "POST"]), body=BODIES)
def test_no_body_is_a_fault(boss, path, body):
    answer = boss.post(filled(path), raw=json.dumps(body).encode())
    assert answer.status_code in {200, 201, 202, 400, 403, 422, 502}, (path, body, answer.content)
    json.loads(answer.content)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from([path for method, path in ROUTES if method == "GET"]),
    query=st.dictionaries(
        st.sampled_from(
            ("limit", "page", "a", "b", "from", "to", "type", "text", "after", "sort", "strategy", "status")
        ),
        TEXTS | st.integers().map(str),
        max_size=3,
    ),
)
def test_no_query_is_a_fault(boss, path, query):
    answer = boss.get(filled(path), **query)
    assert answer.status_code in {200, 404, 422, 503}, (path, query, answer.content)
    json.loads(answer.content)

"""Merge patches: what is sent makes of the old document the new one, for every document."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controlroom.live.patch import difference, merged, without_nulls

SCALARS = st.one_of(st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False, width=16), st.text("ab", max_size=2))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("xyz", max_size=1), inner, max_size=3)
    ),
)
DOCUMENTS = st.dictionaries(st.text("abc", max_size=1), VALUES, max_size=4)


@given(DOCUMENTS, DOCUMENTS)
def test_patch_makes_the_new_document(old: dict[str, Any], new: dict[str, Any]) -> None:
    result = merged(old, difference(old, new))
    assert result == new
    assert repr(result) == repr({key: result[key] for key in result})


@given(DOCUMENTS)
def test_equal_documents_need_no_patch(document: dict[str, Any]) -> None:
    assert difference(document, merged(document, {})) == {}


@given(DOCUMENTS, DOCUMENTS)
def test_no_difference_means_equal(old: dict[str, Any], new: dict[str, Any]) -> None:
    if not difference(old, new):
        assert old == new


def test_true_and_one_are_told_apart() -> None:
    assert difference({"a": 1}, {"a": True}) == {"a": True}


def test_only_changed_rows_travel() -> None:
    old = {"rows": {"A": {"x": 1, "y": 2}, "B": {"x": 1}}}
    new = {"rows": {"A": {"x": 1, "y": 3}, "B": {"x": 1}}}
    assert difference(old, new) == {"rows": {"A": {"y": 3}}}


def test_nulls_are_left_out_everywhere() -> None:
    assert without_nulls({"a": None, "b": [{"c": None, "d": 1}], "e": {"f": None}}) == {"b": [{"d": 1}], "e": {}}

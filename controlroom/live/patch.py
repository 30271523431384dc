"""JSON merge patches (RFC 7396): the difference between two documents, and a document with a difference laid over it.

A document holds no nulls, since null means "remove" in a patch: ``without_nulls`` makes one. Lists are replaced whole.
"""

from typing import Any

Document = dict[str, Any]


def without_nulls(value: Any) -> Any:
    """Return the value with every None of its objects left out."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def difference(old: Document, new: Document) -> Document:
    """Return the smallest patch that makes ``new`` of ``old``; empty when they are equal."""
    patch: Document = dict.fromkeys(old.keys() - new.keys())
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = difference(before, value)
            if inner:
                patch[key] = inner
        elif key not in old or before != value or type(before) is not type(value):
            patch[key] = value
    return patch


def merged(document: Document, patch: Document) -> Document:
    """Return the document with the patch applied; neither is changed."""
    result = dict(document)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            inner = result.get(key)
            result[key] = merged(inner if isinstance(inner, dict) else {}, value)
        else:
            result[key] = value
    return result

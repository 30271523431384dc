"""The few files of other people's that a browser gets, served from their wheels: nothing is copied into the tree."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage

FILES = {
    "vendor/htmx.min.js": ("django_htmx", "static/django_htmx/htmx-2.min.js"),
    "vendor/uplot.min.js": ("youplot", "vendor/uplot.iife.min.js"),
    "vendor/uplot.min.css": ("youplot", "vendor/uplot.min.css"),
    "vendor/plotly.min.js": ("plotly", "package_data/plotly.min.js"),
}
"""Static name to (package, path inside it)."""


def located(name: str) -> Path:
    """Return where a vendored file lies; a missing package is an error at start, not a blank chart later."""
    package, inside = FILES[name]
    spec = find_spec(package)  # found without importing it: plotly's import takes a second
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"{name}: the package {package} is not installed")
    return Path(spec.origin).parent / inside


class _Vendored(FileSystemStorage):
    def path(self, name: str) -> str:
        return str(located(name))


class VendorFinder(BaseFinder):
    """Django's staticfiles finder for FILES."""

    def find(self, path: str, find_all: bool = False, **_older: Any) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """Return the file's path, or an empty list as Django asks for."""
        if path not in FILES:
            return []
        return [str(located(path))] if find_all else str(located(path))

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, FileSystemStorage]]:  # noqa: ARG002 - Django's signature
        """Yield every vendored name with the storage that finds it."""
        storage = _Vendored()
        for name in FILES:
            yield name, storage

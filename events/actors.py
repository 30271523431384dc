"""Who acts: what an action needs to know of a person, whatever logged them in."""

from typing import Protocol

STATION = "station"
"""The actor's name where no person acted: the start, a schedule."""


class Actor(Protocol):
    """A person as actions see one; Django's users are."""

    def get_username(self) -> str:
        """Return the name that the record keeps."""
        ...

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Return whether this person may do that, to that object where one is given."""
        ...

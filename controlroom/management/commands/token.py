"""Makes, lists and revokes tokens of the API."""

import json
import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from controlroom.access.models import ApiToken, User
from controlroom.access.selectors import people
from controlroom.access.tokens import MOST_DAYS, SCOPES, USUAL_DAYS, hand_over, issue_token, revoke_token

FIELDS = ("id", "name", "owner", "scopes", "created", "expires", "revoked_at", "last_used")


class Command(BaseCommand):
    """``manage.py token issue OWNER NAME --scopes A,B``, ``token list``, ``token revoke ID``."""

    help = "Tokens of the REST API (docs/api.md). Example: manage.py token issue ada nightly --scopes read,tournaments"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Ask for what to do."""
        acts = parser.add_subparsers(dest="act", required=True, metavar="issue|list|revoke")
        issue = acts.add_parser("issue", help="a new token; its secret is shown once")
        issue.add_argument("owner", help="whose rights it has, and no more")
        issue.add_argument("name", help="what it is for; the record names it")
        words = "; ".join(f"{name}: {scope.words}" for name, scope in SCOPES.items())
        issue.add_argument("--scopes", default="read", help=f"comma between them (default: read). {words}")
        issue.add_argument(
            "--days", type=int, default=USUAL_DAYS, help=f"until it expires, 1 to {MOST_DAYS} (default: {USUAL_DAYS})"
        )
        listing = acts.add_parser("list", help="every token, newest first; no secrets")
        listing.add_argument("--json", action="store_true", help="one JSON object")
        revoke = acts.add_parser("revoke", help="ends a token at once")
        revoke.add_argument("id", type=int, help="its number in the list")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        """Do it; what is wrong is one sentence and exit code 2."""
        try:
            {"issue": self._issue, "list": self._list, "revoke": self._revoke}[options["act"]](options)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages), returncode=2) from error

    def _issue(self, options: dict[str, Any]) -> None:
        owner = User.objects.filter(username=options["owner"]).first()
        if owner is None:
            known = ", ".join(user.username for user in people()) or "nobody yet"
            raise CommandError(f"owner = {options['owner']!r} is unknown; known are {known}", returncode=2)
        scopes = [scope.strip() for scope in options["scopes"].split(",") if scope.strip()]
        made = issue_token(owner=owner, name=options["name"], scopes=scopes, days=options["days"], actor=None)
        where = hand_over(settings.DATA, made, terminal=os.isatty(2))
        self.stdout.write(f"token {made.token.pk} {made.token.name} of {owner}: {where}")

    def _list(self, options: dict[str, Any]) -> None:
        rows = [{name: _plain(getattr(row, name)) for name in FIELDS} for row in _all()]
        if options["json"]:
            self.stdout.write(json.dumps({"tokens": rows}))
            return
        for row in rows:
            ended = f"revoked {row['revoked_at']}" if row["revoked_at"] else f"until {row['expires']}"
            self.stdout.write(
                f"{row['id']:>5} {row['name']:<24} {row['owner']:<16} {row['scopes']:<24} {ended}, "
                f"last used {row['last_used'] or 'never'}"
            )

    def _revoke(self, options: dict[str, Any]) -> None:
        token = revoke_token(token_id=options["id"], actor=None)
        self.stdout.write(f"token {token.pk} {token.name} of {token.owner} is revoked")


def _all() -> list[ApiToken]:
    return list(ApiToken.objects.select_related("owner"))


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat(timespec="seconds")
    return value if isinstance(value, int | None) else str(value)

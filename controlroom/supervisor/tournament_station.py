"""`tournament run` and `show`: a round by hand in a station's own database, and what its record says."""

import os
import socket
import sys
import uuid
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from controlroom.supervisor.errors import BadInputError, complain
from events.commandline import existing

SECOND_NS = 1_000_000_000


def instant_ns(text: str) -> int:
    """Return an ISO instant as UTC nanoseconds; without a zone it is UTC.

    Raises
    ------
    BadInputError
        if it is none.
    """
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(f'--as-of = "{text}" must be an instant as 2019-01-06T07:00:00Z') from error
    zoned = given if given.tzinfo is not None else given.replace(tzinfo=UTC)
    return round(zoned.timestamp()) * SECOND_NS


def run(given: Namespace) -> int:
    """Hold a round as far as its bars reach; return 0, 1 (it is void or somebody else holds it) or 2 (bad input)."""
    enter(given.data_dir)
    from django.db import Error  # noqa: PLC0415 - Django has to be set up first

    from controlroom.jobs import rounds  # noqa: PLC0415
    from tournaments import actions  # noqa: PLC0415
    from tournaments.selectors import round_by_id  # noqa: PLC0415
    from tournaments.station import RoundRequest  # noqa: PLC0415

    files = [str(Path(name.strip()).resolve()) for name in given.bars.split(",") if name.strip()]
    if missing := [name for name in files if not Path(name).is_file()]:  # the round would be void for good
        raise BadInputError(f"--bars: {missing[0]} is no file; name Parquet or CSV files, comma between them")
    request = RoundRequest(
        bars=files, as_of_ns=instant_ns(given.as_of), seed=given.seed, name=given.name,
        symbols=[name.strip() for name in given.symbols.split(",") if name.strip()],
    )  # fmt: skip
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    try:
        row, job = actions.ask_round(request=request, reason="by hand in the shell", actor=None)
        mine = rounds.hold(job_id=job.id, owner=owner)
        held = round_by_id(row.round_id)
    except Error as error:
        return complain(f"the station's database does not answer ({error}); `manage.py run` makes it", code=1)
    if held is None or (not mine and not held.record):
        return complain(
            f"round {row.round_id} is being held by another process; `tournament show` says how far", code=1
        )
    return _print(held.record, held.round_id, held.state, held.reason, as_json=given.json)


def show(given: Namespace) -> int:
    """Print a round's record; return 0, 1 (there is none) or 2 (bad input)."""
    enter(given.data_dir)
    from django.db import Error  # noqa: PLC0415 - Django has to be set up first

    from tournaments.selectors import round_by_id, season  # noqa: PLC0415

    try:
        row = round_by_id(given.id)
        known = [each.round_id for each in season(5)] if row is None else []
    except Error as error:
        return complain(f"the station's database does not answer ({error}); `manage.py run` makes it", code=1)
    if row is None:
        return complain(f'round "{given.id}" is unknown; the newest are {", ".join(known) or "none"}', code=1)
    return _print(row.record, row.round_id, row.state, row.reason, as_json=given.json)


def _print(record: str, round_id: str, state: str, reason: str, *, as_json: bool) -> int:
    from controlroom.supervisor.tournament import lines_of  # noqa: PLC0415 - it imports this module
    from tournaments.record import RoundRecord  # noqa: PLC0415

    if as_json:
        sys.stdout.write((record or msgspec.json.encode({"id": round_id, "state": state}).decode()) + "\n")
    elif record:
        sys.stdout.write("\n".join(lines_of(msgspec.json.decode(record, type=RoundRecord))) + "\n")
    else:
        sys.stdout.write(f"{round_id}: {state}{', ' if reason else ''}{reason}\n")
    return 1 if state == "void" else 0


def enter(data_dir: Path) -> None:
    """Set Django up for a data directory that is there."""
    paths = existing(data_dir)
    os.environ["STATION_DATA_DIR"] = str(paths.root.resolve())
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlroom.settings")
    import django  # noqa: PLC0415 - the other sub-commands do without

    django.setup()

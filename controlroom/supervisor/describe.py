"""The run description: everything about the source, found out and checked before anything is started."""

from typing import Any

from controlroom.supervisor.errors import BadInputError
from controlroom.supervisor.options import RunOptions
from engine.configuration import SettingsError, load_settings
from events.paths import DataPaths
from market.feeds.inspect import FeedError, describe_run


def describe(options: RunOptions) -> dict[str, Any]:
    """Return what run.json holds (docs/architecture.md).

    Raises
    ------
    BadInputError
        if the settings, the source, a symbol or the stances cannot be used.
    """
    try:
        load_settings(DataPaths(options.data_dir).settings)
    except SettingsError as error:
        raise BadInputError(str(error)) from error
    except OSError as error:
        raise BadInputError(
            f"settings {DataPaths(options.data_dir).settings} cannot be read ({error.strerror}); make it readable"
        ) from error
    try:
        return describe_run(options)
    except FeedError as error:
        raise BadInputError(str(error)) from error

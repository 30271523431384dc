"""The run description: everything about the source, found out and checked before anything is started."""

import os
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
    file = DataPaths(options.data_dir).settings
    try:
        settings = load_settings(file)
    except SettingsError as error:
        raise BadInputError(str(error)) from error
    except OSError as error:
        if not os.access(options.data_dir, os.X_OK):
            raise BadInputError(
                f"--data-dir = {options.data_dir} cannot be used ({error.strerror}); give a directory of your own"
            ) from error
        raise BadInputError(
            f"settings {file} cannot be read ({error.strerror}); make it readable or move it away"
        ) from error
    try:
        copies = str(options.checkpoint_dir) if options.checkpoint_dir else None
        own = {"checkpoint_dir": copies, "tournaments": options.tournaments, "history": [*map(str, options.history)]}
        return describe_run(options, settings.weights) | own
    except FeedError as error:
        raise BadInputError(str(error)) from error

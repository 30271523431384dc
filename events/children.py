"""Child processes that never outlive their parent, however it ends.

The kernel's parent-death signal (prctl(2), PR_SET_PDEATHSIG) does it, except for a parent that was gone before the
child could ask for that signal: so the child looks once more who its parent is, and starts nothing for another one.
"""

import os
from collections.abc import Sequence

TOOL = "setpriv"  # util-linux 2.33 or newer
PARENT_VARIABLE = "STATION_PARENT"

_BOUND = (TOOL, "--pdeathsig", "KILL", "--", "sh", "-c")
_IF_CHILD_OF = '[ "$PPID" = "{parent}" ] && exec "$@"'


def bound_to_us(command: Sequence[str]) -> list[str]:
    """Return a command line to be started by this process, which takes the command with it when it ends."""
    return [*_BOUND, _IF_CHILD_OF.format(parent="$0"), str(os.getpid()), *command]


def naming_itself(command: Sequence[str]) -> list[str]:
    """Return a command line whose process tells those that it starts, in their environment, who it is."""
    return ["sh", "-c", f'export {PARENT_VARIABLE}=$$; exec "$@"', "sh", *command]


def bound_to_named(command: Sequence[str]) -> list[str]:
    """Return a command line to be started by a process that names itself, which takes the command with it."""
    return [*_BOUND, _IF_CHILD_OF.format(parent=f"${PARENT_VARIABLE}"), "sh", *command]

"""Compiled code that does not count references.

Numba counts the references to an array wherever it is sliced or handed to another function, with a locked instruction
each time. A path's bars are small work: counting took as long as filling orders, and a quarter of the policies' time.
"""

from typing import Any

from numba import njit
from numba.core import cgutils
from numba.extending import intrinsic

lean = njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
"""``njit`` for functions that make no array of their own: they count nothing. Dividing by nothing raises nothing."""


@intrinsic
def uncounted(_context: Any, array: Any) -> Any:
    """Return an array without its count, for functions that would count; the array itself must outlive the view."""

    def build(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        view = cgutils.create_struct_proxy(array)(context, builder, value=args[0])
        view.meminfo = cgutils.get_null_value(view.meminfo.type)
        return view._getvalue()  # noqa: SLF001 - numba's own way to read a struct

    return array(array), build

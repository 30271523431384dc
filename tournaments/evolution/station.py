"""What a station looks for variants on, as it is asked for: files of bars and an instant, as a round is."""

import msgspec

from tournaments.station import RequestError

MOST = 64  # variants a strategy and night
VARIANTS = 8


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bars, symbols and instant as of tournaments.station.RoundRequest; ``variants`` of each strategy."""

    bars: list[str]
    as_of_ns: int
    symbols: list[str] = []
    seed: int = 1
    variants: int = VARIANTS
    through_seq: int | None = None  # None: files alone


def checked(request: SearchRequest) -> SearchRequest:
    """Return the request.

    Raises
    ------
    RequestError
        if it names neither files nor the station's own bars, or more variants than a night has time for.
    """
    if not request.bars and request.through_seq is None:
        raise RequestError("bars is empty; name at least one file")
    if not 1 <= request.variants <= MOST:
        raise RequestError(f"variants = {request.variants} is outside 1 to {MOST} a strategy")
    return request

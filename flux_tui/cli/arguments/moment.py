"""The moment of a series that a person names with `--at`."""

from flux_tui.cli.output import Failure
from flux_tui.ui.typed.typed_moment import Moment, parse_moment


def moment_in(text: str, last: int, end: float) -> Moment:
    """Return the moment that a person typed, in a series whose last entry is number `last`, at the time `end`.

    Raises Failure if the text is no moment, or an entry that the series does not have.
    """
    try:
        moment = parse_moment(text, end)
    except ValueError as error:
        raise Failure(str(error)) from None
    if moment.seq is not None and not 1 <= moment.seq <= last:
        raise Failure(f"there is no entry {moment.seq}: the series ends with {last}")
    return moment

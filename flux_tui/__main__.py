"""The entry point of `python -m flux_tui` and of the `flux-tui` command."""

import gc
import os
import signal
import sys


def main() -> None:
    """Run the command line of this process (`sys.argv`), then exit with its status. Does not return."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(
            signal.SIGINT, signal.SIG_DFL
        )  # nothing needs to be unwound yet: no traceback of an import
    _fill_standard_streams()
    gc.disable()  # imported objects stay: the collector would scan them ten times
    from flux_tui.cli import run
    from flux_tui.cli.output import watch_faults

    gc.enable()
    watch_faults()
    sys.exit(run(sys.argv[1:]))


def _fill_standard_streams() -> None:
    """If stdin, stdout or stderr is closed, open /dev/null in its place.

    Otherwise the next file that this process opens would get the number of a standard stream, and prints would
    go into that file.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


if __name__ == "__main__":
    main()

"""`python -m flux_tui` and the `flux-tui` command."""

import gc
import os
import signal
import sys


def main() -> None:
    """Run the command line; never returns."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(
            signal.SIGINT, signal.SIG_DFL
        )  # nothing has to be unwound yet: no traceback of an import
    _fill_standard_streams()
    gc.disable()  # what is imported stays: a collector would look at it ten times, for nothing
    from flux_tui.cli import run
    from flux_tui.cli.output import watch_faults

    gc.enable()
    watch_faults()
    sys.exit(run(sys.argv[1:]))


def _fill_standard_streams() -> None:
    """Where one was closed, the next file that is opened would take its number, and be written to by mistake."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


if __name__ == "__main__":
    main()

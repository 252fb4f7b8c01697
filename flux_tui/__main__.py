"""`python -m flux_tui` and the `flux-tui` command."""

import gc
import sys


def main() -> None:
    """Run the command line; never returns."""
    gc.disable()  # what is imported stays: a collector would look at it ten times, for nothing
    from flux_tui.cli import run
    from flux_tui.cli.output import watch_faults

    gc.enable()
    watch_faults()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()

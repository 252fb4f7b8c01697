"""`python -m flux_tui` and the `flux-tui` command."""

import sys


def main() -> None:
    """Run the command line; never returns."""
    from flux_tui.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()

"""A state from which rows are made."""

from flux_tui.core.ids import PeerId

ADA, BOB = (PeerId(f"12D3KooW{name * 44}") for name in "AB")

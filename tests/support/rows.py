"""A state to make rows of."""

from flux_tui.core.ids import PeerId

ADA, BOB = (PeerId(f"12D3KooW{name * 44}") for name in "AB")

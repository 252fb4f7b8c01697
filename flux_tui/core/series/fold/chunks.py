"""The number and size of the chunks that the store has, in a state."""

from flux_tui.core.series.state import State


def stored(state: State, count: int, size: int) -> None:
    """The store has so many more chunks, with so many bytes."""
    state.chunk_count += count
    state.chunk_bytes += size


def freed(state: State, count: int, size: int) -> None:
    """The store has so many chunks less. A series without its beginning may free more than it stored."""
    state.chunk_count = max(0, state.chunk_count - count)
    state.chunk_bytes = max(0, state.chunk_bytes - size)

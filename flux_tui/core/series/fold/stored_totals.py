"""The number and size of the chunks that the store has, as fields of a state."""

from flux_tui.core.series.state import State


def stored(state: State, count: int, size: int) -> None:
    """Count `count` more chunks in the store, with `size` bytes."""
    state.chunk_count += count
    state.chunk_bytes += size


def freed(state: State, count: int, size: int) -> None:
    """Count `count` chunks less in the store, with `size` bytes. The counts never go below zero.

    A series whose beginning is missing may free more than it stored.
    """
    state.chunk_count = max(0, state.chunk_count - count)
    state.chunk_bytes = max(0, state.chunk_bytes - size)

"""Whole numbers as bytes, big endian."""

__all__ = ["int_bytelen"]


def int_bytelen(x: int) -> int:
    """How many bytes the number takes; 0 takes none."""
    return (x.bit_length() + 7) // 8

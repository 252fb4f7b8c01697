"""A point of the curve, which is a public key."""

from cryptography.hazmat.primitives.asymmetric import ec

from . import UnsupportedError
from .curve import P256, Curve

__all__ = ["Point"]


class Point:
    """A point (x, y) on the curve; raises ValueError for a point that is not on it."""

    def __init__(self, x: int, y: int, curve: Curve = P256) -> None:
        ec.EllipticCurvePublicNumbers(x, y, curve.implementation).public_key()
        self.x = x
        self.y = y
        self.curve = curve

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Point) and (self.x, self.y) == (other.x, other.y) and self.curve is other.curve
        )

    def __hash__(self) -> int:
        return hash((self.x, self.y))

    def __repr__(self) -> str:
        return f"Point({self.x:#x}, {self.y:#x}, {self.curve})"

    def __mul__(self, scalar: int) -> "Point":
        raise UnsupportedError("multiplying points, as a key exchange of secio does,")

    __rmul__ = __add__ = __radd__ = __sub__ = __mul__  # type: ignore[assignment]

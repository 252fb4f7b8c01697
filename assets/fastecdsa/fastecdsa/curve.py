"""The curve P-256. Others are not here."""

from cryptography.hazmat.primitives.asymmetric import ec

from . import UnsupportedError

__all__ = ["P256", "Curve"]


class Curve:
    """A curve by its name and the size of its numbers.

    `q` is the order of the base point; `implementation` is the curve as `cryptography` knows it.
    """

    def __init__(self, name: str, q: int, implementation: ec.EllipticCurve) -> None:
        self.name = name
        self.q = q
        self.implementation = implementation

    def __repr__(self) -> str:
        return self.name


P256 = Curve("P256", 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551, ec.SECP256R1())
"""NIST SP 800-186, section 3.2.1.3."""


def __getattr__(name: str) -> Curve:
    if name.startswith(("P", "secp", "brainpool", "W", "Ed", "E")) and not name.startswith("__"):
        raise UnsupportedError(f"the curve {name}")
    raise AttributeError(name)

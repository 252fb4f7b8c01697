"""Keys of the curve: a private key is a number, a public key a point."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from . import UnsupportedError
from .curve import Curve
from .point import Point

__all__ = ["PEMEncoder", "export_key", "gen_private_key", "get_public_key", "import_key"]


class PEMEncoder:
    """Private keys as PEM text (RFC 5915, "EC PRIVATE KEY")."""

    @staticmethod
    def encode_private_key(d: int, curve: Curve) -> str:
        """The private key `d` of `curve` as PEM text."""
        return _private(d, curve).private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        ).decode()  # fmt: skip


def gen_private_key(curve: Curve) -> int:
    """A new private key from the operating system's randomness: 1 ≤ d < curve.q."""
    return ec.generate_private_key(curve.implementation).private_numbers().private_value


def get_public_key(d: int, curve: Curve) -> Point:
    """The public key of the private key `d`."""
    public = _private(d, curve).public_key().public_numbers()
    return Point(public.x, public.y, curve)


def export_key(key: int, curve: Curve, encoder: type[PEMEncoder] = PEMEncoder) -> str:
    """The private key `key` as PEM text. Public keys are written by SEC1Encoder."""
    if not isinstance(key, int):
        raise UnsupportedError("a public key as PEM")
    return encoder.encode_private_key(key, curve)


def import_key(*arguments: object, **named: object) -> tuple[int, Point]:
    """Reading keys from files is not here; raises UnsupportedError."""
    raise UnsupportedError("reading a key from a file")


def _private(d: int, curve: Curve) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(d, curve.implementation)

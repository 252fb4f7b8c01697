"""Public keys as SEC1 writes them (SEC 1 version 2.0, sections 2.3.3 and 2.3.4)."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..curve import Curve
from ..point import Point

__all__ = ["InvalidSEC1PublicKey", "SEC1Encoder"]


class InvalidSEC1PublicKey(Exception):  # noqa: N818 - the name that libp2p would catch
    """These bytes are no public key of the curve."""


class SEC1Encoder:
    """Public keys as bytes: 04, x, y; or compressed 02 or 03, x."""

    @staticmethod
    def encode_public_key(point: Point, compressed: bool = True) -> bytes:
        """The point's bytes: 33 compressed, else 65 on P-256."""
        numbers = ec.EllipticCurvePublicNumbers(point.x, point.y, point.curve.implementation)
        form = PublicFormat.CompressedPoint if compressed else PublicFormat.UncompressedPoint
        return numbers.public_key().public_bytes(Encoding.X962, form)

    @staticmethod
    def decode_public_key(key: bytes, curve: Curve) -> Point:
        """The point; raises InvalidSEC1PublicKey where the bytes are no point of the curve."""
        try:
            numbers = ec.EllipticCurvePublicKey.from_encoded_point(curve.implementation, key).public_numbers()
        except ValueError as error:
            raise InvalidSEC1PublicKey(str(error)) from error
        return Point(numbers.x, numbers.y, curve)

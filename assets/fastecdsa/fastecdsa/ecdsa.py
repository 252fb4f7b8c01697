"""Signatures are not here: importing this module raises UnsupportedError."""

from . import UnsupportedError

raise UnsupportedError("signing and verifying by ECDSA")

"""What libp2p imports of fastecdsa, in pure Python on `cryptography`.

libp2p 0.8 requires `fastecdsa==2.3.2`. That release has no wheels: it needs a C compiler and the headers of GMP.
libp2p uses it for keys of type ECDSA P-256 and for secio, and a flux-tui node has neither: its identity is Ed25519
and its connections are Noise. So this distribution has the names that libp2p imports, for the curve P-256.

It does: make a private key, derive its public key, read and write public keys as SEC1, write private keys as PEM.
It does not: sign, verify, multiply points, other curves. Each of these raises `UnsupportedError`, which says what to
install.
"""

__all__ = ["UnsupportedError"]


class UnsupportedError(NotImplementedError):
    """This distribution of fastecdsa cannot do that."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is not in fastecdsa 2.3.2+flux, which comes with flux-tui and needs no compiler;"
            " where it is needed, install the compiled one: pip install --force-reinstall fastecdsa===2.3.2"
        )

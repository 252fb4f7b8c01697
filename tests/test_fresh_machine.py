"""An installation without a compiler: no distribution has to be compiled, and every one is declared."""

import ast
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FASTECDSA = ROOT / "assets" / "fastecdsa"

KEYS = """
from libp2p.crypto.ecc import ECCPublicKey, create_new_key_pair
pair = create_new_key_pair("P-256")
public = pair.public_key.to_bytes()
assert len(public) == 65 and public[0] == 4, public
assert ECCPublicKey.from_bytes(public, "P-256").to_bytes() == public
assert pair.private_key.to_bytes().startswith(b"-----BEGIN EC PRIVATE KEY-----")
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
loaded = load_pem_private_key(pair.private_key.to_bytes(), None).public_key()
assert loaded.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) == public
"""

COMPRESSED = """
from fastecdsa import keys
from fastecdsa.curve import P256
from fastecdsa.encoding.sec1 import InvalidSEC1PublicKey, SEC1Encoder
point = keys.get_public_key(1, P256)
# The base point of P-256: NIST SP 800-186, section 3.2.1.3.
assert point.x == 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
assert point.y == 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
written = SEC1Encoder.encode_public_key(point)
assert written.hex() == "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
assert SEC1Encoder.decode_public_key(written, P256) == point
assert 1 <= keys.gen_private_key(P256) < P256.q
for wrong in (b"", b"\\x04" + bytes(64), b"\\x05" + written[1:], written + b"x"):
    try:
        SEC1Encoder.decode_public_key(wrong, P256)
    except InvalidSEC1PublicKey:
        continue
    raise AssertionError(wrong)
"""

EXCHANGE = """
from libp2p.crypto.key_exchange import create_ephemeral_key_pair
public, exchange = create_ephemeral_key_pair("P-256")
exchange(public.to_bytes())
"""


def run(code: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a Python that finds the fastecdsa of this repo first."""
    given = f"import sys; sys.path.insert(0, {str(FASTECDSA)!r})\n{code}"
    return subprocess.run([sys.executable, "-c", given], capture_output=True, text=True, timeout=120)


def test_libp2p_works_with_the_fastecdsa_that_needs_no_compiler() -> None:
    needed = {canonicalize_name(one.name): one for one in map(Requirement, metadata.requires("libp2p") or [])}
    assert metadata.version("fastecdsa").endswith("+flux"), "the README's commands install assets/fastecdsa"
    assert needed[canonicalize_name("fastecdsa")].specifier.contains(metadata.version("fastecdsa"))


def test_its_wheel_is_for_every_platform(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=FASTECDSA, check=True, capture_output=True,
    )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["fastecdsa-2.3.2+flux-py3-none-any.whl"]


@pytest.mark.parametrize("code", [KEYS, COMPRESSED], ids=["libp2p", "sec1"])
def test_keys_of_p256_are_made_and_written(code: str) -> None:
    done = run(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (EXCHANGE, "multiplying points"),
        ("from fastecdsa import ecdsa", "signing and verifying by ECDSA"),
        ("from fastecdsa.curve import secp256k1", "the curve secp256k1"),
        ("from fastecdsa import curve; curve.P384", "the curve P384"),
        ("from fastecdsa.keys import import_key; import_key('x')", "reading a key from a file"),
    ],
    ids=["exchange", "sign", "secp256k1", "p384", "import"],
)
def test_an_unsupported_call_names_the_package_to_install(code: str, what: str) -> None:
    done = run(code)
    assert done.returncode == 1
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith(f"fastecdsa.UnsupportedError: {what}")
    assert "pip install" in said


def test_every_distribution_that_is_imported_is_declared() -> None:
    """A distribution that another one installs today may be missing tomorrow."""
    declared = {
        canonicalize_name(one.name)
        for one in map(Requirement, metadata.requires("flux-tui") or [])
        if one.marker is None
        or any(one.marker.evaluate({"extra": extra}) for extra in ("metrics", "qr", "web"))
    }
    owners = metadata.packages_distributions()
    for path in sorted((ROOT / "flux_tui").rglob("*.py")):
        for name in imported(path) - set(sys.stdlib_module_names) - {"flux_tui"}:
            found = {canonicalize_name(owner) for owner in owners[name]}
            assert found & declared, f"{path.relative_to(ROOT)} imports {name}, of {found}"


def imported(path: Path) -> set[str]:
    """Return the top-level packages that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {one.name.split(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names

"""Why a peer cannot be reached, in a sentence, from the errors of libp2p and the operating system."""

import re

import trio
from multiaddr import Multiaddr

MAX_CAUSES = 32
"""Exceptions of a chain that are looked at."""
NOT_OURS = "the address is not this machine's"


async def why_closed(transport: Multiaddr) -> str | None:
    """Return why a connection cannot even be opened: the operating system's error, which libp2p drops."""
    try:
        host = transport.value_for_protocol("ip6" if str(transport).startswith("/ip6/") else "ip4")
        with trio.fail_after(2):
            stream = await trio.open_tcp_stream(str(host), int(transport.value_for_protocol("tcp") or 0))
            await stream.aclose()
    except trio.TooSlowError:
        return "nothing answers there"
    except OSError as error:
        return reason(error)
    except Exception:  # not an address of this kind
        return None
    return "something listens there, but it is another peer, in another private swarm (--swarm-key), or hangs"


def reason(error: BaseException) -> str:
    """Return what went wrong, in words, from a chain of exceptions."""
    text = " ".join(_words_of(error))
    if found := re.search(r"the relay (says: [\w ,()]+|does not answer, or is none)", text):
        return found.group()
    text = text.lower()
    if "mismatch" in text or "does not correspond" in text:
        return "another peer answers there (its peer id is a different one)"
    if "refused" in text:
        return "nobody listens there (connection refused)"
    if "in use" in text:
        return "the port is in use"
    if "cannot assign" in text:
        return NOT_OURS
    if "permission" in text:
        return "that needs rights that this user does not have"
    if "unreachable" in text or "no route" in text:
        return "there is no way to it from this network"
    return "the connection could not be made"


def unknown_identity(error: BaseException) -> str | None:
    """Return why a peer that was reached cannot prove its identity; None if the error is another one."""
    if any(text.startswith("MissingDeserializerError") for text in _words_of(error)):
        return "its identity is an ECDSA key, and this node verifies Ed25519, secp256k1 and RSA keys only"
    return None


def _words_of(error: BaseException) -> list[str]:
    """Return the texts of all exceptions in a chain, the outermost first."""
    texts: list[str] = []
    waiting: list[BaseException] = [error]
    while waiting and len(texts) < MAX_CAUSES:
        seen = waiting.pop()
        texts.append(f"{type(seen).__name__} {seen}")
        if (cause := seen.__cause__ or seen.__context__) is not None:
            waiting.append(cause)
        if isinstance(seen, BaseExceptionGroup):
            waiting += reversed(seen.exceptions)
    return texts

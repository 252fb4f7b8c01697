"""One example of every member of every closed union, for tests that go through them."""

import dataclasses
import typing
from typing import Any

import msgspec

from flux_tui.core.ids import raw_cid

PEER = "12D3KooWLy3kGyk3jJnoKXUhcf8DTeGMdYDmNzDwCbivH3pxkWAS"
CID = raw_cid(b"a sample")


def sample(kind: type[Any]) -> Any:
    """Return an instance of a struct with a plausible value in every field."""
    values = {}
    for field in msgspec.structs.fields(kind):
        values[field.name] = _value(field.name, field.type)
    return kind(**values)


def _value(name: str, kind: Any) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _value(name, args[0])
    if origin is typing.Literal:
        return args[0]
    if origin is tuple:
        return (_value(name, args[0]),)
    if origin is list:
        return [_value(name, args[0])]
    if origin is dict:
        return {_value(name, args[0]): _value(name, args[1])}
    if args and type(None) in args:
        return _value(name, next(arg for arg in args if arg is not type(None)))
    if origin is not None and args:
        return _value(name, args[0])
    if getattr(kind, "__name__", "") == "Cid":
        return CID
    if getattr(kind, "__name__", "") == "PeerId":
        return PEER
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return sample(kind)
    if dataclasses.is_dataclass(kind):
        raise AssertionError(kind)
    return {
        str: "words",
        int: 1 if name == "hops" else 7,
        float: 1.5,
        bool: True,
        bytes: bytes(64) if name == "signature" else bytes(12),
    }[kind]

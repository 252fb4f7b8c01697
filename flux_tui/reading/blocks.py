"""What a reader needs of a place that has blocks."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from typing_extensions import override

from flux_tui.core.errors import FluxError
from flux_tui.core.ids import Cid


class ReadError(FluxError):
    """An object, or a path in it, cannot be read. `cid`: the block that lacks; None: something else is wrong."""

    cid: Cid | None = None


class NotHereError(ReadError):
    """A block of an object is not here, and nothing fetches it."""

    def __init__(self, cid: Cid, why: str = "") -> None:
        super().__init__(why or f"the block {cid} is not here")
        self.cid = cid


class Blocks(Protocol):
    """A place that has blocks, or can fetch them."""

    async def read(self, cids: Sequence[Cid]) -> Mapping[Cid, bytes]:
        """Return the bytes of all of these blocks, each verified. Waits for those that are fetched.

        Raises NotHereError, ReadError.
        """

    async def expect(self, cids: Sequence[Cid]) -> None:
        """Note that these blocks will be read soon, so that they can be fetched meanwhile. Does not wait for them."""


class NotingBlocks(Blocks):
    """The blocks of another place. It notes those that were read."""

    def __init__(self, inner: Blocks) -> None:
        self._inner = inner
        self.noted: dict[Cid, bytes] = {}
        """The blocks that were read since this was cleared, in that order."""

    @override
    async def read(self, cids: Sequence[Cid]) -> Mapping[Cid, bytes]:
        found = await self._inner.read(cids)
        self.noted.update(found)
        return found

    @override
    async def expect(self, cids: Sequence[Cid]) -> None:
        await self._inner.expect(cids)

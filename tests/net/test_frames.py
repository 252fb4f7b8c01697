"""The buffer of a stream behaves as the bytearray in whose place it stands."""

from hypothesis import given
from hypothesis import strategies as st

from flux_tui.net.frames import FrameBuffer, FrameBuffers

STEPS = st.lists(st.binary(max_size=9) | st.integers(0, 30) | st.none(), max_size=40)


@given(STEPS)
def test_it_is_the_part_of_a_bytearray_that_yamux_uses(steps: list[bytes | int | None]) -> None:
    """Bytes: they came; a number: so many are read; None: all is read."""
    plain, ours = bytearray(), FrameBuffer()
    for step in steps:
        if isinstance(step, bytes):
            plain.extend(step)
            ours.extend(memoryview(b"?" + step)[1:])
        elif step is None:
            assert bytes(ours) == bytes(plain)
            plain.clear()
            ours.clear()
        else:
            assert ours[:step] == bytes(plain[:step])
            del plain[:step]
            del ours[:step]
        assert (len(ours), bool(ours), bytes(ours)) == (len(plain), bool(plain), bytes(plain))


def test_each_stream_has_its_own() -> None:
    buffers = FrameBuffers()
    buffers[1] = buffers[3] = bytearray()
    buffers[1].extend(b"one")
    assert (bytes(buffers[1]), bytes(buffers[3])) == (b"one", b"")

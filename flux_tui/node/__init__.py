"""The node: the only writer of a series. `FluxNode` is the public API."""

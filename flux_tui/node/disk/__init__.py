"""The node's disk work, outside its event loop: reads and writes chunks, adds files, and stores objects as files."""

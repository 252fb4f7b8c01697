"""The node's disk work, off its loop: reads and writes chunks, adds files, and puts objects in place."""

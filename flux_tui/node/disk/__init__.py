"""The node's disk work, off its loop: chunks written and read, files added, objects put in place."""

"""The actions that keys and lines of the command line start."""

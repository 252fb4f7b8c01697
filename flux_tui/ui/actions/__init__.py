"""The actions of the keys and of the command line."""

"""The actions of keys in one panel only: Flow, Objects."""

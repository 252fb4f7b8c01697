"""The actions of keys that work in one panel only: Flow, Objects."""

"""What keys do in one panel only: Flow, Objects."""

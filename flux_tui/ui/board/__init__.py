"""The panels and the lines around them, filled from the state at the cursor (the moment that is shown)."""

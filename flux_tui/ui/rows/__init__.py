"""Turns the state at the cursor into the rows of each panel, as plain data. Pure."""

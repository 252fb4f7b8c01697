"""Other nodes: which are connected, what each may cost, what they do wrong, and how they are reached."""

"""The dashboard. It folds a series file and pushes commands; it never imports libp2p or the node.

Rooms, from the ground up: `series/` (a series read at one cursor) → `rows/` (state to rows) → `typed/` (what a person
types) → `widgets/` (Textual) → `screens/` (windows over the panels) → `dashboard/` (the app).
"""

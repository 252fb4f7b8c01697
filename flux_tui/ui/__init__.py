"""The dashboard. It folds a series file and pushes commands; it never imports libp2p or the node.

Rooms, from the ground up. Each imports only what stands before it:

- `keys`: the table of keys; `series/`: a series, read at one cursor
- `rows/`: state to rows of text
- `typed/`: what a person types, parsed
- `watching/`: which node is shown, at which moment, and how; without Textual
- `widgets/`: Textual's widgets of this dashboard
- `screens/`: windows over the panels
- `board/`: the panels and the lines around them, filled from the state at the cursor
- `actions/`: what keys do
- `dashboard/`: the app, which makes these parts and hands them to each other
- `menu`: the list of demos to choose from
"""

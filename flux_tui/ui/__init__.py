"""The dashboard.

It computes its content from a series file and pushes commands; it never imports libp2p or the node. Folders
and modules; each imports only those before it:

- `keys`: the table of keys; `series/`: a series, read at one cursor (a moment in time)
- `rows/`: turns the state into rows of text
- `typed/`: parses the text that a person types
- `watching/`: which node is shown, at which moment, and how; without Textual
- `widgets/`: Textual's widgets of this dashboard
- `screens/`: windows over the panels
- `board/`: the panels and the lines around them, filled from the state at the cursor
- `actions/`: runs the actions of the keys
- `dashboard/`: the app, which makes these parts and gives each part the others that it needs
- `menu`: the list of demos to choose from
"""

"""The rows of the Objects panel: its tabs, a line for each object, and the details of the selected object."""

"""The rows of the Objects panel: its tabs, a line an object, and what is under the selected one."""

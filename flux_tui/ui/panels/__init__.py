"""One panel a file. A panel renders what view.py made of the state; it decides nothing."""

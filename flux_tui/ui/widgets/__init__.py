"""Textual widgets: panels that draw rows, strips, the prompt. They decide nothing."""

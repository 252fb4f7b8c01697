"""Textual widgets that draw what they are given: panels of lines, one-line strips, the prompt.

They decide nothing.
"""

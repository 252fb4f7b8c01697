"""Reads a series for the dashboard: a cursor in time, filters, runs of similar entries, checkpoints.

No widgets.
"""

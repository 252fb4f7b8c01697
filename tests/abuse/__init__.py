"""Attackers against real nodes, over loopback; each row of the abuse table and its figure."""

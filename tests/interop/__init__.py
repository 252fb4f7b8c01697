"""Tests with other implementations: Kubo (Go) and Helia (JavaScript), as real nodes on loopback.

`tests/interop/install` puts both into `.interop/` of the checkout. Without them the tests are skipped, and say so.
"""

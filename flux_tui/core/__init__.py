"""The pure core: no I/O, no clock, no randomness, no logging.

    ids ◄ events, messages, commands ◄ codec, derive, unixfs ◄ responder, requester, retry ◄ machine

Time, randomness, keys and what the store holds are arguments. Everything here can be run in virtual
time, a thousand nodes to a process.
"""

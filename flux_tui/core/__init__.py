"""The pure core: no I/O, no clock, no randomness, no logging.

Rooms, from the ground up; each imports only what stands above it in this list:

    ids, vocabulary, limits     names of things, closed sets of words, the token bucket
    series/                     events, state, the fold, and the rules that the fold applies
    wire/                       messages and their encoding
    text/                       state and entries in words and as JSON; text made safe to show
    content/                    files and folders as blocks: UnixFS, tickets
    api/                        commands, inputs, effects
    turn                        what the parts of the machine share during one turn
    peers/                      admission, routing, dialling on others' word
    fetching/                   the requester
    serving/                    the responder
    custom/                     intents of a program's own kinds
    replication/                replicas: the origin's half, the keeper's half
    sharing, machine            what the user shares; the machine that puts it all together

Time, randomness, keys and what the store holds are arguments. Everything here can be run in virtual
time, a thousand nodes to a process.
"""

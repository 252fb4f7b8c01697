"""The pure core: no I/O, no clock, no randomness, no logging.

Rooms, from the ground up. Each room imports only the rooms above it in this list:

    ids, vocabulary, limits     CIDs and peer ids, closed sets of words, the token bucket
    series/                     events, state, the fold, and the rules that the fold applies
    wire/                       messages and their encoding
    text/                       state and entries in words and as JSON; text made safe to show
    content/                    files and folders as blocks: UnixFS, tickets
    api/                        commands, inputs, effects
    turn                        what the parts of the machine share during one turn
    peers/                      admission, routing, dial policy, provider records
    fetching/                   the requester
    serving/                    the responder
    custom/                     messages of a program's own kinds
    replication/                replicas: the origin's half, the keeper's half
    sharing, machine            what the user shares; the machine that puts it all together

Time, randomness, keys and what the store has are arguments. All of it can run in virtual time, with a
thousand nodes in one process.
"""

"""The pure core: no I/O, no clock, no randomness, no logging.

Rooms, from the ground up. Each room imports only the rooms above it in this list:

    ids, vocabulary, limits     CIDs and peer ids, closed sets of words, the token bucket
    series/                     events, state, the fold, and the rules that the fold applies
    wire/                       messages and their encoding
    text/                       state and entries in words and as JSON; text made safe to show
    content/                    files and folders as blocks: UnixFS, tickets
    api/                        commands, inputs, effects
    turn                        what the parts of the machine share during one turn
    peers/                      who is connected, admission, misbehaviour, dialling, routing, provider records
    fetching/                   the requester
    serving/                    the responder
    custom/                     messages of a program's own kinds
    replication/                replicas: the origin's half, the keeper's half
    sharing                     what the user shares
    handlers/                   what an input means that concerns several parts
    machine                     puts it all together; only `handle` changes it
    replay                      recordings of machines

Time, randomness, keys and what the store has are arguments. All of it can run in virtual time, with a
thousand nodes in one process.
"""

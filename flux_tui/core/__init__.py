"""The pure core: no I/O, no clock, no randomness, no logging.

Packages and modules, from the lowest layer up. Each imports only those above it in this list:

    errors                      the base class of all errors
    ids, vocabulary, limits     CIDs and peer ids, closed sets of words, the token bucket
    series/                     events, state, the fold, and the rules that the fold applies
    wire/                       messages and their encoding
    text/                       state and entries in words and as JSON; text made safe to show
    content/                    files and folders as blocks: UnixFS, tickets
    api/                        commands, inputs, effects
    turn                        data that the parts of the machine share during one turn
    peers/                      connected peers, admission, misbehaviour, dialling, routing, provider records
    fetching/                   the requester
    serving/                    the responder
    custom/                     custom messages, whose kinds programs define
    replication/                replicas: the origin's half, the keeper's half
    adds_and_removals           what the user shares, and stops sharing
    handlers/                   handlers of inputs that concern several parts
    machine                     puts it all together; only `handle` changes it
    machine_recording           recordings of a machine's inputs

Time, randomness, keys and the content of the store are arguments. All of it can run in virtual time, with a
thousand nodes in one process.
"""

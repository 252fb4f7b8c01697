"""What a program gets from its node, besides pushing and deriving.

Modules:

    handlers        functions that are called for entries, until they are unsubscribed
    follower        a stream of the entries of one kind: first the past, then the live ones
    outcomes        waits for the entry that tells what came of a command
    explanations    why a want is not complete, in words too, and for a while after it was taken back
    object_bytes    the content of files, from the store
    stored_chunks   the bytes of the stored chunks, as a mapping
    hooks           a program's own NO to the intents of others
"""

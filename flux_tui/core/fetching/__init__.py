"""The requester: which objects are wanted, which peer is granted which chunks, and when to push again.

Modules, from the lowest layer up:

    downloads/          the blocks of each wanted object, and where its content belongs
    holders             each peer as a source of chunks: what it offers, how fast it sends
    wants/              when each want is pushed, and to which peers
    grants/             which holder sends which block, and until when
    write_failures      objects that cannot be written here, now or ever
    peer_answers        the answers of peers to the wants and grants of this node
    arrivals            the chunks that peers send
    requester           all wanted objects; put together from these parts
"""

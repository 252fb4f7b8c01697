"""HTTP gateways as holders: `get --from https://gateway`. Each is a peer of the node, and answers as any other does.

Modules, from the ground up:

    gateway_answers             a status of HTTP as a NO: its reason, and when to ask again
    gateway_link                one gateway: its wants, its grants, and the requests that follow from them
    with_gateways               a network that has gateways beside its peers

Only blocks are fetched (`format=raw`), each verified like any other chunk.

Sources: specs.ipfs.tech (trustless gateway), RFC 9110.
"""

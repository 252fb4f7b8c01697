"""The gateway: objects of a home over HTTP, for browsers, `curl` and programs that verify blocks themselves.

Modules, from the ground up:

    http_ranges                 `Range`, and which bytes of how many it means
    http_requests               what a request wants, from its target and headers, or why it is refused
    http_answers                status, headers and body of an answer
    content_types               MIME types by name, and by the first bytes
    pages                       the HTML of folders and errors
    http_server                 connections: bounded, one request after the other, by h11 on trio
    object_answers              an object as an answer: a block, a CAR, a file, a folder
    gateway                     listens, checks the `Host`, and answers

It reads the home as any other process does (reading/home_blocks.py). So it works while no node runs, and cannot slow
the node down.

Sources: specs.ipfs.tech (trustless gateway, path gateway), RFC 9110.
"""

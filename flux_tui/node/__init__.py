"""The node: the only part of the program that writes a series. `FluxNode` is the public API.

Modules, from the ground up:

    engine                      feeds the machine, makes its events durable, then runs its effects
    disk/                       disk work, off the loop: chunks read and written, adds, objects in place
    signed_intents              signs this node's intents, and verifies those of others
    exchange                    sends messages about peers, and checks those that come
    programs/                   what a program gets: handlers, streams of entries, outcomes, explanations
    libp2p_of_settings          opens the network
    receiver, effect_runner     what the network brings becomes inputs; effects are given to network and disk
    node                        makes these parts and starts them
    command_socket, serve       the command socket, and a node as a process of its own
    offline                     adds and removes objects while no node runs
"""

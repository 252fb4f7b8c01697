"""Reading objects by their blocks: to the end of a path, through a folder, and along the bytes of a file.

Modules, from the ground up:

    blocks                      what a reader needs of a place that has blocks, and its errors
    object_reader               the reader: paths, folders, and the bytes of files, in order and in constant memory
    home_blocks                 the blocks of a home, in any process; wants for those that are not here
    store_blocks                the same in the node's own process

Only `home_blocks` and `store_blocks` know where blocks are. The walks themselves are pure
(core/content/path_walk.py).
"""

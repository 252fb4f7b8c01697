"""The limits of messages that commands and tickets have, too.

They are apart from the messages, because making the types of all messages takes some 3 ms, and the dashboard has
none of these types.
"""

MAX_NAME = 255
"""Characters of a file name, as in file systems."""
MAX_SIZE = 1 << 53
"""Bytes. No file is larger."""
MAX_PAYLOAD_CUSTOM = 32 * 1024
"""Bytes that an intent or answer of a program's own kind may carry."""
MAX_REPLICAS = 64
"""Replicas that one hold may ask for."""

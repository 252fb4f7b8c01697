"""The responder: what others want of this node, which peers wait, and which chunk leaves next."""

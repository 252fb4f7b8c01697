"""The responder: what others want of this node, which peers wait and for how long, and which chunk leaves
next."""

"""The responder: what others want of this node, who waits for how long, and what leaves next."""

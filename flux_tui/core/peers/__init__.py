"""Other nodes: who is connected, what they may cost, what they do wrong, where they are dialled, how intents reach them."""

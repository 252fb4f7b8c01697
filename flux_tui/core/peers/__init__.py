"""Admission of peers, the routing of intents, the dial policy, and provider records."""

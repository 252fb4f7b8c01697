"""Files on disk: reading, writing and naming them, flushing them to the device, and measuring free space."""

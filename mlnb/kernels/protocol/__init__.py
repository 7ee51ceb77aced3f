"""What the processes share: the wire format, the paths of a warm parent, OS helpers."""

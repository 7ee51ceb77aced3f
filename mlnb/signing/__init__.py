"""Signatures: canonical JSON, DSSE envelopes, and the Ed25519 keys of people and CI jobs."""

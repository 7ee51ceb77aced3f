"""A run as one page that can be sent on, and its executed notebooks as pages beside it."""

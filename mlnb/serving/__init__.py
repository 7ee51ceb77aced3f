"""Serving: the request path, building and verifying bentos, deployment, batch scoring, edge export."""

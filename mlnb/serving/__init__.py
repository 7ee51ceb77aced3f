"""What we ship: the request path of a service, and the bento that carries it, built and proven."""

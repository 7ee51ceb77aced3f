"""The remote store: the client of object stores, its entries, and the helper process that uses them."""

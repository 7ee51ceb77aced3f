"""Reading tables: sources, column types, duplicates, and values as arrays."""

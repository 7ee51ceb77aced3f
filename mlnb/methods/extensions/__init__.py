"""Classes that a project defines in its notebooks: reading the code, loading it, errors that name the notebook."""

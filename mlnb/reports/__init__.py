"""HTML reports: a run as one page, its executed notebooks as pages beside it, and the monitoring of a project."""

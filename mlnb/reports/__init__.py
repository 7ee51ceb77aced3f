"""HTML reports: a run as one page, its executed notebooks as further pages, and the monitoring of a project."""

"""The command line: one table of verbs in `main`, one short module a group of verbs."""

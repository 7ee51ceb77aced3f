"""Executors of stages: worker processes on this machine."""

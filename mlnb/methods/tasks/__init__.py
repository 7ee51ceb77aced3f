"""Typed contracts: task, problem contract, decision, gate; read and written as versioned JSON."""

"""How a run happens: projects, stage notebooks, graph, plan, store, runs, and the session that a notebook opens."""

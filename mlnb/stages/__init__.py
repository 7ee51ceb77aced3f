"""What each stage adds of its own: pure functions, made from the notebooks in nbs/stages."""

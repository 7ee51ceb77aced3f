"""The library that stages and services call: pure functions, made from the notebooks in nbs/methods."""

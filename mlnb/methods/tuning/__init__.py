"""Hyperparameter search: trials, studies, ensembles, model selection."""

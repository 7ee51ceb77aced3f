"""What is seen of a model in service: the prediction log, the labels that arrive late, drift, and what to do."""

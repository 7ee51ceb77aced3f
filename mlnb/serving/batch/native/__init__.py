"""The shorter way to a model's predictions, where many rows are worth it: machine code with the model's very bits."""

"""The model card and the questions that only people can answer."""

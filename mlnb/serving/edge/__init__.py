"""A model where no Python environment is: one ONNX graph, or LightGBM's text with a scorer of one page."""

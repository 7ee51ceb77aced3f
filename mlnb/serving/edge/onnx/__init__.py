"""Export to ONNX: encoder, model and decision in one graph."""

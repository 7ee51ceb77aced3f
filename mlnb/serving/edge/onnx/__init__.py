"""Export to ONNX: encoder, model and decision as one graph."""

"""Export of a model for places without this environment: ONNX, or text that Python alone reads."""

"""From a prediction to a response: calibration maps, decision thresholds, intervals."""

"""Model families: fitting, search spaces, saving, prediction, SHAP values."""

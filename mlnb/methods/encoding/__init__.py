"""From columns to the model's numbers: encoders for a table and for a single row."""

"""What shows that a model may be trusted: lineage, model card and technical documentation."""

"""Models in production: drift, labeled feedback, monitoring verdict, champion/challenger evaluation."""

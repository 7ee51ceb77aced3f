"""Monitor models in production: prediction log, delayed labels, alerts, schedules, responses to fresh rows."""

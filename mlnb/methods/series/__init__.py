"""Time series: calendars, histories, lag features, forecast windows, and interaction logs."""

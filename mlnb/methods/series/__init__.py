"""Time series: calendars, histories, lag features, and forecast windows."""

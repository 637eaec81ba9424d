"""Methods side by side on one task: the same data, seeds, base models and steps, through the real server."""

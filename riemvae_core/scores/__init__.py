"""The room of scores."""

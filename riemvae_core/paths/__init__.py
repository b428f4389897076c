"""The room of paths."""

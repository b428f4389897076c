"""The room of space."""

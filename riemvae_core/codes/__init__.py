"""The room of codes."""

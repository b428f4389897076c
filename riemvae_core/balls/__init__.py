"""The room of balls."""

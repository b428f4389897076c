"""The room of models."""

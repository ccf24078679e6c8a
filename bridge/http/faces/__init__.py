"""The faces of the HTTP door: one module for each, with a function that returns its operations."""

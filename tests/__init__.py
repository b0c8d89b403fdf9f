"""The project's tests; each file mirrors a module."""

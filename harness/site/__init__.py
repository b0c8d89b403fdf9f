"""Whole sites: their file, what is wrong in them, and snapshots of machines."""

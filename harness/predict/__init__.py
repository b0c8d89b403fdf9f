"""Predict what happens to a Channel Access search from values alone: no root, no sockets."""

"""Expectations and prediction against the observation, in words."""

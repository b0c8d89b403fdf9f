"""Tests of scenario files and what they mean."""

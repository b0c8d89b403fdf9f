"""Tests of what runs inside a lab."""

"""Tests of the networks of namespaces."""

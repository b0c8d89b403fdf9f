"""Tests of the commands of `canet`."""

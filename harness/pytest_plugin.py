"""Test your own IOC in a lab: fixtures, markers and scenario files for pytest."""

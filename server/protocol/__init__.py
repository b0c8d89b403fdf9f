"""Bytes to messages and back, for both roles; knows the format of Channel Access and decides nothing."""

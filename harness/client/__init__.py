"""canet's own Channel Access client: decisions without I/O, and a small blocking front."""

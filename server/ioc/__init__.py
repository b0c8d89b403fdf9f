"""What the author of an IOC touches: PV groups, hooks, a command line."""

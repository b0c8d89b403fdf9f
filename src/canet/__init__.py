"""Channel Access in network namespaces: try an EPICS network without touching production."""

__version__ = "0.1.0"

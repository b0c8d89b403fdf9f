"""The seam between decisions and waiting: sockets, timers and the driver."""

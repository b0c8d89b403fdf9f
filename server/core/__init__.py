"""What a Channel Access server decides: no ``await``, no socket, no clock; time is an argument."""

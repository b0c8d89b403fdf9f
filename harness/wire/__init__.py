"""What goes over the wire: frames injected, captured, read and stored."""

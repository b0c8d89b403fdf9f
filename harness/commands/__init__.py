"""The commands of ``canet``: one module each, imported only when it is called."""

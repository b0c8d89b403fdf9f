"""The three concurrency libraries; they only wait."""

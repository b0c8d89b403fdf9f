"""How fast servers and labs are, as ratios from one run."""

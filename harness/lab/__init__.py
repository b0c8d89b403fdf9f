"""From a scenario to an observation: the lab, its participants, its steps."""

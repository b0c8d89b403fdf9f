"""From a scenario to a prediction, an observation, a verdict and a report."""

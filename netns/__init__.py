"""Networks of Linux namespaces: described as values, planned as steps, realised in the kernel."""

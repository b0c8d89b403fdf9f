"""Why a PV is not found: by cause, proven in the model."""

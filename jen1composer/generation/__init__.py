"""Making music with a trained composer."""

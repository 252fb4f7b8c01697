"""How keys are written as bytes."""

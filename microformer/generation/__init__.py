"""Writing text with a model: filters on logits, a plain reference, and the engine that serves many visitors at once."""

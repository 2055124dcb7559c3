"""What is put beside or in place of a model's weights: session memories, LoRA and packed integers; and freezing."""

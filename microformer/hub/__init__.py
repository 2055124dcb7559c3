"""Sharing a run: pushed to and pulled from the Hugging Face Hub, or as one zip file. All that is read is checked."""

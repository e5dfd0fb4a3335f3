"""Publishing on the Hugging Face Hub: what is uploaded, what must not be, and the cards."""

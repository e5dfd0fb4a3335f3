"""Publishing on the Hugging Face Hub: what is uploaded, what is not, and the cards that go with it."""

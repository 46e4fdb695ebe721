"""What a recorded plan may not rest on: answers that Python computed, and work that no kernel does."""

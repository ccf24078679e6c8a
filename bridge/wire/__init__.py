"""The outward shapes, once: every door speaks them."""

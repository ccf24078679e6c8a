"""The radio: what finds locks and connects to them."""

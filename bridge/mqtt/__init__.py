"""MQTT: the session with the broker and what is said over it."""

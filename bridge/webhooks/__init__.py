"""Outbound webhooks: every recorded event, posted to one URL."""

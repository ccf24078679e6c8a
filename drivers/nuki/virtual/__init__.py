"""A virtual Nuki lock: the wire skin over a virtual lock."""

from drivers.nuki.virtual.twin import NukiTwin

__all__ = ["NukiTwin"]

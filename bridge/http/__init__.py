"""The HTTP door: the device-maker face, the Seam face and operations, over one core."""

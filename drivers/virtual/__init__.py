"""Virtual locks: the motor, the faults and the log behind every vendor's wire skin."""

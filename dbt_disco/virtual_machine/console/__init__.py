"""What can be at the other end of a virtual machine's serial line."""

"""The Linux personality: what a MIPS o32 program sees of an operating system, on top of the host's Linux."""

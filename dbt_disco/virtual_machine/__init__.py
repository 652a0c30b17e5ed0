"""The virtual machine: its platform and buses, how a guest is loaded into it, and what it runs on."""

"""What a driver did against the specification."""


class DriverError(Exception):
    """The guest's driver broke a rule that the device cannot go on without; the device then needs a reset.

    Raised anywhere below `VirtioDevice.serve` and caught in the transport; the message is for people.
    """

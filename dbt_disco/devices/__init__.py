"""The devices of the virtual machine's platform, each behind the same small interface (`device`)."""

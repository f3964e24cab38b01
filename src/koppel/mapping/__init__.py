"""The flow file: what a customer decides about two resources, read, checked and applied. Pure."""

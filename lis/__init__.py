"""A laboratory information system with its own instrument drivers."""

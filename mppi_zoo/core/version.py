"""The version, in one place: the metadata and ``mppi_zoo.__version__`` take it from here."""

VERSION = "0.1.0"

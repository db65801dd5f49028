"""edgepack: an open, self-hosted edge packaging service behind the SageMaker Edge Manager wire protocol."""

__version__ = "0.1.0"

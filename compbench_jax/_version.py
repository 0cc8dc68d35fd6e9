"""Version of the package; read by the build and written into every manifest and result."""

__version__ = "0.1.0"

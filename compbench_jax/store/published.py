"""The data sets of the benchmark that come with it, by the SHA-256 of their manifests."""

PUBLISHED: dict[str, str] = {
    "51b88c4bb34d9a61d085350d16bc841a16a5122f5fe5f1b509811a5c219679e9": "data/mini",
}
"""Results on other data can be computed and compared, but not submitted. A test compares this with the folders."""

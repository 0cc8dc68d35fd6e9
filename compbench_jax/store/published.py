"""The data sets of the benchmark that come with it, by the SHA-256 of their manifests."""

PUBLISHED: dict[str, str] = {
    "d6801b188b48321f66b9d97681c8fac2f8cf0af52de867f42bb20ba12c3933cc": "data/mini",
    "3581737388348b7e3ee728ba34cba83e9b35ed83d3dab91aada9e39781af7435": "data/pbe_mini",
    "560d211fea31bf0a8a55163cb89b8b78064d7a398ce540a615f51eae7cc3fe55": "data/standard",
}
"""Results on other data can be computed and compared, but not submitted. A test compares this with the folders."""

"""The data sets of the benchmark that come with it, by the SHA-256 of their manifests."""

PUBLISHED: dict[str, str] = {
    "d6801b188b48321f66b9d97681c8fac2f8cf0af52de867f42bb20ba12c3933cc": "data/mini",
    "3581737388348b7e3ee728ba34cba83e9b35ed83d3dab91aada9e39781af7435": "data/pbe_mini",
    "6476b4badf0eb409d92e5dbf0d8284e91cd59db56bc0b67c632df3a4bcdd8eb5": "data/standard",
}
"""Results on other data can be computed and compared, but not submitted. A test compares this with the folders."""

"""The data sets of the benchmark that come with it, by the SHA-256 of their manifests."""

PUBLISHED: dict[str, str] = {
    "a93ed5b21bf83116695b5477d069e4745bad5ef7ecb964b97cfc7b9b29d7f0fa": "data/acids",
    "d6801b188b48321f66b9d97681c8fac2f8cf0af52de867f42bb20ba12c3933cc": "data/mini",
    "c9d82013eb0acb8b9ed7e99f9c5f74d0946d086f0128e763ba7fb0ef3759abd4": "data/pairs",
    "3581737388348b7e3ee728ba34cba83e9b35ed83d3dab91aada9e39781af7435": "data/pbe_mini",
    "560d211fea31bf0a8a55163cb89b8b78064d7a398ce540a615f51eae7cc3fe55": "data/standard",
}
"""Results on other data can be computed and compared, but not submitted. A test compares this with the folders."""

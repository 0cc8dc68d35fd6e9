"""Padded batches as plain arrays by name, as exported programs take them, and back."""

from collections.abc import Mapping
from typing import Any

import jraph

BONDS = ("neighbours", "keys")
"""Arrays of nodes that say what is bonded, see :class:`compbench_jax.batching.topology.Topology`."""


def arrays_of(graph: jraph.GraphsTuple) -> dict[str, Any]:
    """The arrays of a padded batch that a potential looks at: no labels."""
    arrays = {
        "positions": graph.nodes["positions"],
        "species": graph.nodes["species"],
        "senders": graph.senders,
        "receivers": graph.receivers,
        "n_node": graph.n_node,
    }
    if graph.edges is not None:
        arrays["triplets"] = graph.edges["triplets"]
    return arrays | {name: graph.nodes[name] for name in BONDS if name in graph.nodes}


def graph_of(arrays: Mapping[str, Any]) -> jraph.GraphsTuple:
    """Inverse of :func:`arrays_of`: a batch without labels."""
    return jraph.GraphsTuple(
        nodes={name: arrays[name] for name in ("positions", "species", *BONDS) if name in arrays},
        edges={"triplets": arrays["triplets"]} if "triplets" in arrays else None,
        senders=arrays["senders"],
        receivers=arrays["receivers"],
        n_node=arrays["n_node"],
        n_edge=None,
        globals=None,
    )

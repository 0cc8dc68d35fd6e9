"""The frame store: flat memory-mapped arrays with a JSON manifest."""

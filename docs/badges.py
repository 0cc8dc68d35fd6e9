"""Write ``docs/badges``: version, licence and Python of ``pyproject.toml`` as pictures that need no host."""

import tomllib
from pathlib import Path

from compbench_jax._version import __version__

ROOT = Path(__file__).parent.parent


def badges() -> dict[str, str]:
    """SVG of each badge by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = {"version": __version__, "licence": project["license"], "python": project["requires-python"]}
    return {name: svg(name, text.replace(">=", "≥ ")) for name, text in texts.items()}


def svg(name: str, text: str) -> str:
    """A grey box with a name and a blue one with a text."""
    left, right = (7 * len(part) + 12 for part in (name, text))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{name}: {text}" font-family="Verdana,sans-serif" font-size="11" fill="#fff" text-anchor="middle">'
        f'<rect width="{left}" height="20" fill="#555"/><rect x="{left}" width="{right}" height="20" fill="#0072B2"/>'
        f'<text x="{left / 2}" y="14">{name}</text><text x="{left + right / 2}" y="14">{text}</text></svg>\n'
    )


if __name__ == "__main__":
    for name, text in badges().items():
        (ROOT / "docs" / "badges" / f"{name}.svg").write_text(text)

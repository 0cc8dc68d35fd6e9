"""Which calculator to evaluate: its import path, keywords, interpreter, and what is known of it."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compbench_jax.errors import RunError
from compbench_jax.files import parse_json

PERTURB = "perturb"
SHIPPED = ("gfn1-xtb", "gfn2-xtb", PERTURB)
"""Names that ``--calculator`` takes as well as import paths."""

PERTURB_KEYWORDS = ("force_sigma", "energy_sigma", "seed")


@dataclass(frozen=True)
class CalculatorSpec:
    """An ASE calculator as a worker makes it.

    Attributes:
        name: how tables call it.
        path: ``module:callable`` or ``FILE.py:callable``, which returns the calculator.
        keywords: of the callable; JSON values.
        python: interpreter of the worker; None for the present one.
        level: level of theory that it computes or was trained on, in words; None where nobody said.
        elements: atomic numbers that it knows; None where only trying tells.
        packages: distributions whose versions are recorded, as well as the one that holds the module.
        info: what goes to ``atoms.info`` of every frame.
        labels: whether it is told the labels (``perturb`` only).
        remedy: what to do when it does not start.
        about: anything else that belongs in the record (licence, citation, …).
    """

    name: str
    path: str
    keywords: dict[str, Any] = field(default_factory=dict)
    python: str | None = None
    level: str | None = None
    elements: tuple[int, ...] | None = None
    packages: tuple[str, ...] = ()
    info: dict[str, Any] = field(default_factory=lambda: {"charge": 0, "spin": 1})
    labels: bool = False
    remedy: str = "check the import path and keywords, and that --python names the environment that has it"
    about: dict[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """What ``results.json`` says of the calculator; the place of the interpreter is nobody's business."""
        place, _, attribute = self.path.rpartition(":")
        path = f"{Path(place).name}:{attribute}" if place.endswith(".py") else self.path
        return {
            "kind": "calculator",
            "name": self.name,
            "import_path": path,
            "keywords": self.keywords,
            "info": self.info,
            "elements": None if self.elements is None else list(self.elements),
            **self.about,
        }

    def named_files(self) -> list[Path]:
        """Files whose names are among the values of the keywords, at any depth."""

        def strings(value: Any) -> Iterator[str]:
            if isinstance(value, str):
                yield value
            elif isinstance(value, dict | list):
                for item in value.values() if isinstance(value, dict) else value:
                    yield from strings(item)

        names = [name for name in strings(self.keywords) if name and "\0" not in name]
        return [path.absolute() for name in names if os.path.isfile(path := Path(os.path.expanduser(name)))]


def parse_spec(
    calculator: str, keywords: str | None = None, python: Path | None = None, level: str | None = None
) -> CalculatorSpec:
    """The calculator of a command line.

    Args:
        calculator: ``module:callable``, ``FILE.py:callable`` or a name of ``SHIPPED``.
        keywords: of the callable, a JSON object.
        python: interpreter, or the folder of a virtual environment.
        level: level of theory in words.

    Raises:
        RunError: no such name, file or interpreter, or keywords that are not a JSON object.
    """
    given = read_keywords(keywords)
    interpreter = None if python is None else str(find_python(python))
    if calculator in SHIPPED:
        spec = perturb(given) if calculator == PERTURB else tight_binding(calculator, given)
        return CalculatorSpec(**{**vars(spec), "python": interpreter, "level": level or spec.level})
    place, colon, attribute = calculator.rpartition(":")
    if not colon or not place or not attribute:
        raise RunError(
            f"--calculator {calculator!r}: give module:callable, FILE.py:callable, or one of {', '.join(SHIPPED)}"
        )
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise RunError(f"--calculator {calculator!r}: there is no file {place}")
        place = str(Path(place).resolve())
    return CalculatorSpec(
        attribute if place.endswith(".py") else calculator, f"{place}:{attribute}", given, interpreter, level
    )


def tight_binding(name: str, keywords: dict[str, Any]) -> CalculatorSpec:
    """GFN1-xTB or GFN2-xTB in tblite, converged as labels are."""
    from compbench_jax.labelling.levels import get_level

    level = get_level(name)
    return CalculatorSpec(
        name,
        "tblite.ase:TBLite",
        {"method": level.method, "accuracy": level.label_accuracy, "verbosity": 0, **keywords},  # type: ignore[attr-defined]
        level=level.method,
        packages=level.packages,
        remedy="pip install 'compbench_jax[generate]' in the environment of the worker",
    )


def perturb(keywords: dict[str, Any]) -> CalculatorSpec:
    """The labels plus Gaussian noise: a check of the evaluator itself.

    Raises:
        RunError: other keywords than it has, or a value that is no number ≥ 0.
    """
    values = {"force_sigma": 0.0, "energy_sigma": 0.0, "seed": 0, **keywords}
    for key, value in values.items():
        if key not in PERTURB_KEYWORDS:
            raise RunError(f"perturb has no keyword {key!r}: choose among {', '.join(PERTURB_KEYWORDS)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise RunError(f"perturb: {key} is {value!r}: give a number that is not negative")
    return CalculatorSpec(
        PERTURB, f"{Path(__file__).with_name('perturb.py')}:Perturb", values, level="that of the labels", labels=True
    )


def read_keywords(text: str | None) -> dict[str, Any]:
    """Keywords from JSON.

    Raises:
        RunError: not a JSON object.
    """
    try:
        found = parse_json(text) if text else {}
    except ValueError as error:
        raise RunError(
            f"--calculator-kwargs is not JSON ({error}): write for instance '{{\"cutoff\": 5.0}}'"
        ) from error
    if not isinstance(found, dict):
        raise RunError(f"--calculator-kwargs is {text}: give a JSON object, for instance '{{\"cutoff\": 5.0}}'")
    return found


def find_python(python: Path) -> Path:
    """The interpreter at this path, or in this virtual environment.

    Raises:
        RunError: there is none.
    """
    for candidate in (python, python / "bin" / "python", python / "Scripts" / "python.exe"):
        if candidate.is_file():
            return (
                candidate.absolute()
            )  # not resolved: a link in an environment's bin is what makes it that environment
    on_path = shutil.which(str(python))
    if on_path is None:
        raise RunError(f"--python {python}: there is no interpreter there: give e.g. ENVIRONMENT/bin/python")
    return Path(on_path)

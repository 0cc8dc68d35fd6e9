import jax
import numpy as np
import pytest

from compbench_jax.metrics.aggregate import (
    SCORES,
    SUM_COLUMNS,
    centred_errors,
    complete_table,
    metrics_from_sums,
    molecule_sums,
    referenced_errors,
)
from compbench_jax.metrics.definitions import METRICS, metrics_of
from compbench_jax.metrics.sums import ATOM_COLUMNS, COLUMNS, atom_terms

MOLECULE = np.array([4, 4, 2, 2, 2, 9, 9, 4])
N_ATOMS = np.array([3, 3, 5, 5, 5, 2, 2, 3])
TERMS = jax.jit(atom_terms)


class Case:
    """Random predictions for eight frames of three molecules, atom by atom."""

    def __init__(self, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.reference = [rng.normal(0, 1, (n, 3)) for n in N_ATOMS]
        self.reference[2][1] = 0.0
        self.predicted = [f + rng.normal(0, 0.3, f.shape) for f in self.reference]
        self.error = rng.normal(0.1, 0.5, len(N_ATOMS))
        self.referenced = rng.normal(0, 0.4, len(N_ATOMS))
        self.referenced[[0, 2]] = 0.019, -0.015  # of these the first has forces within the threshold, too
        self.centred = rng.normal(0, 0.3, len(N_ATOMS))
        self.within = np.array([1, 0, 0, 1, 0, 0, 1, 0])

    def table(self) -> np.ndarray:
        terms = TERMS(np.concatenate(self.predicted), np.concatenate(self.reference))
        over_atoms = np.add.reduceat(np.asarray(terms, np.float64), np.cumsum(N_ATOMS) - N_ATOMS)
        of_frames = np.stack([np.ones(len(N_ATOMS)), self.error, self.within], axis=1)
        return complete_table(np.concatenate([over_atoms, of_frames], axis=1), self.referenced, self.centred)

    def brute_force(self, frames) -> dict[str, float]:
        """Every metric of some frames (repeated ones count again), from flat lists of atoms and frames."""
        reference = np.concatenate([self.reference[i] for i in frames])
        predicted = np.concatenate([self.predicted[i] for i in frames])
        norm, predicted_norm = np.linalg.norm(reference, axis=1), np.linalg.norm(predicted, axis=1)
        kept = norm > 1e-8
        cosine = (predicted * reference).sum(axis=1)[kept] / (norm * predicted_norm)[kept]
        answer = {
            "force_mae": np.mean(np.abs(predicted - reference)),
            "force_rmse": np.mean((predicted - reference) ** 2) ** 0.5,
            "force_l2": np.mean(np.linalg.norm(predicted - reference, axis=1)),
            "force_cosine": np.mean(cosine),
            "force_cosine_weighted": np.average(cosine, weights=norm[kept]),
            "force_magnitude_mae": np.mean(np.abs(predicted_norm - norm)),
            "efwt": np.mean((self.within & (np.abs(self.referenced) < 0.02))[frames]),
        }
        for way, errors in (("raw", self.error), ("referenced", self.referenced), ("centred", self.centred)):
            answer[f"energy_mae_{way}"] = np.mean(np.abs(errors[frames]))
            answer[f"energy_mae_{way}_per_atom"] = np.mean(1000 * np.abs(errors[frames]) / N_ATOMS[frames])
        return answer


def assert_same(metrics: dict, expected: dict) -> None:
    assert set(metrics) == set(expected)
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, rel=1e-6), name


def test_metrics_of_all_frames_equal_brute_force():
    case = Case()
    _, sums = molecule_sums(case.table(), MOLECULE)
    assert_same(metrics_from_sums(sums.sum(axis=0)), case.brute_force(np.arange(len(MOLECULE))))


def test_metrics_of_each_molecule_equal_brute_force():
    case = Case()
    molecules, sums = molecule_sums(case.table(), MOLECULE)
    assert molecules.tolist() == [2, 4, 9]
    metrics = metrics_from_sums(sums)
    for row, molecule in enumerate(molecules):
        values = {name: value[row] for name, value in metrics.items()}
        assert_same(values, case.brute_force(np.flatnonzero(molecule == MOLECULE)))


def test_weights_count_molecules_as_often_as_they_say():
    case = Case()
    _, sums = molecule_sums(case.table(), MOLECULE)
    weights = np.array([[[0, 2, 1], [3, 0, 0]], [[1, 1, 1], [0, 0, 3]]])
    metrics = metrics_from_sums(weights @ sums)
    frames = {row: np.flatnonzero(molecule == MOLECULE) for row, molecule in enumerate((2, 4, 9))}
    for draw in np.ndindex(2, 2):
        drawn = np.concatenate([np.tile(frames[row], weights[draw][row]) for row in range(3)])
        assert_same({name: value[draw] for name, value in metrics.items()}, case.brute_force(drawn))


def test_forces_are_weighted_by_atoms_and_energies_by_frames():
    """Two frames of 1 and 9 atoms: a mean over frames would give 0.5 and 0.5."""
    table = np.zeros((2, len(COLUMNS)))
    table[:, COLUMNS.index("frames")] = 1
    table[:, COLUMNS.index("atoms")] = [1, 9]
    table[:, COLUMNS.index("abs_force")] = [3 * 1.0, 0.0]
    table[:, COLUMNS.index("energy_error")] = [-1.0, 0.0]
    complete = complete_table(table, np.zeros(2), np.zeros(2))
    metrics = metrics_from_sums(complete.sum(axis=0))
    assert metrics["force_mae"] == pytest.approx(0.1)
    assert metrics["energy_mae_raw"] == pytest.approx(0.5)
    assert metrics["energy_mae_raw_per_atom"] == pytest.approx(500.0)
    assert metrics["energy_mae_centred"] == 0.0


def test_metrics_without_atoms_or_frames_are_not_a_number():
    metrics = metrics_from_sums(np.zeros((4, len(SUM_COLUMNS))))
    assert all(value.shape == (4,) and np.isnan(value).all() for value in metrics.values())
    assert metrics.keys() >= SCORES.keys()


def test_force_metrics_of_some_atoms_only():
    case = Case()
    terms = np.asarray(TERMS(case.predicted[3], case.reference[3]))[[0, 2]]
    metrics = metrics_of(terms.sum(axis=0), ATOM_COLUMNS)
    assert set(metrics) == {name for name, metric in METRICS.items() if metric.of_atoms}
    error = (case.predicted[3] - case.reference[3])[[0, 2]]
    assert terms.shape[1] == len(ATOM_COLUMNS)
    assert metrics["force_mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)


def test_frames_that_were_not_evaluated_are_an_error():
    table = np.ones((3, len(COLUMNS)))
    table[1] = 0
    with pytest.raises(ValueError, match="evaluate every frame"):
        complete_table(table, np.zeros(3), np.zeros(3))


def test_referenced_errors_take_out_what_elements_explain_and_nothing_else():
    rng = np.random.default_rng(0)
    train = rng.integers(1, 9, (40, 3)).astype(float)
    test = rng.integers(5, 20, (10, 3)).astype(float)
    offsets = np.array([0.3, -0.7, 0.05])
    noise = rng.normal(0, 0.1, 10)
    errors = referenced_errors(test @ offsets + noise, test, train @ offsets, train)
    np.testing.assert_allclose(errors, noise, atol=1e-12)


def test_referenced_errors_know_nothing_of_the_test_frames():
    train, test = np.array([[2.0, 6.0], [3.0, 8.0]]), np.array([[7.0, 16.0]])
    fit = np.array([0.1, 0.2])
    one = referenced_errors(np.array([5.0]), test, fit, train)
    two = referenced_errors(np.array([6.0]), test, fit, train)
    assert two - one == pytest.approx(1.0)
    slope, intercept = np.linalg.solve(train, fit)
    assert one == pytest.approx(5.0 - 7 * slope - 16 * intercept)


def test_an_element_without_training_frames_keeps_its_errors():
    train = np.array([[2.0, 6.0, 0.0], [3.0, 8.0, 0.0], [1.0, 4.0, 0.0]])
    offsets = np.array([0.5, -0.1, 0.0])
    errors = referenced_errors(np.array([0.4]), np.array([[0.0, 0.0, 3.0]]), train @ offsets, train)
    assert errors == pytest.approx(0.4)


def test_centred_errors_have_no_mean_in_any_molecule():
    rng = np.random.default_rng(1)
    offset = {4: 3.0, 2: -1.0, 9: 0.2}
    spread = rng.normal(0, 0.1, len(MOLECULE))
    centred = centred_errors(spread + [offset[m] for m in MOLECULE], MOLECULE)
    for molecule in offset:
        rows = molecule == MOLECULE
        np.testing.assert_allclose(centred[rows], spread[rows] - spread[rows].mean(), atol=1e-12)
    assert centred_errors(np.array([7.0]), np.array([3])).tolist() == [0.0]

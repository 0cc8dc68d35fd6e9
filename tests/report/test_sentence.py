"""The sentence that ends an evaluation says what the numbers say."""

from compbench_jax.report.sentence import finding, worst_element


def results(**changes):
    def block(value):
        return {"force_mae": {"value": value, "low": None, "high": None}}

    return {
        "model": "mace",
        "id": block(0.02),
        "ood": block(0.05),
        "ratio": block(2.5),
        "by_element": {"id": {"C": block(0.02), "O": block(0.03)}, "ood": {"C": block(0.04), "O": block(0.15)}},
    } | changes


def test_it_names_the_ratio_and_the_element_whose_error_grows_most():
    assert finding(results()) == (
        "Found: on unseen molecules the force MAE of mace is 2.5 times that on known ones (20.0 → 50.0 meV/Å); "
        "most on O atoms, 5.0 times (30.0 → 150)."
    )
    assert worst_element(results()) == ("O", 0.03, 0.15)


def test_an_element_that_no_id_frame_has_is_left_out():
    only_ood = results()["by_element"] | {"id": {}}
    assert finding(results(by_element=only_ood)).endswith("(20.0 → 50.0 meV/Å).")


def test_without_forces_it_says_nothing():
    nothing = {"force_mae": {"value": None, "low": None, "high": None}}
    assert finding(results(ratio=nothing)) == ""

"""The verdict's rules on tables whose answers are known beforehand."""

import math

import pytest
from verdict.hypotheses import answers, h2, h3, h4, h5, h6, h7
from verdict.judge import Key, cells, decide, flat_cells, holm, paired
from verdict.report import CHANGES, decision_table, pair_table, summary

KEY = Key("fashion-full", "dropped", 300, "vae", 1.0)
SEEDS = range(5)


def rows(distances, key=KEY, novelty=0.5, coverage=0.9, second=None, spread=0.1, **more):
    """Rows of laws whose distance in seed s is theirs plus a shift of the seed and a little of their own."""
    second = second or {}
    distances = {"held-out reconstructions": 4.0} | distances
    found = []
    for i, (law, distance) in enumerate(distances.items()):
        for seed in SEEDS:
            for draw in range(2):
                for net in ("classifier", "random"):
                    own = second.get(law, distance) if net == "random" else distance
                    wobble = spread * math.sin(1 + 3 * i + 5 * seed)
                    row = key._asdict() | {"law": law, "seed": seed, "draw": draw, "features": net}
                    row |= {"distance": own + 0.1 * seed + wobble + 0.01 * (draw - 0.5), "error": ""}
                    row |= {"coverage": coverage, "novelty": novelty, "role": "confirmation"} | more
                    found.append(row)
    return found


def laws_of(table):
    (found,) = cells(table, "confirmation").values()
    return found


def test_holm_is_that_of_his_paper():
    # Holm (1979): the least p times their number, the next times one less, never falling, at most 1
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_difference_is_of_common_seeds_alone():
    interval, p = paired({0: 3.0, 1: 4.0, 2: 5.0, 9: 100.0}, {0: 1.0, 1: 3.0, 2: 2.0, 8: -100.0})
    assert interval.mean == pytest.approx(
        2.0
    )  # 2, 1, 3: standard error 1/sqrt(3), t = 2 sqrt(3) with 2 degrees
    assert p == pytest.approx(1 - 2 * math.sqrt(3) / math.sqrt(2 + 12))
    assert (interval.high - interval.low) / 2 == pytest.approx(4.302652730 / math.sqrt(3))
    assert paired({0: 1.0}, {0: 0.0})[1] == 1.0
    assert paired({0: 1.0, 1: 2.0}, {0: 0.0, 1: 1.0})[0].mean == 1.0


@pytest.mark.parametrize(
    ("distance", "change", "word"),
    [
        (8.0, {}, "beats"),
        (9.8, {}, "no difference"),  # sure, but less than 5% of 10
        (12.0, {}, "loses"),
        (8.0, {"coverage": 0.87}, "no difference"),
        (8.0, {"second": {"fitted ball": 30.0}}, "depends on the features"),
        (12.0, {"second": {"fitted ball": 8.0}}, "depends on the features"),
        (12.0, {"coverage": 0.93}, "no difference"),  # the nearer one would pay with coverage
    ],
)
def test_a_law_beats_another_by_all_four_rules(distance, change, word):
    both = {"fitted isotropic": 10.0, "fitted ball": distance}
    own = dict(change)
    low = own.pop("coverage", None)
    table = rows(both, spread=0.05, **own)
    for row in table:
        if low is not None and row["law"] == "fitted ball":
            row["coverage"] = low
    (found,) = laws_of(table).compare(["fitted ball"], "fitted isotropic")
    assert found.verdict == word
    assert found.gain.mean == pytest.approx(10.0 - distance, abs=0.1)
    assert found.p < 0.05


def test_a_noisy_gain_and_one_below_the_bounds_own_scatter_are_no_difference():
    both = {"fitted isotropic": 10.0, "fitted ball": 8.0}
    noisy = laws_of(rows(both, spread=5.0)).compare(["fitted ball"], "fitted isotropic")[0]
    assert (noisy.verdict, noisy.p > 0.05) == ("no difference", True)
    table = rows(both, spread=0.05)
    for row in table:
        if row["law"] == "held-out reconstructions":
            row["distance"] += 5.0 * row["seed"]  # models differ by far more than laws do
    assert laws_of(table).margin("fitted isotropic") > 5.0
    assert laws_of(table).compare(["fitted ball"], "fitted isotropic")[0].verdict == "no difference"


def test_copies_and_strangers_cannot_win_and_the_simplest_of_equals_is_taken():
    table = rows({"fitted ball": 7.9, "fitted isotropic": 8.0, "fitted mixture": 8.2, "fitted kernel": 12.0})
    table += rows({"aggregate posterior": 5.0}, novelty=0.1)[20:] + rows({"uniform": 5.0}, novelty=0.75)[20:]
    choice = decide(laws_of(table))
    assert choice.best == "fitted ball"
    assert choice.alike == ("fitted isotropic", "fitted mixture", "fitted ball")
    assert choice.simplest == "fitted isotropic"
    same = dict.fromkeys(("fitted isotropic", "fitted mixture"), "no difference")
    assert choice.words == same | {"fitted kernel": "loses"}
    assert decide(laws_of(rows({"fitted ball": 1.0}, novelty=0.1))) is None


def test_a_law_that_failed_once_is_compared_without_that_seed_and_twice_is_out():
    table = rows({"fitted isotropic": 10.0, "fitted ball": 8.0}, spread=0.05)

    def fail(seed):
        for row in table:
            if row["law"] == "fitted ball" and row["seed"] == seed:
                row |= {"error": "ValueError: no", "distance": None}

    fail(3)
    once = laws_of(table)
    assert sorted(once.scores("fitted ball", "distance")) == [0, 1, 2, 4]
    assert once.compare(["fitted ball"], "fitted isotropic")[0].verdict == "beats"
    fail(1)
    twice = laws_of(table)
    assert twice.failed == {"fitted ball": "ValueError: no"}
    assert "fitted ball" not in twice.laws


def keys(**fields):
    return KEY._replace(**fields)


def at(distances, sizes=(300, 1000), prices=(0.01, 1.0), **more):
    own = {"fitted isotropic": 10.0} | distances
    return [
        row for size in sizes for price in prices for row in rows(own, keys(size=size, price=price), **more)
    ]


def said(answer, table):
    return answer(cells(table, "confirmation")).answer


def test_few_images_ask_for_one_law_at_two_sizes_and_both_prices():
    assert said(h2, at({"fitted ball": 8.0}, spread=0.05)) == "supported"
    assert said(h2, at({"fitted ball": 10.0}, spread=0.05)) == "refuted"
    one = at({"fitted ball": 8.0}, sizes=(300,), spread=0.05) + at(
        {"fitted ball": 10.0}, (1000,), spread=0.05
    )
    assert said(h2, one) == "open"
    changing = at({"fitted ball": 8.0}, sizes=(300,), spread=0.05)
    assert said(h2, changing + at({"fitted power": 8.0}, sizes=(1000,), spread=0.05)) == "open"


def test_what_is_asked_of_all_images_is_answered_by_all_images():
    few = at({"fitted ball": 8.0}, spread=0.05)
    most = at({"fitted ball": 10.0}, sizes=(0,), spread=0.05)
    first = answers(cells(few + most, "confirmation"))[0]
    assert (first.name, first.answer) == ("H1", "supported")
    assert answers(cells(few, "confirmation"))[0][1:] == ("open", "not run")
    both = at({"fitted ball": 8.0}, sizes=(0,), spread=0.05)
    assert answers(cells(both, "confirmation"))[0].answer == "refuted"
    assert "not run there: gaussian, " in first.because
    assert "fitted ball" not in first.because
    one_price = at({"fitted ball": 10.0}, sizes=(0,), prices=(0.01,), spread=0.05)
    assert answers(cells(one_price, "confirmation"))[0].answer == "open"


def test_shape_counts_where_every_null_is_beaten():
    nulls = {"round noise": 10.0, "noise of one shape": 10.0, "shuffled shapes": 10.0}
    assert said(h3, at({"aggregate posterior": 8.0} | nulls, spread=0.05)) == "refuted"
    assert said(h3, at({"aggregate posterior": 10.0} | nulls, spread=0.05)) == "supported"
    assert said(h3, at({"aggregate posterior": 8.0} | nulls | {"round noise": 8.0}, spread=0.05)) == "open"


def test_duplicates_and_the_uniform_law():
    def table(kept):
        own = {"uniform": 20.0, "gaussian": 9.0}
        return rows(own, keys(size=0)) + rows(own | kept, keys(size=0, duplicates="kept"))

    assert said(h4, table({"uniform": 90.0})) == "supported"
    assert said(h4, table({"uniform": 20.1})) == "refuted"
    assert said(h4, table({"uniform": 90.0, "gaussian": 30.0})) == "open"
    assert said(h4, table({"uniform": 90.0, "gaussian": 5.0})) == "supported"  # nearer with them
    assert said(h4, table({"uniform": 10.0})) == "open"
    assert said(h4, []) == "open"
    without = [row for row in table({"uniform": 20.1}) if row["law"] != "uniform"]
    assert said(h4, without) == "open"


def test_orders_by_two_nets_and_by_the_truth():
    distances = {"gaussian": 9.0, "fitted isotropic": 7.0, "fitted axes": 5.0, "fitted ball": 3.0}
    assert said(h5, at(distances)) == "supported"
    assert said(h5, at(distances, second={law: 12.0 - d for law, d in distances.items()})) == "refuted"

    def drawn(sign):
        table = []
        for data in ("rings-and-disks-large", "color-shapes"):
            for law, distance in distances.items():
                table += rows(
                    {law: distance}, keys(data=data), truth_x=0.5 + sign * distance / 20, truth_hue=None
                )
        return table

    assert said(h6, drawn(1)) == "supported"
    assert said(h6, drawn(-1)) == "refuted"
    assert said(h6, drawn(1)[: len(drawn(1)) // 2]) == "open"


def test_richer_models_gain_less():
    def table(prior):
        own = {"fitted isotropic": 10.0}
        rich = [keys(model=model) for model in ("vamp", "iwae", "hvae", "rhvae")]
        plain = rows(own | {"own prior": 50.0})
        return plain + [row for key in rich for row in rows(own | {"own prior": prior}, key)]

    assert said(h7, table(20.0)) == "supported"
    assert said(h7, table(80.0)) == "refuted"
    told = h7(cells(table(80.0), "confirmation")).because
    assert told.startswith("vamp 70.0 against 40.0 (difference 30.0 [")
    assert said(h7, rows({"fitted isotropic": 10.0, "own prior": 50.0})) == "open"


def test_a_seed_in_which_a_law_failed_is_left_out_for_all():
    table = rows({"fitted isotropic": 10.0, "fitted ball": 8.0, "zero steps": 8.0})
    for row in table:
        row["error"] = "an error" if row["law"] == "fitted ball" and row["seed"] == 3 else ""
    laws = laws_of(table)
    assert {seed for _, _, seed in laws.rows} == {0, 1, 2, 4}
    assert laws.failed == {}
    for row in table:
        row["error"] = "an error" if row["law"] == "fitted ball" and row["seed"] > 2 else ""
    laws = laws_of(table)  # with two errors the law is out, and the seeds stay
    assert {seed for _, law, seed in laws.rows if law == "fitted isotropic"} == set(SEEDS)
    assert laws.failed == {"fitted ball": "an error"}
    for row in table:
        row["error"] = "an error" if row["law"] == "zero steps" and row["seed"] == 3 else ""
    assert {seed for _, law, seed in laws_of(table).rows if law == "fitted ball"} == set(SEEDS)


def test_the_table_says_where_only_one_feature_net_sees_a_difference():
    both = {"fitted isotropic": 10.0, "fitted ball": 8.0}
    line = decision_table(cells(rows(both, second={"fitted ball": 30.0}), "confirmation")).splitlines()[-1]
    assert "| fitted isotropic (features) | fitted ball |" in line
    assert "(features)" not in decision_table(cells(rows(both), "confirmation"))


def test_a_collapsed_model_judges_no_law():
    laws = {"fitted isotropic": 8.0, "own prior": 12.0}
    small, large = (rows(laws, frechet=lost) for lost in (200.0, 300.0))
    assert flat_cells(small, "confirmation") == []
    assert flat_cells(large, "confirmation") == [KEY]  # 12 and a little are less than 5% of 300
    assert list(cells(small, "confirmation")) == [KEY]
    assert cells(large, "confirmation") == {}
    assert list(cells(rows(laws), "confirmation")) == [KEY]  # of a table without that score, nothing is known


def test_a_changed_number_stands_beside_the_law_as_it_is():
    more = {"commit": "0", "device": "cpu", "torch": "2", "seconds": 1.0}
    table = at({"uniform": 9.0, "uniform, half rho": 8.0}, sizes=(1000,), spread=0.05, **more)
    found = cells(table, "confirmation")
    lines = pair_table(found, CHANGES).splitlines()
    assert len(lines) == 2 + 2  # a line for each price
    for line in lines[2:]:
        cells_of = [cell.strip() for cell in line.split("|")]
        assert cells_of[1] == "uniform: half the reach rho"
        assert cells_of[6].startswith("1 ")  # nearer by 9 - 8
        assert cells_of[7] == "beats"
    assert pair_table(found, (("zero steps", "free walk", "neither"),)) == ""
    run, _ = summary(table, found, "confirmation")["runs"]
    assert [pair["law"] for pair in run["changes"]] == ["uniform, half rho"]

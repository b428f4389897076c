"""What holds for the package as a whole: rooms and doors, short modules, names that are tested, devices."""

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import grimp
import properties
import pytest
import torch

import riemvae_core
from riemvae_core import intervals, numerics
from riemvae_core.balls import gaussians
from riemvae_core.data import sets
from riemvae_core.models import networks, retraining, training, vae

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "riemvae_core"
SOURCES = sorted(PACKAGE.rglob("*.py"))


ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
# modules that a room offers whole, by their names
OFFERED = {"riemvae_core.laws.hmc", "riemvae_core.models.zoo", "riemvae_core.space.health"}


def entered(module, imported):
    """Whether a module may import another: of its own room any, of other rooms the door."""
    room = imported.split(".")[1:2]
    return module.split(".")[1:2] == room or imported.count(".") < 2 or imported in OFFERED


def test_rooms_are_entered_by_their_doors():
    """Another room is imported from the room itself, never from a file within it."""
    graph = grimp.build_graph("riemvae_core")
    beside = [
        (module, imported)
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
        if not entered(module, imported)
    ]
    assert beside == []
    doors = {child.rpartition(".")[2] for child in graph.find_children("riemvae_core")}
    assert {*ROOMS, "numerics", "intervals", "neighbors"} == doors


def test_chapters_and_studies_enter_rooms_by_their_doors():
    texts = [*ROOT.glob("chapters/*.md"), *ROOT.glob("book/**/*.md"), *ROOT.glob("benchmarks/**/*.py")]
    assert len(texts) > 30
    for path in texts:
        for found in re.findall(r"(?:from|import) (riemvae_core\.\w+\.\w+)", path.read_text(encoding="utf8")):
            assert found == "riemvae_core.figures.widgets", path


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_offers_what_its_door_lists(room):
    door = importlib.import_module(f"riemvae_core.{room}")
    names = door.__all__
    assert names == sorted(names, key=lambda n: (not n.isupper(), not n[0].isupper(), n))
    assert all(hasattr(door, name) for name in names)
    things = [getattr(door, name) for name in names]
    homes = [thing.__module__ for thing in things if inspect.isclass(thing) or inspect.isfunction(thing)]
    assert [home for home in homes if not home.startswith(door.__name__)] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_say_what_they_are(path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))


def test_files_stay_short():
    """Past 300 lines a file is two files, in the package as in the tests."""
    files = [
        path
        for folder in (PACKAGE, ROOT / "tests")
        for kind in ("py", "js")
        for path in folder.rglob(f"*.{kind}")
    ]
    assert len(files) > 150
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf8").splitlines()) for path in files
    }
    assert {path: length for path, length in lengths.items() if length > 300} == {}


def public_things():
    """Each public function and class of the core, and each public method, by its dotted name."""
    found = {}
    for info in pkgutil.walk_packages(riemvae_core.__path__, "riemvae_core."):
        module = importlib.import_module(info.name)
        for name, thing in vars(module).items():
            defined_here = getattr(thing, "__module__", None) == info.name
            if name.startswith("_") or not defined_here or not callable(thing):
                continue
            if inspect.isfunction(thing) or inspect.isclass(thing):
                found[f"{info.name}.{name}"] = thing
            if inspect.isclass(thing):
                for method, function in vars(thing).items():
                    if inspect.isfunction(function) and not method.startswith("_"):
                        found[f"{info.name}.{name}.{method}"] = function
    return found


def names_used_in_tests():
    """Every name and attribute in the code of the tests; not what stands in comments and strings."""
    used = set()
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name):
                used.add(node.id)
            elif isinstance(node, ast.Attribute):
                used.add(node.attr)
    return used


def test_every_public_name_is_documented_and_tested():
    things, used = public_things(), names_used_in_tests()
    assert len(things) > 40
    assert [name for name, thing in things.items() if not inspect.getdoc(thing)] == [], "without a docstring"
    lost = [name for name in things if name.rpartition(".")[2] not in used]
    assert lost == [], "used by no test: write one, or begin the name with _"


def test_what_the_package_offers_is_listed_and_there():
    assert sorted(riemvae_core.__all__, key=lambda n: (not n.isupper(), not n[0].isupper(), n)) == (
        riemvae_core.__all__
    )
    assert all(hasattr(riemvae_core, name) for name in riemvae_core.__all__)
    assert riemvae_core.__version__.count(".") == 2


# --- devices: with `meta` as torch's default, whatever is made without naming a device holds no numbers

CONFIG = vae.ModelConfig(image_shape=(1, 8, 8), width=8, depth=1)


@pytest.mark.usefixtures("meta_by_default")
@pytest.mark.parametrize("kind", ["ae", "vae"])
def test_training_makes_nothing_on_a_default_device(kind, tmp_path):
    images = sets.load_images("digits").images[:64]
    settings = {"epochs": 2, "batch_size": 32, "progress": False, "checkpoint": tmp_path / "run"}
    model = vae.make_model(kind, CONFIG, seed=0)
    training.fit(model, images, callback=lambda epoch, _model, _means: epoch == 1, **settings)
    history = training.fit(model, images, **settings)
    assert torch.isfinite(history.losses["total"]).all()
    assert {v.device.type for v in model.state_dict().values()} == {"cpu"}
    assert training.evaluate(model, images)["total"] > 0
    copied, _ = retraining.retrain_decoder(model, images, seed=1, epochs=1, batch_size=32, progress=False)
    assert copied.decode(torch.zeros(3, 2, device="cpu")).device.type == "cpu"


@pytest.mark.usefixtures("meta_by_default")
@pytest.mark.parametrize(
    ("function", "count"),
    [
        (gaussians.reparameterize, 3),
        (gaussians.kl_to_standard_normal, 2),
        (gaussians.kl_pull, 1),
        (gaussians.kl_barrier, 1),
        (gaussians.log_prob, 3),
        (gaussians.entropy, 1),
        (gaussians.log_volume, 1),
        (gaussians.bhattacharyya, 4),
        (gaussians.log_prob_mixture, 3),
        (gaussians.responsibilities, 3),
    ],
)
def test_gaussians_make_nothing_on_a_default_device(function, count):
    inputs = properties.random_tensors(count, (5, 3))
    result = function(*inputs)
    assert result.device.type == "cpu"
    assert torch.isfinite(result).all()
    assert function(*(t.to("meta") for t in inputs)).device.type == "meta"


@pytest.mark.usefixtures("meta_by_default")
def test_numerics_and_data_make_nothing_on_a_default_device():
    generator = numerics.make_generator(0)
    assert numerics.standard_normal((3,), torch.zeros(1, device="cpu"), generator).device.type == "cpu"
    assert numerics.standard_normal((3,), torch.zeros(1, device="meta"), generator).device.type == "meta"
    assert intervals.confidence_interval([1.0, 2.0, 3.0]).mean == 2.0
    for name in sets.data_names(bundled=True):
        few = sets.first_of_each_class(sets.load_images(name, "test", pad_to=32), 2)
        assert few.images.device.type == few.labels.device.type == "cpu"


@pytest.mark.usefixtures("meta_by_default")
def test_networks_live_where_they_are_made():
    nets = networks.make_networks("mlp", (1, 8, 8), 2, width=4, depth=1, activation="silu")
    assert {p.device.type for p in nets.decoder.parameters()} == {"meta"}
    model = vae.make_model("vae", CONFIG, seed=0)
    assert {p.device.type for p in model.parameters()} == {"cpu"}
    x = properties.random_tensors(1, (3, 1, 8, 8), dtype=torch.float32)[0]
    losses = model.losses(x, properties.random_tensors(1, (3, 2), dtype=torch.float32)[0])
    assert {part.device.type for part in losses} == {"cpu"}
    meta = vae.VAE(CONFIG)
    assert meta.losses(x.to("meta"), torch.zeros(3, 2)).total.device.type == "meta"

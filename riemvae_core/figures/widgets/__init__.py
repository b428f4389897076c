"""The book's live figures: widgets in a notebook, standing by themselves in the pages of the book."""

from riemvae_core.figures.widgets.bound_figure import bound
from riemvae_core.figures.widgets.chains_figure import walking_chains
from riemvae_core.figures.widgets.contract_figure import broken_contract
from riemvae_core.figures.widgets.experiment import experiment
from riemvae_core.figures.widgets.host import write_static
from riemvae_core.figures.widgets.metric_figure import metric_field
from riemvae_core.figures.widgets.own_latents_figure import own_latents
from riemvae_core.figures.widgets.packing_figure import bill, packing
from riemvae_core.figures.widgets.panel import train_panel
from riemvae_core.figures.widgets.particles_figure import particles
from riemvae_core.figures.widgets.paths_figure import three_paths
from riemvae_core.figures.widgets.points_figure import points_and_balls
from riemvae_core.figures.widgets.verdict_figure import verdict
from riemvae_core.figures.widgets.voronoi_figure import voronoi

__all__ = [
    "bill",
    "bound",
    "broken_contract",
    "experiment",
    "metric_field",
    "own_latents",
    "packing",
    "particles",
    "points_and_balls",
    "three_paths",
    "train_panel",
    "verdict",
    "voronoi",
    "walking_chains",
    "write_static",
]

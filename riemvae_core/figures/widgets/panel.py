"""Chapter 2's panel: train a small VAE on the kernel's device and watch its balls and its losses."""

import base64
import html
import io
import threading
import time

import ipywidgets
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from riemvae_core.balls import kl_barrier, kl_pull
from riemvae_core.data import load_images
from riemvae_core.figures import plotting
from riemvae_core.figures.widgets import stills
from riemvae_core.figures.widgets.assets import probes
from riemvae_core.figures.widgets.host import caption_html, in_book
from riemvae_core.models import VAE, ModelConfig, fit, make_model, zoo
from riemvae_core.numerics import default_device

SECONDS_BETWEEN_PICTURES = 0.7
WIDTHS = (32, 64, 128, 256)
LIMIT = 4.0
SHOWN_EPOCHS = (1, 4, 16, 60)


def train_panel():
    """A panel of controls that trains a VAE on Fashion-MNIST: beta, width, epochs, start and stop.

    In a notebook the result is a widget; ``model``, ``losses`` and ``error`` hold what the last run left, and
    ``wait()`` waits for its end. In a build of the book it is a picture that says what the panel does.
    Stands in chapter 2.

    Example:
        >>> from riemvae_core.figures import widgets
        >>> panel = widgets.train_panel()
        >>> panel.beta.value, panel.running
        (1.0, False)
    """
    return StaticPanel() if in_book() else TrainPanel()


class TrainPanel(ipywidgets.VBox):
    """The panel in a notebook. It trains in a thread: the notebook stays free, Stop acts after an epoch."""

    def __init__(self) -> None:
        wide = {"layout": ipywidgets.Layout(width="26rem"), "style": {"description_width": "5rem"}}
        self.beta = ipywidgets.FloatLogSlider(
            value=1.0, min=-2, max=2, step=0.1, description="β", readout_format=".2f", **wide
        )
        self.width = ipywidgets.SelectionSlider(value=64, options=WIDTHS, description="width", **wide)
        self.epochs = ipywidgets.IntSlider(value=10, min=1, max=60, description="epochs", **wide)
        self.start = ipywidgets.Button(description="Start", button_style="primary")
        self.stop = ipywidgets.Button(description="Stop", disabled=True)
        self.status = ipywidgets.HTML("Ready.")
        self.picture = ipywidgets.HTML()
        self.model: VAE | None = None
        self.losses: dict[str, list[float]] = {}
        self.error: Exception | None = None
        self._stop_asked, self._thread, self._drawn_at = threading.Event(), None, 0.0
        self.start.on_click(lambda _button: self.begin())
        self.stop.on_click(lambda _button: self._stop_asked.set())
        buttons = ipywidgets.HBox([self.start, self.stop])
        super().__init__([self.beta, self.width, self.epochs, buttons, self.status, self.picture])

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def begin(self) -> None:
        """Start a run with the values shown; nothing happens while one is under way."""
        if self.running:
            return
        config = ModelConfig(width=self.width.value, depth=2, beta=self.beta.value)
        self.losses, self.error, self._drawn_at = {}, None, 0.0
        self._stop_asked.clear()
        self.start.disabled, self.stop.disabled = True, False
        self._thread = threading.Thread(target=self._run, args=(config, self.epochs.value), daemon=True)
        self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run has ended; whether it has."""
        if self._thread is not None:
            self._thread.join(timeout)
        return not self.running

    def _run(self, config: ModelConfig, epochs: int) -> None:
        try:
            device = default_device()
            self.status.value = f"Training on {device} ..."
            self.model = make_model("vae", config, seed=0).to(device)
            history = fit(
                self.model, load_images("fashion").images, epochs=epochs, callback=self._after_epoch,
                progress=False,
            )  # fmt: skip
            self._draw(self.model)
            ended = "Stopped" if history.epochs < epochs else "Done"
            self.status.value = f"{ended} after {history.epochs} epochs and {history.seconds:.1f} s."
        except Exception as error:
            self.error = error
            self.status.value = f"<b>{type(error).__name__}:</b> {html.escape(str(error))}"
        finally:
            self.start.disabled, self.stop.disabled = False, True

    def _after_epoch(self, epoch: int, model: VAE, means: dict[str, float]) -> bool:
        for name, value in means.items():
            self.losses.setdefault(name, []).append(value)
        total = ", ".join(f"{name} {value:.2f}" for name, value in means.items())
        self.status.value = f"Epoch {epoch} of {self.epochs.value}: {total}."
        if time.monotonic() - self._drawn_at > SECONDS_BETWEEN_PICTURES:
            self._draw(model)
            self._drawn_at = time.monotonic()
        return self._stop_asked.is_set()

    def _draw(self, model: VAE) -> None:
        was_training = model.training
        model.eval()
        with torch.no_grad():
            mu, log_var = model.encode(probes("fashion").images.to(next(model.parameters()).device))
        model.train(was_training)
        figure = Figure(figsize=(8.2, 3.8), dpi=110, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        plane, curves = figure.subplots(1, 2)
        plotting.latent_plane(plane, LIMIT)
        plotting.draw_balls(plane, mu, log_var)
        plotting.draw_prior(plane, radii=(1.0,))
        for name, color in (("reconstruction", "data"), ("pull", "prior"), ("barrier", "posterior")):
            curve = self.losses[name]
            curves.plot(range(1, len(curve) + 1), curve, color=plotting.COLORS[color], label=name, marker="o")
        curves.set(yscale="log", xlabel="epoch", ylabel="mean over the training images: squared error; nats")
        curves.xaxis.get_major_locator().set_params(integer=True)
        curves.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3)
        for ax in (plane, curves):
            ax.spines[["top", "right"]].set_visible(False)
        file = io.BytesIO()
        figure.savefig(file, format="png")
        pull, barrier = float(kl_pull(mu).mean()), float(kl_barrier(log_var).mean())
        words = f"240 balls, mean pull {pull:.2f} and barrier {barrier:.2f} nats; curves of the losses"
        data = base64.b64encode(file.getvalue()).decode()
        self.picture.value = f'<img alt="{words}" src="data:image/png;base64,{data}" style="max-width: 100%">'


class StaticPanel:
    """What the panel is in a build of the book: the balls of a finished run at four epochs."""

    def _repr_html_(self) -> str:
        run, parts, barriers = zoo.snapshots(zoo.beta_name(1.0)), [], []
        for epoch in SHOWN_EPOCHS:
            mu, log_var = (part[run.epochs.index(epoch)] for part in (run.mu, run.log_var))
            pull, barrier = float(kl_pull(mu).mean()), float(kl_barrier(log_var).mean())
            plane = stills.Plane(30.0, 26.0, 160.0, (0.0, 0.0), LIMIT)
            x, y = plane.at((0.0, 0.0))
            parts.append(
                stills.still(
                    200, 256, f"240 balls at epoch {epoch}: pull {pull:.2f}, barrier {barrier:.2f} nats",
                    stills.text(plane.x, 16, f"epoch {epoch}"),
                    plane.frame(),
                    f'<circle cx="{x}" cy="{y}" r="{plane.scale}" fill="none" stroke="var(--rv-prior)"/>',
                    plane.balls(mu, log_var),
                    stills.text(plane.x, 226, f"pull {pull:.2f}"),
                    stills.text(plane.x, 246, f"barrier {barrier:.2f} nats"),
                )
            )  # fmt: skip
            barriers.append(barrier)
        caption = caption_html(
            "In a training with β = 1 the balls of 240 test images shrink apart: their mean barrier grows "
            f"from {barriers[0]:.2f} to {barriers[-1]:.2f} nats.",
            "Open this chapter as a notebook: here a panel with β, width, epochs, Start and Stop trains such "
            "a model on your machine and draws its balls and losses as it goes.",
        )
        return f'<figure class="rv-figure"><div class="rv-stills">{"".join(parts)}</div>{caption}</figure>'

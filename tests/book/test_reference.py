"""What makes the reference: names from the source, docstrings as text, signatures, links both ways."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
import torch
from docutils.core import publish_doctree
from jaxtyping import Bool, Float, Int
from riemvae_book.docstrings import Writer, first_sentence, read_terms
from riemvae_book.names import Names
from riemvae_book.reference import lacking
from riemvae_book.signatures import Signatures, spans_for_parameters
from riemvae_book.uses import named_in
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[2]
NAMES = Names(ROOT)


@pytest.mark.parametrize(("text", "path"), [
    ("rc.kl_pull", "balls.kl_pull"),
    ("kl_pull(mu)", "balls.kl_pull"),
    ("riemvae_core.balls.gaussians.kl_pull", "balls.kl_pull"),
    ("PosteriorMetric.fit", "metrics.PosteriorMetric.fit"),
    ("rc.PosteriorMetric.fit(mu, log_var)", "metrics.PosteriorMetric.fit"),
    ("zoo.load", "models.zoo.load"),
    ("space.geodesic", "space.LatentSpace.geodesic"),
    ("hmc.leapfrog", "laws.hmc.leapfrog"),
    ("riemvae_core.models", "models"),
    ("prior", None),  # words of a sentence
    ("fit", None),
    ("log_var", None),  # not public
    ("torch.det", None),
    ("loss.backward()", None),
    ("a kl_pull", None),
])  # fmt: skip
def test_what_code_in_a_sentence_means(text, path):
    assert NAMES.meaning(text) == (path and f"riemvae_core.{path}")


def test_within_an_entry_its_own_names_come_first():
    metric = "riemvae_core.metrics.PosteriorMetric"
    assert NAMES.meaning("log_volume(z)", metric) == f"{metric}.log_volume"
    assert NAMES.meaning("log_volume") == "riemvae_core.balls.log_volume"
    assert (
        NAMES.meaning("geodesic", "riemvae_core.space.LatentSpace.geodesic") == "riemvae_core.paths.geodesic"
    )
    assert NAMES.meaning("metric", "riemvae_core.paths.curve_length") is None


DOC = r"""One sentence with $\mu_k^2$, ``log_var`` and a ball, a | b_ and *batch.

mu, log_var: the balls of chapter 2, in nats;
more of them.
rho: above 0. Raises ValueError for ranges.

Derived in chapters 5 and 6. Raises ValueError unless
shapes agree.

Example:
    >>> 2 * 3_0
    60
"""


def test_a_docstring_becomes_text_with_links():
    terms = [("ball", "balls"), ("nat", "nats")]
    lines = Writer(ROOT, terms, ("mu", "log_var", "rho")).lines(DOC)
    text = "\n".join(lines)
    assert r":math:`\mu_k^2`" in text
    assert "``log_var``" in text
    assert text.count(":term:`") == 2  # a ball is linked where it is first named
    assert ":term:`ball <ball>`" in text
    assert ":doc:`chapter 2 </chapters/02_kl_as_packing>`" in text
    assert ":doc:`5 </chapters/05_riemannian_metric>`" in text
    assert ":doc:`6 </chapters/06_riemannian_sampling>`" in text
    assert lines[-4:-1] == ["", ">>> 2 * 3_0", "60"]
    assert ".. rubric:: Example" in lines


def test_a_docstring_is_valid_and_keeps_its_words():
    """docutils alone reads it, without a warning, and gives back the words."""
    plain = DOC.replace("chapter 2", "the book").replace("chapters 5 and 6", "the book")
    lines = Writer(ROOT, [], ("mu", "log_var", "rho")).lines(plain)
    tree = publish_doctree("\n".join(lines), settings_overrides={"halt_level": 2, "report_level": 2})
    first, parameters, *rest = tree.children
    assert first.astext() == r"One sentence with \mu_k^2, log_var and a ball, a | b_ and *batch."
    assert [item[0].astext() for item in parameters] == ["mu, log_var", "rho"]
    assert parameters[0][1].astext() == "the balls of the book, in nats; more of them."
    assert "Raises ValueError unless shapes agree." in [node.astext() for node in rest]


def test_the_first_sentence_is_not_cut_at_a_number():
    assert (
        first_sentence("About 2.5 nats a ball, see ``a. b``.\nMore. And more.")
        == "About 2.5 nats a ball, see ``a. b``."
    )


def test_terms_are_the_glossarys():
    groups = read_terms(ROOT)
    assert ("ball", "balls", "posterior ball") in groups
    assert ("decoder",) in groups
    assert not any(term.startswith(":") for group in groups for term in group)


class Pair(NamedTuple):
    a: Float[Tensor, "*batch d"]
    b: Int[Tensor, " n"] | None = None


def _function(
    x: Float[Tensor, "*#batch d"],
    mask: Bool[Tensor, "n 2"],
    how: Literal["auto", "smc"] = "auto",
    *rest: nn.Module,
    generator: torch.Generator | None = None,
    decode: Callable[[Tensor], Tensor] = math.sin,
) -> tuple[Float[Tensor, "*batch"], Iterator[slice]]:
    raise NotImplementedError


def test_signatures_say_shapes():
    arguments, returned = Signatures(NAMES).of("function", _function)
    assert arguments == (
        "(x: Tensor['[*batch, d]'], mask: BoolTensor['[n, 2]'], how: Literal['auto', 'smc'] = 'auto', "
        "*rest: nn.Module, generator: torch.Generator | None = None, "
        "decode: Callable[[Tensor], Tensor] = sin)"
    )
    assert returned == "tuple[Tensor['[*batch]'], Iterator[slice]]"
    assert Signatures(NAMES).of("class", Pair) == (
        "(a: Tensor['[*batch, d]'], b: IntTensor['[n]'] | None = None)",
        "",
    )


def test_signatures_lead_to_types_of_the_core():
    from riemvae_core.paths import geodesic

    arguments, returned = Signatures(NAMES).of("function", geodesic)
    assert arguments.startswith("(metric: ~riemvae_core.paths.Metric, a: Tensor['[*batch, d]']")
    assert returned == "~riemvae_core.paths.Geodesic"


def test_lines_of_a_long_signature_are_no_list():
    line = '<dd><em class="sig-param">x</em>,</dd>\n'
    other = "<dl>\n<dt>a</dt><dd>b</dd>\n</dl>"
    shown = spans_for_parameters(f"(<dl>\n{line}{line}</dl>){other}")
    assert shown.count('<span class="rv-parameter">') == 2
    assert shown.endswith(other)
    assert "<dl>" not in shown.removesuffix(other)


CHAPTER = """---
kernelspec: {name: python3}
---
# A chapter

We call `rc.kl_pull` and `prior`.

```{literalinclude} ../riemvae_core/balls/gaussians.py
:pyobject: kl_barrier
```

```{code-cell} python
from riemvae_core.figures import widgets as w
from riemvae_core.models import zoo

model = zoo.load("digits-vae-2d")
metric = rc.PosteriorMetric.fit(mu, log_var)
volume = metric.log_volume(z) + fit(z)
w.voronoi()
```

```{code-cell} python
:tags: [solution]

rc.sample_uniform(metric, 4)
```
"""


def test_what_a_chapter_uses():
    found = {path.removeprefix("riemvae_core.") for path in named_in(NAMES, CHAPTER)}
    assert found == {
        *("balls.kl_pull", "balls.kl_barrier", "models.zoo", "models.zoo.load", "figures.widgets"),
        *("metrics.PosteriorMetric.fit", "metrics.PosteriorMetric.log_volume", "figures.widgets.voronoi"),
        "metrics.PosteriorMetric",
    }


def small_core(root: Path, source: str) -> Names:
    folder = root / "riemvae_core" / "balls"
    folder.mkdir(parents=True)
    (root / "riemvae_core" / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("from riemvae_core.balls.sums import total\n\n__all__ = ['total']\n")
    (folder / "sums.py").write_text(source)
    return Names(root)


@pytest.mark.parametrize(("source", "said"), [
    ('def total(x):\n    """A sum.\n\n    Example:\n        >>> 1\n        1\n    """\n', []),
    ('def total(x):\n    """A sum."""\n', ["has no example"]),
    ('def total(x):\n    """A sum.\n\n    Example:\n        none\n    """\n', ["has no example"]),
    ("def total(x):\n    return x\n", ["has no docstring"]),
    ("#: A sum.\ntotal = 2\n", []),
    ("total = 2\n", ["has no comment"]),
])  # fmt: skip
def test_what_a_name_may_lack(tmp_path, source, said):
    names = small_core(tmp_path, source)
    found = lacking(names, {"riemvae_core.balls.total"})
    assert len(found) == len(said)
    assert all(
        f"riemvae_core.balls.total {what}" in sentence for what, sentence in zip(said, found, strict=True)
    )
    assert any("is in no page" in sentence for sentence in lacking(names, set()))


def test_a_door_that_lists_what_is_not_there_is_an_error(tmp_path):
    names = small_core(tmp_path, "other = 2\n")
    with pytest.raises(
        ValueError, match=r"riemvae_core\.balls\.sums must define or import total, which it lists"
    ):
        _ = names.all

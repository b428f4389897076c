"""What a chapter says of itself is counted."""

import pytest
from riemvae_book.execution import available_threads, core_key
from riemvae_book.facts import facts_sentence, prose_words

CHAPTER = """\
---
kernelspec: {name: python3}
---
(label)=
# Four words stand here

It's $x^2$ one {cite:p}`key` [linked text](target.md).

$$
a = b
$$ (eq)

```{code-cell} python
not = counted
```

:::{note}
Three more words.
:::

:::{solution} ex
never counted
:::
"""


def test_only_prose_is_counted():
    # Four words stand here | It's one key linked text | Three more words
    assert prose_words(CHAPTER) == 4 + 5 + 3


@pytest.mark.parametrize(
    ("words", "seconds", "threads", "sentence"),
    [
        (1600, None, "2", "About 10 minutes to read."),
        (1600, 31.6, "2", "About 10 minutes to read; its code ran in 32 s on 2 threads."),
        (1600, 0.2, "1", "About 10 minutes to read; its code ran in 1 s on 1 thread."),
    ],
)
def test_the_sentence(words, seconds, threads, sentence):
    assert facts_sentence(words, seconds, threads) == sentence


def test_threads_are_at_least_one_and_at_most_eight():
    assert 1 <= available_threads() <= 8


def test_the_key_covers_core_requirements_and_threads(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    core = tmp_path / "riemvae_core"
    (core / "__pycache__").mkdir(parents=True)
    (core / "a.py").write_text("VALUE = 1\n")
    (tmp_path / "requirements.txt").write_text("torch\n")
    keys = [core_key(tmp_path)]
    (core / "__pycache__" / "a.pyc").write_text("compiled")
    (tmp_path / "README.md").write_text("prose")
    assert core_key(tmp_path) == keys[0]
    (core / "a.py").write_text("VALUE = 2\n")
    keys.append(core_key(tmp_path))
    (core / "weights.bin").write_bytes(b"1")
    keys.append(core_key(tmp_path))
    (tmp_path / "requirements.txt").write_text("torch==2\n")
    keys.append(core_key(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    keys.append(core_key(tmp_path))
    assert len(set(keys)) == 5

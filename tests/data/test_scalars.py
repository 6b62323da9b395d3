"""Numbers, choices, seeds and memory are refused with the name, what is allowed and what came."""

import numpy as np
import pytest

import pofx.validation.memory as memory
from pofx.errors import MemoryLimitError, MissingExtraError, ParameterError
from pofx.optional import need
from pofx.validation import check_memory, one_of, real_number, rng_from, whole_number


def test_whole_numbers():
    assert whole_number(0, "n", least=0) == 0
    value = whole_number(np.int8(3), "n", least=1)
    assert (value, type(value)) == (3, int)
    for bad in (-1, 2.5, 2.0, "3", None, True, np.True_, [1], np.nan):
        with pytest.raises(ParameterError, match="n must be a whole number >= 0, not"):
            whole_number(bad, "n", least=0)
    with pytest.raises(ParameterError, match="from 1 to 5, not 6"):
        whole_number(6, "K", least=1, most=5)


def test_real_numbers():
    assert real_number(2, "h", above=0) == 2.0
    assert real_number(np.float32(0.5), "h", least=0.5, most=0.5) == 0.5
    for bad in (0, -1, np.nan, np.inf, "1", None, True, [1.0], 1j, 10**400):
        with pytest.raises(ParameterError, match="h must be a finite number > 0"):
            real_number(bad, "h", above=0)
    with pytest.raises(ParameterError, match=r">= 0 and < 1, not 1\.0"):
        real_number(1, "q", least=0, below=1)
    with pytest.raises(ParameterError, match="a finite number, not"):
        real_number("x", "q")


def test_choices_name_the_nearest():
    assert one_of("full", "covariance_type", ("full", "tied")) == "full"
    with pytest.raises(ParameterError, match=r"one of 'full', 'tied', not 'ful'.*Did you mean 'full'"):
        one_of("ful", "covariance_type", ("full", "tied"))
    for bad in (None, 3, ["full"], np.array(["full", "tied"])):
        with pytest.raises(ParameterError, match="covariance_type must be one of"):
            one_of(bad, "covariance_type", ("full", "tied"))


def test_the_same_seed_gives_the_same_numbers():
    for make in (
        lambda: 3,
        lambda: np.int64(3),
        lambda: np.random.SeedSequence(3),
        lambda: np.random.RandomState(3),
    ):
        assert rng_from(make()).random() == rng_from(make()).random()
    assert rng_from(3).random() == rng_from(np.random.SeedSequence(3)).random()
    assert rng_from(None).random() != rng_from(None).random()


@pytest.mark.parametrize(
    "source", [np.random.default_rng(0), np.random.RandomState(0)], ids=["new", "legacy"]
)
def test_a_generator_moves_on(source):
    assert rng_from(source).random() != rng_from(source).random()


@pytest.mark.parametrize("bad", [-1, 1.5, "0", True, np.random, [1, 2], np.nan])
def test_no_seed(bad):
    with pytest.raises(ParameterError, match="random_state must be None, a whole number >= 0"):
        rng_from(bad)


def test_memory_is_refused_before_it_is_allocated():
    with pytest.raises(
        MemoryLimitError, match=r"An \(n, n\) matrix would need about 1e\+06 TB.*are available"
    ):
        check_memory(1e18, "An (n, n) matrix")
    check_memory(1000, "little")


def test_an_unknown_system_is_allowed_everything(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "win32")
    assert memory.available_memory() is None
    check_memory(1e18, "An (n, n) matrix")


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        (
            "0::/box/inner\n",
            {
                "box/memory.max": "1000000\n",
                "box/memory.current": "400000\n",
                "box/memory.stat": "anon 1\ninactive_file 100000\n",
                "box/inner/memory.max": "max\n",
                "box/inner/memory.current": "300000\n",
            },
        ),
        (
            "5:cpu:/\n4:memory:/box\n",
            {
                "memory/box/memory.limit_in_bytes": "1000000\n",
                "memory/box/memory.usage_in_bytes": "400000\n",
                "memory/box/memory.stat": "total_inactive_file 100000\n",
            },
        ),
    ],
    ids=["v2", "v1"],
)
def test_control_groups_limit_the_memory(groups, files, tmp_path, monkeypatch):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    read = memory._read
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    monkeypatch.setattr(
        memory, "_read", lambda path: groups if str(path) == "/proc/self/cgroup" else read(path)
    )
    assert [left for left in memory._groups() if left is not None] == [700_000]


def test_a_missing_package_is_a_sentence_with_the_command():
    assert need("math").sqrt(4) == 2
    with pytest.raises(
        MissingExtraError, match=r'no_such_package is needed because x, .*pip install "pofx.images."'
    ):
        need("no_such_package", extra="images", why="x")
    with pytest.raises(ImportError, match="pip install no_such_package"):
        need("no_such_package.part")
